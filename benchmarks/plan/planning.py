"""Every trial of a suite, checked against its data."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from benchmarks.errors import BadInput
from benchmarks.plan import building, choices, corruptions, elsewhere, identity, inference
from benchmarks.plan.building import Traits
from benchmarks.plan.sources import checked_entries, source
from benchmarks.plan.trials import Condition, Trial
from benchmarks.store.config import DatasetConfig, TrialConfig
from datasets.base import DataError
from datasets.fingerprint import fingerprint
from datasets.folds import fold_of
from datasets.integrity import shared_cases
from datasets.prepare import check_size

Refusal = Callable[[Traits], str | None]
"""Why a suite cannot use a method, in words for the report; None where it can."""


def make_plan(config: DictConfig, refusal: Refusal = lambda traits: None, tested: bool = True) -> list[Trial]:
    """Every trial of the suite, its data checked and its method built once. Raises BadInput before any long work.

    refusal: what the suite says of a method beyond what the method says itself; tested: whether trials are tested under
    the suite's conditions, or used in another way once they are trained.
    """
    known: dict[tuple[str, tuple[int, ...]], DatasetConfig] = {}
    others: dict[tuple[str, str], DatasetConfig] = {}
    trials = []
    for asked in choices.requests(config):
        place = asked.dataset.name, asked.dataset.fold
        if place not in known:
            known[place] = _content(config, asked.dataset)
        full = replace(asked, dataset=known[place])
        for other in elsewhere.asked(config, asked.dataset) if tested else ():
            if (other.name, asked.dataset.name) not in others:
                elsewhere.check(config, full.dataset.name, other.name)
                others[other.name, asked.dataset.name] = _content(config, other)
        there = tuple(found for (_, trained), found in others.items() if trained == asked.dataset.name)
        trials.append(_trial(config, full, asked, refusal, there if tested else None))
    return trials


def _content(config: DictConfig, asked: DatasetConfig) -> DatasetConfig:
    """A data set with what its cases say of it."""
    origin = source(config, asked.name)
    entries = checked_entries(origin, config)
    try:
        check_size(origin, list(asked.image_size))
        split = fold_of(entries, *asked.fold) if asked.fold else entries
    except DataError as error:
        raise BadInput(f"dataset.{asked.name}: {error}") from error
    return replace(
        asked,
        distance_unit="px" if origin.read(entries[0]).spacing is None else origin.length_unit,
        title=origin.title,
        spatial_dims=origin.spatial_dims,
        channels=origin.channels,
        class_names=tuple(origin.class_names),
        fingerprint=fingerprint(origin, Path(config.paths.cache)),
        augmentation=origin.augmentation.settings(),
        fit=origin.fit,
        cases={part: sum(entry.split == part for entry in split) for part in ("train", "val", "test")},
        patients=origin.patients,
        shared=shared_cases(split),
    )


def _trial(
    config: DictConfig,
    full: TrialConfig,
    asked: TrialConfig,
    refusal: Refusal,
    there: Sequence[DatasetConfig] | None,
) -> Trial:
    """there: other data sets that it is tested on; None where it is not tested under the suite's conditions."""
    cache = Path(config.paths.cache)
    traits = building.traits(full.method, cache)
    full = replace(full, request=identity.request_key(asked), code=traits.code)
    declined = building.tried(full.method, full.dataset, traits.code, cache) or refusal(traits)
    found = conditions(config, full, traits.generative, there or ())
    saved = bool(config.suite.get("save_predictions"))
    return Trial(full, found if there is not None else (), declined, tuple(there or ()), saved)


def conditions(
    config: DictConfig, trial: TrialConfig, generative: bool, there: Sequence[DatasetConfig] = ()
) -> tuple[Condition, ...]:
    """What the suite tests a trial under: noise, and where the suite names them corruptions and other data sets
    (`there`, with their content). The channels of the trial's data are known where corruptions are asked for. Raises
    BadInput for a sampling that cannot be."""
    asked = choices.conditions(config, trial.method.name, generative)
    size, tolerance = tuple(trial.dataset.image_size), choices.tolerance(config, trial.dataset.name)
    unions = choices.unions(config, trial.dataset.name, trial.dataset.class_names)
    engine = inference.asked(config)
    found = [
        Condition(s, how, size, config.noise.rescale, tolerance=tolerance, unions=unions, inference=engine)
        for s, how in asked
    ]
    levels = corruptions.asked(
        config.suite.get("corruptions") or (), config.suite.get("severities") or (), trial.dataset
    )
    corrupted = [replace(clean, corruption=level) for level in levels for clean in found if clean.sigma == 0]
    abroad = [
        replace(
            one,
            tested_on=data.name,
            fingerprint=data.fingerprint or "",
            tolerance=choices.tolerance(config, data.name),
            unions=choices.unions(config, data.name, data.class_names),
        )
        for data in there
        for one in found
    ]
    return tuple(dict.fromkeys([*found, *corrupted, *abroad]))
