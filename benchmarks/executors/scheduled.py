"""What executors have in common that send jobs to other machines."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from benchmarks.machine.needs import Needs
from benchmarks.training import stopping


class JobLost(Exception):
    """A job ended without a result: it was killed or cancelled, or its machine was lost."""


class Scheduled(Executor):
    """An executor that is told what a job needs, so that a place can be found for it. A training that was stopped there
    saves its checkpoint where it is told to as here."""

    @abstractmethod
    def submit_for(self, needs: Needs, function: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future:
        """The future of function(*arguments), done where there is what it needs."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future:
        """The same of a job that says nothing of what it needs."""
        return self.submit_for(Needs(), function, *arguments, **more)


def stoppable(function: Callable[..., Any], arguments: Sequence[Any], more: Mapping[str, Any]) -> Any:
    """function(*arguments), or Stopped, returned, where a signal or training.stop_after ended it: engines take an
    exception that is a KeyboardInterrupt for their own business."""
    try:
        with stopping.on_signals():
            return function(*arguments, **more)
    except stopping.Stopped as stop:
        return stop


def settle(future: Future, outcome: Any, cancelled: bool) -> None:
    """Give a future what `stoppable` returned. Time that is up ends the run, as does its own cancelling; any other stop
    is the loss of the job."""
    if not isinstance(outcome, stopping.Stopped):
        future.set_result(outcome)
    elif cancelled or outcome.status == stopping.OUT_OF_TIME:
        future.set_exception(outcome)
    else:
        future.set_exception(JobLost(f"it was {outcome}"))
