"""What executors have in common that send jobs to other machines."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, fields, replace
from typing import Any

from benchmarks.errors import BadInput
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


@dataclass(frozen=True)
class Resources:
    """What a job gets: cores, GPUs, GiB of main memory and minutes, None where the executor finds it by itself."""

    cores: int = 1
    gpus: float = 0
    memory: float | None = None
    minutes: int | None = None

    def checked(self, key: str) -> "Resources":
        """These resources. Raises BadInput, under the name of `key`, for amounts that cannot be."""
        for name, least in (("cores", 1), ("gpus", 0), ("memory", 0), ("minutes", 1)):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and value >= least) or (name == "cores" and value != int(value)):
                raise BadInput(f"{key}.{name}={value}: expected a number from {least}.")
        return self

    def of(self, needs: Needs, special: Mapping[str, "Resources"]) -> "Resources":
        """Those of a job: of its method, else of its profile, else these, as often as devices share its training."""
        named = [special[name] for name in reversed(needs.names) if name in special]
        own = named[0] if named else self
        return replace(own, cores=own.cores * needs.devices, gpus=own.gpus * needs.devices)

    def special(self, given: Mapping[str, Mapping[str, Any]] | None) -> dict[str, "Resources"]:
        """From `executor.resources`, by the name of a method or profile, these with what is said there. Raises BadInput
        for a resource there is none of."""
        found = {}
        for name, settings in (given or {}).items():
            key = f"executor.resources.{name}"
            known = [entry.name for entry in fields(Resources)]
            if not isinstance(settings, Mapping) or set(settings) - set(known):
                raise BadInput(f"{key}={settings}: expected some of {', '.join(known)}, such as {{cores: 8, gpus: 1}}.")
            found[str(name)] = replace(self, **settings).checked(key)
        return found


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
