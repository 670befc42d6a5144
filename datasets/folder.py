"""A user's own images and masks, from two folders."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from datasets.base import Augmentation, Case, DataError, Entry, Source
from datasets.files import channels_first, ending, listing, load, load_label, stem, unit
from datasets.splits import by_fraction, read_split
from datasets.volumes import Scaling, load_pair, spatial_axes

GREY = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in luminance (ITU-R BT.601)."""


class Folder(Source):
    """Images (PNG, TIFF, BMP, JPEG, npz, NIfTI) or volumes (NIfTI, npz) with masks of the same name or with a suffix.

    The first image decides whether all are 2D images or volumes, and `image_size` must have as many entries.
    Without `classes` there is one class, "foreground": every pixel above 0 in masks of {0, 1} or {0, 255}. With it,
    the classes are its keys and a mask value named nowhere is refused.
    """

    name = "folder"
    title = "Your own images and masks, 2D or 3D (set dataset.folder.images and dataset.folder.masks)"

    def __init__(
        self,
        images: str | Path | None = None,
        masks: str | Path | None = None,
        mask_suffix: str = "",
        classes: Mapping[str, int | Sequence[int]] | None = None,
        background: Sequence[int] = (0,),
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
            if value is None:
                raise DataError(f"{key(setting)} is not set, expected a folder: {key(setting)}=path/to/{setting}.")
        self.images, self.masks, self.mask_suffix = Path(images), Path(masks), mask_suffix
        self.values = {name: _as_list(value) for name, value in (classes or {}).items()}
        self.background = [int(value) for value in background]
        self.class_names = tuple(self.values) or ("foreground",)
        listed = [value for values in [*self.values.values(), self.background] for value in values]
        if len(set(listed)) < len(listed):
            raise DataError(
                f"{key('classes')} is {self.values} and {key('background')} {self.background}: a value is used twice. "
                "Expected each pixel value once."
            )
        if channels not in (None, 1, 3):
            raise DataError(f"{key('channels')} is {channels}, expected 1 (grey), 3 (colour) or null (automatic).")
        self._channels = channels
        self.scaling = Scaling.of(self.name, window)
        try:
            self.group = re.compile(group) if group else None
        except re.error as error:
            raise DataError(f"{key('group')} is {group!r}, not a regular expression: {error}.") from error
        self.patients = self.group is not None
        self.split = Path(split) if split else None
        self.fractions = dict(fractions or {"train": 0.7, "val": 0.1, "test": 0.2})
        self.seed = seed

    def _key(self, setting: str) -> str:
        return f"dataset.{self.name}.{setting}"

    @cached_property
    def spatial_dims(self) -> int:
        """2 or 3, as the first image has. Raises DataError when that cannot be read."""
        return spatial_axes(self.entries()[0].files[0])

    @cached_property
    def channels(self) -> int:
        """1 or 3: as set, else as in the first image. Raises DataError when that cannot be read."""
        if self.spatial_dims == 3 and self._channels == 3:
            raise DataError(f"{self._key('channels')} is 3, expected 1 or null: the images are volumes.")
        if self.spatial_dims == 3 or self._channels is not None:
            return self._channels or 1
        return 3 if len(channels_first(load(self.entries()[0].files[0], ("image",))[0])) == 3 else 1

    def settings(self) -> Mapping[str, Any]:
        """Which mask values are which class or background, and the window of intensities."""
        return {"classes": self.values, "background": self.background, "window": self.scaling.window}

    def entries(self) -> list[Entry]:
        """All images with their masks. Raises DataError when a folder, a mask, a group or a split is missing."""
        images = self._by_stem(self.images, "images")
        masks = self._by_stem(self.masks, "masks")
        if self.images.resolve() == self.masks.resolve():
            if not self.mask_suffix and any(ending(path) != ".npz" for path in images.values()):
                raise DataError(
                    f"{self.images} is given for both images and masks, so names cannot tell them apart. "
                    f"Expected {self._key('mask_suffix')}, such as _mask."
                )
            if self.mask_suffix:
                images = {key: path for key, path in images.items() if not key.endswith(self.mask_suffix)}
        if not images:
            raise DataError(
                f"{self.images} holds no image. Expected PNG, TIFF, BMP, JPEG, npz or NIfTI files: "
                f"set {self._key('images')}."
            )
        alone = [path for key, path in images.items() if key + self.mask_suffix not in masks]
        if alone:
            named = ", ".join(map(str, alone[:10])) + (" ..." if len(alone) > 10 else "")
            raise DataError(
                f"{len(alone)} of {len(images)} image(s) without a mask: {named}. Expected {self.masks}/"
                f"{stem(alone[0])}{self.mask_suffix} with a known ending. Add the mask, remove the image or set "
                f"{self._key('mask_suffix')}."
            )
        groups = {key: self._group(path, key) for key, path in images.items()}
        splits = self._splits(groups)
        return [
            Entry(key, groups[key], splits[key], (images[key], masks[key + self.mask_suffix])) for key in sorted(images)
        ]

    def _by_stem(self, folder: Path, setting: str) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for path in listing(folder, self._key(setting)):
            other = found.setdefault(stem(path), path)
            if other != path:
                raise DataError(f"{other} and {path} have the same name, expected one file a case. Rename one.")
        return found

    def _group(self, path: Path, key: str) -> str:
        if self.group is None:
            return key
        match = self.group.search(key)
        if match is None:
            raise DataError(
                f"{path} does not match {self._key('group')}={self.group.pattern!r}, expected the patient in every "
                "name. Correct the expression or rename the file."
            )
        return match[1] if self.group.groups else match[0]

    def _splits(self, groups: Mapping[str, str]) -> dict[str, str]:
        """Id -> split."""
        if self.split is None:
            of_group = by_fraction(groups.values(), self.fractions, self.seed)
            return {key: of_group[group] for key, group in groups.items()}
        splits = read_split(self.split, self._key("split"))
        absent, extra = sorted(set(groups) - set(splits)), sorted(set(splits) - set(groups))
        if absent or extra:
            raise DataError(
                f"{self.split} does not fit {self.images}: no split for {absent[:5]} ({len(absent)} in all), no image "
                f"for {extra[:5]} ({len(extra)} in all). Expected each image's name without ending: correct it."
            )
        return splits

    def read(self, entry: Entry) -> Case:
        """Image (1 or 3, H, W) or (1, X, Y, Z), label by `classes`, spacing in mm where the file has one.

        Raises DataError naming the file.
        """
        if self.spatial_dims == 3:
            image, stored, spacing = load_pair(*entry.files, self.scaling)
            return Case(entry.id, entry.group, image, self._label(stored, entry.files[1]), spacing)
        array, spacing = load(entry.files[0], ("image",))
        image = unit(channels_first(array), self.scaling.window)
        if len(image) == 1 and self.channels == 3:
            image = np.repeat(image, 3, axis=0)
        elif len(image) == 3 and self._channels == 1:
            image = np.tensordot(GREY, image, 1)[None]
        elif len(image) != self.channels:
            raise DataError(
                f"{entry.files[0]} has {len(image)} channel(s), expected {self.channels} as in the first image. "
                f"Set {self._key('channels')} to 1 or 3 to convert all images."
            )
        label = self._label(load_label(entry.files[1]), entry.files[1])
        return Case(entry.id, entry.group, image, label, spacing)

    def _label(self, stored: np.ndarray, path: Path) -> np.ndarray:
        if stored.size and (stored.min() < 0 or stored.max() > 255):
            values = set(np.unique(stored).tolist())
        else:
            values = set(np.flatnonzero(np.bincount(stored.ravel())).tolist())
        if not self.values:
            unexpected = values - {0, 1} if values - {0, 255} else set()
            expected = "0 and 1, or 0 and 255"
        else:
            known = {value: number for number, of in enumerate(self.values.values(), 1) for value in of}
            unexpected = values - set(known) - set(self.background)
            expected = f"background {self.background} and {self.values}"
        if unexpected:
            advice = " JPEG changes label values: save masks as PNG." if ending(path) in (".jpg", ".jpeg") else ""
            raise DataError(
                f"{path} holds the value(s) {sorted(unexpected)[:8]}, expected {expected}. Correct the mask or set "
                f"{self._key('classes')}, such as {{polyp: 255, tool: [1, 2]}}.{advice}"
            )
        if not self.values:
            return (stored > 0).astype(np.int64)
        label = np.zeros_like(stored)
        for value, number in known.items():
            label[stored == value] = number
        return label


def _as_list(value: int | Sequence[int]) -> list[int]:
    return [value] if isinstance(value, int) else [int(one) for one in value]
