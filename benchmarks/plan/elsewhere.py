"""Tests on another data set than the one trained on: which a suite asks for, and whether they can be made."""

from omegaconf import DictConfig

from benchmarks.errors import BadInput
from benchmarks.plan.choices import source_settings
from benchmarks.plan.sources import checked_entries, source
from benchmarks.store.config import DatasetConfig
from datasets.base import Source


def asked(config: DictConfig, dataset: DatasetConfig) -> list[DatasetConfig]:
    """The data sets that trials on `dataset` are tested on by the suite's `pairs`, at the size of that one; in words
    that need no data."""
    names = [there for trained, there in config.suite.get("pairs") or () if trained == dataset.name]
    return [DatasetConfig(name, dataset.image_size, source_settings(config, name)) for name in dict.fromkeys(names)]


def check(config: DictConfig, trained: str, there: str) -> None:
    """Raises BadInput where a method trained on one data set cannot be tested on another: other classes, channels or
    spatial axes, or patients of the test among those of the training."""
    first, second = source(config, trained), source(config, there)
    entries = {origin.name: checked_entries(origin, config) for origin in (first, second)}
    pair = f"suite.pairs: [{trained}, {there}] cannot be tested: "
    for what, found, expected, fix in (
        ("classes", list(second.class_names), list(first.class_names), "name and order them alike in conf/dataset"),
        ("channels", second.channels, first.channels, "choose data sets with the same channels"),
        ("spatial axes", second.spatial_dims, first.spatial_dims, "pictures go with pictures, volumes with volumes"),
    ):
        if found != expected:
            raise BadInput(f"{pair}{there} has the {what} {found}, expected {expected} as {trained} has. Either {fix}, "
                           "or leave out the pair.")  # fmt: skip
    if not _same_patients(first, second):
        return
    learnt = {entry.group for entry in entries[trained] if entry.split != "test"}
    if shared := sorted(learnt & {entry.group for entry in entries[there] if entry.split == "test"}):
        raise BadInput(
            f"{pair}{len(shared)} of its test patients, such as {shared[0]}, are trained or validated on in {trained}. "
            f"Split both by patient alike: with the same fractions and seed in dataset.{trained} and dataset.{there}."
        )


def _same_patients(first: Source, second: Source) -> bool:
    """Whether a name means the same patient in both: they are read from the same folder."""
    roots = [getattr(origin, "root", None) for origin in (first, second)]
    return roots[0] is not None and roots[0] == roots[1]
