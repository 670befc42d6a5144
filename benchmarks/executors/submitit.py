"""Jobs as those of a SLURM cluster, or as processes started the same way on this machine, by submitit."""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, log2
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import console
from benchmarks.errors import BadInput
from benchmarks.executors.scheduled import JobLost, Resources, Scheduled, settle, stoppable
from benchmarks.machine.needs import Needs
from benchmarks.training import stopping

try:
    import submitit
    from submitit.core.utils import FailedJobError
    from submitit.slurm.slurm import SlurmInfoWatcher, SlurmJob
except ImportError as error:
    raise BadInput(f"{error}; install it: pip install -e '.[cluster]'") from error

ROOT = Path(__file__).resolve().parents[2]
GIB = 2**30
LONGER = 2.0
"""How many times the estimate a job may take. One that takes longer still is requeued and goes on."""
MINUTES = (15, 30, 60, 120, 240, 480, 1440, 2880)
"""Time limits of jobs: few, so that methods of about the same length share an array."""
GATHER_SECONDS = 0.5
"""After the last job that was handed in, jobs that ask for the same are submitted together, as an array."""
LATE_SECONDS = 15.0
"""A result may be seen so much later than the end of its job, in a folder that another machine writes."""
CANCEL_SECONDS = 60.0
"""How long cancelled jobs are waited for, so that their checkpoints are there and their leases free."""


PASSING = ("contact", "timed out", "temporar", "try again", "not responding")
"""What sbatch says where it may take the same job a moment later."""
ORDINARY = ("None", "Priority", "Resources", "JobArrayTaskLimit", "BeginTime", "Cleaning", "Prolog", "Dependency")
"""Reasons of squeue for which a job waits that will run without anybody's doing."""
ENDED = ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT")
"""States of a job, as squeue has them, that nothing follows."""


class Queue(SlurmInfoWatcher):
    """What became of jobs, by `squeue`, which every cluster has; submitit asks the accounting, which not all have."""

    def _make_command(self) -> list[str] | None:
        if not self._registered - self._finished:
            return None
        return ["squeue", "--me", "--array", "--states=all", "--noheader", "--format=%i|%T|%N|%r"]

    def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
        """State of each job by its number; one that was there and is not any more has ended long ago."""
        text = string if isinstance(string, str) else string.decode()
        found = {}
        for name, state, nodes, why in (
            line.strip().split("|", 3) for line in text.splitlines() if line.count("|") > 2
        ):
            found[name] = {"JobID": name, "State": state if state in ENDED else "RUNNING", "NodeList": nodes}
            found[name]["Reason"] = why if state == "PENDING" else "None"
        gone = (self._registered - self._finished) & set(self._info_dict) - set(found)
        return found | {name: {"JobID": name, "State": "GONE"} for name in gone}


class Resumable:
    """What a job runs. A signal that its time is nearly up, or that another job is to have its place, ends a training
    with a checkpoint; then submitit puts the job back into the queue, and it goes on from there."""

    def __call__(self, function: Callable[..., Any], arguments: Sequence[Any], more: Mapping[str, Any]) -> Any:
        """What `stoppable` returns, in the job."""
        outcome = stoppable(function, arguments, more)
        if not isinstance(outcome, stopping.Stopped) or outcome.status == stopping.OUT_OF_TIME:
            return outcome
        if outcome.status == 128 + signal.SIGUSR2:
            signal.raise_signal(signal.SIGUSR2)  # to submitit's own handler, which requeues
        raise SystemExit(outcome.status)  # without a result: SLURM decides whether the job is run again

    def checkpoint(self, *arguments: Any) -> "submitit.helpers.DelayedSubmission":
        """The job as it is put back: the store knows how far it was."""
        return submitit.helpers.DelayedSubmission(self, *arguments)


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Jobs inherit the environment they are submitted in: PyTorch reads the number of threads from it once, and the
    project is run from its checkout."""
    former = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Asked(NamedTuple):
    """What a job asks for: minutes, GiB, whether a node for itself, cores, GPUs."""

    minutes: int
    memory: int
    alone: bool
    cores: int
    gpus: int


@dataclass
class _Task:
    """A job that was handed in, its future, and what submitit made of it."""

    asked: "Asked"
    function: Callable[..., Any]
    arguments: Sequence[Any]
    more: Mapping[str, Any]
    future: Future
    job: Any = None
    ended: float | None = None


class Submitit(Scheduled):
    """One job a trial, an array for all that ask for the same.

    folder: where submitit keeps what it sends and the jobs' output, seen by all machines; cluster: slurm or local;
    parallel: most jobs at a time, None: 64 on SLURM, here as many as there are cores for; cores, gpus: of a job;
    memory, minutes: GiB and time limit of a job, None: from the estimates of action=plan; requeues: how often a job may
    run out of time; poll: seconds between looks; slurm: further settings of submitit's SLURM executor, such as
    {partition: gpu, account: mine, gres: "gpu:a100:1"}; resources: by the name of a method or profile what its jobs get
    instead, of cores, gpus, memory and minutes. A training on several devices gets as many times its cores and GPUs.
    Raises BadInput for those it does not know, and where there is no SLURM.
    """

    def __init__(
        self,
        folder: str,
        cluster: str = "slurm",
        parallel: int | None = None,
        cores: int = 2,
        gpus: int = 0,
        memory: float | None = None,
        minutes: int | None = None,
        requeues: int = 100,
        poll: float = 2.0,
        slurm: dict[str, Any] | None = None,
        resources: dict[str, Any] | None = None,
    ) -> None:
        if cluster not in ("slurm", "local"):
            raise BadInput(f"executor.cluster={cluster}: expected slurm or local.")
        if (parallel or 1) < 1 or cores < 1:
            name, value = ("cores", cores) if cores < 1 else ("parallel", parallel)
            raise BadInput(f"executor.{name}={value}: expected a whole number from 1.")
        here = max(1, len(os.sched_getaffinity(0)) // cores)
        self.cluster, self.poll, self.parallel = cluster, poll, parallel or (here if cluster == "local" else 64)
        self.usual = Resources(cores, gpus, memory, minutes).checked("executor")
        self.special = self.usual.special(resources)
        logging.getLogger("submitit").setLevel(logging.ERROR)
        place = Path(folder).resolve() / "%j"
        self._slurm = {f"slurm_{name}": value for name, value in (slurm or {}).items() if value is not None}
        try:
            more = {"slurm_max_num_timeout": requeues} if cluster == "slurm" else {"local_max_num_timeout": requeues}
            self._engine = submitit.AutoExecutor(place, cluster=cluster, **more)
            self._engine.update_parameters(**self._slurm)
        except (RuntimeError, NameError, ValueError) as error:
            words = " ".join(str(error).split())
            raise BadInput(f"executor=submitit: {words} Without SLURM: executor.cluster=local.") from error
        if cluster == "slurm":
            SlurmJob.watcher = Queue(delay_s=30)
        self._waiting: list[_Task] = []
        self._running: list[_Task] = []
        self._handed_in, self._gpus, self._complaint, self._told = 0.0, 0, "", set[str]()
        self._lock, self._closed, self._cancelled = threading.Lock(), threading.Event(), False
        self._attendant = threading.Thread(target=self._attend, name="submitit", daemon=True)
        self._attendant.start()

    def submit_for(self, needs: Needs, function: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future:
        """The future of function(*arguments) in a job of its own. It holds JobLost where that leaves no result."""
        task = _Task(self._asked(needs), function, arguments, more, Future())
        with self._lock:
            self._waiting.append(task)
            self._handed_in = time.monotonic()
        return task.future

    def _asked(self, needs: Needs) -> "Asked":
        """What jobs of one array have in common."""
        own = self.usual.of(needs, self.special)
        estimated = LONGER * (needs.seconds or 0) / 60
        minutes = own.minutes or next((limit for limit in MINUTES if limit >= estimated), MINUTES[-1])
        memory = own.memory or 2 ** ceil(max(0.0, log2((needs.memory or 4 * GIB) / GIB)))
        return Asked(minutes, ceil(memory), needs.alone, own.cores, int(own.gpus))

    # ---- in the attendant's thread ---------------------------------------------------------------------------------

    def _attend(self) -> None:
        while not (self._closed.is_set() and not self._waiting and not self._running):
            try:
                self._send()
                self._look()
            except Exception as error:  # of the engine itself, such as a queue that does not answer: it is asked again
                if (said := _line(error)) != self._complaint:
                    console.say(f"  {type(error).__name__}: {said}")
                    self._complaint = said
            time.sleep(min(self.poll, GATHER_SECONDS))

    def _send(self) -> None:
        """Submit what has been handed in, an array for all that ask for the same."""
        with self._lock:
            if not self._waiting or time.monotonic() - self._handed_in < GATHER_SECONDS or self._cancelled:
                return
            # Elsewhere SLURM holds back what is more than `parallel`.
            room = self.parallel - len(self._running) if self.cluster == "local" else len(self._waiting)
            tasks, self._waiting = self._waiting[: max(0, room)], self._waiting[max(0, room) :]
        tasks = [task for task in tasks if task.future.set_running_or_notify_cancel()]
        with self._lock:
            self._running += tasks
        for asked in dict.fromkeys(task.asked for task in tasks):
            together = [task for task in tasks if task.asked == asked]
            what = f"{asked.minutes} min, {asked.memory} GiB, {asked.cores} cores, {asked.gpus} GPUs"
            try:
                self._submit(asked, together)
            except Exception as error:
                self._give_up(together, what, error)
                continue
            if self.cluster == "slurm":
                first = str(together[0].job.job_id).partition("_")[0]
                console.say(f"  SLURM job {first}: {len(together)} of {what}")

    def _submit(self, asked: Asked, together: Sequence[_Task]) -> None:
        """Submit an array. Raises what the engine raises."""
        self._engine.update_parameters(**self._parameters(asked))
        with _environment(OMP_NUM_THREADS=str(asked.cores), PYTHONPATH=str(ROOT)), self._engine.batch():
            jobs = [self._engine.submit(Resumable(), task.function, task.arguments, task.more) for task in together]
        for task, job in zip(together, jobs, strict=True):
            task.job = job

    def _parameters(self, asked: Asked) -> dict[str, Any]:
        found = {"timeout_min": asked.minutes, "mem_gb": asked.memory, "cpus_per_task": asked.cores, "name": "diffseg"}
        if asked.gpus or self._gpus:  # the engine keeps what an earlier array asked for
            found["gpus_per_node"] = self._gpus = asked.gpus
        if self.cluster == "slurm":
            found |= {"slurm_array_parallelism": self.parallel, "slurm_exclusive": True if asked.alone else None}
        return found | self._slurm

    def _look(self) -> None:
        """Give each future what its job has come to."""
        self._tell_reasons()
        for task in [task for task in self._running if task.job is not None and task.job.done()]:
            if task.job.paths.result_pickle.exists():
                try:
                    settle(task.future, task.job.result(), self._cancelled)
                except Exception as error:  # of the job: submitit gives its text
                    task.future.set_exception(error)
            else:
                task.ended = task.ended or time.monotonic()
                if self.cluster == "slurm" and time.monotonic() - task.ended < LATE_SECONDS and not self._cancelled:
                    continue
                stop = stopping.Stopped("stopped with the run", 128 + signal.SIGTERM)
                task.future.set_exception(stop if self._cancelled else JobLost(_why(task.job)))
            self._running.remove(task)

    def _tell_reasons(self) -> None:
        """Say once for what unusual reason a job waits: SLURM keeps one that no node has room for, and says nothing."""
        for task in [task for task in self._running if task.job is not None and self.cluster == "slurm"]:
            known = SlurmJob.watcher.get_info(str(task.job.job_id), mode="cache")
            why = known.get("Reason", "None")
            if why not in (*ORDINARY, *self._told):
                self._told.add(why)
                asked = task.asked
                console.say(
                    f"  SLURM lets job {task.job.job_id} ({asked.minutes} min, {asked.memory} GiB, {asked.cores} "
                    f"cores, {asked.gpus} GPUs) wait: {why}. It does so for ever where no node has as much; Ctrl-C "
                    "ends this."
                )

    def _give_up(self, tasks: Sequence[_Task], what: str, error: Exception) -> None:
        """Jobs that could not be submitted: they are tried once more where the cluster did not answer; what it refuses
        ends the run, as it would refuse the next job, too."""
        lost: Exception = JobLost(f"it could not be submitted: {_line(error)}")
        if isinstance(error, FailedJobError) and not any(word in str(error) for word in PASSING):
            lost = BadInput(
                f"executor=submitit: SLURM refuses a job of {what} ({_line(error)}). Ask for what it has, which `sinfo "
                "-o '%P %l %c %m %G'` shows: executor.cores, .memory, .minutes, .gpus and .slurm.partition, .account."
            )
        for task in tasks:
            self._running.remove(task)
            task.future.set_exception(lost)

    # ---- the end ---------------------------------------------------------------------------------------------------

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for the jobs; `cancel_futures` cancels them on the cluster, where trainings save their checkpoints."""
        if cancel_futures and not self._cancelled:
            with self._lock:
                self._cancelled = True
                waiting, self._waiting = self._waiting, []
            for task in waiting:
                task.future.cancel()
            self._cancel([task.job for task in self._running if task.job is not None])
        self._closed.set()
        if wait:
            self._attendant.join(CANCEL_SECONDS if self._cancelled else None)

    def _cancel(self, jobs: Sequence[Any]) -> None:
        if not jobs:
            return
        console.say(f"  Cancelling {len(jobs)} jobs; their checkpoints are kept.")
        for job in jobs:
            if self.cluster == "local":
                try:  # submitit would interrupt the job and kill it a second later; this is passed on to it
                    os.kill(int(job.job_id), signal.SIGTERM)
                except ProcessLookupError:
                    pass
        if self.cluster == "slurm":
            subprocess.run(["scancel", *(str(job.job_id) for job in jobs)], check=False, capture_output=True)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _why(job: Any) -> str:
    """In words, what is known of a job that left no result."""
    return f"job {job.job_id} ended without a result ({job.state.lower()}); its output: {job.paths.stderr}"
