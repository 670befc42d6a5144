"""Suites that sample trained methods many times: how the samples spread, and whether that tells where the error is.

runs/uncertainty/<trial>-<condition>-<hash>/     the hash is taken over the suite's own settings
    about.json            how many chunks of cases there are
    records*.parquet      one file per chunk: a row per test case and class
    maps*.npz             of the chunks that hold a case kept for pictures: mean, SD and prediction
    failed.json           the reason, where the sampling failed
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from omegaconf import DictConfig

from benchmarks import console
from benchmarks.errors import BadInput, Failure
from benchmarks.kinds import costing
from benchmarks.kinds.base import SAMPLED, Batch, Kind, Left, Suite, whole
from benchmarks.kinds.trials import Use, left, trained, training
from benchmarks.machine.outlook import admit, image_seconds
from benchmarks.plan import building, identity
from benchmarks.plan.planning import conditions, make_plan
from benchmarks.plan.sources import prepared
from benchmarks.plan.standing import find_stored
from benchmarks.plan.trials import Condition, Trial
from benchmarks.runner import Work
from benchmarks.store import sums
from benchmarks.store.config import TrialConfig
from benchmarks.store.files import read_frame, read_json, there, write_arrays, write_frame, write_json
from benchmarks.store.kept import Sampled
from benchmarks.store.records import RECORD_COLUMNS, RECORD_ORDER, tested
from benchmarks.store.results import Results, Store

if TYPE_CHECKING:
    import pandas as pd

VERSION = 2
"""Raised when what is recorded for given weights changes."""
CHUNK = 4
"""Test cases whose records are written together."""
DETERMINISTIC = "it gives one segmentation of an image, whatever the seed, so there is no spread to measure"


def refusal(traits: building.Traits) -> str | None:
    """Why a method has no part in such a suite."""
    return None if traits.generative else DETERMINISTIC


class Sampling(NamedTuple):
    """One job: a trained trial, and how it is sampled."""

    trial: Trial
    condition: Condition


class SampleManyTimes(Work[Sampling]):
    """Sample every test case of a trained trial as often as the suite says, a chunk of cases at a time."""

    def name(self, job: Sampling) -> str:
        """The trial's name."""
        return f"{job.trial.name}: sampling"

    def place(self, job: Sampling) -> Path:
        """The folder of the samples."""
        return folder(self.config, job.trial.key, job.condition)

    def settled(self, job: Sampling) -> bool:
        """Whether all chunks are there. What failed is tried again."""
        return _complete(self.place(job))

    def fail(self, job: Sampling, failure: Failure) -> bool:
        """Write the reason into the folder."""
        write_json(self.place(job) / "failed.json", {"reason": f"sampling failed: {failure.error}"})
        return True

    def do(self, job: Sampling) -> None:
        """Sample the chunks that are missing."""
        import pandas as pd

        from benchmarks.machine.device import fabric_for
        from benchmarks.machine.engines import placed
        from benchmarks.testing import evaluate, many_samples
        from benchmarks.testing.evaluate import Candidate
        from benchmarks.testing.many_samples import Repeated
        from benchmarks.training.weights import trained_model

        place, trial = self.place(job), job.trial
        sums.forget(place / "failed.json")
        device, data = fabric_for(self.config).device, prepared(self.config, trial.config.dataset)
        model = placed(trained_model(trial.config, self.store.folder(trial.key)), device, job.condition.inference)
        it, how = Candidate(trial, model, data, device), Repeated(job.condition, runs_of(self.config))
        noisy = evaluate.noisy_images(data, data.split["test"], job.condition)
        cases = evenly(data.split["test"], self.config.profile.uncertainty.most_cases)
        kept = set(evenly(cases, self.config.suite.pictures).tolist())
        parts = [cases[start : start + CHUNK] for start in range(0, len(cases), CHUNK)]
        about = {"trial": trial.key, "cases": len(cases), "runs": how.runs, "chunks": len(parts)}
        write_json(place / "about.json", about)
        with console.task(f"{trial.name}: {how.runs} samples an image") as report:
            for number, (part, path) in enumerate(zip(parts, _chunks(place), strict=True)):
                if _stored_whole(path):
                    continue
                rows: list[dict[str, Any]] = []
                maps: list[dict[str, np.ndarray]] = []
                for done, index in enumerate(part, number * CHUNK):
                    report(done, len(cases), "cases")
                    array = noisy(index)
                    found, seconds = many_samples.sampled(it, how, array, index)
                    common = evaluate.common_columns(it, job.condition, index, seconds)
                    rows += [common | row for row in many_samples.scores(found, data, index, job.condition.tolerance)]
                    if int(index) in kept:
                        maps.append(many_samples.maps(found, data, index, array))
                if maps:
                    ids = {"ids": np.array([data.ids[index] for index in part if int(index) in kept])}
                    numbered = {f"{name}_{n}": array for n, one in enumerate(maps) for name, array in one.items()}
                    write_arrays(_maps(path), ids | numbered)
                write_frame(path, _ordered(pd.DataFrame(rows)))


class Uncertainty(Kind):
    """Train what is missing, then sample every generative method many times at one noise level."""

    name = "uncertainty"
    keys = (*SAMPLED, "runs", "pictures")
    report = "uncertainty"

    def check(self, config: DictConfig) -> None:
        """Besides what all suites are checked for: numbers of runs and pictures, one noise level."""
        super().check(config)
        suite = config.suite
        for key, least in (("runs", 2), ("pictures", 0)):
            if not whole(suite[key], least):
                raise BadInput(f"suite.{key}={suite[key]}: expected a whole number from {least}.")
        if len(suite.sigmas) != 1:
            raise BadInput(
                f"suite.sigmas={list(suite.sigmas)}: suite={suite.name} samples at one noise level, e.g. [0]."
            )

    def batches(self, config: DictConfig, store: Store) -> Iterator[Batch]:
        """Training, then sampling of what has been trained."""
        work, trials = training(config, store, refusal, tested=False)
        yield work, trials
        jobs = [Sampling(trial, how) for trial in trained(store, trials) for how in _conditions(config, trial.config)]
        yield SampleManyTimes(config, store), jobs

    def finish(self, config: DictConfig, store: Store, batches: Sequence[Batch], suite: Suite) -> Results:
        """Time the methods, then gather the samples of exactly the trials of this run."""
        (_, trials), *_ = batches
        ways = {trial.key: _conditions(config, trial.config) for trial in trials if not trial.declined}
        costing.measure(config, store, [replace(t, conditions=ways[t.key]) for t in trials if t.key in ways])
        return self._filled(config, store.results(suite, [(trial.key, []) for trial in trials]))

    def collect(self, config: DictConfig, store: Store, suite: Suite) -> Results:
        """The samples of the newest trials that answer the command."""
        return self._filled(config, store.results(suite, find_stored(config, store, tested=False)))

    def left(self, config: DictConfig, store: Store) -> Left:
        """A row for each trial."""
        trials = admit(config, store, make_plan(config, refusal, tested=False))
        return left(store, trials, {trial.key: _use(config, trial) for trial in trials})

    def _filled(self, config: DictConfig, results: Results) -> Results:
        """Results with what is stored of their trials. A trial that was trained but has no complete sampling is shown
        as what became of that: declined, failed or unfinished."""
        import pandas as pd

        frames = []
        for view in results.trials:
            if view.status != "ok":
                continue
            if reason := refusal(building.traits(view.config.method, Path(config.paths.cache))):
                view.done = view.done | {"status": "declined", "reason": reason}
                continue
            for condition in _conditions(config, view.config):
                place = _stored(config, view.key, condition)
                if not _complete(place):
                    failed = read_json(place / "failed.json")
                    reason = failed["reason"] if failed else "not all test cases have been sampled yet"
                    view.done = view.done | {"status": "failed" if failed else "unfinished", "reason": reason}
                    continue
                frame = pd.concat([read_frame(path) for path in _chunks(place)], ignore_index=True)
                frames.append(frame)
                results.uncertainty[tested(frame.iloc[0])] = Sampled(place)
        if frames:
            records = _ordered(pd.concat(frames, ignore_index=True))
            results.records = records.sort_values(RECORD_ORDER, kind="stable", ignore_index=True)
        return results


def _ordered(records: "pd.DataFrame") -> "pd.DataFrame":
    """With the columns that all records have first."""
    return records.reindex(columns=[*RECORD_COLUMNS, *(n for n in records.columns if n not in RECORD_COLUMNS)])


def _use(config: DictConfig, trial: Trial) -> Use:
    if trial.declined:
        return Use("-", 0.0)
    missing = [how for how in _conditions(config, trial.config) if not _complete(folder(config, trial.key, how))]
    if not missing:
        return Use("there already", 0.0)
    most, runs, cases = config.profile.uncertainty.most_cases, runs_of(config), trial.config.dataset.cases["test"]
    cases = cases if most is None else min(most, cases)
    return Use(f"{cases} cases x {runs} runs", cases * runs * image_seconds(trial.config, missing))


def _conditions(config: DictConfig, trial: TrialConfig) -> tuple[Condition, ...]:
    found = conditions(config, trial, building.traits(trial.method, Path(config.paths.cache)).generative)
    return tuple(condition.apart for condition in found)  # what is sampled is the same, and long work


def folder(config: DictConfig, trial: str, condition: Condition) -> Path:
    """Of the samples of a trial (its key), named by all that decides its content: the trial's key tells its data apart,
    test cases included."""
    own = identity.digest([runs_of(config), config.profile.uncertainty.most_cases, config.suite.pictures, VERSION])[:8]
    return Path(config.paths.runs) / "uncertainty" / f"{trial}-{condition.key}-{own}"


def _stored(config: DictConfig, trial: str, condition: Condition) -> Path:
    """Of the samples that a report shows: those of an earlier version where there are no others."""
    now = folder(config, trial, condition)
    former = now.with_name(now.name.replace(condition.key, condition.former_key))
    return former if _complete(former) and not _complete(now) else now


def runs_of(config: DictConfig) -> int:
    """Runs on each image: the suite's number, no more than the profile admits."""
    most = config.profile.uncertainty.most_runs
    return config.suite.runs if most is None else min(config.suite.runs, most)


def _chunks(place: Path) -> list[Path]:
    about = read_json(place / "about.json") or {"chunks": 0}
    return [place / f"records{number:04d}.parquet" for number in range(about["chunks"])]


def _complete(place: Path) -> bool:
    return there(place / "about.json") and all(_stored_whole(path) for path in _chunks(place))


def _maps(records: Path) -> Path:
    """The pictures of a chunk, by the file of its records."""
    return records.with_name(f"{records.stem.replace('records', 'maps')}.npz")


def _stored_whole(records: Path) -> bool:
    """Whether a chunk is there with the pictures that were stored with it."""
    return there(records) and (there(_maps(records)) or not sums.lost(_maps(records)))


def evenly(cases: np.ndarray, most: int | None) -> np.ndarray:
    """At most so many of the cases (all for None), from the first to the last at even distances."""
    if most is None or most >= len(cases):
        return cases
    return cases[np.linspace(0, len(cases) - 1, most).round().astype(int)]
