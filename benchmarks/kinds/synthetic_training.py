"""Suites that train a segmenter on real and on synthetic images, and test it on real ones.

An arm is a trial of the segmenter on a data set of other training images (plan.arms), trained by the runner like any
other. The reverse, the segmenter of the real images on synthetic test images, lies beside those:
runs/syntheses/<...>/probe-<trial>.parquet, a row per test case, class and kind of image (`tested_on`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from benchmarks.errors import BadInput, Failure
from benchmarks.kinds.base import SAMPLED, Batch, Kind, Left, Suite, described, number, whole
from benchmarks.kinds.synthesizing import Make, Making, folder, steps_of, with_segmenter
from benchmarks.kinds.trials import TrainAndTest, Use, left, trained, training
from benchmarks.machine.outlook import admit
from benchmarks.plan import building, choices, identity
from benchmarks.plan.arms import BOTH, REAL, SHUFFLED, SYNTHETIC, Arm, with_arm
from benchmarks.plan.configuration import names
from benchmarks.plan.planning import conditions, make_plan
from benchmarks.plan.sources import prepared
from benchmarks.plan.standing import find_stored, stored_keys
from benchmarks.plan.trials import Trial
from benchmarks.runner import Work
from benchmarks.store.config import TrialConfig
from benchmarks.store.files import read_frame, there, write_frame
from benchmarks.store.results import Results, Store
from benchmarks.store.syntheses import Judged, Syntheses
from benchmarks.store.trial import TrialView
from benchmarks.synthesis.recipe import Recipe

VERSION = 1
"""Raised when the probe records something else of given weights and images."""


@dataclass(frozen=True)
class Probing:
    """One job: a segmenter trained on real images, and synthetic test images."""

    segmenter: Trial
    making: Making


class Probe(Work[Probing]):
    """Segment synthetic images of held-out maps, and the real images of the same maps, by what real images taught."""

    def name(self, job: Probing) -> str:
        """What is tested, on whose images."""
        return f"{job.segmenter.name}, trained on real images: on images by {job.making.trial.config.method.name}"

    def place(self, job: Probing) -> Path:
        """The table."""
        return probe_path(self.store.runs, job.segmenter.key, job.making)

    def settled(self, job: Probing) -> bool:
        """Whether it is there. What failed is tried again."""
        return there(self.place(job))

    def fail(self, job: Probing, failure: Failure) -> bool:
        """False: nothing else depends on it, and the error ends the run."""
        return False

    def do(self, job: Probing) -> None:
        """Segment and write."""
        from benchmarks.machine.device import fabric_for
        from benchmarks.synthesis.probing import probe
        from benchmarks.training.weights import trained_model

        trial, device = job.segmenter, fabric_for(self.config).device
        made = Syntheses(folder(self.store.runs, job.making.trial.key, job.making.recipe)).load()
        model = trained_model(trial.config, self.store.folder(trial.key)).to(device)
        data = prepared(self.config, job.making.trial.config.dataset)
        write_frame(self.place(job), probe(trial, model, data, made, device, job.making.trial.config.method.name))


class SyntheticTraining(Kind):
    """Train methods that make images, make training and test images, train the segmenter on each arm, and test it."""

    name = "synthetic_training"
    keys = (*SAMPLED, "segmenter", "controls", "arms", "copies", "bend")
    report = "synthetic_training"
    synthesizes = True

    def check(self, config: DictConfig) -> None:
        """Besides what all suites are checked for: the segmenter, the arms, and that all have as many steps."""
        super().check(config)
        suite = config.suite
        if not whole(suite.copies, 1):
            raise BadInput(f"suite.copies={suite.copies}: expected a whole number from 1, images of each case.")
        if not number(suite.bend) or not 0 <= suite.bend < 1:
            raise BadInput(f"suite.bend={suite.bend}: expected a share of the image's side from 0 to 1, e.g. 0.04.")
        for key, known in (("arms", (BOTH, SHUFFLED)), ("controls", names("method"))):
            if not OmegaConf.is_list(suite[key]) or set(suite[key]) - set(known):
                raise BadInput(f"suite.{key}={suite[key]}: expected a list of some of {', '.join(known)}, or [].")
        if suite.steps is not None:
            raise BadInput(
                f"suite.steps={suite.steps}: two methods could be meant. Set method.NAME.sampling.steps of the one "
                "that makes images or of the segmenter, and leave suite.steps null."
            )
        for name in choices.chosen(config, "datasets"):
            settings = choices.training_config(with_segmenter(config), suite.segmenter, name)
            if settings.seconds is not None:
                raise BadInput(
                    "training.seconds: arms are compared at equal optimiser steps; give training.steps instead."
                )

    def batches(self, config: DictConfig, store: Store) -> Iterator[Batch]:
        """Methods that make images are trained; they make training and test images; segmenters are trained and tested;
        those of real images are tested on synthetic ones."""
        own = with_segmenter(config)
        work, makers = training(config, store, tested=False)
        segmenters = make_plan(own)  # whatever is wrong with the segmenter is said before any long work
        yield work, makers
        made = [Making(trial, recipe) for trial in trained(store, makers) for recipe in _recipes(config, trial.config)]
        yield Make(config, store), made
        arms = admit(own, store, _arms(config, store, makers, segmenters))
        yield TrainAndTest(own, store), arms
        real = {_place(t.config): t for t in trained(store, arms) if t.config.dataset.settings["arm"]["kind"] == REAL}
        tests = [job for job in made if job.recipe.split == "test" and _made(store, job).complete()]
        probes = [Probing(real[p], job) for job in tests if (p := _place(job.trial.config)) in real]
        yield Probe(config, store), probes

    def finish(self, config: DictConfig, store: Store, batches: Sequence[Batch], suite: Suite) -> Results:
        """The records of exactly the trials of this run."""
        (_, makers), _, (_, arms), _ = batches
        stored = [(trial.key, [condition.key for condition in trial.conditions]) for trial in arms]
        return self._filled(config, store, suite, stored, [trial.key for trial in makers])

    def collect(self, config: DictConfig, store: Store, suite: Suite) -> Results:
        """Those of the newest trials that answer the command."""
        own = with_segmenter(config)
        makers = [view for key, _ in find_stored(config, store, tested=False) if (view := store.trial(key))]
        stored, missing = [], []
        for asked in choices.requests(own):
            same = [view for view in makers if _place(view.config) == (asked.dataset.name, asked.seed)]
            for arm in _listed(config, [(view.config, view.key) for view in same]):
                wanted = replace(asked, dataset=with_arm(asked.dataset, arm, config.suite.copies))
                if view := store.newest(identity.request_key(wanted)):
                    stored.append((view.key, _conditions(own, view)))
                else:
                    missing.append(f"{arm.title}, {wanted.name}: no finished trial")
        if not stored:
            raise BadInput(
                f"paths.runs={store.runs}: holds no finished trial of suite={config.suite.name} with these settings; "
                "run the same command without action first."
            )
        results = self._filled(config, store, suite, stored, [view.key for view in makers])
        return replace(results, missing=missing + results.missing)

    def left(self, config: DictConfig, store: Store) -> Left:
        """A row for each trial."""
        makers = admit(config, store, make_plan(config, tested=False))
        arms = admit(
            with_segmenter(config), store, _arms(config, store, makers, make_plan(with_segmenter(config)), True)
        )
        uses = {trial.key: _use(config, store, trial) for trial in makers}
        found = left(store, [*makers, *arms], uses)
        named = [trial.name for trial in makers] + [f"{_arm_of(t).title}: {t.name}" for t in arms]
        rows = [(name, *row[1:]) for name, row in zip(named, found.rows, strict=True)]
        return replace(found, rows=rows)

    def _filled(
        self, config: DictConfig, store: Store, suite: Suite, stored: list[tuple[str, list[str]]], makers: list[str]
    ) -> Results:
        """Results in which every arm is a method, with the probes, and what is known of the images."""
        import pandas as pd

        results = store.results(suite, stored)
        named = {}
        known = {view.key: view for key in makers if (view := store.trial(key))}
        for view in results.trials:
            arm = _stored_arm(view, config, known)
            method = view.config.method
            view.config = replace(view.config, method=replace(method, name=arm.name, title=arm.title))
            named[view.key] = arm.name
            maker = next((m for m in known.values() if arm.made.startswith(m.key)), None) if arm.made else None
            if view.status == "declined" and maker is not None and maker.status == "failed":
                view.done = view.done | {"status": "failed"}
        records = results.records
        results.records = records.assign(method=records["trial"].map(named).fillna(records["method"]))
        order = [arm.name for arm in _listed(config, [(view.config, view.key) for view in known.values()])]
        known_makers = {
            key: {"title": view.config.method.label, "training_seconds": (view.cost or {}).get("training_seconds")}
            for key, view in known.items()
        }
        results.suite = suite | {"methods": list(dict.fromkeys(order)), "segmenter": config.suite.segmenter}
        results.suite["makers"] = known_makers
        probes = []
        for view in known.values():
            if view.status != "ok":
                continue
            for recipe in _recipes(config, view.config):
                made = Syntheses(folder(store.runs, view.key, recipe))
                if made.about:
                    results.syntheses.append(Judged(view.key, recipe.steps, False, made, [], {}))
                if recipe.split == "test":
                    probes += [
                        f for path in sorted(made.path.glob("probe-*.parquet")) if (f := read_frame(path)) is not None
                    ]
        real = {view.key for view in results.trials if view.config.method.name == REAL}
        shown = [frame[frame["trial"].isin(real)].assign(method=REAL) for frame in probes]
        # Every maker's probe has the real images of the same maps.
        whole = pd.concat([results.records, *shown], ignore_index=True)
        results.records = whole.drop_duplicates(["trial", "tested_on", "steps", "sampler", "sigma", "case", "class"])
        return results

    def stored(self, config: DictConfig, command: str) -> Results:
        """As of every kind; what is not there is told by arm."""
        return self.collect(config, Store(Path(config.paths.runs)), described(config, self, command))


def _place(config: TrialConfig) -> tuple[str, int]:
    """What a maker's trial and the arms of its images have in common: data set and seed."""
    return config.dataset.name, config.seed


def _recipes(config: DictConfig, trial: TrialConfig) -> list[Recipe]:
    """Training images of warped maps, and test images of the test cases' own."""
    steps = steps_of(config, trial)[0]
    return [Recipe("train", steps, config.suite.copies, float(config.suite.bend)), Recipe("test", steps)]


def _listed(config: DictConfig, makers: Sequence[tuple[TrialConfig, str]]) -> list[Arm]:
    """The arms of one data set and seed: real, then those of each maker (its configuration and key)."""
    found = [Arm(REAL)]
    for maker, key in makers:
        made = folder(Path(config.paths.runs), key, _recipes(config, maker)[0]).name
        more = [] if maker.method.name in config.suite.controls else list(config.suite.arms)
        found += [Arm(kind, maker.method.name, maker.method.label, made) for kind in (SYNTHETIC, *more)]
    return found


def _arms(
    config: DictConfig, store: Store, makers: Sequence[Trial], segmenters: Sequence[Trial], planned: bool = False
) -> list[Trial]:
    """The trials of all arms; those of images that nobody made are declined with the reason, unless they are `planned`
    to be made."""
    found = []
    for segmenter in segmenters:
        same = [trial for trial in makers if _place(trial.config) == _place(segmenter.config)]
        reasons = {trial.key: trial.declined or (None if planned else _missing(config, store, trial)) for trial in same}
        for arm in _listed(config, [(trial.config, trial.key) for trial in same]):
            dataset = with_arm(segmenter.config.dataset, arm, config.suite.copies)
            own = replace(segmenter.config, dataset=dataset)
            own = replace(own, request=identity.request_key(own))
            why = next((text for key, text in reasons.items() if text and arm.made.startswith(key)), None)
            found.append(replace(segmenter, config=own, declined=segmenter.declined or why))
    return found


def _missing(config: DictConfig, store: Store, maker: Trial) -> str | None:
    """Why there are no training images of a maker; None where there are."""
    made = Syntheses(folder(store.runs, maker.key, _recipes(config, maker.config)[0]))
    if made.complete():
        return None
    view = store.trial(maker.key)
    why = made.reason() or (view.reason if view else None) or "its training did not end"
    return f"no images by {maker.config.method.label}: {why}"


def _made(store: Store, job: Making) -> Syntheses:
    return Syntheses(folder(store.runs, job.trial.key, job.recipe))


def probe_path(runs: Path, segmenter: str, making: Making) -> Path:
    """Of a probe of images, by the key of the segmenter."""
    return folder(runs, making.trial.key, making.recipe) / f"probe-{identity.digest([VERSION, segmenter])[:8]}.parquet"


def _arm_of(trial: Trial) -> Arm:
    """For the plan: the arm of a trial, by its data set's settings."""
    arm = trial.config.dataset.settings["arm"]
    maker = arm["made"].split("-")[1] if arm["made"] else ""
    return Arm(arm["kind"], maker, maker, arm["made"])


def _stored_arm(view: TrialView, config: DictConfig, makers: dict[str, TrialView]) -> Arm:
    """The arm of a stored trial."""
    arm = view.config.dataset.settings["arm"]
    maker = next((m.config.method for key, m in makers.items() if arm["made"].startswith(key)), None)
    return Arm(arm["kind"], maker.name, maker.label, arm["made"]) if maker else Arm(arm["kind"])


def _conditions(own: DictConfig, view: TrialView) -> list[str]:
    """Keys of the conditions that a stored arm is tested under."""
    generative = building.traits(view.config.method, Path(own.paths.cache)).generative
    return stored_keys(view, conditions(own, view.config, generative))


def _use(config: DictConfig, store: Store, trial: Trial) -> Use:
    if trial.declined:
        return Use("-", 0.0)
    missing = [
        recipe
        for recipe in _recipes(config, trial.config)
        if not Syntheses(folder(store.runs, trial.key, recipe)).complete()
    ]
    if not missing:
        return Use("images there", 0.0)
    from benchmarks.synthesis.timing import image_seconds

    counts = [trial.config.dataset.cases[recipe.split] * (recipe.copies or 1) for recipe in missing]
    seconds = sum(counts) * image_seconds(trial.config) * max(1, missing[0].steps - 1)
    return Use(f"{sum(counts)} images to make", seconds)
