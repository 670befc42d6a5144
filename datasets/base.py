"""Cases, data sets and the names a source must provide."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SPLITS = ("train", "val", "test")


class DataError(ValueError):
    """Something is wrong with a user's data. The message names the file, what was found, what was expected and the fix."""


@dataclass(frozen=True)
class Case:
    """One image with its label, at its own size.

    image: float32 (C, *spatial) in [0, 1]; label: int64 (*spatial), 0 = background; spacing: mm per voxel along each
    spatial axis, or None where unknown; group: what must not be split between training and test (the patient).
    """

    id: str
    group: str
    image: np.ndarray
    label: np.ndarray
    spacing: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Entry:
    """A case before it is read: where it belongs and which files hold it (none for generated data)."""

    id: str
    group: str
    split: str
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Augmentation:
    """One augmentation policy for all methods, set per data set.

    flips: spatial axes (0-based) that may be mirrored; rotations: right-angle turns in the plane of the last two axes;
    intensity: standard deviation of a random gain (1 + N) and of an offset N, applied to the image and clipped to [0, 1].
    """

    flips: tuple[int, ...] = ()
    rotations: bool = False
    intensity: float = 0.0


class Source:
    """Base of every data source: one file in datasets/, one in conf/dataset/.

    A subclass sets the attributes below in `__init__` and defines `entries` and `read`. Nothing heavy may happen before
    `entries` is called.

    name:        key in conf/dataset/ and in the records.
    title:       one line for `action=list`.
    class_names: names of the foreground classes; label value k + 1 is class_names[k].
    """

    name: str
    title: str
    spatial_dims: int
    channels: int
    class_names: Sequence[str]
    augmentation: Augmentation = Augmentation()

    def entries(self) -> list[Entry]:
        """Every case, sorted by id. Raises DataError (missing folder, image without mask, ...) naming the file."""
        raise NotImplementedError

    def read(self, entry: Entry) -> Case:
        """The case at its own size. Raises DataError naming the file when it cannot be read or is malformed."""
        raise NotImplementedError

    def content(self) -> bytes | None:
        """For generated data: bytes that determine every case (generator version and settings). None: hash the files."""
        return None
