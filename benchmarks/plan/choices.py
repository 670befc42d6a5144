"""What a command asks for, in words that need no data: settings of trials and conditions."""

from collections.abc import Iterator, Sequence
from math import inf
from typing import Any

from omegaconf import DictConfig, OmegaConf

from benchmarks.errors import BadInput
from benchmarks.plan import recipes
from benchmarks.plan.configuration import names, plain
from benchmarks.store.config import DatasetConfig, MethodConfig, TrainingConfig, TrialConfig
from datasets.base import SIMPLE
from datasets.splits import BY_PATIENT
from methods.sampling import Sampling

DATASET_NOTES = ("_target_", "image_size", "title", "training", "nsd_tolerance", "unions")
"""Keys of conf/dataset/NAME.yaml that are no settings of its source."""
POOLED = "all"
"""Class of the records that pool the foreground classes."""
VALIDATED = "validated"
"""What suite.steps says where the number of steps of each method is chosen on validation cases (plan.selecting)."""
PATH_KEYS = ("root", "images", "masks", "split", "download")
"""Keys of a source that say where files lie, not what is in them."""


def chosen(config: DictConfig, key: str) -> list:
    """methods, datasets or seeds: those of the command, else those of the suite."""
    return list(dict.fromkeys(config.suite[key] if config[key] is None else config[key]))


def image_size(config: DictConfig, dataset: str) -> list[int]:
    """The size a data set is worked on at in this profile. Raises BadInput where none is given."""
    sizes = config.dataset[dataset].get("image_size")
    if not OmegaConf.is_dict(sizes):
        raise BadInput(
            f"dataset.{dataset}.image_size={sizes}: expected a size for each profile, e.g. "
            f"dataset.{dataset}.image_size.{config.profile.name}=[128,128]."
        )
    if config.profile.name not in sizes:
        raise BadInput(
            f"dataset.{dataset}.image_size: has no entry for profile {config.profile.name}; "
            f"give one: +dataset.{dataset}.image_size.{config.profile.name}=[128,128]."
        )
    size = sizes[config.profile.name]
    if not OmegaConf.is_list(size) or not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in size):
        raise BadInput(
            f"dataset.{dataset}.image_size.{config.profile.name}={size}: expected a whole number above 0 for each "
            f"axis, e.g. dataset.{dataset}.image_size.{config.profile.name}=[128,128], or three for volumes."
        )
    return list(size)


def tolerance(config: DictConfig, dataset: str) -> float | None:
    """That of a data set's NSD; None where it is not to be measured. Raises BadInput for what is no distance."""
    found = config.dataset[dataset].get("nsd_tolerance")
    if found is not None and (isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 < found < inf):
        raise BadInput(
            f"dataset.{dataset}.nsd_tolerance={found!r}: expected a distance above 0 in the unit of the data set's "
            f"distances, e.g. dataset.{dataset}.nsd_tolerance=2, or null, which leaves NSD out."
        )
    return None if found is None else float(found)


def unions(config: DictConfig, dataset: str, class_names: Sequence[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Unions of classes that are scored as if they were one, each with its name and its classes; without those of which
    a class is not among `class_names`. Raises BadInput for what is no union, and for a name that is taken."""
    found, key = config.dataset[dataset].get("unions"), f"dataset.{dataset}.unions"
    if found is None:
        return ()
    if not OmegaConf.is_dict(found):
        raise BadInput(f"{key}={found}: expected lists of classes by name, such as {{epi: [LV, wall]}}, or null.")
    for name, parts in found.items():
        if not OmegaConf.is_list(parts) or len(set(parts)) < 2 or not all(isinstance(part, str) for part in parts):
            raise BadInput(f"{key}.{name}={parts}: expected names of two classes or more, such as [LV, wall].")
        if name in (*class_names, POOLED):
            raise BadInput(f"{key}.{name}: is the name of a class or of all together; expected another one.")
    kept = {str(name): tuple(parts) for name, parts in found.items() if set(parts) <= set(class_names)}
    return tuple(kept.items())


def training_config(config: DictConfig, method: str, dataset: str) -> TrainingConfig:
    """Settings of one training; see `recipes.recipe`. Raises BadInput for what cannot be."""
    return recipes.recipe(config, method, dataset, names("profile"))


def samplings(config: DictConfig, method: str) -> list[Sampling]:
    """How the suite samples a generative method; what the suite leaves open (null) is the method's own `sampling`, no
    more steps and samples than the profile admits. Where the steps are to be chosen on validation cases, with every
    number there is to choose from. Raises BadInput for a sampling that cannot be."""
    suite, most = config.suite, config.profile.sampling
    asked = config.method[method].get("sampling")
    own = {key: value for key, value in (plain(asked) if asked else {}).items() if value is not None}
    unknown = set(own) - {"steps", "sampler", "ensemble"}
    if unknown:
        raise BadInput(f"method.{method}.sampling: {sorted(unknown)} mean nothing; expected steps, sampler, ensemble.")
    for key, value in own.items():
        if type(value) is not (str if key == "sampler" else int):
            form = "the name of a sampler" if key == "sampler" else "a whole number"
            raise BadInput(f"method.{method}.sampling.{key}={value}: expected {form}.")
    for key, limit in (("steps", most.most_steps), ("ensemble", most.most_samples)):
        if key in own and limit is not None:
            own[key] = min(own[key], limit)
    own |= {key: suite[key] for key in ("sampler", "eta", "ensemble") if suite[key] is not None}
    try:
        own_steps = own.get("steps", Sampling.steps)
        # The method's own number is always among those to choose from.
        asked_steps = sorted({own_steps, *most.candidates}) if suite.steps == VALIDATED else suite.steps or [own_steps]
        return [Sampling(**own | {"steps": steps}) for steps in asked_steps]
    except ValueError as error:
        raise BadInput(f"suite and method.{method}.sampling: {error}") from error


def conditions(config: DictConfig, method: str, generative: bool) -> list[tuple[float, Sampling | None]]:
    """Every noise level with every way of sampling that the suite tests a method under; None for a deterministic one.
    Raises BadInput for a sampling that cannot be."""
    sampled: list[Sampling | None] = [*samplings(config, method)] if generative else [None]
    return [(float(sigma), sampling) for sigma in config.suite.sigmas for sampling in sampled]


def request(config: DictConfig, method: str, dataset: str, seed: int, fold: tuple[int, ...] = ()) -> TrialConfig:
    """What is asked for, in words that need no data: the part of a trial's config that the command decides. fold: as of
    `DatasetConfig`."""
    return TrialConfig(
        method_config(config, method),
        DatasetConfig(dataset, tuple(image_size(config, dataset)), source_settings(config, dataset), fold=fold),
        training_config(config, method, dataset),
        seed,
        config.profile.name,
    )


def source_settings(config: DictConfig, dataset: str) -> dict[str, Any]:
    """Settings of a data set's source, but for where its files lie. Of an augmentation that is off, nothing is said:
    trials from before it existed are found."""
    settings = plain(config.dataset[dataset])
    found = {key: value for key, value in settings.items() if key not in (*DATASET_NOTES, *PATH_KEYS)}
    if settings.get("split") == BY_PATIENT:  # elsewhere `split` is a file, or the official split, as it always was
        found["split"] = BY_PATIENT
    if isinstance(found.get("augmentation"), dict) and not found["augmentation"].get("probability"):
        found["augmentation"] = {key: value for key, value in found["augmentation"].items() if key in SIMPLE}
    return found


def method_config(config: DictConfig, method: str) -> MethodConfig:
    """A method as conf/method/NAME.yaml and the command describe it."""
    settings = plain(config.method[method])
    return MethodConfig.from_json(
        {"name": method}
        | {key: value for key, value in settings.items() if key not in ("training", "sampling", "search")}
    )


def requests(config: DictConfig) -> Iterator[TrialConfig]:
    """All that the command asks to be trained: every method with every seed on every fold, data set by data set."""
    folds = [(k, config.folds) for k in range(1, config.folds + 1)] if config.folds else [()]
    for dataset in chosen(config, "datasets"):
        for method in chosen(config, "methods"):
            for seed in chosen(config, "seeds"):
                for fold in folds:
                    yield request(config, method, dataset, seed, fold)
