"""Suites that train methods and test them: kind `trials`, and what the kinds that use trained methods share with it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from omegaconf import DictConfig, OmegaConf

from benchmarks import console
from benchmarks.errors import Failure
from benchmarks.kinds import choosing, costing
from benchmarks.kinds.base import SAMPLED, Batch, Kind, Left, Suite
from benchmarks.machine.needs import Needs, needs_of
from benchmarks.machine.outlook import admit, outlook
from benchmarks.plan import building, inference
from benchmarks.plan.choices import VALIDATED
from benchmarks.plan.identity import digest
from benchmarks.plan.planning import Refusal, make_plan
from benchmarks.plan.selecting import Chosen
from benchmarks.plan.sources import affines, prepared, source
from benchmarks.plan.standing import find_stored, state
from benchmarks.plan.trials import Trial
from benchmarks.runner import Work
from benchmarks.store.files import write_frame, write_json
from benchmarks.store.results import Results, Store
from benchmarks.store.trial import TrialView, mark
from benchmarks.training.stopping import Stopped
from datasets.prepared import Prepared

if TYPE_CHECKING:
    from benchmarks.testing.evaluate import Candidate

COLUMNS = ("trial", "training", "tests", "estimated time")
LESS_MEMORY = "; try training.accumulate=2 or more, training.checkpointing=true, or a smaller image size"


class TrainAndTest(Work[Trial]):
    """Train a trial and test it under its conditions; both go on where an earlier run stopped."""

    def name(self, job: Trial) -> str:
        """Method, data set and seed."""
        return job.name

    def place(self, job: Trial) -> Path:
        """The trial's folder."""
        return self.store.folder(job.key)

    def settled(self, job: Trial) -> bool:
        """Whether it is trained and tested, declined and marked so, or would fail again."""
        if job.declined:
            return self.store.trial(job.key) is not None
        now = state(self.store, job)
        return now.complete(job) or now.failed is not None

    def do(self, job: Trial) -> None:
        """Train what is not trained, test what is not tested, and mark the trial."""
        from benchmarks.machine.device import fabric_for
        from benchmarks.machine.engines import placed
        from benchmarks.testing.evaluate import Candidate
        from benchmarks.training.weights import trained_model

        folder = self.place(job)
        write_json(folder / "config.json", job.config.to_json())
        if job.declined:
            mark(folder, "declined", job.declined)
            return
        device = fabric_for(self.config).device
        data = prepared(self.config, job.config.dataset)
        if not state(self.store, job).trained:
            self._train(job, data, folder)
        model = placed(trained_model(job.config, folder), device, inference.asked(self.config))
        self._test(job, Candidate(job, model, data, device), folder)
        for other in job.elsewhere:
            write_json(folder / "elsewhere" / f"{other.name}.json", other.to_json())
            self._test(job, Candidate(job, model, prepared(self.config, other), device), folder, other.name)
        cost = TrialView(folder, job.config).cost or {}
        mark(folder, "ok", best_step=cost["best_step"], best_val_dsc=cost["best_val_dsc"])

    def fail(self, job: Trial, failure: Failure) -> bool:
        """Mark the trial as failed."""
        mark(self.place(job), "failed", failure.reason + (LESS_MEMORY if failure.memory else ""), retry=failure.retry)
        return True

    def needs(self, job: Trial) -> Needs:
        """By the estimates of action=plan."""
        return Needs() if job.declined else needs_of(self.config, self.store, job)

    def _test(self, job: Trial, it: "Candidate", folder: Path, elsewhere: str = "") -> None:
        """Test under the conditions that are on its own data, or on those of another name."""
        from benchmarks.testing.evaluate import evaluate

        part = replace(job, conditions=tuple(c for c in job.conditions if c.tested_on == elsewhere))
        if job.saved:
            it = replace(it, affine=affines(source(self.config, it.data.name)))
        with console.task(f"{job.name}: testing{f' on {elsewhere}' if elsewhere else ''}") as report:
            evaluate(replace(it, trial=part), folder, report)

    def _train(self, job: Trial, data: Prepared, folder: Path) -> None:
        import pandas as pd
        import torch

        from benchmarks.machine import measure, together
        from benchmarks.machine.device import enough_devices, fabric_for
        from benchmarks.machine.environment import environment
        from benchmarks.plan import in_use
        from benchmarks.seeding import seed_for
        from benchmarks.training.checkpoints import check_space, drop_checkpoint
        from benchmarks.training.loop import Subject, train
        from benchmarks.training.weights import save_weights

        config, fabric = job.config, fabric_for(self.config)
        enough_devices(self.config, config.training.devices)
        write_json(folder / "settings.json", in_use.chosen(config.method, config.dataset))
        torch.manual_seed(seed_for("weights", config.method.name, config.seed))
        model = building.build(config.method, config.dataset)
        write_json(folder / "environment.json", environment(fabric.device))
        checkpoint = folder / "checkpoint.pt"
        with console.task(f"{job.name}: training") as report:
            subject = Subject(
                model, data, config.training, config.seed, checkpoint, fabric, report,
                stop_after=self.config.training.stop_after,
            )  # fmt: skip
            check_space(checkpoint, model)
            try:
                if config.training.devices > 1:
                    progress = together.trained(self.config, job, checkpoint, report)
                else:
                    progress = train(subject, job.key)
            except Stopped as stop:
                if stop.whole:
                    mark(folder, "stopped", f"{stop}; its checkpoint is saved, and the same command resumes it")
                raise
        # The weights first, the cost last: a trial counts as trained where all three are there.
        save_weights(progress.best or {}, folder / "weights.safetensors")
        write_frame(folder / "history.parquet", pd.DataFrame(progress.history))
        if progress.best_cases:
            groups = dict(zip(data.ids, data.groups, strict=True))
            rows = [(case, groups[case], dsc) for case, dsc in progress.best_cases.items()]
            write_frame(folder / "validation.parquet", pd.DataFrame(rows, columns=["case", "group", "dsc"]))
        steps = sum(config.training.stage_steps(len(model.stages)) or (progress.step,))
        cost = {
            "parameters": measure.parameters(model),
            "training_seconds": progress.seconds,
            "training_steps": steps,
            "seconds_per_step": progress.seconds / steps,
            "best_step": progress.best_step,
            "best_val_dsc": progress.best_dsc,
        }
        write_json(folder / "cost.json", cost)
        drop_checkpoint(checkpoint)


class Trials(Kind):
    """Train what is missing, test it under every condition of the suite, and time the methods side by side."""

    name = "trials"
    keys: ClassVar[tuple[str, ...]] = SAMPLED
    report = "accuracy"
    chooses_steps = True
    cross_validates = True

    def default_report(self, suite: DictConfig) -> str:
        """By what the suite varies: the noise, the number of sampling steps, or the methods alone."""
        if len(suite.sigmas) > 1:
            return "noise_robustness"
        if OmegaConf.is_list(suite.steps) and len(suite.steps) > 1:
            return "sampling_steps"
        return self.report

    def batches(self, config: DictConfig, store: Store) -> Iterator[Batch]:
        """All trials, after what is stored of them has been looked at. Where validation chooses the number of steps,
        generative methods are trained first, then sampled on validation cases, then tested."""
        work, trials = training(config, store)
        if config.suite.steps != VALIDATED:
            yield work, trials
            return
        yield work, choosing.resolved(config, trials, {})
        sampled = [trial for trial in trained(store, trials) if choosing.generative(config, trial)]
        yield choosing.SampleValidation(config, store), sampled
        yield work, trained(store, choosing.resolved(config, sampled, _chosen(config, store, sampled)))

    def finish(self, config: DictConfig, store: Store, batches: Sequence[Batch], suite: Suite) -> Results:
        """Time the methods, then gather the records of exactly the trials of this run."""
        (_, trials), *_ = batches
        found = _chosen(config, store, trials) if config.suite.steps == VALIDATED else {}
        if config.suite.steps == VALIDATED:
            trials = choosing.resolved(config, trials, found)
        costing.measure(config, store, trials)
        stored = [(t.key, [condition.key for condition in t.conditions]) for t in trials]
        return self._told(config, store.results(suite, stored), found)

    def collect(self, config: DictConfig, store: Store, suite: Suite) -> Results:
        """The newest trials that answer the command."""
        if config.suite.steps != VALIDATED:
            return store.results(suite, find_stored(config, store))
        found = choosing.chosen(config, store, [key for key, _ in find_stored(config, store, tested=False)])
        stored = find_stored(config, store, narrow=lambda trial, all_: choosing.narrowed(config, trial, all_, found))
        return self._told(config, store.results(suite, stored), found)

    def left(self, config: DictConfig, store: Store) -> Left:
        """A row for each trial."""
        trials = admit(config, store, make_plan(config))
        if config.suite.steps != VALIDATED:
            return _folded(config, left(store, trials))
        open_ = {trial.key: choosing.outstanding(config, store, trial) for trial in trials}
        uses = {key: Use(*found) for key, found in open_.items() if found is not None}
        return _folded(config, left(store, choosing.resolved(config, trials, _chosen(config, store, trials)), uses))

    def _told(self, config: DictConfig, results: Results, found: Chosen) -> Results:
        """Results that know how many steps were chosen, and for whom that is open."""
        results.selection = found
        choosing.tell_open(config, results.trials, found)
        return results


def _folded(config: DictConfig, found: Left) -> Left:
    """What is left, with a line on the folds where there are any."""
    if not config.folds:
        return found
    line = (
        f"{config.folds} folds: {len(found.rows)} trials, {config.folds} for each method, data set and seed; together "
        "they test every case once a seed."
    )
    return replace(found, lines=[line, *found.lines])


def _chosen(config: DictConfig, store: Store, trials: Sequence[Trial]) -> Chosen:
    return choosing.chosen(config, store, [trial.key for trial in trials])


def training(config: DictConfig, store: Store, refusal: Refusal = lambda traits: None, tested: bool = True) -> Batch:
    """The batch that trains, and tests under the suite's conditions if `tested`. Raises BadInput for a checkpoint or
    weights that cannot be read, before any long work."""
    trials = make_plan(config, refusal, tested)
    for trial in trials:
        folder = store.folder(trial.key)
        now = state(store, trial)
        if now.complete(trial):
            continue
        from benchmarks.training.checkpoints import load_checkpoint
        from benchmarks.training.weights import load_weights

        if now.trained:
            load_weights(folder / "weights.safetensors")
        else:
            load_checkpoint(folder / "checkpoint.pt", trial.key)
    trials = admit(config, store, trials)
    for trial in trials:
        view = store.trial(trial.key)
        # What is said about a trial (its title, say) can have changed, not what it is: that is in the key.
        if view and digest(view.config.to_json()) != digest(trial.config.to_json()):
            write_json(view.path / "config.json", trial.config.to_json())
    return TrainAndTest(config, store), trials


def trained(store: Store, trials: Sequence[Trial]) -> list[Trial]:
    """Those that have ended well and are not declined."""
    return [t for t in trials if t.declined is None and (view := store.trial(t.key)) and view.status == "ok"]


class Use(NamedTuple):
    """What is left to do with a trained method, in words, and a guess of the seconds it takes."""

    words: str
    seconds: float


def left(store: Store, trials: Sequence[Trial], uses: Mapping[str, Use] | None = None) -> Left:
    """A row for each trial; `uses` says by its key what else is done with a trial once it is trained."""
    rows: list[tuple[str, ...]] = []
    by_seed: dict[int, float] = {}
    for trial in trials:
        found = outlook(store, trial)
        use = (uses or {}).get(trial.key)
        seconds = found.seconds + (use.seconds if use else 0.0)
        by_seed[trial.config.seed] = by_seed.get(trial.config.seed, 0.0) + seconds
        time = console.duration(seconds) if seconds else "-"
        rows.append((trial.name, found.training, use.words if use else found.tests, time))
    return Left(COLUMNS, rows, sum(by_seed.values()), _seeds(by_seed))


def _seeds(by_seed: Mapping[int, float]) -> list[str]:
    """What several seeds cost (seconds left by seed) and what they are for; nothing where that is no question."""
    first, seconds = next(iter(by_seed.items()), (0, 0.0))
    if len(by_seed) < 2 or not sum(by_seed.values()):
        return []
    # As of reports.numbers.statistics.MIN_SEEDS.
    purpose = (
        "so that verdicts speak of methods" if len(by_seed) >= 3 else "but verdicts speak of methods from three on"
    )
    return [
        f"{len(by_seed)} seeds, {purpose} (docs/statistics.md). seeds=[{first}] alone takes "
        f"about {console.duration(seconds)} and speaks of one training of each method."
    ]
