"""Reading 2D image and label files, with errors that name the file."""

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

from datasets.base import DataError

PICTURES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")
NIFTI = (".nii.gz", ".nii")
FORMATS = PICTURES + NIFTI + (".npz",)

UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    KeyError,
    zlib.error,
    zipfile.BadZipFile,
    nibabel.filebasedimages.ImageFileError,
    Image.DecompressionBombError,
)


def ending(path: Path) -> str:
    """The known ending of a file name in lower case, `.nii.gz` as a whole, or the empty string."""
    name = path.name.lower()
    return next((known for known in FORMATS if name.endswith(known)), "")


def stem(path: Path) -> str:
    """The file name without its known ending."""
    return path.name[: len(path.name) - len(ending(path))] if ending(path) else path.stem


def listing(folder: Path, key: str, endings: tuple[str, ...] = FORMATS) -> list[Path]:
    """Files of a folder with a known ending, sorted by name, hidden ones left out.

    Raises DataError when the folder is missing, naming it and the config key it comes from.
    """
    if not folder.is_dir():
        raise DataError(
            f"{folder} does not exist or is not a folder. Expected the data named by {key}: "
            f"put the data there or set {key}."
        )
    return sorted(path for path in folder.iterdir() if ending(path) in endings and not path.name.startswith("."))


def load(path: Path, names: tuple[str, ...] = ()) -> tuple[np.ndarray, tuple[float, ...] | None]:
    """One 2D picture as stored: array (H, W) or (H, W, channels) of its own type, and spacing in mm where known.

    names: keys looked for in an .npz file that holds more than one array.
    Raises DataError when the file is missing, truncated, damaged or holds a volume (see datasets.volumes for those).
    """
    with reading(path):
        if ending(path) in NIFTI:
            return _nifti(path)
        if ending(path) == ".npz":
            return _npz(path, names), None
        return _picture(path), None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Within the block, whatever is wrong with the file becomes a DataError that names it."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{path} does not exist. Restore the file or remove its partner.") from None
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(
            f"{path} cannot be read: {error}. Expected a complete {ending(path) or 'image'} file: "
            "it is truncated or damaged, so fetch it again or remove the case."
        ) from error


def _picture(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        if getattr(picture, "n_frames", 1) > 1:
            raise DataError(
                f"{path} holds {picture.n_frames} pages, expected one 2D image a file. "
                "Split it into single images, or save a volume as NIfTI or npz."
            )
        return np.asarray(picture)


def _nifti(path: Path) -> tuple[np.ndarray, tuple[float, ...]]:
    volume = nibabel.load(path)
    shape = tuple(size for axis, size in enumerate(volume.shape) if axis < 2 or size != 1)
    if len(shape) != 2:
        raise DataError(
            f"{path} is a volume of shape {volume.shape}, expected a 2D image as the others are. "
            "Save its slices as single files, or keep volumes in a folder of their own."
        )
    width, height = (float(size) for size in volume.header.get_zooms()[:2])
    # NIfTI stores x first; rows of an image are y, so that the picture stands upright.
    return np.asanyarray(volume.dataobj).reshape(shape).T, (height, width)


def _npz(path: Path, names: tuple[str, ...]) -> np.ndarray:
    with np.load(path, allow_pickle=False) as arrays:
        array = arrays[array_name(path, arrays.files, names)]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] > 4):
        raise DataError(
            f"{path} holds an array of shape {array.shape}, expected (H, W) or (H, W, channels) with at most "
            "4 channels. Save its slices as single files, or keep volumes in a folder of their own."
        )
    return array


def array_name(path: Path, stored: Sequence[str], names: Sequence[str]) -> str:
    """Which of the arrays stored in an .npz file is meant: one of `names`, or the only one. Raises DataError."""
    found = [name for name in names if name in stored] or (stored if len(stored) == 1 else [])
    if not found:
        raise DataError(
            f"{path} holds the arrays {sorted(stored)}, expected one array or one named "
            f"{' or '.join(names)}. Save it under that name."
        )
    return found[0]


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
    """(H, W) -> (1, H, W) and (H, W, C) -> (C, H, W), contiguous; an alpha channel (the 2nd or 4th) is dropped."""
    if array.ndim == 2:
        return array[None]
    colours = array[..., : {2: 1, 4: 3}.get(array.shape[-1], array.shape[-1])]
    return np.ascontiguousarray(np.moveaxis(colours, -1, 0))


def load_image(path: Path) -> tuple[np.ndarray, tuple[float, ...] | None]:
    """float32 (C, H, W) in [0, 1] and the spacing (rows, columns) in mm where known. Raises DataError."""
    array, spacing = load(path, ("image",))
    return unit(channels_first(array)), spacing


def load_label(path: Path) -> np.ndarray:
    """int64 (H, W) with the values as stored. Raises DataError when the file is damaged or holds colours."""
    array, _ = load(path, ("mask", "label"))
    if array.ndim == 3:
        if np.any(array[..., :1] != array[..., : min(3, array.shape[-1])]) and array.shape[-1] > 2:
            raise DataError(
                f"{path} is a colour picture, expected one channel with a class value per pixel. "
                "Convert the colours to values and save it as a grey PNG."
            )
        array = array[..., 0]
    return whole_numbers(array, path)


def whole_numbers(array: np.ndarray, path: Path) -> np.ndarray:
    """The array as int64. Raises DataError naming the file where a value is no whole number."""
    if not np.issubdtype(array.dtype, np.integer) and array.dtype != bool:
        if not np.all(np.isfinite(array)) or np.any(array != np.round(array)):
            raise DataError(f"{path} holds values that are no whole numbers, expected a class value per pixel.")
    return array.astype(np.int64)
