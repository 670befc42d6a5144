"""Making images by trained methods, for the kinds of suites that use them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from omegaconf import DictConfig

from benchmarks import console
from benchmarks.errors import BadInput, Failure
from benchmarks.kinds.base import check_names
from benchmarks.plan import building, choices, identity
from benchmarks.plan.trials import Trial
from benchmarks.runner import Work
from benchmarks.store import sums
from benchmarks.store.config import TrialConfig
from benchmarks.store.files import write_json
from benchmarks.store.syntheses import Syntheses
from benchmarks.synthesis.recipe import Recipe

VERSION = 1
"""Raised when other images are made of given weights and maps."""


@dataclass(frozen=True)
class Making:
    """One job: a trained trial, and what is made by it."""

    trial: Trial
    recipe: Recipe


class Make(Work[Making]):
    """Make images from maps, a chunk of cases at a time."""

    def name(self, job: Making) -> str:
        """The trial's name, and of which maps."""
        steps = f", {job.recipe.steps} steps" if job.recipe.steps else ""
        return f"{job.trial.name}: images from {job.recipe.split} maps{steps}"

    def place(self, job: Making) -> Path:
        """The folder of the images."""
        return folder(self.store.runs, job.trial.key, job.recipe)

    def settled(self, job: Making) -> bool:
        """Whether all images are there. What failed is tried again."""
        return Syntheses(self.place(job)).complete()

    def fail(self, job: Making, failure: Failure) -> bool:
        """Write the reason into the folder."""
        write_json(self.place(job) / "failed.json", {"reason": f"making images failed: {failure.error}"})
        return True

    def do(self, job: Making) -> None:
        """Make the chunks that are missing."""
        from benchmarks.machine.device import fabric_for
        from benchmarks.plan.sources import prepared
        from benchmarks.synthesis.making import make
        from benchmarks.training.weights import trained_model

        place, config = self.place(job), job.trial.config
        sums.forget(place / "failed.json")
        device, data = fabric_for(self.config).device, prepared(self.config, config.dataset)
        model = trained_model(config, self.store.folder(job.trial.key)).to(device)
        about = {"trial": job.trial.key, "method": config.method.name, "dataset": config.dataset.name}
        with console.task(self.name(job)) as report:
            make(model, data, job.recipe, place, about | {"seed": config.seed}, device, report)


def folder(runs: Path, trial: str, recipe: Recipe) -> Path:
    """Of the images of a trial (its key), named by all that decides them: the trial's key tells its data apart."""
    how = f"{recipe.steps}steps" if recipe.steps else "direct"
    return Path(runs) / "syntheses" / f"{trial}-{recipe.split}-{how}-{identity.digest([VERSION, asdict(recipe)])[:8]}"


def steps_of(config: DictConfig, trial: TrialConfig) -> tuple[int, ...]:
    """With how many steps the suite samples a method, one that has none with 0. Raises BadInput for a sampling that
    cannot be."""
    if not building.traits(trial.method, Path(config.paths.cache)).generative:
        return (0,)
    return tuple(dict.fromkeys(sampling.steps for sampling in choices.samplings(config, trial.method.name)))


def with_segmenter(config: DictConfig, seeds: Sequence[int] | None = None) -> DictConfig:
    """The configuration of the suite's segmenter alone, at these seeds or the command's. Raises BadInput for a name
    that is none, or that of a method which makes images."""
    name = config.suite.segmenter
    own = config.copy()
    own.methods = [name]
    if seeds is not None:
        own.seeds = list(seeds)
    try:
        check_names(own, compares_methods=True)
        if building.traits(choices.method_config(own, name), Path(own.paths.cache)).synthesizer:
            raise BadInput(f"{name} makes images from label maps.")
    except BadInput as error:
        raise BadInput(
            f"suite.segmenter={name}: expected a method that segments images, e.g. resunet. {error}"
        ) from error
    return own
