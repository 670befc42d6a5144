"""Reading volumes and their labels, with errors that name the file.

Axes stay in the order in which the file stores its voxels: X, Y, Z as nibabel gives them, and spacing alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.arrays import load_array
from datasets.base import DataError
from datasets.dicom import load_series
from datasets.files import MOST_CHANNELS, flat, nifti, numbers, whole_numbers
from datasets.formats import ARRAYS, NIFTI, TIFF, ending, reading
from datasets.stacks import is_stack, load_stack

PERCENTILES = (0.5, 99.5)
TOLERANCE = 1e-3
"""Largest difference in mm between the affines of an image and its label that still counts as rounding."""


@dataclass(frozen=True)
class Volume:
    """voxels: (X, Y, Z), or (X, Y, Z, C) with more than one channel; spacing in mm and affine where the file has them.

    The affine takes voxel indices to millimetres in the scanner's space.
    """

    path: Path
    voxels: np.ndarray
    spacing: tuple[float, ...] | None = None
    affine: np.ndarray | None = None


@dataclass(frozen=True)
class Scaling:
    """How intensities become float32 in [0, 1].

    window: (low, high), the same for all volumes, as for CT, where intensities have a unit; or None: the `percentiles`
    of each channel of each volume become 0 and 1, so that a few very bright voxels do not darken all others.
    """

    window: tuple[float, float] | None = None
    percentiles: tuple[float, float] = PERCENTILES

    @classmethod
    def of(cls, name: str, window: Sequence[float] | None, percentiles: Sequence[float] = PERCENTILES) -> "Scaling":
        """The scaling of data set `name` from its settings. Raises DataError naming the setting."""
        if window is not None and (len(window) != 2 or not window[0] < window[1]):
            raise DataError(f"dataset.{name}.window is {list(window)}, expected [low, high] or null.")
        if len(percentiles) != 2 or not 0 <= percentiles[0] < percentiles[1] <= 100:
            raise DataError(
                f"dataset.{name}.percentiles is {list(percentiles)}, expected [low, high] between 0 and 100, "
                f"such as {list(PERCENTILES)}."
            )
        return cls(window and tuple(map(float, window)), tuple(map(float, percentiles)))

    def __call__(self, channel: np.ndarray) -> np.ndarray:
        """One channel, clipped to [0, 1]; with values that are not finite it comes back as it is, for the integrity
        check to find."""
        channel = channel.astype(np.float32)
        if not np.isfinite(channel).all():
            return channel
        low, high = map(float, self.window or np.percentile(channel, self.percentiles))
        if low == high:  # more than 99 % of the voxels have one value
            low, high = float(channel.min()), float(channel.max())
        return np.clip((channel - low) / (high - low), 0, 1) if high > low else np.zeros_like(channel)


Files = Path | Sequence[Path]
"""Of one image: a file, or the slices of a DICOM series."""


def spatial_axes(files: Files) -> int:
    """2 or 3, by the shape of what a file holds: an array (H, W, 4 or fewer) is a picture; a series of DICOM slices and
    a TIFF of several pages are volumes. Raises DataError."""
    if not isinstance(files, Path):
        return 3 if len(files) > 1 else spatial_axes(files[0])
    with reading(files):
        if ending(files) in NIFTI:
            return 2 if flat(nifti(files).shape) else 3
        if ending(files) in ARRAYS:
            shape = load_array(files, ("image",))[0].shape
            return 2 if len(shape) == 2 or (len(shape) == 3 and shape[-1] <= MOST_CHANNELS) else 3
        return 3 if ending(files) in TIFF and is_stack(files) else 2


def channels_of(files: Files) -> int:
    """Channels of a volume: the length of a fourth axis, red, green and blue, or 1. Raises DataError."""
    if not isinstance(files, Path) or ending(files) in TIFF:
        return 1
    with reading(files):
        if ending(files) in NIFTI:
            image = nifti(files)
            names = image.get_data_dtype().names
            shape = (*image.shape, len(names[:3])) if names else image.shape
        else:
            shape = load_array(files, ("image",))[0].shape
    shape = _without_ones(shape, 3)
    return shape[3] if len(shape) == 4 else 1


def load_volume(files: Files, names: Sequence[str] = ("image",), channels: int = 1) -> Volume:
    """A NIfTI volume, the slices of a DICOM series, the pages of a TIFF stack, or the array of an .npz file with, where
    known, an array `spacing` of three lengths in mm.

    names: arrays looked for in an .npz file that holds more than one. channels: above 1 a fourth axis of this length is
    expected. Raises DataError when the file is missing, damaged, no volume, or one voxel thick.
    """
    path = files if isinstance(files, Path) else files[0].parent if len(files) > 1 else files[0]
    if not isinstance(files, Path) and len(files) > 1:
        voxels, spacing, affine = load_series(files)
    elif ending(path) in NIFTI:
        with reading(path):
            image = nifti(path)
            spacing, affine = tuple(float(length) for length in image.header.get_zooms()[:3]), image.affine
            voxels = numbers(np.asanyarray(image.dataobj))
    elif ending(path) in ARRAYS:
        with reading(path):
            (voxels, spacing), affine = load_array(path, names), None
    elif ending(path) in TIFF:
        with reading(path):
            (voxels, spacing), affine = load_stack(path), None
    else:
        raise DataError(
            f"{path} is a picture, expected a volume as the others are: NIfTI, npz, a TIFF stack or a DICOM series."
        )
    voxels = voxels.reshape(_checked_shape(path, _without_ones(voxels.shape, 3), channels))
    if voxels.dtype.kind not in "biuf":
        raise DataError(f"{path} holds values of the type {voxels.dtype}, expected one number a voxel. Convert it.")
    if spacing is not None and not (len(spacing) == 3 and np.isfinite(spacing).all() and min(spacing) > 0):
        raise DataError(f"{path} has the spacing {spacing}, expected three lengths above 0 in mm. Correct its header.")
    if affine is not None and not np.isfinite(affine).all():
        raise DataError(f"{path} has an affine with values that are not finite. Correct its header.")
    return Volume(path, voxels, spacing, affine)


def load_pair(
    image_files: Files, label_files: Files, scaling: Scaling, channels: int = 1, whole: bool = True
) -> tuple[np.ndarray, np.ndarray, tuple[float, ...] | None]:
    """Image float32 (C, X, Y, Z) in [0, 1], label int64 (X, Y, Z) with the values as stored (unless `whole` of any type
    of numbers), and spacing in mm or None.

    A label whose voxels are stored in another order of axes, or from another end, than the image's is brought into its
    order. Raises DataError as `load_volume` does, and when image and label are not on the same grid.
    """
    image = load_volume(image_files, ("image",), channels)
    label = _as_stored(image, load_volume(label_files, ("mask", "label")))
    _check_same_grid(image, label)
    by_channel = np.moveaxis(image.voxels, 3, 0) if image.voxels.ndim == 4 else image.voxels[None]
    stored = whole_numbers(label.voxels, label.path) if whole else label.voxels
    return np.stack([scaling(part) for part in by_channel]), stored, image.spacing


def _as_stored(image: Volume, label: Volume) -> Volume:
    """The label with axes in the image's order and directions, where both say how they lie in space."""
    if image.affine is None or label.affine is None:
        return label
    from nibabel import orientations  # see datasets.files.nifti

    with reading(label.path):
        have, want = (orientations.io_orientation(one.affine) for one in (label, image))
        if np.isnan(have).any() or np.isnan(want).any() or np.array_equal(have, want):
            return label
        change = orientations.ornt_transform(have, want)
        voxels = np.ascontiguousarray(orientations.apply_orientation(label.voxels, change))
        affine = label.affine @ orientations.inv_ornt_aff(change, label.voxels.shape)
    return Volume(label.path, voxels, image.spacing, affine)


def by_value(stored: np.ndarray, values: Sequence[int], path: Path) -> np.ndarray:
    """int64 label with k + 1 where values[k] is stored, 0 where 0 is. Raises DataError naming file and other values."""
    label, known = np.zeros(stored.shape, np.int64), stored == 0
    for number, value in enumerate(values, 1):
        found = stored == value
        label[found] = number
        known |= found
    if not known.all():
        wrong = np.unique(stored[~known])[:8].tolist()
        raise DataError(f"{path} holds the value(s) {wrong}, expected 0 and {', '.join(map(str, values))}. Correct it.")
    return label


def _without_ones(shape: Sequence[int], axes: int) -> tuple[int, ...]:
    """The shape without axes of length 1 after the first `axes`."""
    return tuple(shape[:axes]) + tuple(length for length in shape[axes:] if length != 1)


def _checked_shape(path: Path, shape: tuple[int, ...], channels: int) -> tuple[int, ...]:
    if channels > 1 and (len(shape) != 4 or shape[3] != channels):
        raise DataError(
            f"{path} has the shape {shape}, expected (X, Y, Z, {channels}): one channel for each modality, as "
            "dataset.json or the first image has. Correct one of the two."
        )
    if len(shape) > 3 and channels == 1:
        raise DataError(
            f"{path} is a {len(shape)}D image of shape {shape}, expected a volume (X, Y, Z) of one channel. Save each "
            "time point as a file of its own. Channels are read where all images have them (data set folder, or a "
            "decathlon task whose dataset.json lists them)."
        )
    if len(shape) < 3:
        raise DataError(
            f"{path} is a 2D image of shape {shape}, expected a volume. Keep images in a folder of their own."
        )
    if min(shape[:3]) < 2:
        raise DataError(
            f"{path} has the shape {shape}: it is one voxel thick along axis {shape.index(min(shape[:3]))}, expected 2 "
            "or more voxels along each axis. Use such images as 2D images, in a folder without volumes."
        )
    return shape


def _check_same_grid(image: Volume, label: Volume) -> None:
    fix = "Resample the label to the image's grid by nearest neighbour"
    if image.voxels.shape[:3] != label.voxels.shape:
        raise DataError(
            f"{label.path} has the shape {label.voxels.shape} and its image {image.path} {image.voxels.shape[:3]}, "
            f"expected the same. {fix}."
        )
    if image.affine is None or label.affine is None:
        return
    difference = np.abs(label.affine - image.affine)
    if not difference.max() <= TOLERANCE:
        row, column = np.unravel_index(np.argmax(difference), difference.shape)
        raise DataError(
            f"{label.path} lies elsewhere in space than its image {image.path}: their affines differ by up to "
            f"{difference.max():.4g} mm (row {row}, column {column}: {label.affine[row, column]:.6g} and "
            f"{image.affine[row, column]:.6g}), expected at most {TOLERANCE:g} mm. {fix}, or copy the affine where "
            "only the header is wrong."
        )
