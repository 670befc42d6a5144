"""Tasks of the Medical Segmentation Decathlon (Antonelli et al. 2022, Nature Communications 13, 4128)."""

import json
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from datasets.base import Augmentation, Case, DataError, Entry, Source
from datasets.formats import stem, text
from datasets.splits import by_fraction
from datasets.volumes import PERCENTILES, Scaling, by_value, load_pair

TIMEOUT = 30.0
"""Seconds without an answer after which a download is given up."""


class Decathlon(Source):
    """One task folder as released: dataset.json names classes, modalities and the training pairs.

    The release's test images have no labels and are left out: its training cases are split by seed. Nothing tells
    which cases are of one patient, so each is its own group. Modalities are channels, and label values are numbered in
    their own order.
    """

    name = "decathlon"
    title = "Medical Segmentation Decathlon, any task, 3D (files needed, or dataset.decathlon.download=true)"
    spatial_dims = 3
    patients = False

    def __init__(
        self,
        root: str | Path,
        task: str = "Task04_Hippocampus",
        download: bool = False,
        fit: str = "pad",
        window: Sequence[float] | None = None,
        percentiles: Sequence[float] = PERCENTILES,
        fractions: Mapping[str, float] | None = None,
        seed: int = 0,
        limit: Mapping[str, int | None] | None = None,
        augmentation: Augmentation | Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        """Settings as explained in conf/dataset/decathlon.yaml. Raises DataError on those that cannot be used."""
        super().__init__(limit, augmentation, name, fit)
        self.root, self.task, self.download = Path(root), task, download
        self.folder = self.root / task
        self.title = f"Medical Segmentation Decathlon, {task}, 3D (files needed)"
        self.scaling = Scaling.of(self.name, window, percentiles)
        self.fractions = dict(fractions or {"train": 0.7, "val": 0.1, "test": 0.2})
        self.seed = seed

    @cached_property
    def description(self) -> "Description":
        """What dataset.json says, after the download where that is wanted. Raises DataError."""
        path = self.folder / "dataset.json"
        if not path.is_file():
            if not self.download:
                raise DataError(
                    f"{path} does not exist. Expected the task's folder as released: set dataset.{self.name}.root and "
                    f"dataset.{self.name}.task, or dataset.{self.name}.download=true."
                )
            fetch(self.task, self.root, self.name)
        return Description.load(path)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of dataset.json in the order of their label values. Raises DataError as `description` does."""
        return tuple(self.description.classes.values())

    @property
    def channels(self) -> int:
        """How many modalities dataset.json lists. Raises DataError as `description` does."""
        return self.description.channels

    def settings(self) -> Mapping[str, Any]:
        """How intensities are scaled, and the label values in their order."""
        return {**vars(self.scaling), "values": list(self.description.classes)}

    def entries(self) -> list[Entry]:
        """The training pairs of dataset.json. Raises DataError when a file it names is missing."""
        pairs = {stem(image): (image, label) for image, label in self.description.pairs}
        absent = [path for pair in pairs.values() for path in pair if not path.is_file()]
        if absent:
            raise DataError(
                f"{absent[0]} does not exist, though dataset.json names it ({len(absent)} such file(s)). "
                "Restore the files of the release."
            )
        if len(pairs) < len(self.description.pairs):
            raise DataError(f"{self.folder / 'dataset.json'} has two training images of the same name. Correct it.")
        splits = by_fraction(pairs, self.fractions, self.seed)
        return [Entry(name, name, splits[name], pairs[name]) for name in sorted(pairs)]

    def read(self, entry: Entry) -> Case:
        """Image (C, X, Y, Z), label and spacing in mm. Raises DataError naming the file, see datasets.volumes."""
        image, stored, spacing = load_pair(*entry.files, self.scaling, self.channels)
        label = by_value(stored, list(self.description.classes), entry.files[1])
        return Case(entry.id, entry.group, image, label, spacing)


@dataclass(frozen=True)
class Description:
    """What a task's dataset.json says: classes {label value: name} without background, channels, training pairs."""

    classes: Mapping[int, str]
    channels: int
    pairs: Sequence[tuple[Path, Path]]

    @classmethod
    def load(cls, path: Path) -> "Description":
        """Raises DataError naming the file and what it lacks."""
        try:
            content = json.loads(text(path))
            labels = {int(value): str(name) for value, name in content["labels"].items() if int(value) != 0}
            pairs = [tuple(path.parent / pair[part] for part in ("image", "label")) for pair in content["training"]]
            channels = len(content["modality"])
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise DataError(
                f"{path} is not a decathlon description ({type(error).__name__}: {error}), expected `labels` as "
                '{"0": "background", "1": ...}, `modality` and `training` as [{"image": ..., "label": ...}].'
            ) from error
        if not pairs or not channels or not labels or len(set(labels.values())) < len(labels):
            raise DataError(
                f"{path} lists {len(pairs)} training pairs, {channels} modalities and the classes "
                f"{list(labels.values())}, expected one or more of each and no class name twice. Correct it."
            )
        return cls({value: labels[value] for value in sorted(labels)}, channels, pairs)


def fetch(task: str, root: Path, name: str = "decathlon") -> None:
    """Download a task into root/task by MONAI's addresses, the archive checked against MONAI's MD5 before it is used.

    The folder appears under its name only when it is complete. Raises DataError in one line when that fails.
    """
    # monai.apps takes a while to import and is needed for this alone.
    from monai.apps import DecathlonDataset
    from monai.apps.utils import download_url, extractall

    if task not in DecathlonDataset.resource:
        raise DataError(
            f"dataset.{name}.task is {task!r}, which cannot be downloaded, expected one of "
            f"{', '.join(DecathlonDataset.resource)}."
        )
    address, before = DecathlonDataset.resource[task], socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    logging.getLogger("monai.apps").setLevel(logging.CRITICAL)  # it would say the same in its own words
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".downloading-") as place:
            archive = Path(place, f"{task}.tar")
            download_url(address, archive, DecathlonDataset.md5[task], "md5", progress=sys.stderr.isatty())
            extractall(archive, place)
            os.replace(Path(place, task), root / task)
    except Exception as error:  # those of network, disk, checksum and archive have nothing in common
        if (root / task / "dataset.json").is_file():
            return  # another process has finished the same download in the meantime
        raise DataError(
            f"{task} could not be downloaded from {address} ({' '.join(str(error).split())[:200]}): is this machine "
            f"online? Else put the folder {task} into {root} yourself."
        ) from error
    finally:
        socket.setdefaulttimeout(before)
