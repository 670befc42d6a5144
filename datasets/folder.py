"""A user's own images and masks, from two folders."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from datasets.base import SPLITS, Augmentation, Case, DataError, Entry, Source
from datasets.files import channels_first, ending, listing, load, load_label, stem, unit
from datasets.splits import by_fraction

GREY = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in luminance (ITU-R BT.601)."""


class Folder(Source):
    """2D images (PNG, TIFF, BMP, JPEG, npz, NIfTI) with masks of the same name, optionally with a suffix.

    Without `classes` there is one class, "foreground": every pixel above 0 in masks of {0, 1} or {0, 255}. With it,
    the classes are its keys and a mask value named nowhere is refused.
    """

    name = "folder"
    title = "Your own images and masks, 2D (set dataset.folder.images and dataset.folder.masks)"
    spatial_dims = 2

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
    ):
        """Settings as explained in conf/dataset/folder.yaml. Raises DataError on those that cannot be used."""
        super().__init__(limit, augmentation, name)
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
        if window is not None and (len(window) != 2 or not window[0] < window[1]):
            raise DataError(f"{key('window')} is {list(window)}, expected [low, high] or null.")
        self.window = tuple(float(value) for value in window) if window is not None else None
        try:
            self.group = re.compile(group) if group else None
        except re.error as error:
            raise DataError(f"{key('group')} is {group!r}, not a regular expression: {error}.") from error
        self.split = Path(split) if split else None
        self.fractions = dict(fractions or {"train": 0.7, "val": 0.1, "test": 0.2})
        self.seed = seed

    def _key(self, setting: str) -> str:
        return f"dataset.{self.name}.{setting}"

    @cached_property
    def channels(self) -> int:
        """1 or 3: as set, else as in the first image. Raises DataError when that cannot be read."""
        if self._channels is not None:
            return self._channels
        return 3 if len(channels_first(load(self.entries()[0].files[0], ("image",))[0])) == 3 else 1

    def settings(self) -> Mapping[str, Any]:
        return {"classes": self.values, "background": self.background, "window": self.window}

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
        splits = _read_split(self.split, self._key("split"))
        absent, extra = sorted(set(groups) - set(splits)), sorted(set(splits) - set(groups))
        if absent or extra:
            raise DataError(
                f"{self.split} does not fit {self.images}: no split for {absent[:5]} ({len(absent)} in all), no image "
                f"for {extra[:5]} ({len(extra)} in all). Expected each image's name without ending: correct it."
            )
        return splits

    def read(self, entry: Entry) -> Case:
        """Image (1 or 3, H, W), label by `classes`, spacing of NIfTI in mm. Raises DataError naming the file."""
        array, spacing = load(entry.files[0], ("image",))
        image = unit(channels_first(array), self.window)
        if len(image) == 1 and self.channels == 3:
            image = np.repeat(image, 3, axis=0)
        elif len(image) == 3 and self._channels == 1:
            image = np.tensordot(GREY, image, 1)[None]
        elif len(image) != self.channels:
            raise DataError(
                f"{entry.files[0]} has {len(image)} channel(s), expected {self.channels} as in the first image. "
                f"Set {self._key('channels')} to 1 or 3 to convert all images."
            )
        return Case(entry.id, entry.group, image, self._label(entry.files[1]), spacing)

    def _label(self, path: Path) -> np.ndarray:
        stored = load_label(path)
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


def _read_split(path: Path, key: str) -> dict[str, str]:
    """Id -> split from CSV with columns id and split, or JSON {split: [ids]} or {id: split}. Raises DataError."""
    shape = 'Expected CSV with the columns id and split, or JSON like {"train": ["a"], "val": ["b"], "test": ["c"]}.'
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            content = json.loads(text)
            nested = all(isinstance(value, list) for value in content.values())
            pairs = [(i, s) for s, ids in content.items() for i in ids] if nested else list(content.items())
        else:
            pairs = [(row["id"], row["split"]) for row in csv.DictReader(text.splitlines())]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}. {shape} Check {key}.") from error
    except (ValueError, KeyError, AttributeError) as error:
        raise DataError(f"{path} is not a split file ({type(error).__name__}: {error}). {shape}") from error
    splits: dict[str, str] = {}
    for name, split in pairs:
        if split not in SPLITS:
            raise DataError(f"{path} puts {name!r} in {split!r}, expected one of {', '.join(SPLITS)}. Correct it.")
        if splits.setdefault(str(name), split) != split:
            raise DataError(f"{path} puts {name!r} in both {splits[str(name)]} and {split}. Expected one: correct it.")
    return splits
