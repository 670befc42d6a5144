"""The job runner of all kinds of suites: take the lease, skip what is there, do the job, write a failure down.

What a job is, a `Work` says. Jobs run where the executor puts them, all at once if it likes; a job that another run is
working on is left to the end, then waited for.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from omegaconf import DictConfig

from benchmarks import console
from benchmarks.errors import BadInput, CannotWrite, Failure, cannot_write, failure_of
from benchmarks.executors.scheduled import Scheduled
from benchmarks.machine.needs import Needs
from benchmarks.plan.classes import named_class
from benchmarks.store import leases
from benchmarks.store.files import sweep
from benchmarks.store.results import Store

Job = TypeVar("Job")
Outcome = bool | Exception | Failure
"""Of an attempt: True where the job is over, False where another run works on it, what ends the run, or a failure that
could not be written down."""

ASK_AGAIN_SECONDS = 1.0
"""How often a run looks whether another one has finished what it was working on."""
POLL_SECONDS = 1.0
"""How often it looks how far its own jobs are."""


@dataclass(frozen=True)
class Work(ABC, Generic[Job]):
    """One sort of job: where its lease lies, when it is settled, how it is done and where its failure is written.

    Work and jobs are sent to where the executor runs, so they hold only what can be pickled.
    """

    config: DictConfig
    store: Store

    @abstractmethod
    def name(self, job: Job) -> str:
        """The job in words."""

    @abstractmethod
    def place(self, job: Job) -> Path:
        """The folder or file the job leaves; its lease lies beside it."""

    @abstractmethod
    def settled(self, job: Job) -> bool:
        """Whether nothing is left to do: it is done, or would end as it did before."""

    @abstractmethod
    def do(self, job: Job) -> None:
        """Do what is left of the job. Whatever it raises but BadInput becomes the job's failure."""

    @abstractmethod
    def fail(self, job: Job, failure: Failure) -> bool:
        """Write the failure down where reports find it. False where no report could: the error then ends the run."""

    def needs(self, job: Job) -> Needs:
        """What the job asks of a machine; asked where a scheduler wants to know."""
        return Needs()


def _executor(settings: DictConfig) -> Executor:
    """The executor of conf/executor/NAME.yaml, its other keys as arguments."""
    given = {str(name): value for name, value in settings.items() if name != "_target_"}
    return named_class("executor._target_", settings._target_, Executor)(**given)


EARLY_SECONDS = 20.0
"""A first job that took so long is shown before the others are done."""


def run(work: Work[Job], jobs: Sequence[Job], early: Callable[[], bool] = lambda: True) -> list[str]:
    """Do the jobs that are not settled, and return a line for each that failed where its failure could not be written:
    on a full disk, in a folder that is read-only. Raises BadInput where one finds that the user's input cannot be used.

    early: called when the first job is over, others are left, and it took `EARLY_SECONDS` or more; then after each one,
    until it says true: that there was something to show.
    """
    waiting = [job for job in jobs if not work.settled(job)]
    unwritten: list[str] = []
    told = False
    first = _First(early)
    if not waiting:  # no workers are started, no cluster is asked
        return unwritten
    with _executor(work.config.executor) as executor:
        while waiting:
            holders = [leases.holder(work.place(job)) for job in waiting]
            ready = [job for job, holder in zip(waiting, holders, strict=True) if holder is None]
            elsewhere = [job for job, holder in zip(waiting, holders, strict=True) if holder is not None]
            waiting = elsewhere + _round(executor, work, ready, unwritten, first)
            if waiting and not told:
                console.say(f"Another run is working on {_by_whom(work, waiting)}; waiting for it.")
                told = True
            if waiting:
                time.sleep(ASK_AGAIN_SECONDS)
                waiting = [job for job in waiting if not work.settled(job)]
    return unwritten


def _by_whom(work: Work[Job], jobs: Sequence[Job]) -> str:
    holders = ((work.name(job), leases.holder(work.place(job))) for job in jobs)
    return ", ".join(f"{name} ({holder})" if holder else name for name, holder in holders)


class _First:
    """Calls `early` until it has shown something, where the first job took long and others are left."""

    def __init__(self, early: Callable[[], bool]) -> None:
        self.early, self.began, self.over = early, time.monotonic(), False

    def __call__(self, left: bool) -> None:
        """A job is over; left: whether others are not."""
        if not self.over and left:
            self.over = time.monotonic() - self.began < EARLY_SECONDS or self.early()


def _round(executor: Executor, work: Work[Job], jobs: Sequence[Job], unwritten: list[str], first: _First) -> list[Job]:
    """Attempt each job once, one that the executor loses once more; returns those that another run is working on.
    `unwritten` gets those of `run`. Whatever ends the run ends the jobs under way, too."""
    left: list[Job] = []
    futures: dict[Future[Outcome], Job] = {}
    at_once: set[Future[Outcome]] = set()
    retried: set[Future[Outcome]] = set()
    try:
        for job in jobs:
            future = _submitted(executor, work, job)
            futures[future] = job
            if future.done():
                at_once.add(future)
                _raise(future)  # what ends the run does so before the next job begins
                first(left=job is not jobs[-1])
        with console.board() as show:
            while futures:
                for future in wait(futures, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED).done:
                    job = futures.pop(future)
                    if future not in retried and (again := _again(executor, work, job, future)):
                        futures[again] = job
                        retried.add(again)
                    elif not _ended(work, job, future, unwritten):
                        left.append(job)
                    else:
                        first(left=bool(futures) and future not in at_once)
                show(_standing(work, list(futures.values()), len(jobs)))
    except BaseException:  # an interruption, too
        for future in futures:
            future.cancel()
        executor.shutdown(wait=True, cancel_futures=True)
        raise
    return left


def _standing(work: Work[Job], jobs: Sequence[Job], total: int) -> list[str]:
    """A line that counts, and one for each job that is under way, wherever."""
    found = [console.standing(progress_file(work.place(job))) for job in jobs]
    lines = [line for line in found if line]
    return [f"{total - len(jobs)} of {total} jobs over, {len(lines)} under way", *(f"  {line}" for line in lines)]


def progress_file(place: Path) -> Path:
    """Where a job that is under way says how far it is."""
    return place.with_name(f".{place.name}.progress")


def _again(executor: Executor, work: Work[Job], job: Job, future: "Future[Outcome]") -> "Future[Outcome] | None":
    """The job's second attempt where the executor lost the first one, as with a worker that was killed."""
    if future.cancelled():
        return None
    error = future.exception()
    if not isinstance(error, Exception) or isinstance(error, BadInput):
        return None
    console.say(f"  {work.name(job)}: the executor lost it ({failure_of(error).error}); it is tried once more.")
    return _submitted(executor, work, job)


def _submitted(executor: Executor, work: Work[Job], job: Job) -> "Future[Outcome]":
    try:
        if isinstance(executor, Scheduled):
            return executor.submit_for(work.needs(job), attempt, work, job)
        return executor.submit(attempt, work, job)
    except BadInput:
        raise
    except Exception as error:  # a worker was killed while jobs were still being submitted, say
        future: Future[Outcome] = Future()
        future.set_exception(error)
        return future


def _raise(future: "Future[Outcome]") -> None:
    """Raise what ended the run, if the future holds that."""
    if future.cancelled() or future.exception() is not None:
        return
    found = future.result()
    if isinstance(found, Exception):
        raise found


def _ended(work: Work[Job], job: Job, future: "Future[Outcome]", unwritten: list[str]) -> bool:
    """Whether the job is over. What goes wrong with the executor takes the job with it, not the run: a worker that was
    killed, for want of memory perhaps, or a machine that was lost."""
    try:
        outcome = future.result()
    except BadInput:
        raise
    except Exception as error:
        failure = Failure(f"the executor lost the job ({failure_of(error).error})")
        outcome = _failed(work, job, failure, error)
        if outcome is error:
            raise
    if isinstance(outcome, Exception):
        raise outcome
    if isinstance(outcome, Failure):
        unwritten.append(f"{work.name(job)}: {outcome.reason}")
    return outcome is not False


def attempt(work: Work[Job], job: Job) -> Outcome:
    """Do one job under its lease, or write down why it failed. False where another run holds the lease; an exception
    where the run has to end, returned so that it is told from what the executor itself may raise."""
    from filelock import FileLock, Timeout

    place = work.place(job)
    lock = place.with_name(f".{place.name}.lock")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        # The lock of the kernel, too: it ends with its process in the same moment, whatever the clocks say.
        with FileLock(lock).acquire(timeout=0), leases.held(place), console.kept(progress_file(place)):
            if not work.settled(job):  # another run may have finished it in the meantime
                sweep(place if place.is_dir() else lock)
                return _do(work, job)
    except (Timeout, leases.LeaseLost):
        return False
    except BadInput as error:
        return error
    except OSError as error:
        return _failed(work, job, failure_of(cannot_write(lock, error)), error)
    return True


def _do(work: Work[Job], job: Job) -> Outcome:
    try:
        work.do(job)
    except (BadInput, leases.LeaseLost):
        raise
    except Exception as error:  # whatever ends one job must not end the suite
        return _failed(work, job, failure_of(error), error)
    return True


def _failed(work: Work[Job], job: Job, failure: Failure, error: Exception) -> Outcome:
    """Say and write down that a job failed."""
    console.say(f"  {work.name(job)} failed: {failure.reason}")
    try:
        return True if work.fail(job, failure) else error
    except (CannotWrite, OSError):
        return failure
