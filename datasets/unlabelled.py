"""Images without masks, such as those that a trained method is to segment, read as its cases were."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from datasets.base import DataError
from datasets.files import channels_first, load, unit
from datasets.formats import DICOM, FORMATS, NIFTI, ending, listing, reading, stem
from datasets.volumes import PERCENTILES, Scaling, channels_of, load_volume, spatial_axes

GREY = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in luminance (ITU-R BT.601)."""
AXES = {2: "a picture (2 axes)", 3: "a volume (3 axes)"}


@dataclass(frozen=True)
class Reading:
    """How images of a data set become arrays: spatial axes, channels, and those of its source's settings that scale
    intensities (`window`, `percentiles`) or turn colours into others (`channels`)."""

    spatial_dims: int
    channels: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def window(self) -> tuple[float, float] | None:
        """Intensities that become 0 and 1; None leaves that to the type or to each image."""
        found = self.settings.get("window")
        return (float(found[0]), float(found[1])) if found else None

    @property
    def scaling(self) -> Scaling:
        """The same for volumes."""
        return Scaling.of("of the trial", self.window, self.settings.get("percentiles") or PERCENTILES)


@dataclass(frozen=True)
class Files:
    """An image by its name (the path below the folder it was found in, without ending) and its files: one, or the
    slices of a DICOM series."""

    name: str
    paths: tuple[Path, ...]

    @property
    def where(self) -> Path:
        """What an error names: the file, or the folder of a series."""
        return self.paths[0] if len(self.paths) == 1 else self.paths[0].parent


@dataclass(frozen=True)
class Unlabelled:
    """image: float32 (C, *S) in [0, 1]; spacing along S in mm or None; affine (4, 4) from voxel indices to mm where the
    file has one. nifti: whether it came from such a file."""

    image: np.ndarray
    spacing: tuple[float, ...] | None
    affine: np.ndarray | None
    nifti: bool


def found(place: Path, key: str, spatial_dims: int, pattern: str | None = None) -> list[Files]:
    """The images of a file, of a folder and those below it, sorted by name; of volumes the DICOM files of a folder are
    one series. pattern: a regular expression that names have to match.

    Raises DataError, naming `key`, where there are none, two of one name, or no such file or folder.
    """
    if place.is_file():
        if ending(place) not in FORMATS:
            raise DataError(f"{key}={place}: is no image, expected one of {', '.join(FORMATS)}.")
        return [Files(stem(place), (place,))]
    try:
        wanted = re.compile(pattern or "")
    except re.error as error:
        raise DataError(f"pattern={pattern!r} is not a regular expression: {error}.") from error
    by_name: dict[str, list[Path]] = defaultdict(list)
    series: set[str] = set()
    for path in listing(place, key, below=True):
        inside = path.relative_to(place)
        name = (inside.parent / stem(path)).as_posix()
        if spatial_dims == 3 and ending(path) in DICOM:
            name = inside.parent.as_posix() if inside.parent.name else place.resolve().name
            series.add(name)
        by_name[name].append(path)
    for name, paths in by_name.items():
        if len(paths) > 1 and (name not in series or any(ending(path) not in DICOM for path in paths)):
            raise DataError(f"{paths[0]} and {paths[1]} have the same name, expected one file an image. Rename one.")
    kept = [Files(name, tuple(paths)) for name, paths in sorted(by_name.items()) if wanted.search(name)]
    if not kept:
        left = f" whose name matches pattern={pattern!r}, of {len(by_name)}" if pattern else ""
        raise DataError(f"{key}={place}: holds no image{left}. Expected {', '.join(FORMATS)}, also in sub-folders.")
    return kept


def check(image: Files, how: Reading) -> None:
    """Raises DataError, naming the file, for an image of other axes or channels and for one that cannot be opened."""
    axes = spatial_axes(image.paths)
    if axes != how.spatial_dims:
        raise DataError(
            f"{image.where} is {AXES[axes]}, and the method was trained on images with {how.spatial_dims} axes. "
            f"Expected {AXES[how.spatial_dims]}: leave it out (pattern=REGEX), or choose another trial."
        )
    if axes == 2:
        read(image, how)
    elif (channels := channels_of(image.paths if len(image.paths) > 1 else image.paths[0])) != how.channels:
        raise _of_channels(image.where, channels, how)


def read(image: Files, how: Reading) -> Unlabelled:
    """The image as float32 in [0, 1]. Raises DataError naming a file that is damaged, or has other channels or values
    that are not finite."""
    path = image.paths[0]
    if how.spatial_dims == 3:
        volume = load_volume(image.paths if len(image.paths) > 1 else path, ("image",), how.channels)
        parts = np.moveaxis(volume.voxels, 3, 0) if volume.voxels.ndim == 4 else volume.voxels[None]
        array, spacing, place = np.stack([how.scaling(part) for part in parts]), volume.spacing, volume.affine
    else:
        stored, spacing = load(path, ("image",))
        array = recoloured(unit(channels_first(stored), how.window), how.channels, how.settings.get("channels"))
        place = affine(path)
        if len(array) != how.channels:
            raise _of_channels(path, len(array), how)
    if not np.isfinite(array).all():
        raise DataError(f"{image.where}: holds values that are not finite (NaN or infinite). Replace them.")
    return Unlabelled(array, spacing, place, ending(path) in NIFTI)


def recoloured(image: np.ndarray, channels: int, said: int | None) -> np.ndarray:
    """A grey picture (1, H, W) as the (3, H, W) that a data set has, and where 1 channel is `said` to be wanted,
    colours as luminance; any other as it is."""
    if len(image) == 1 and channels == 3:
        return np.repeat(image, 3, axis=0)
    if len(image) == 3 and said == 1:
        return np.einsum("c,c...->...", GREY, image)[None]
    return image


def affine(path: Path) -> np.ndarray | None:
    """That of a NIfTI file, from voxel indices to mm; None of any other. Raises DataError naming a damaged one."""
    if ending(path) not in NIFTI:
        return None
    import nibabel  # see datasets.files.nifti

    with reading(path):
        return nibabel.load(path).affine


def _of_channels(where: Path, channels: int, how: Reading) -> DataError:
    return DataError(
        f"{where} has {channels} channel(s), and the method was trained on images with {how.channels}. Convert it, "
        "leave it out (pattern=REGEX), or choose another trial."
    )
