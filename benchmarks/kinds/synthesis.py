"""Suites that train methods which make images from label maps, and judge the images of held-out maps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from benchmarks.errors import BadInput, Failure
from benchmarks.kinds.base import SAMPLED, Batch, Kind, Left, Suite, whole
from benchmarks.kinds.synthesizing import Make, Making, folder, steps_of, with_segmenter
from benchmarks.kinds.trials import Use, left, trained, training
from benchmarks.kinds.variants import with_variants
from benchmarks.machine.outlook import admit
from benchmarks.plan import choices, identity
from benchmarks.plan.planning import make_plan
from benchmarks.plan.sources import prepared
from benchmarks.plan.standing import find_stored
from benchmarks.plan.trials import Trial
from benchmarks.runner import Work
from benchmarks.store import sums
from benchmarks.store.config import TrialConfig
from benchmarks.store.files import there, write_arrays, write_frame, write_json
from benchmarks.store.records import RECORD_COLUMNS, RECORD_ORDER
from benchmarks.store.results import Results, Store
from benchmarks.store.syntheses import Judged, Syntheses
from benchmarks.synthesis.recipe import Recipe

VERSION = 2
"""Raised when given images are judged otherwise, or other real ones are kept beside them."""
POOLED = "all"


@dataclass(frozen=True)
class Judging:
    """One job: images that were made, and the segmenter whose encoder they are judged by, None for none."""

    making: Making
    encoder: Trial | None


class Judge(Work[Judging]):
    """Score images that were made from held-out maps."""

    def name(self, job: Judging) -> str:
        """The trial's name."""
        return f"{job.making.trial.name}: judging its images"

    def place(self, job: Judging) -> Path:
        """The table that is written last."""
        made = folder(self.store.runs, job.making.trial.key, job.making.recipe)
        return made / f"{quality_name(self.config, job.encoder.key if job.encoder else '')}.parquet"

    def settled(self, job: Judging) -> bool:
        """Whether all of its files are there. What failed is tried again."""
        return all(there(self.place(job).with_suffix(ending)) for ending in (".parquet", ".json", ".npz"))

    def fail(self, job: Judging, failure: Failure) -> bool:
        """Write the reason beside the images."""
        write_json(self.place(job).parent / "failed.json", {"reason": f"judging its images failed: {failure.error}"})
        return True

    def do(self, job: Judging) -> None:
        """Judge and write."""
        import pandas as pd

        from benchmarks.synthesis.extractors import extractors, own_encoder
        from benchmarks.synthesis.judging import judge, shown
        from benchmarks.synthesis.perceptual import perceptual
        from benchmarks.training.weights import trained_model

        place, config = self.place(job), job.making.trial.config
        sums.forget(place.parent / "failed.json")
        own = []
        if job.encoder is not None:
            model = trained_model(job.encoder.config, self.store.folder(job.encoder.key))
            own.append(own_encoder(model, job.encoder.config.method.label))
        files = {key: Path(self.config.suite[key]) if self.config.suite[key] else None for key in WEIGHTS}
        by = extractors(len(config.dataset.image_size), int(config.dataset.channels or 1), own, files["inception"])
        made, data = Syntheses(place.parent), prepared(self.config, config.dataset)
        scores, rows = judge(made.load(), data, by, perceptual(files["lpips"]))
        common = {
            "method": config.method.name, "dataset": config.dataset.name, "seed": config.seed, "class": POOLED,
            "steps": job.making.recipe.steps, "sampler": "", "sigma": 0.0, "eta": 0.0, "ensemble": 1, "empty": "",
            "image_size": config.dataset.size, "nfe": made.about["nfe"], "trial": job.making.trial.key,
            "corruption": "", "severity": 0, "tested_on": "",
        }  # fmt: skip
        frame = pd.DataFrame([common | row for row in rows])
        columns = [*RECORD_COLUMNS, *(name for name in frame.columns if name not in RECORD_COLUMNS)]
        write_json(place.with_suffix(".json"), {"scores": scores})
        write_arrays(place.with_suffix(".npz"), shown(data, self.config.suite.pictures))
        write_frame(place, frame.reindex(columns=columns))


WEIGHTS = ("inception", "lpips")
"""Keys of the suite that name files of weights."""


class Synthesis(Kind):
    """Train what is missing, make an image of every held-out map, judge the images and time their making."""

    name = "synthesis"
    keys = (*SAMPLED, "segmenter", "gallery_steps", "pictures", "variants", *WEIGHTS)
    report = "synthesis"
    synthesizes = True

    def check(self, config: DictConfig) -> None:
        """Besides what all suites are checked for: numbers of pictures and steps, files of weights, variants."""
        super().check(config)
        if not whole(config.suite.pictures, 1):
            raise BadInput(f"suite.pictures={config.suite.pictures}: expected a whole number from 1, the cases shown.")
        for steps in config.suite.gallery_steps or []:
            if not whole(steps, 2):
                raise BadInput(f"suite.gallery_steps: {steps!r} cannot be sampled; expected whole numbers from 2.")
        for key in WEIGHTS:
            if config.suite[key] and not Path(str(config.suite[key])).is_file():
                raise BadInput(f"suite.{key}={config.suite[key]}: there is no such file. Expected weights, or null.")
        for key in SAMPLED:
            if config.suite[key] is not None:
                raise BadInput(
                    f"suite.{key}={config.suite[key]}: methods that make images have a sampler of their own, e.g. "
                    f"method.echo_from_noise.sampler=ddpm, and make one image of a map; expected suite.{key}=null."
                )
        with_variants(config)
        if config.suite.segmenter is not None:
            with_segmenter(config)

    def batches(self, config: DictConfig, store: Store) -> Iterator[Batch]:
        """Training, of the segmenter too; then making of images by what has been trained; then judging."""
        config = with_variants(config)
        work, trials = training(config, store, tested=False)
        encoders = training(_encoder_config(config), store, tested=False) if config.suite.segmenter else None
        yield work, trials
        if encoders is not None:
            yield encoders
        done = trained(store, trials)
        held_out = [Making(trial, recipe) for trial in done for recipe in _judged(config, trial.config)]
        shown = [Making(trial, recipe) for trial in done for recipe in _shown(config, trial.config)]
        yield Make(config, store), [*held_out, *shown]
        there_ = trained(store, encoders[1]) if encoders is not None else []
        by_dataset = {trial.config.dataset.name: trial for trial in there_}
        made = [job for job in held_out if Syntheses(folder(store.runs, job.trial.key, job.recipe)).complete()]
        yield Judge(config, store), [Judging(job, by_dataset.get(job.trial.config.dataset.name)) for job in made]

    def finish(self, config: DictConfig, store: Store, batches: Sequence[Batch], suite: Suite) -> Results:
        """Time the methods, then gather the images of exactly the trials of this run."""
        from benchmarks.synthesis.timing import measure_side_by_side

        config, ((_, trials), *_) = with_variants(config), batches
        measure_side_by_side(config, store, [(t, steps_of(config, t.config)) for t in trained(store, trials)])
        return self._filled(config, store, store.results(suite, [(trial.key, []) for trial in trials]))

    def collect(self, config: DictConfig, store: Store, suite: Suite) -> Results:
        """The images of the newest trials that answer the command."""
        config = with_variants(config)
        return self._filled(config, store, store.results(suite, find_stored(config, store, tested=False)))

    def left(self, config: DictConfig, store: Store) -> Left:
        """A row for each trial."""
        config = with_variants(config)
        trials = admit(config, store, make_plan(config, tested=False))
        uses = {trial.key: _use(config, store, trial) for trial in trials}
        if config.suite.segmenter is None:
            return left(store, trials, uses)
        encoders = admit(config, store, make_plan(_encoder_config(config), tested=False))
        uses |= {trial.key: Use("judging by its encoder", 0.0) for trial in encoders}
        return left(store, [*trials, *encoders], uses)

    def _filled(self, config: DictConfig, store: Store, results: Results) -> Results:
        """Results with the images and scores of their trials; a trained trial without them is shown as what became of
        that."""
        import pandas as pd

        frames, encoders = [], _stored_encoders(config, store)
        for view in results.trials:
            if view.status != "ok":
                continue
            name = quality_name(config, encoders.get(view.config.dataset.name, ""))
            for recipe in [*_judged(config, view.config), *_shown(config, view.config)]:
                made = Syntheses(folder(store.runs, view.key, recipe))
                judged = made.quality(name) if recipe.most is None else ([], pd.DataFrame())
                if judged is None or not made.complete():
                    failed = made.reason()
                    reason = failed or "its images are not all made and judged yet"
                    view.done = view.done | {"status": "failed" if failed else "unfinished", "reason": reason}
                    continue
                frames += [judged[1]] if recipe.most is None else []
                real = made.real(name) if recipe.most is None else {}
                results.syntheses.append(Judged(view.key, recipe.steps, recipe.most is not None, made, judged[0], real))
        if frames:
            records = pd.concat(frames, ignore_index=True)
            results.records = records.sort_values(RECORD_ORDER, kind="stable", ignore_index=True)
        return results


def _encoder_config(config: DictConfig) -> DictConfig:
    """The segmenter at the command's first seed: what judges is one network a data set."""
    return with_segmenter(config, choices.chosen(config, "seeds")[:1])


def _stored_encoders(config: DictConfig, store: Store) -> dict[str, str]:
    """By data set the key of the segmenter that is there."""
    if config.suite.segmenter is None:
        return {}
    try:
        keys = [key for key, _ in find_stored(_encoder_config(config), store, tested=False)]
    except BadInput:  # none was trained
        return {}
    views = [view for key in keys if (view := store.trial(key)) and view.status == "ok"]
    return {view.config.dataset.name: view.key for view in views}


def quality_name(config: DictConfig, encoder: str) -> str:
    """Of the files with the scores, by what they are measured by; encoder: key of the segmenter, empty for none."""
    by = [
        VERSION,
        encoder,
        config.suite.pictures,
        *(sums.sha256(Path(str(config.suite[key]))) if config.suite[key] else None for key in WEIGHTS),
    ]
    return f"quality-{identity.digest(by)[:8]}"


def _judged(config: DictConfig, trial: TrialConfig) -> list[Recipe]:
    return [Recipe("test", steps) for steps in steps_of(config, trial)]


def _shown(config: DictConfig, trial: TrialConfig) -> list[Recipe]:
    """A few cases by the number of steps, of methods that have steps."""
    if steps_of(config, trial) == (0,):
        return []
    return [Recipe("test", steps, most=config.suite.pictures) for steps in config.suite.gallery_steps or []]


def _use(config: DictConfig, store: Store, trial: Trial) -> Use:
    if trial.declined:
        return Use("-", 0.0)
    missing = [
        recipe
        for recipe in [*_judged(config, trial.config), *_shown(config, trial.config)]
        if not Syntheses(folder(store.runs, trial.key, recipe)).complete()
    ]
    if not missing:
        return Use("images there", 0.0)
    from benchmarks.synthesis.timing import image_seconds

    cases = trial.config.dataset.cases["test"]
    counts = [cases if recipe.most is None else min(recipe.most, cases) for recipe in missing]
    each = image_seconds(trial.config)
    seconds = sum(count * each * max(1, recipe.steps - 1) for count, recipe in zip(counts, missing, strict=True))
    return Use(f"{sum(counts)} images to make", seconds)
