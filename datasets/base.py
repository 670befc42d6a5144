"""Cases, data sets and the names a source must provide."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

SPLITS = ("train", "val", "test")
FITS = ("resize", "pad")


class DataError(ValueError):
    """Something is wrong with a user's data. The message names file, finding, expectation and fix."""


@dataclass(frozen=True)
class Case:
    """One image with its label, at its own size.

    image: float32 (C, *spatial) in [0, 1]; label: int64 (*spatial), 0 = background; spacing: length of a voxel along
    each spatial axis in the source's `length_unit`, or None where unknown; group: what must not be split between
    training and test (the patient). A volume is (C, X, Y, Z) in the order in which its file stores the voxels. A frame
    of a video has the video's name and, as time, its number in the video; both are None for an image on its own.
    instances: int (*spatial), for sources that tell the objects of the foreground apart: from 1 where the label is
    foreground, else 0.
    """

    id: str
    group: str
    image: np.ndarray
    label: np.ndarray
    spacing: tuple[float, ...] | None = None
    video: str | None = None
    time: float | None = None
    instances: np.ndarray | None = None


@dataclass(frozen=True)
class Entry:
    """A case before it is read: where it belongs and which files hold it (none for generated data). subset: the part of
    the test set that its owners report on apart, where there are several."""

    id: str
    group: str
    split: str
    files: tuple[Path, ...] = ()
    video: str | None = None
    time: float | None = None
    subset: str | None = None


@dataclass(frozen=True)
class Augmentation:
    """One augmentation policy for all methods, set per data set. What is 0 or None is off.

    flips: spatial axes (0-based) that may be mirrored; rotations: right-angle turns in the plane of the last two axes;
    intensity: standard deviation of a random gain (1 + N) and of an offset N; the image is then clipped to [0, 1].

    probability: of each of the following for each case; 0 leaves the three above alone.
    Moved as one, drawn evenly: rotation_degrees: either way, about each axis in volumes; scale: least and largest
    factor by which things grow, drawn by logarithm; shear: tangent of the largest angle; translation: share of an
    axis' length, either way.
    Bent: elastic: how far a control point of a cubic B-spline moves at most, as a share of the distance to the next
    one, up to 0.4, where nothing folds yet; elastic_cells: cells that control points span along each axis.
    outside: what comes into view from beyond the border: "zeros" (background), "border" or "reflection".
    Drawn from [low, high]: stain: factors on the optical densities of haematoxylin, eosin and the rest, for RGB images
    of H&E; gamma: exponent of the intensities within their range; blur: standard deviation in pixels; speckle: of a
    grain two pixels wide that the image is multiplied by. (White noise is `training.noise`.)
    """

    flips: tuple[int, ...] = ()
    rotations: bool = False
    intensity: float = 0.0
    probability: float = 0.5
    rotation_degrees: float = 0.0
    scale: tuple[float, float] | None = None
    shear: float = 0.0
    translation: float = 0.0
    elastic: float = 0.0
    elastic_cells: int = 4
    outside: str = "zeros"
    stain: tuple[float, float] | None = None
    gamma: tuple[float, float] | None = None
    blur: tuple[float, float] | None = None
    speckle: tuple[float, float] | None = None

    @classmethod
    def of(cls, settings: "Augmentation | Mapping[str, Any] | None") -> "Augmentation":
        """The policy written as a mapping in conf/dataset/*.yaml; None is no augmentation. Raises DataError."""
        if isinstance(settings, cls):
            return settings
        settings = dict(settings or {})
        names = [field.name for field in fields(cls)]
        unknown = sorted(set(settings) - set(names))
        if unknown:
            raise DataError(f"augmentation has unknown keys {unknown}, expected some of {', '.join(names)}.")
        flips, rotations = settings.pop("flips", None), settings.pop("rotations", None)
        listed = isinstance(flips, Sequence) and not isinstance(flips, str)
        if flips is not None and not (listed and all(type(axis) is int for axis in flips)):
            raise DataError(f"augmentation.flips is {flips!r}, expected a list of axes, such as [0, 1], or [].")
        if rotations is not None and not isinstance(rotations, bool):
            raise DataError(f"augmentation.rotations is {rotations!r}, expected true or false.")
        given = {
            "flips": tuple(flips or ()),
            "rotations": bool(rotations),
            "outside": settings.pop("outside", None) or "zeros",
        }
        if given["outside"] not in OUTSIDE:
            raise DataError(f"augmentation.outside is {given['outside']!r}, expected one of {', '.join(OUTSIDE)}.")
        for name, value in settings.items():
            if name in RANGES:
                given[name] = None if value is None else _range(name, value)
            elif value is not None:
                given[name] = _number(name, value)
        return cls(**given)

    @property
    def moves(self) -> bool:
        """Whether cases are turned, scaled, sheared or shifted by other than mirror images and right angles."""
        return bool(self.rotation_degrees or self.scale or self.shear or self.translation)

    @property
    def stronger(self) -> bool:
        """Whether anything is on beside flips, rotations and intensity."""
        others = (self.elastic, self.stain, self.gamma, self.blur, self.speckle)
        return self.probability > 0 and (self.moves or any(map(bool, others)))

    def settings(self) -> dict[str, Any]:
        """What decides the result, for the keys of trials: flips, rotations and intensity, and the rest if it is on."""
        return {name: value for name, value in vars(self).items() if self.stronger or name in SIMPLE}


SIMPLE = ("flips", "rotations", "intensity")
"""Keys of an augmentation that are there whether the stronger one is on or off."""
OUTSIDE = ("zeros", "border", "reflection")
LIMITS = {
    "probability": (0, 1),
    "intensity": (0, math.inf),
    "rotation_degrees": (0, 180),
    "shear": (0, 1),
    "translation": (0, 1),
    "elastic": (0, 0.4),
    "elastic_cells": (1, 64),
}
"""Least and largest value of each number in an `Augmentation`."""
RANGES = {
    "scale": (0.1, 10),
    "stain": (0.1, 10),
    "gamma": (0.1, 10),
    "blur": (0, math.inf),
    "speckle": (0, math.inf),
}
"""Least and largest value within each pair in an `Augmentation`."""


def _number(name: str, value: Any) -> float:
    low, high = LIMITS[name]
    whole = name == "elastic_cells"
    if not isinstance(value, (int, float)) or not low <= value <= high or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise DataError(f"augmentation.{name} is {value!r}, expected {kind} from {low} to {high}.")
    return int(value) if whole else float(value)


def _range(name: str, value: Any) -> tuple[float, float]:
    low, high = RANGES[name]
    pair = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    if (
        len(pair) != 2
        or not all(isinstance(end, (int, float)) for end in pair)
        or not low <= pair[0] <= pair[1] <= high
    ):
        raise DataError(
            f"augmentation.{name} is {value!r}, expected [low, high] from {low} to {high} with low <= high, or null."
        )
    return float(pair[0]), float(pair[1])


class Source:
    """Base of every data source: one file in datasets/, one in conf/dataset/.

    A subclass sets the attributes below in `__init__` and defines `entries` and `read`. Nothing heavy may happen before
    `entries` is called.

    name:        key in conf/dataset/ and in the records.
    title:       one line for `action=list`.
    class_names: names of the foreground classes; label value k + 1 is class_names[k].
    limit:       most cases to use of each split, {split: number}; a split not named, or None, is used whole.
    fit:         how cases meet the image size of the methods. "resize": resampled to it, whatever their size. "pad"
                 (volumes only): each keeps its own grid and is padded or cropped to the image size for training.
    version:     raised when `read` returns something else for the same files and settings; part of the fingerprint.
    length_unit: of the spacing, and so of distances between surfaces; without a spacing these are in pixels.
    instances:   whether `read` tells the objects of the foreground apart.
    patients:    whether groups are patients. False where nobody knows whose the images are and each is its own group:
                 reports then speak of images.
    official_split: whether the split is the one the owners released, which is kept even where patients are in training
                 and test. Any other split that shares patients is refused.
    """

    name: str
    title: str
    spatial_dims: int
    channels: int
    class_names: Sequence[str]
    augmentation: Augmentation = Augmentation()
    limit: Mapping[str, int | None] | None = None
    fit: str = "resize"
    version: int = 1
    length_unit: str = "mm"
    instances: bool = False
    patients: bool = True
    official_split: bool = False

    def __init__(
        self,
        limit: Mapping[str, int | None] | None = None,
        augmentation: Augmentation | Mapping[str, Any] | None = None,
        name: str | None = None,
        fit: str = "resize",
    ) -> None:
        """Raises DataError on settings that do not fit the number of spatial axes, where that is known already."""
        if name is not None:
            self.name = name
        self.limit = dict(limit) if limit else None
        self.augmentation = Augmentation.of(augmentation)
        self.fit = fit
        if fit not in FITS:
            raise DataError(f"dataset.{self.name}.fit is {fit!r}, expected one of {', '.join(FITS)}.")
        # A source whose number of axes is found in its files has a property here, and is checked with its entries.
        if isinstance(getattr(type(self), "spatial_dims", None), int):
            self.check_axes()

    def check_axes(self) -> None:
        """Raises DataError where a setting needs other spatial axes, or other channels, than the images have."""
        wrong = [axis for axis in self.augmentation.flips if not 0 <= axis < self.spatial_dims]
        if wrong:
            raise DataError(
                f"augmentation.flips has {wrong}, expected axes from 0 to {self.spatial_dims - 1} "
                f"(the images have {self.spatial_dims} spatial axes)."
            )
        if self.augmentation.stain and (self.spatial_dims != 2 or self.channels != 3):
            raise DataError("augmentation.stain is for pictures in RGB, expected null for these images.")
        if self.fit == "pad" and self.spatial_dims != 3:
            raise DataError(
                f"dataset.{self.name}.fit is 'pad', which is for volumes only, and the images have "
                f"{self.spatial_dims} spatial axes. Expected dataset.{self.name}.fit=resize."
            )

    def entries(self) -> list[Entry]:
        """Every case, sorted by id. Raises DataError (missing folder, image without mask, ...) naming the file."""
        raise NotImplementedError

    def read(self, entry: Entry) -> Case:
        """The case at its own size. Raises DataError naming the file when it cannot be read or is malformed."""
        raise NotImplementedError

    def content(self) -> bytes | None:
        """For generated data: bytes that determine every case (version and settings). None: hash the files."""
        return None

    def settings(self) -> Mapping[str, Any]:
        """For data in files: JSON-able settings that change what `read` returns, such as the class mapping."""
        return {}

    def lacking(self, image_size: Sequence[int]) -> list[str]:
        """What has still to be set before these data can be used at `image_size`, each with what was found and the key
        to set; empty for sources that know all of it. Raises DataError as `entries` and `read` do."""
        return []

    def selected(self) -> list[Entry]:
        """The entries in use: all of them, or the subset that `limit` leaves, spread evenly over the sorted ids."""
        entries = self.entries()
        return limited(entries, self.limit) if self.limit else entries


def limited(entries: Sequence[Entry], limit: Mapping[str, int | None]) -> list[Entry]:
    """At most limit[split] entries of each split, evenly spread over the sorted ids. Raises DataError."""
    for split, most in limit.items():
        if split not in SPLITS or (most is not None and (not isinstance(most, int) or most < 1)):
            raise DataError(
                f"limit has {split}: {most}, expected one of {', '.join(SPLITS)} with a whole number above 0, or null."
            )
    kept = []
    for split in dict.fromkeys(entry.split for entry in entries):
        part = sorted((entry for entry in entries if entry.split == split), key=lambda entry: entry.id)
        most = limit.get(split)
        if most is not None and most < len(part):
            part = [part[index] for index in np.linspace(0, len(part) - 1, most).round().astype(int)]
        kept += part
    return sorted(kept, key=lambda entry: entry.id)
