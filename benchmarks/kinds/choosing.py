"""Between training and testing: the number of sampling steps, chosen on validation cases (suite.steps=validated).

runs/trials/<key>/validation/*.parquet      records of the validation cases, a file per candidate
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from benchmarks import console
from benchmarks.errors import Failure
from benchmarks.machine.outlook import image_seconds
from benchmarks.plan import building, selecting
from benchmarks.plan.planning import conditions
from benchmarks.plan.selecting import Chosen
from benchmarks.plan.sources import prepared
from benchmarks.plan.trials import Condition, Trial
from benchmarks.runner import Work
from benchmarks.store.config import TrialConfig
from benchmarks.store.files import write_frame
from benchmarks.store.records import RECORD_COLUMNS
from benchmarks.store.results import Store
from benchmarks.store.trial import TrialView, mark

NOT_CHOSEN = "its number of sampling steps has not been chosen on validation cases yet"


class SampleValidation(Work[Trial]):
    """Segment the validation cases of a trained trial with every number of steps there is to choose from."""

    def name(self, job: Trial) -> str:
        """The trial's name."""
        return f"{job.name}: choosing steps"

    def place(self, job: Trial) -> Path:
        """The folder of the validation records."""
        return self.store.folder(job.key) / "validation"

    def settled(self, job: Trial) -> bool:
        """Whether every candidate has its records. What failed is tried again."""
        return not selecting.unseen(self.config, self.store.trial(job.key), job.config)

    def do(self, job: Trial) -> None:
        """Sample with the candidates that are missing; each is stored at once."""
        import pandas as pd

        from benchmarks.machine.device import fabric_for
        from benchmarks.testing.evaluate import Candidate, outcomes
        from benchmarks.training.weights import trained_model

        folder, device = self.store.folder(job.key), fabric_for(self.config).device
        missing = selecting.unseen(self.config, self.store.trial(job.key), job.config)
        data = prepared(self.config, job.config.dataset)
        it = Candidate(job, trained_model(job.config, folder).to(device).eval(), data, device)
        with console.task(self.name(job)) as report:
            for done, condition in enumerate(missing):
                report(done, len(missing), f"{_steps(condition)} steps")
                found = outcomes(it, [condition], "val")[condition]
                frame = pd.DataFrame(found.rows).reindex(columns=RECORD_COLUMNS)
                write_frame(self.place(job) / f"{condition.key}.parquet", frame)

    def fail(self, job: Trial, failure: Failure) -> bool:
        """Mark the trial as failed."""
        reason = f"choosing the number of sampling steps failed: {failure.reason}"
        mark(self.store.folder(job.key), "failed", reason, retry=True)
        return True


def chosen(config: DictConfig, store: Store, keys: Sequence[str]) -> Chosen:
    """What the stored validation records of trials (their keys) choose."""
    views = [store.trial(key) for key in keys]
    return selecting.selections(config, [view for view in views if view is not None])


def generative(config: DictConfig, trial: Trial) -> bool:
    """Whether the number of steps means anything to a trial's method."""
    return trial.declined is None and building.traits(trial.config.method, Path(config.paths.cache)).generative


def resolved(config: DictConfig, trials: Sequence[Trial], found: Chosen) -> list[Trial]:
    """Trials with the conditions that they are tested under now that steps are chosen: those of deterministic methods
    as they are, those of others with the chosen steps, none while there is no choice."""
    done = []
    for trial in trials:
        if generative(config, trial):
            planned = conditions(config, trial.config, True, trial.elsewhere)
            trial = replace(trial, conditions=narrowed(config, trial.config, planned, found))
        done.append(trial)
    return done


def narrowed(
    config: DictConfig, trial: TrialConfig, planned: tuple[Condition, ...], found: Chosen
) -> tuple[Condition, ...]:
    """Of the conditions that a stored trial may be tested under those that follow from the choice."""
    if not building.traits(trial.method, Path(config.paths.cache)).generative:
        return planned
    return selecting.narrowed(planned, found.get((trial.dataset.name, trial.method.name)))


def tell_open(config: DictConfig, views: Sequence[TrialView], found: Chosen) -> None:
    """Let trained trials without a choice say so: to a report they are unfinished."""
    for view in views:
        key = view.config.dataset.name, view.config.method.name
        if view.status == "ok" and selecting.candidates(config, view.config) and key not in found:
            view.done = view.done | {"status": "unfinished", "reason": NOT_CHOSEN}


def _steps(condition: Condition) -> int:
    return condition.sampling.steps if condition.sampling else 0


def outstanding(config: DictConfig, store: Store, trial: Trial) -> tuple[str, float] | None:
    """What is left of the choice and the tests after it, in words, and a guess of the seconds it takes, the tests at
    the most steps; None where the steps are chosen."""
    ways = selecting.candidates(config, trial.config)
    missing = selecting.unseen(config, store.trial(trial.key), trial.config)
    if not missing or trial.declined:
        return None
    cases = trial.config.dataset.cases
    most = max(ways, key=_steps)
    levels = len(config.suite.sigmas)
    seconds = cases["val"] * image_seconds(trial.config, missing)
    seconds += cases["test"] * levels * image_seconds(trial.config, [most])
    there = f"{len(ways) - len(missing)} of {len(ways)} numbers of steps on validation"
    return f"{there}, then {levels} noise level{'s' if levels > 1 else ''}", seconds
