"""Arrays of NumPy's own formats, whose header is looked at before anything is read."""

import io
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from datasets.base import DataError
from datasets.formats import DEFLATED, admit, ending, file_size

SPACING = "spacing"
"""Name of the array that holds lengths of a voxel."""
MOST_AXES = 8
MOST_HEADER = 2**16


def load_array(path: Path, names: Sequence[str]) -> tuple[np.ndarray, tuple[float, ...] | None]:
    """The array of an .npy file, or that of an .npz file named one of `names` (or the only one), and the lengths in its
    array `spacing` where it has one. To be called within `formats.reading`. Raises DataError naming the file."""
    if ending(path) == ".npy":
        with path.open("rb") as file:
            return _checked(path, file, file_size(path)), None
    with zipfile.ZipFile(path) as archive:
        members = {info.filename[: -len(".npy")]: info for info in archive.infolist() if info.filename.endswith(".npy")}
        spacing = None
        if SPACING in members:
            lengths = _member(path, archive, members.pop(SPACING))
            if lengths.size > MOST_AXES or lengths.dtype.kind not in "iuf":
                raise DataError(
                    f"{path} has a spacing of {lengths.size} values of type {lengths.dtype}, expected one length in mm "
                    "for each axis. Correct it."
                )
            spacing = tuple(map(float, lengths.ravel()))
        return _member(path, archive, members[array_name(path, list(members), names)]), spacing


def array_name(path: Path, stored: Sequence[str], names: Sequence[str]) -> str:
    """Which of the arrays stored in an .npz file is meant: one of `names`, or the only one. Raises DataError."""
    found = [name for name in names if name in stored] or (stored if len(stored) == 1 else [])
    if not found:
        raise DataError(
            f"{path} holds the arrays {sorted(stored)[:20]}, expected one array or one named "
            f"{' or '.join(names)}. Save it under that name."
        )
    return found[0]


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One array of an archive, never more than what its packed bytes can hold."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{path} is packed in an unusual way, expected numpy.savez or savez_compressed. Save it anew.")
    packed = min(info.compress_size, file_size(path))
    most = min(info.file_size, packed * (1 if info.compress_type == zipfile.ZIP_STORED else DEFLATED))
    with archive.open(info) as file:
        return _checked(path, file, most)


def _checked(path: Path, file: IO[bytes], stored: int) -> np.ndarray:
    """The array of an opened .npy file that holds `stored` bytes at most."""
    magic = file.read(8)
    version = np.lib.format.read_magic(io.BytesIO(magic))
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"{path} is an .npy file of version {version}, expected a plain array of numbers.")
    length = file.read(2 if version == (1, 0) else 4)
    header = io.BytesIO(length + file.read(min(int.from_bytes(length, "little"), MOST_HEADER)))
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(header)
    if dtype.kind not in "biuf":
        raise DataError(f"{path} holds values of the type {dtype}, expected one number a pixel. Convert it.")
    if len(shape) > MOST_AXES:
        raise DataError(f"{path} holds an array of {len(shape)} axes, expected an image. Save it as one.")
    admit(path, shape or (1,), dtype.itemsize, stored)
    wanted = math.prod(shape) * dtype.itemsize
    data = file.read(wanted)
    if len(data) < wanted:
        raise EOFError(f"{len(data)} bytes of {wanted} are there")
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="))
