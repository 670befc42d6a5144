"""Reading 2D image and label files, with errors that name the file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.arrays import load_array
from datasets.base import DataError
from datasets.dicom import load_slice
from datasets.formats import ARRAYS, DEFLATED, DICOM, NIFTI, admit, ending, file_size, reading
from datasets.formats import FORMATS as FORMATS  # with the next three: what a source needs beside this module's own
from datasets.formats import PICTURES as PICTURES
from datasets.formats import listing as listing
from datasets.formats import stem as stem
from datasets.pictures import load_picture

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

# What nibabel mends silently needs no words of it on the screen, which name no file.
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)


def load(path: Path, names: tuple[str, ...] = (), label: bool = False) -> tuple[np.ndarray, tuple[float, ...] | None]:
    """One 2D picture: array (H, W) or (H, W, channels) of the type stored, and spacing (rows, columns) in mm or None.

    names: keys looked for in an .npz file that holds more than one array. label: values as they are stored, where those
    of an image would be colours (datasets.pictures).
    Raises DataError when the file is missing, truncated, damaged or holds a volume (see datasets.volumes for those).
    """
    with reading(path):
        if ending(path) in NIFTI:
            array, spacing = _nifti(path)
        elif ending(path) in ARRAYS:
            array, spacing = load_array(path, names)
        elif ending(path) in DICOM:
            array, spacing = load_slice(path)
        else:
            array, spacing = load_picture(path, label), None
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] > MOST_CHANNELS):
        raise DataError(
            f"{path} holds an array of shape {array.shape}, expected (H, W) or (H, W, channels) with at most "
            f"{MOST_CHANNELS} channels. Save its slices as single files, or keep volumes in a folder of their own."
        )
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path} holds values of the type {array.dtype}, expected one number a pixel. Convert it.")
    if spacing is not None:
        spacing = spacing[:2]
        if len(spacing) != 2 or not np.isfinite(spacing).all() or min(spacing) <= 0:
            raise DataError(
                f"{path} has the spacing {spacing}, expected two lengths above 0 in mm. Correct its header."
            )
    return array, spacing


MOST_CHANNELS = 4
"""Of a 2D picture: with more, the last axis is taken for one in space."""


def _nifti(path: Path) -> tuple[np.ndarray, tuple[float, ...]]:
    volume = nifti(path)
    if not flat(volume.shape):
        raise DataError(
            f"{path} is a volume of shape {volume.shape}, expected a 2D image as the others are. "
            "Save its slices as single files, or keep volumes in a folder of their own."
        )
    width, height = (float(size) for size in volume.header.get_zooms()[:2])
    voxels = numbers(np.asanyarray(volume.dataobj))
    voxels = voxels.reshape(*volume.shape[:2], -1)
    voxels = voxels[..., 0] if voxels.shape[-1] == 1 else voxels
    # NIfTI stores x first; rows of an image are y, so that the picture stands upright.
    return voxels.swapaxes(0, 1), (height, width)


def nifti(path: Path) -> SpatialImage:
    """A NIfTI file whose voxels, not read yet, have been found to fit into file and memory. To be called within
    `formats.reading`."""
    import nibabel  # half a second with the pydicom it imports, which commands without such data do not spend

    image = nibabel.load(path)
    if not isinstance(image, nibabel.Nifti1Image):
        raise DataError(f"{path} is a file of the kind {type(image).__name__}, expected NIfTI. Convert it.")
    if len(image.shape) < 2:
        raise DataError(f"{path} has the shape {image.shape}, expected an image or a volume. Replace it.")
    packed = DEFLATED if path.name.lower().endswith(".gz") else 1
    admit(path, image.shape, image.get_data_dtype().itemsize, packed * file_size(path))
    return image


def flat(shape: Sequence[int]) -> bool:
    """Whether a NIfTI file of this shape holds a 2D image: one slice along the third axis, channels after it if any."""
    return len(shape) == 2 or shape[2] == 1


def numbers(voxels: np.ndarray) -> np.ndarray:
    """Voxels in the machine's byte order, those of NIfTI's colours with a last axis of red, green and blue."""
    if voxels.dtype.names is not None and all(voxels.dtype[name] == np.uint8 for name in voxels.dtype.names):
        voxels = np.stack([voxels[name] for name in voxels.dtype.names[:3]], axis=-1)
    return voxels.astype(voxels.dtype.newbyteorder("="), copy=False)


def unit(array: np.ndarray, window: tuple[float, float] | None = None) -> np.ndarray:
    """Values as float32 in [0, 1].

    window: (low, high) mapped to 0 and 1 and clipped. Without it uint8 and uint16 are divided by their largest value,
    bool becomes 0 and 1, and any other type goes from its own smallest to its own largest value. An array with values
    that are not finite comes back unscaled, for the integrity check to find.
    """
    if window is None and array.dtype in (np.uint8, np.uint16):
        return array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)
    if array.dtype == bool:
        return array.astype(np.float32)
    array = array.astype(np.float32)
    if not np.isfinite(array).all():
        return array
    low, high = window if window is not None else (float(array.min()), float(array.max()))
    return np.clip((array - low) / (high - low), 0, 1) if high > low else np.zeros_like(array)


def channels_first(array: np.ndarray) -> np.ndarray:
    """(H, W) -> (1, H, W) and (H, W, C) -> (C, H, W), contiguous."""
    return array[None] if array.ndim == 2 else np.ascontiguousarray(np.moveaxis(array, -1, 0))


def load_image(path: Path) -> tuple[np.ndarray, tuple[float, ...] | None]:
    """float32 (C, H, W) in [0, 1] and the spacing (rows, columns) in mm where known. Raises DataError."""
    array, spacing = load(path, ("image",))
    return unit(channels_first(array)), spacing


def load_label(path: Path, whole: bool = True) -> np.ndarray:
    """int64 (H, W) with the values as stored; unless `whole` of any type of numbers. Raises DataError when the file is
    damaged or holds colours."""
    array, _ = load(path, ("mask", "label"), label=True)
    if array.ndim == 3:
        if (array != array[..., :1]).any():
            raise DataError(
                f"{path} is a colour picture, expected one channel with a class value per pixel. "
                "Convert the colours to values and save it as a grey PNG."
            )
        array = array[..., 0]
    return whole_numbers(array, path) if whole else array


LARGEST = 2**53
"""Whole numbers up to this are what they seem in float64."""


def whole_numbers(array: np.ndarray, path: Path) -> np.ndarray:
    """The array as int64. Raises DataError naming the file where a value is no whole number, or a huge one."""
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array == np.round(array)).all()):
        raise DataError(f"{path} holds values that are no whole numbers, expected a class value per pixel.")
    if array.dtype.itemsize > 4 and array.size and (array.max() > LARGEST or array.min() < -LARGEST):
        raise DataError(f"{path} holds the value {array.max()}, expected a class value per pixel. Correct it.")
    return array.astype(np.int64)
