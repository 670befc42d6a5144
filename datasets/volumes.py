"""Reading volumes and their labels, with errors that name the file.

Axes stay in the order in which the file stores its voxels: X, Y, Z as nibabel gives them, and spacing alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np

from datasets.base import DataError
from datasets.files import NIFTI, array_name, ending, reading, whole_numbers

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


def spatial_axes(path: Path) -> int:
    """2 or 3, by the shape of what the file holds: an .npz array (H, W, 4 or fewer) is a picture. Raises DataError."""
    with reading(path):
        if ending(path) in NIFTI:
            return 2 if len(_without_ones(nibabel.load(path).shape, 2)) == 2 else 3
        if ending(path) == ".npz":
            shape = _npz(path, ("image",))[0].shape
            return 2 if len(shape) == 2 or (len(shape) == 3 and shape[-1] <= 4) else 3
        return 2


def load_volume(path: Path, names: Sequence[str] = ("image",), channels: int = 1) -> Volume:
    """A NIfTI volume, or the array of an .npz file with, where known, an array `spacing` of three lengths in mm.

    names: arrays looked for in an .npz file that holds more than one. channels: above 1 a fourth axis of this length is
    expected. Raises DataError when the file is missing, damaged, no volume, or one voxel thick.
    """
    with reading(path):
        if ending(path) in NIFTI:
            image = nibabel.load(path)
            shape = _checked_shape(path, _without_ones(image.shape, 3), channels)
            spacing = tuple(float(length) for length in image.header.get_zooms()[:3])
            voxels, affine = np.asanyarray(image.dataobj).reshape(shape), image.affine
        elif ending(path) == ".npz":
            (voxels, spacing), affine = _npz(path, names), None
            voxels = voxels.reshape(_checked_shape(path, _without_ones(voxels.shape, 3), channels))
        else:
            raise DataError(f"{path} is a picture, expected a volume as the others are: NIfTI or npz.")
    if voxels.dtype.kind not in "biuf":
        raise DataError(f"{path} holds values of the type {voxels.dtype}, expected one number a voxel. Convert it.")
    if spacing is not None and not (len(spacing) == 3 and np.isfinite(spacing).all() and min(spacing) > 0):
        raise DataError(f"{path} has the spacing {spacing}, expected three lengths above 0 in mm. Correct its header.")
    return Volume(path, voxels, spacing, affine)


def load_pair(
    image_path: Path, label_path: Path, scaling: Scaling, channels: int = 1
) -> tuple[np.ndarray, np.ndarray, tuple[float, ...] | None]:
    """Image float32 (C, X, Y, Z) in [0, 1], label int64 (X, Y, Z) with the values as stored, and spacing in mm or None.

    Raises DataError as `load_volume` does, and when image and label are not on the same grid.
    """
    image = load_volume(image_path, ("image",), channels)
    label = load_volume(label_path, ("mask", "label"))
    _check_same_grid(image, label)
    by_channel = np.moveaxis(image.voxels, 3, 0) if image.voxels.ndim == 4 else image.voxels[None]
    return np.stack([scaling(part) for part in by_channel]), whole_numbers(label.voxels, label_path), image.spacing


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


def _npz(path: Path, names: Sequence[str]) -> tuple[np.ndarray, tuple[float, ...] | None]:
    with np.load(path, allow_pickle=False) as arrays:
        spacing = tuple(map(float, arrays["spacing"].ravel())) if "spacing" in arrays.files else None
        return arrays[array_name(path, [name for name in arrays.files if name != "spacing"], names)], spacing


def _without_ones(shape: Sequence[int], axes: int) -> tuple[int, ...]:
    """The shape without axes of length 1 after the first `axes`."""
    return tuple(shape[:axes]) + tuple(length for length in shape[axes:] if length != 1)


def _checked_shape(path: Path, shape: tuple[int, ...], channels: int) -> tuple[int, ...]:
    if channels > 1 and (len(shape) != 4 or shape[3] != channels):
        raise DataError(
            f"{path} has the shape {shape}, expected (X, Y, Z, {channels}): one channel for each modality that "
            "dataset.json lists. Correct one of the two."
        )
    if len(shape) > 3 and channels == 1:
        raise DataError(
            f"{path} is a {len(shape)}D image of shape {shape}, expected a volume (X, Y, Z). Save each time point or "
            "channel as a file of its own, or make it a decathlon task whose dataset.json lists the channels."
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
