"""Which files hold images, and how each is opened: its kind and its size first, with errors that name it."""

import math
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from datasets.base import DataError

TIFF = (".tif", ".tiff")
PICTURES = (".png", ".bmp", ".jpg", ".jpeg", *TIFF)
NIFTI = (".nii.gz", ".nii")
ARRAYS = (".npz", ".npy")
DICOM = (".dcm",)
FORMATS = PICTURES + NIFTI + ARRAYS + DICOM

DEFLATED = 1100
"""Bytes that one byte of deflate (PNG, gzip, zip) can hold at most, rounded up."""
TEXT_BYTES = 2**28
"""Largest table or description that is read."""
WORDS = 300
"""Most characters of a library's own message that are passed on."""


def ending(path: Path) -> str:
    """The known ending of a file name in lower case, `.nii.gz` as a whole, or the empty string."""
    name = path.name.lower()
    return next((known for known in FORMATS if name.endswith(known)), "")


def stem(path: Path) -> str:
    """The file name without its known ending."""
    return path.name[: len(path.name) - len(ending(path))] if ending(path) else path.stem


def listing(folder: Path, key: str, endings: tuple[str, ...] = FORMATS, below: bool = False) -> list[Path]:
    """Files of a folder with a known ending, sorted by name, hidden ones left out; with `below` those of its
    sub-folders, too (of links to folders none).

    Raises DataError when the folder is missing or cannot be read, naming it and the config key it comes from.
    """
    try:
        if not folder.is_dir():
            raise DataError(
                f"{folder} does not exist or is not a folder. Expected the data named by {key}: "
                f"put the data there or set {key}."
            )
        found = folder.rglob("*") if below else folder.iterdir()
        return sorted(
            path
            for path in found
            if ending(path) in endings and not _hidden(path.relative_to(folder)) and not path.is_dir()
        )
    except DataError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{folder} cannot be read: {said(error)}. Check {key} and the folder's permissions.") from error


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def said(error: BaseException) -> str:
    """What an error says, in one line that is not endless."""
    return " ".join(str(error).split())[:WORDS] or type(error).__name__


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Within the block, whatever is wrong with the file becomes a DataError that names it.

    Before it, the file is made sure to be one: a pipe or a device would never end.
    """
    file_size(path)
    try:
        yield
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(
            f"{path} needs more memory to be read than there is ({said(error)}). Expected an image that fits into "
            "memory: make it smaller, or fetch it again if its header is damaged."
        ) from error
    except NotImplementedError as error:
        raise DataError(
            f"{path} is stored in a way that cannot be read: {said(error)}. Expected a common compression and common "
            "colours: save it anew, as PNG or NIfTI."
        ) from error
    except Exception as error:  # what decoders raise at damaged files has nothing in common
        raise DataError(
            f"{path} cannot be read: {said(error)}. Expected a complete {ending(path) or 'image'} file: "
            "it is truncated or damaged, so fetch it again or remove the case."
        ) from error


def file_size(path: Path) -> int:
    """Bytes of a file. Raises DataError where there is none, or something else of that name: a folder, pipe or device,
    or links that go in a circle."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise DataError(f"{path} does not exist. Restore the file or remove its partner.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be opened: {said(error)}. Check the file and its permissions.") from error
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path} is no file but a {_kind(status.st_mode)}, expected a file. Remove or replace it.")
    return status.st_size


def _kind(mode: int) -> str:
    return "folder" if stat.S_ISDIR(mode) else "pipe" if stat.S_ISFIFO(mode) else "device or socket"


def admit(path: Path, shape: Sequence[int], itemsize: int, stored: float = math.inf) -> None:
    """Raises DataError where the array that a file's header announces cannot be: without values, larger than half of
    the memory that is free, or larger than what lies in the file (`stored`, bytes at most)."""
    shape = [int(length) for length in shape]
    count, size = math.prod(shape), "x".join(map(str, shape))
    if min(shape, default=0) < 1:
        raise DataError(f"{path} has the size {size or 0}: it holds nothing. Restore the file or remove the case.")
    if count * itemsize > stored:
        raise DataError(
            f"{path} cannot be read: its header announces {size} values of {itemsize} byte(s), more than the file can "
            "hold. Expected a complete file: it is truncated or damaged, so fetch it again or remove the case."
        )
    # Labels are taken as int64.
    needed, free = count * max(itemsize, 8), psutil.virtual_memory().available
    if needed > free / 2:
        raise DataError(
            f"{path} announces {size} values, for which {needed / 2**30:.1f} GiB are needed and half of the free "
            f"{free / 2**30:.1f} GiB may be taken. Expected a smaller image: crop or shrink it, or fetch it again if "
            "its header is damaged."
        )


def text(path: Path) -> str:
    """The content of a text file in UTF-8. Raises DataError naming what is missing, no file, too large or no text."""
    size = file_size(path)
    if size > TEXT_BYTES:
        raise DataError(f"{path} has {size / 2**20:.0f} MiB, expected a table or description of a few. Replace it.")
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {said(error)}. Expected text in UTF-8: save it as such.") from error
