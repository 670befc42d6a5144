"""Data sources of a configuration, checked before they are used."""

import inspect
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from benchmarks import console
from benchmarks.errors import BadInput
from benchmarks.plan import choices, classes
from benchmarks.plan.arms import substituted
from benchmarks.plan.configuration import plain
from benchmarks.store.config import DatasetConfig
from datasets.base import SPLITS, DataError, Entry, Source
from datasets.folds import fold_of
from datasets.integrity import check
from datasets.prepare import Prepared, prepare
from datasets.unlabelled import affine


def source(config: DictConfig, name: str) -> Source:
    """The data source of conf/dataset/NAME.yaml. Raises BadInput where its settings do not fit."""
    settings = plain(config.dataset[name])
    kind = classes.named_class(f"dataset.{name}._target_", settings.pop("_target_", None), Source)
    given = {key: value for key, value in settings.items() if key not in choices.DATASET_NOTES}
    if "name" in inspect.signature(kind).parameters:
        given["name"] = name
    classes.check_arguments(f"dataset.{name}", kind, given)
    try:
        origin = kind(**given)
    except Exception as error:  # the constructor can be a user's own
        raise BadInput(f"dataset.{name}: {error}") from error
    origin.name = name
    return origin


def checked_entries(origin: Source, config: DictConfig) -> list[Entry]:
    """The cases in use, once the data set has passed its checks. Raises BadInput naming the files that did not."""
    try:
        if lacking := origin.lacking(choices.image_size(config, origin.name)):
            raise DataError("not all that these data need is set:" + "".join(f"\n  - {text}" for text in lacking))
        return check(origin, Path(config.paths.cache))
    except DataError as error:
        everywhere = " paths.data=DIR, or the environment variable DIFFSEG_DATA, moves all data sets at once."
        raise BadInput(f"dataset.{origin.name}: {error}{everywhere if '.root' in str(error) else ''}") from error
    except BadInput:
        raise
    except Exception as error:
        if type(origin).__module__.startswith("datasets."):
            raise
        # A class of a user's own can raise anything: where, its author wants to know.
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise BadInput(
            f"dataset.{origin.name}: {type(origin).__module__}.{type(origin).__qualname__} failed at {last.filename}:"
            f"{last.lineno} ({type(error).__name__}: {error}). Expected entries and cases, or a DataError that names "
            "the file; see docs/extending.md."
        ) from error


def affines(origin: Source) -> Callable[[str], np.ndarray | None]:
    """From the id of a case to the affine (4, 4) of its image's file; None where it is no NIfTI file."""
    files = {entry.id: entry.files for entry in origin.selected()}
    return lambda case: affine(files[case][0]) if files.get(case) else None


def prepared(config: DictConfig, dataset: DatasetConfig) -> Prepared:
    """The cases of a data set at its image size, from the cache or made now, split as its fold says, with the
    training images of its arm where it has one."""
    origin = source(config, dataset.name)
    with console.task(f"{dataset.name}: preparing images") as report:
        data = prepare(
            origin,
            tuple(dataset.image_size),
            Path(config.paths.cache),
            lambda done, total: report(done, total, "images"),
        )
    if "arm" in dataset.settings:
        return substituted(data, dataset.settings["arm"], Path(config.paths.runs))
    if not dataset.fold:
        return data
    splits = {entry.id: entry.split for entry in fold_of(origin.selected(), *dataset.fold)}
    by_case = np.array([splits[case] for case in data.ids])
    split = {name: np.flatnonzero(by_case == name) for name in SPLITS}
    return replace(data, split=split, subsets=[None] * len(data.ids))
