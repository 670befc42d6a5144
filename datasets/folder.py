"""A user's own images and masks, from two folders."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from datasets.base import Augmentation, Case, DataError, Entry, Source
from datasets.files import channels_first, load, load_label, unit
from datasets.pairing import Layout, Pair, ids, split_of
from datasets.splits import by_fraction, held_out, read_split
from datasets.unlabelled import recoloured
from datasets.values import Values
from datasets.volumes import Scaling, channels_of, load_pair, load_volume, spatial_axes

LOOKED_AT = 20
"""Most cases that are read to say what a data set holds."""


class Folder(Source):
    """Images (PNG, TIFF, BMP, JPEG, npz, NIfTI, DICOM) or volumes (NIfTI, npz, DICOM series) with masks of the same
    name or with a suffix, also in sub-folders.

    The first image decides whether all are 2D images or volumes, and `image_size` must have as many entries.
    Without `classes` there is one class, "foreground": every pixel above 0 in masks of {0, 1} or {0, 255}, or above
    `threshold`. With it, the classes are its keys and a mask value named nowhere is refused.
    """

    name = "folder"
    title = "Your own images and masks, 2D or 3D (set dataset.folder.images and dataset.folder.masks)"
    version = 2

    def __init__(
        self,
        images: str | Path | None = None,
        masks: str | Path | None = None,
        mask_suffix: str = "",
        pattern: str | None = None,
        classes: Mapping[str, int | str | Sequence[int | str]] | None = None,
        background: Sequence[int | str] = (0,),
        threshold: float | None = None,
        channels: int | None = None,
        window: Sequence[float] | None = None,
        group: str | None = None,
        split: str | Path | None = None,
        fractions: Mapping[str, float] | None = None,
        seed: int = 0,
        limit: Mapping[str, int | None] | None = None,
        augmentation: Augmentation | Mapping[str, Any] | None = None,
        name: str | None = None,
        fit: str = "resize",
    ) -> None:
        """Settings as explained in conf/dataset/folder.yaml. Raises DataError on those that cannot be used."""
        super().__init__(limit, augmentation, name, fit)
        key = self._key
        for setting, value in (("images", images), ("masks", masks)):
            if not value:
                raise DataError(f"{key(setting)} is not set, expected a folder: {key(setting)}=path/to/{setting}.")
        self.images, self.masks = Path(images), Path(masks)
        self.layout = Layout(self.name, self.images, self.masks, mask_suffix, self._expression("pattern", pattern))
        self.values = Values.of(self.name, classes, background, threshold)
        self.class_names = self.values.names
        if channels is not None and channels < 1:
            raise DataError(f"{key('channels')} is {channels}, expected 1 (grey), 3 (colour) or null (automatic).")
        self._channels = channels
        self.scaling = Scaling.of(self.name, window)
        self.group = self._expression("group", group)
        self.patients = self.group is not None
        self.split = Path(split) if split else None
        self.fractions = dict(fractions or {"train": 0.7, "val": 0.1, "test": 0.2})
        self.seed = seed

    def _key(self, setting: str) -> str:
        return f"dataset.{self.name}.{setting}"

    def _expression(self, setting: str, text: str | None) -> re.Pattern | None:
        try:
            return re.compile(text) if text else None
        except re.error as error:
            raise DataError(f"{self._key(setting)} is {text!r}, not a regular expression: {error}.") from error

    def pairs(self) -> dict[str, Pair]:
        """Every image with its mask by its id. Raises DataError as `pairing.Layout.pairs` does."""
        found = self.layout.pairs()
        return dict(sorted(zip(ids(found), found)))

    @cached_property
    def spatial_dims(self) -> int:
        """2 or 3, as the first image has. Raises DataError when that cannot be read."""
        return spatial_axes(self._first.image)

    @cached_property
    def _first(self) -> Pair:
        return next(iter(self.pairs().values()))

    @cached_property
    def channels(self) -> int:
        """As set, else 1 or 3 as in the first image. Raises DataError for images of other numbers and for volumes of
        another one than is set."""
        if self.spatial_dims == 3:
            found = channels_of(self._first.image if len(self._first.image) > 1 else self._first.image[0])
            if found != (self._channels or 1):
                fix = f"Set {self._key('channels')}={found} if these are channels. " if found > 1 else ""
                raise DataError(
                    f"{self._first.where} is a volume with {found} value(s) a voxel, and {self._key('channels')} is "
                    f"{self._channels or 'null'}, expected {found}{' or null' if found == 1 else ''}. {fix}Save each "
                    "time point as a file of its own."
                )
            return found
        found = len(channels_first(load(self._first.image[0], ("image",))[0]))
        if found not in (1, 3, self._channels):
            raise DataError(
                f"{self._first.where} has {found} channels, expected 1 or 3: set {self._key('channels')}={found}."
            )
        return found if self._channels is None else self._channels

    def settings(self) -> Mapping[str, Any]:
        """Which mask values are which class or background, and the window of intensities."""
        return self.values.settings() | {"window": self.scaling.window}

    def entries(self) -> list[Entry]:
        """All images with their masks. Raises DataError when a folder, a mask, a group or a split is missing."""
        pairs = self.pairs()
        groups = {key: self._group(pair, key) for key, pair in pairs.items()}
        splits = self._splits(pairs, groups)
        return [Entry(key, groups[key], splits[key], (*pair.image, pair.mask)) for key, pair in pairs.items()]

    def _group(self, pair: Pair, key: str) -> str:
        if self.group is None:
            return key
        match = self.group.search(pair.name)
        if match is None or not (match[1] if self.group.groups else match[0]):
            raise DataError(
                f"{pair.where} does not match {self._key('group')}={self.group.pattern!r}, expected the patient in "
                "every name. Correct the expression or rename the file."
            )
        return match[1] if self.group.groups else match[0]

    def _splits(self, pairs: Mapping[str, Pair], groups: Mapping[str, str]) -> dict[str, str]:
        """Id -> split: by the file, by the folders, else by seed. Where file or folders have no validation part, it is
        taken from the training part, patient by patient."""
        if self.split is not None:
            names = [(key, pair.name, pair.stem, groups[key]) for key, pair in pairs.items()]
            given = read_split(self.split, self._key("split"))
            splits = dict(zip(pairs, split_of(list(pairs.values()), given, names, self.split)))
        elif all(pair.split for pair in pairs.values()):
            splits = {key: str(pair.split) for key, pair in pairs.items()}
        else:
            of_group = by_fraction(groups.values(), self.fractions, self.seed)
            return {key: of_group[group] for key, group in groups.items()}
        if "val" not in splits.values():
            learnt = {groups[key] for key, split in splits.items() if split == "train"}
            share = self.fractions["val"] / (self.fractions["val"] + self.fractions["train"])
            held = held_out(learnt, share, self.seed) if len(learnt) > 1 else set()
            splits = {k: "val" if s == "train" and groups[k] in held else s for k, s in splits.items()}
        return splits

    def read(self, entry: Entry) -> Case:
        """Image (C, H, W) or (C, X, Y, Z), label by `classes`, spacing in mm where the file has one.

        Raises DataError naming the file.
        """
        *images, mask = entry.files
        if self.spatial_dims == 3:
            files = tuple(images) if len(images) > 1 else images[0]
            image, stored, spacing = load_pair(files, mask, self.scaling, self.channels, self.values.threshold is None)
            return Case(entry.id, entry.group, image, self.values.label(stored, mask), spacing)
        array, spacing = load(images[0], ("image",))
        image = recoloured(unit(channels_first(array), self.scaling.window), self.channels, self._channels)
        if len(image) != self.channels:
            raise DataError(
                f"{entry.files[0]} has {len(image)} channel(s), expected {self.channels} as in the first image. "
                f"Set {self._key('channels')} to 1 or 3 to convert all images."
            )
        stored = load_label(mask, whole=self.values.threshold is None)
        return Case(entry.id, entry.group, image, self.values.label(stored, mask), spacing)

    # ---- what is still to be set ------------------------------------------------------------------------------------

    def lacking(self, image_size: Sequence[int]) -> list[str]:
        """Of volumes: image size, classes and patients that are not set as these data need them, each with what was
        found. Empty where image size and classes will do."""
        if self.spatial_dims != 3:
            return []
        chosen = list(self.pairs().values())
        chosen = chosen[:: max(len(chosen) // LOOKED_AT, 1)][:LOOKED_AT]
        stored = {pair: load_volume(pair.mask, ("mask", "label")).voxels for pair in chosen}
        found = [*self._lacking_size(image_size, list(stored.values())), *self._lacking_classes(list(stored.values()))]
        return [*found, *self._lacking_patients()] if found else []

    def _lacking_size(self, image_size: Sequence[int], stored: Sequence[np.ndarray]) -> list[str]:
        if len(image_size) == 3:
            return []
        shapes = np.array([voxels.shape for voxels in stored])
        # Networks halve an image up to five times.
        near = np.maximum(np.round(np.median(shapes, axis=0) / 32), 1).astype(int) * 32
        return [
            f"{self._key('image_size')} is {list(image_size)} and the volumes have three axes, of "
            f"{_size(shapes.min(0))} to {_size(shapes.max(0))} voxels: set "
            f"{self._key('image_size')}.PROFILE={str(near.tolist()).replace(' ', '')} with the name of the profile in "
            "use, or smaller."
        ]

    def _lacking_classes(self, stored: Sequence[np.ndarray]) -> list[str]:
        if not self.values.binary or self.values.threshold is not None:
            return []
        values = sorted({value for voxels in stored for value in np.unique(voxels).tolist()})
        if set(values) <= {0, 1} or set(values) <= {0, 255}:
            return []
        shown = ", ".join(f"{value:g}" for value in values[:12]) + (", ..." if len(values) > 12 else "")
        named = ", ".join(f"class_{value:g}: {value:g}" for value in values[:12] if value)
        return [f"the masks hold the values {shown}: set '{self._key('classes')}={{{named}}}' with their names."]

    def _lacking_patients(self) -> list[str]:
        if self.group is not None:
            return []
        names = [pair.name for pair in self.pairs().values()]
        name, count = Counter(re.split(r"[_/-]", name)[0] for name in names).most_common(1)[0]
        found = f"{count} of {len(names)} names begin with {name!r}" if count > 1 else "no two names begin alike"
        return [
            f"nothing says which images are of one patient ({found}): set {self._key('group')}, a regular expression "
            r"such as '\"(patient[0-9]+)\"', unless each image is of another patient."
        ]


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
