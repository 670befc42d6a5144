"""Jobs as tasks of a Ray cluster."""

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from benchmarks import console
from benchmarks.errors import BadInput
from benchmarks.executors.scheduled import JobLost, Resources, Scheduled, settle, stoppable
from benchmarks.machine.needs import Needs
from benchmarks.training import stopping

# Ray would have its workers start as this run was started, with a virtual environment of their own where that was uv.
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
try:
    import ray
    from ray import exceptions
except ImportError as error:
    raise BadInput(f"{error}; install it: pip install -e '.[cluster]'") from error

ROOT = Path(__file__).resolve().parents[2]
LOST = (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.OutOfMemoryError, exceptions.RaySystemError)
CANCELLED = (exceptions.TaskCancelledError,)
CANCEL_SECONDS = 30.0
"""How long cancelled jobs are waited for, so that their checkpoints are there and their leases free."""


class Ray(Scheduled):
    """One task a trial, wherever in the cluster there is room for it.

    address: of a running cluster, auto for the one of this machine, None to start one here that ends with the run;
    cores, gpus: of a task; resources: by the name of a method or profile what its tasks get instead, of cores, gpus and
    memory (GiB). A training on several devices gets as many times its cores and GPUs. Checkout, data and store are seen
    by all machines under the same path. Raises BadInput where no cluster answers, and for a job that none of the
    machines of a cluster started here has room for.
    """

    def __init__(
        self,
        address: str | None = None,
        cores: int = 1,
        gpus: float = 0,
        resources: dict[str, Any] | None = None,
    ) -> None:
        self.usual = Resources(cores, gpus).checked("executor")
        self.special = self.usual.special(resources)
        environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(cores)}
        try:
            ray.init(
                address=address or "local",
                runtime_env={"env_vars": environment},
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=None if address else False,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            words = " ".join(str(error).split())[:300]
            raise BadInput(
                f"executor.address={address}: no Ray cluster answers ({words}). Start one with `ray start --head`, or "
                "leave the address out."
            ) from error
        self._tasks: dict[Future, ray.ObjectRef] = {}
        self._cancelled, self._own, self._told = False, address is None, False
        self._ended = threading.Condition()
        # One process for one job: what it leaves in memory, or of threads, ends with it.
        self._run = ray.remote(max_retries=0, max_calls=1)(stoppable)

    def submit_for(self, needs: Needs, function: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future:
        """The future of function(*arguments) in a task. It holds JobLost where its worker or its machine is lost."""
        own = self.usual.of(needs, self.special)
        memory = needs.memory if own.memory is None else own.memory * 2**30
        self._check_room({"CPU": own.cores, "GPU": own.gpus, "memory": memory or 0})
        threads = {"env_vars": {"OMP_NUM_THREADS": str(own.cores)}} if own.cores != self.usual.cores else None
        task = self._run.options(num_cpus=own.cores, num_gpus=own.gpus, memory=memory, runtime_env=threads)
        future: Future = Future()
        reference = task.remote(function, arguments, more)
        self._tasks[future] = reference
        reference.future().add_done_callback(lambda found: self._settle(future, found))
        return future

    def _check_room(self, asked: dict[str, float]) -> None:
        """Ray keeps a task that no machine has room for, and says nothing. Raises BadInput where none ever will have: a
        cluster that was started here does not grow; of another one it is said once."""
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if self._told or fitting(asked, nodes):
            return
        words = ", ".join(f"{one.get('CPU', 0):g} cores, {one.get('GPU', 0):g} GPUs and "
                          f"{one.get('memory', 0) / 2**30:.1f} GiB" for one in nodes)  # fmt: skip
        said = (
            f"executor=ray: a job asks for {asked['CPU']:g} cores, {asked['GPU']:g} GPUs and "
            f"{asked['memory'] / 2**30:.1f} GiB, and no machine of the cluster has that (there are {words})."
        )
        if self._own:
            raise BadInput(f"{said} Ask for less: executor.cores, executor.gpus, executor.resources.")
        console.say(f"  {said} It waits until one joins; Ctrl-C ends the run.")
        self._told = True

    def _settle(self, future: Future, found: Future) -> None:
        error = found.exception()
        with self._ended:
            self._tasks.pop(future, None)
            if future.set_running_or_notify_cancel():
                if error is None:
                    settle(future, found.result(), self._cancelled)
                elif self._cancelled or isinstance(error, CANCELLED):
                    future.set_exception(stopping.Stopped("stopped with the run", 130))
                else:
                    future.set_exception(_lost(error) if isinstance(error, LOST) else error)
            self._ended.notify_all()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for the jobs and leave the cluster; `cancel_futures` drops those that wait and interrupts those under
        way: trainings save their checkpoints."""
        if cancel_futures and not self._cancelled:
            self._cancelled = True
            for reference in list(self._tasks.values()):
                ray.cancel(reference)
        if wait:
            with self._ended:
                self._ended.wait_for(lambda: not self._tasks, CANCEL_SECONDS if self._cancelled else None)
        ray.shutdown()


def fitting(asked: Mapping[str, float], nodes: Sequence[Mapping[str, float]]) -> bool:
    """Whether one of the machines, by what it has in all, has what a job asks for."""
    return any(all(amount <= node.get(name, 0) for name, amount in asked.items()) for node in nodes)


def _lost(error: Exception) -> JobLost:
    line = (str(error).strip().splitlines() or [""])[0]
    return JobLost(f"{type(error).__name__}: {line}")
