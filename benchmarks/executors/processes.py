"""Several jobs at a time, each worker a process of its own with its share of the cores, or a GPU of its own."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

from benchmarks import console
from benchmarks.errors import BadInput
from benchmarks.training import stopping


class WorkerLost(Exception):
    """A worker did not come back from its job."""


class Processes(Executor):
    """Runs as many jobs at a time as there are workers, the others in turn.

    workers: how many; None: one for each GPU, where there is none one for each core. threads: of a computation in each
    worker, where the command does not say it by `threads=`; None: an equal share of the cores. A worker that is killed
    takes only its own job with it: another one is started for the next. Raises BadInput for numbers below 1.
    """

    def __init__(self, workers: int | None = None, threads: int | None = None) -> None:
        for name, value in (("workers", workers), ("threads", threads)):
            if value is not None and value < 1:
                raise BadInput(f"executor.{name}={value}: expected a whole number from 1, or null.")
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        devices = visible_devices()
        self.workers = workers or len(devices) or cores
        self.threads = threads or max(1, cores // self.workers)
        self._slots = [
            _Slot(self.threads, devices[number % len(devices)] if devices else None) for number in range(self.workers)
        ]
        self._free: SimpleQueue[_Slot] = SimpleQueue()
        for slot in self._slots:
            self._free.put(slot)
        self._attendants = ThreadPoolExecutor(self.workers, thread_name_prefix="attendant")

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future:
        """The future of function(*arguments) in the next worker that is free. It holds WorkerLost where the worker was
        killed, and Stopped where it was told to stop."""
        return self._attendants.submit(self._attend, function, arguments, more)

    def _attend(self, function: Callable[..., Any], arguments: Sequence[Any], more: Mapping[str, Any]) -> Any:
        slot = self._free.get()
        try:
            return slot.run(function, arguments, more)
        finally:
            self._free.put(slot)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for the jobs and end the workers; `cancel_futures` drops what has not begun and asks what is under way
        to stop, as a signal would: a training saves its checkpoint."""
        self._attendants.shutdown(wait=False, cancel_futures=cancel_futures)
        if cancel_futures:
            for slot in self._slots:
                slot.stop()
        if wait:
            self._attendants.shutdown()
        for slot in self._slots:
            slot.end(wait)


def visible_devices() -> list[str]:
    """The CUDA devices this process may use, as CUDA_VISIBLE_DEVICES names them; none on a machine without."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name for name in given.split(",") if name.strip() not in ("", "-1")]
    from torch import cuda  # takes a second, and is imported by whatever is done then

    return [str(number) for number in range(cuda.device_count())]


class _Slot:
    """One worker: a pool of a single process, made anew after that has died."""

    def __init__(self, threads: int, device: str | None) -> None:
        self.threads, self.device = threads, device
        self.pool: ProcessPoolExecutor | None = None
        self.process: int | None = None
        self.stopping = False
        self.lock = Lock()

    def run(self, function: Callable[..., Any], arguments: Sequence[Any], more: Mapping[str, Any]) -> Any:
        """The value of the function in this worker. Raises WorkerLost where the worker dies or is stopped by somebody
        else, and what the function raises."""
        try:
            return self._started().submit(_job, function, arguments, more).result()
        except BrokenProcessPool as error:
            self.pool = None
            raise WorkerLost("its worker was killed, for want of memory perhaps") from error
        except stopping.Stopped as stop:
            if self.stopping or stop.status == stopping.OUT_OF_TIME:
                raise
            raise WorkerLost(f"its worker was {stop}") from stop

    def _started(self) -> ProcessPoolExecutor:
        with self.lock:
            if self.stopping:
                raise stopping.Stopped("stopped with the run", 128 + signal.SIGTERM)
            if self.pool is None:
                # A fork would share the locks of threads that are not forked with it.
                self.pool = ProcessPoolExecutor(
                    1,
                    multiprocessing.get_context("spawn"),
                    initializer=_begin,
                    initargs=(self.threads, self.device, stopping.STARTED),
                )
                self.process = self.pool.submit(os.getpid).result()
            return self.pool

    def stop(self) -> None:
        """Ask the worker to stop what it does."""
        self.stopping = True
        with self.lock:
            if self.pool is not None and self.process is not None:
                try:
                    os.kill(self.process, signal.SIGTERM)
                except ProcessLookupError:
                    pass

    def end(self, wait: bool) -> None:
        """End the worker once it has no job."""
        if self.pool is not None:
            self.pool.shutdown(wait=wait, cancel_futures=True)


def _begin(threads: int, device: str | None, started: float) -> None:
    """What a worker does first: before PyTorch is imported, which reads these variables once."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    # A terminal sends Ctrl-C to all of its processes; the run passes it on as SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stopping.STARTED = started
    console.be_silent()
    # A worker whose run was killed stops what it does, too, and does not wait for more.
    Thread(target=stopping.end_with_parent, daemon=True).start()


def _job(function: Callable[..., Any], arguments: Sequence[Any], more: Mapping[str, Any]) -> Any:
    with stopping.on_signals():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return function(*arguments, **more)
