"""Suites that watch trained methods diffuse: the forward and the reverse process, recorded step by step.

Stored beside the weights, named by the settings: trajectories/KEY.npz (states and what they decode to, see
`store.kept.Watched`) and, written last, KEY.parquet (a row per case, process, time and class); KEY.json instead
where it failed, with the reason.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from omegaconf import DictConfig

from benchmarks.errors import BadInput, Failure, TrialFailed
from benchmarks.kinds.base import SAMPLED, Batch, Kind, Left, Suite, whole
from benchmarks.kinds.trials import left, trained, training
from benchmarks.machine.outlook import admit
from benchmarks.plan import building, choices, identity
from benchmarks.plan.planning import make_plan
from benchmarks.plan.sources import prepared
from benchmarks.plan.standing import find_stored
from benchmarks.plan.trials import Trial
from benchmarks.runner import Work
from benchmarks.store import kept, sums
from benchmarks.store.config import TrialConfig
from benchmarks.store.files import read_frame, read_json, there, write_arrays, write_frame, write_json
from benchmarks.store.records import RECORD_ORDER, WATCHED_COLUMNS
from benchmarks.store.results import Results, Store
from methods.sampling import Sampling

TRAJECTORY_VERSION = 1
"""Raised when what is recorded for given weights changes."""


def refusal(traits: building.Traits) -> str | None:
    """Why a method's diffusion cannot be watched, in words for the report; None where it can."""
    if not traits.generative:
        return "deterministic: it segments in one pass, so there is no diffusion to watch."
    if not traits.shown:
        return f"{traits.name} does not say how its diffusion is shown; see Segmenter.process in methods/base.py."
    return None


class Record(Work[Trial]):
    """Record a trained trial as the suite says: a reverse process for each number of steps of `suite.steps`, and the
    forward process, of `suite.cases` test cases."""

    def name(self, job: Trial) -> str:
        """The trial's name."""
        return f"{job.name}: watching its diffusion"

    def place(self, job: Trial) -> Path:
        """The table that is written last."""
        return _path(self.store.folder(job.key), self.config, job.config)

    def settled(self, job: Trial) -> bool:
        """Whether it is recorded. What failed is tried again."""
        return _recorded(self.place(job))

    def do(self, job: Trial) -> None:
        """Watch and write."""
        import pandas as pd

        from benchmarks.machine.device import fabric_for
        from benchmarks.testing.watching import Watched, watch
        from benchmarks.training.weights import trained_model

        place = self.place(job)
        device = fabric_for(self.config).device
        model = trained_model(job.config, self.store.folder(job.key)).to(device)
        process = model.process()
        if process is None:
            raise TrialFailed("its class says how its diffusion is shown, but with these settings it is not", False)
        it = Watched(job, model, prepared(self.config, job.config.dataset), device, process)
        rows, arrays = watch(it, _samplings(self.config, job.config), self.config.suite.cases)
        write_arrays(place.with_suffix(".npz"), arrays)
        write_frame(place, pd.DataFrame(rows)[WATCHED_COLUMNS])
        sums.forget(place.with_suffix(".json"))

    def fail(self, job: Trial, failure: Failure) -> bool:
        """Write the reason beside it."""
        write_json(self.place(job).with_suffix(".json"), {"reason": f"recording its diffusion: {failure.reason}"})
        return True


class Trajectories(Kind):
    """Train what is missing, then watch every generative method."""

    name = "trajectories"
    keys = (*SAMPLED, "cases")
    report = "diffusion_process"

    def check(self, config: DictConfig) -> None:
        """Besides what all suites are checked for: the number of cases."""
        super().check(config)
        if not whole(config.suite.cases, 1):
            raise BadInput(
                f"suite.cases={config.suite.cases}: expected a whole number from 1, the test cases to watch."
            )

    def batches(self, config: DictConfig, store: Store) -> Iterator[Batch]:
        """Training, then watching of what has been trained."""
        work, trials = training(config, store, refusal, tested=False)
        yield work, trials
        yield Record(config, store), trained(store, trials)

    def finish(self, config: DictConfig, store: Store, batches: Sequence[Batch], suite: Suite) -> Results:
        """The recordings of exactly the trials of this run."""
        (_, trials), *_ = batches
        return self._filled(config, store.results(suite, [(trial.key, []) for trial in trials]))

    def collect(self, config: DictConfig, store: Store, suite: Suite) -> Results:
        """The recordings of the newest trials that answer the command."""
        return self._filled(config, store.results(suite, find_stored(config, store, tested=False)))

    def left(self, config: DictConfig, store: Store) -> Left:
        """A row for each trial."""
        return left(store, admit(config, store, make_plan(config, refusal, tested=False)))

    def _filled(self, config: DictConfig, results: Results) -> Results:
        """Results with what is stored of their trials. A trained trial without a recording is shown as what it is for
        this suite: declined or failed, with the reason."""
        import pandas as pd

        frames = []
        for view in results.trials:
            if view.status != "ok":
                continue
            if reason := refusal(building.traits(view.config.method, Path(config.paths.cache))):
                view.done = {"status": "declined", "reason": reason}
                continue
            path = _path(view.path, config, view.config)
            if _recorded(path):
                frames.append(read_frame(path))
                results.trajectories += kept.Watched.load(view.key, path.with_suffix(".npz"))
            else:
                failed = read_json(path.with_suffix(".json")) or {
                    "reason": "not recorded yet; leave out action=report."
                }
                view.done = {"status": "failed", "reason": failed["reason"]}
        records = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=WATCHED_COLUMNS)
        results.records = records.sort_values(RECORD_ORDER, kind="stable", ignore_index=True)
        return results


def _samplings(config: DictConfig, trial: TrialConfig) -> list[Sampling]:
    """One sample is watched, however many the method averages."""
    return [replace(sampling, ensemble=1) for sampling in choices.samplings(config, trial.method.name)]


def _recorded(path: Path) -> bool:
    """Whether both files of a recording are there."""
    return there(path) and there(path.with_suffix(".npz"))


def _path(folder: Path, config: DictConfig, trial: TrialConfig) -> Path:
    samplings = [asdict(sampling) for sampling in _samplings(config, trial)]
    return folder / "trajectories" / f"{identity.digest([TRAJECTORY_VERSION, samplings, config.suite.cases])}.parquet"
