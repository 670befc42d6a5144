"""Arms: the same data set with other training images, real, synthetic or both; validation and test stay real."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.plan.identity import digest
from benchmarks.seeding import seed_for
from benchmarks.store.config import DatasetConfig
from benchmarks.store.syntheses import Syntheses
from datasets.prepared import Prepared

VERSION = 1
"""Raised when an arm of these settings holds other images."""
REAL, SYNTHETIC, BOTH, SHUFFLED = KINDS = ("real", "synthetic", "both", "shuffled")
"""Training images: the real ones; synthetic ones instead; both together; synthetic ones with each other's maps."""


@dataclass(frozen=True)
class Arm:
    """What a segmenter is trained on. kind: one of `KINDS`; method, label: key and title of what made the synthetic
    images, empty for real ones; made: name of their folder in the store."""

    kind: str
    method: str = ""
    label: str = ""
    made: str = ""

    @property
    def name(self) -> str:
        """For the column `method` of records."""
        return f"{self.kind}-{self.method}" if self.method else self.kind

    @property
    def title(self) -> str:
        """In tables and figures."""
        if self.kind == REAL:
            return "Real"
        return {SYNTHETIC: "Synthetic", BOTH: "Real and synthetic", SHUFFLED: "Shuffled maps"}[
            self.kind
        ] + f" ({self.label})"


def with_arm(dataset: DatasetConfig, arm: Arm, copies: int) -> DatasetConfig:
    """A data set as a trial of this arm has it: its content is another one, and so is all that is named by it."""
    decisive = {"kind": arm.kind, "made": arm.made, "version": VERSION}
    train = dataset.cases.get("train", 0)
    count = {REAL: train, SYNTHETIC: copies * train, SHUFFLED: copies * train, BOTH: (1 + copies) * train}[arm.kind]
    return replace(
        dataset,
        settings={**dataset.settings, "arm": decisive},
        fingerprint=dataset.fingerprint and digest([dataset.fingerprint, decisive]),
        cases={**dataset.cases, "train": count} if dataset.cases else {},
    )


class _Joined:
    """Arrays of the real cases, changed by a function when they are asked for, then those of the synthetic ones."""

    def __init__(self, real: Any, change: Callable[[np.ndarray], np.ndarray], made: np.ndarray) -> None:
        self.real, self.change, self.made = real, change, made

    def __len__(self) -> int:
        return len(self.real) + len(self.made)

    def __getitem__(self, index: int) -> np.ndarray:
        index = range(len(self))[index]
        return self.change(self.real[index]) if index < len(self.real) else self.made[index - len(self.real)]


def scaled(image: np.ndarray) -> np.ndarray:
    """An image (C, *S) float32 brought to [0, 1] by its own extremes, as images are from which methods learn to make
    others: what differs between arms is not gain and offset. A constant one becomes 0."""
    low, high = float(image.min()), float(image.max())
    return (image - low) / (high - low) if high > low else np.zeros_like(image)


def substituted(data: Prepared, arm: dict[str, Any], runs: Path) -> Prepared:
    """The data set with the training images of an arm, as `with_arm` wrote it into the settings; synthetic cases come
    after the real ones. Real images are scaled as synthetic ones are. Raises BadInput where those are gone."""
    if arm["kind"] == REAL:
        return joined(
            data, np.zeros((0, *data.images[0].shape), np.float32), np.zeros((0, *data.image_size), np.uint8), []
        )
    made = Syntheses(runs / "syntheses" / arm["made"]).load()
    ids = made.ids.astype(str).tolist()
    # What lies outside of the field of view is background.
    labels = np.where(made.maps > len(data.class_names), 0, made.maps).astype(np.uint8)
    if arm["kind"] == SHUFFLED:
        labels = labels[strangers(len(labels), data.name)]
    found = joined(data, (made.images + 1) / 2, labels, ids)
    synthetic = np.arange(len(data.ids), len(found.ids))
    train = np.concatenate([data.split["train"], synthetic]) if arm["kind"] == BOTH else synthetic
    return replace(found, split={**found.split, "train": train})


def joined(data: Prepared, images: np.ndarray, labels: np.ndarray, ids: Sequence[str]) -> Prepared:
    """The data set with further cases behind its own, in no split: images float32 (n, C, *S) in [0, 1], labels uint8
    (n, *S); ids: of the cases they were made from, before a ~ if that is in them."""
    groups = dict(zip(data.ids, data.groups, strict=True))
    nothing = [None] * len(ids)
    # Read by index alone, as arrays and `Ragged` are.
    whole: dict[str, Any] = {
        "images": _Joined(data.images, scaled, images),
        "labels": _Joined(data.labels, np.asarray, labels),
    }
    return replace(
        data,
        **whole,
        ids=[*data.ids, *ids],
        groups=[*data.groups, *(groups[name.rpartition("~")[0] or name] for name in ids)],
        spacing=[*data.spacing, *nothing],
        videos=[*data.videos, *nothing],
        times=[*data.times, *nothing],
        subsets=[*data.subsets, *nothing],
    )


def strangers(count: int, *seed: str) -> np.ndarray:
    """For each of so many images the place of another one's map, no two the same and none its own."""
    order = np.random.default_rng(seed_for("shuffled", *seed, count)).permutation(count)
    found = np.empty(count, dtype=int)
    found[order] = np.roll(order, 1)
    return found
