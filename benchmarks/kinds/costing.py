"""Timing the methods of a comparison once all are trained: where a scheduler has the machines, as its last job."""

from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path

from omegaconf import DictConfig

from benchmarks import runner
from benchmarks.errors import Failure
from benchmarks.executors.scheduled import Scheduled
from benchmarks.machine.costs import measure_costs, untimed
from benchmarks.machine.needs import Needs
from benchmarks.plan.classes import named_class
from benchmarks.plan.identity import digest
from benchmarks.plan.trials import Trial
from benchmarks.runner import Work
from benchmarks.store.results import Store


class TimeSideBySide(Work[Sequence[Trial]]):
    """Time all trials of a comparison on one machine that does nothing else."""

    def name(self, job: Sequence[Trial]) -> str:
        """How many are timed."""
        return f"timing of {len(job)} trials"

    def place(self, job: Sequence[Trial]) -> Path:
        """A name for the comparison; nothing is written there, timings lie with their trials."""
        return self.store.runs / "trials" / f"timing-{digest(sorted(trial.key for trial in job))[:12]}"

    def settled(self, job: Sequence[Trial]) -> bool:
        """Whether this very comparison has been timed already."""
        return not untimed(self.store, job)

    def do(self, job: Sequence[Trial]) -> None:
        """Time what has not been timed in this comparison."""
        measure_costs(self.config, self.store, job)

    def fail(self, job: Sequence[Trial], failure: Failure) -> bool:
        """False: the run ends with the error, and the same command times them again."""
        return False

    def needs(self, job: Sequence[Trial]) -> Needs:
        """The machine for itself."""
        return Needs(alone=True)


def measure(config: DictConfig, store: Store, trials: Sequence[Trial]) -> None:
    """Time the trials side by side: as a job after all others where a scheduler has the machines, else here."""
    kind = named_class("executor._target_", config.executor._target_, Executor)
    if issubclass(kind, Scheduled):
        runner.run(TimeSideBySide(config, store), [tuple(trials)])
    else:
        measure_costs(config, store, trials)
