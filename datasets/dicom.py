"""DICOM: a file as a picture, the files of a series as a volume.

Intensities are those after the modality's rescaling (Hounsfield units in CT; PS3.3 C.11.1). Axes and affine of a volume
are those that NIfTI would have: X, Y, Z, and millimetres towards right, front and top.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datasets.base import DataError
from datasets.formats import DEFLATED, admit, file_size, reading

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

GAP = 0.02
"""Share by which distances between slices may differ."""
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From DICOM's axes (left, back, top) to those of NIfTI."""


def load_slice(path: Path) -> tuple[np.ndarray, tuple[float, float] | None]:
    """(H, W) or (H, W, 3) and the spacing (rows, columns) in mm where known. To be called within `formats.reading`."""
    found = _open(path)
    spacing = found.get("PixelSpacing")
    return _pixels(path, found), (float(spacing[0]), float(spacing[1])) if spacing else None


def load_series(paths: Sequence[Path]) -> tuple[np.ndarray, tuple[float, float, float], np.ndarray]:
    """Voxels (X, Y, Z), spacing in mm and affine of the files of one series, in any order.

    Raises DataError naming the file for several series, for slices that differ in size, direction or spacing, that lie
    twice at one place, or that are missing.
    """
    slices = []
    for path in paths:
        with reading(path):
            found = _open(path)
            place = np.array([float(x) for x in found.ImagePositionPatient])
            turn = np.array([float(x) for x in found.ImageOrientationPatient]).reshape(2, 3)
            grid = tuple(map(float, found.PixelSpacing))
            slices.append((path, found, place, turn, grid))
    first_path, first, _, turn, grid = slices[0]
    for path, found, _, own, mine in slices:
        other = next(
            (
                what
                for what, differs in (
                    ("series", found.get("SeriesInstanceUID") != first.get("SeriesInstanceUID")),
                    ("size", (found.Rows, found.Columns) != (first.Rows, first.Columns)),
                    ("direction", not np.allclose(own, turn, atol=1e-3)),
                    ("spacing", not np.allclose(mine, grid, rtol=1e-3)),
                )
                if differs
            ),
            None,
        )
        if other:
            raise DataError(
                f"{path} has another {other} than {first_path}, expected one series of equal slices in a folder. "
                "Keep each series in a folder of its own."
            )
    normal = np.cross(*turn)
    slices.sort(key=lambda one: float(one[2] @ normal))
    depths = np.array([one[2] @ normal for one in slices])
    step = _step(slices[0][0].parent, depths)
    admit(first_path.parent, (first.Columns, first.Rows, len(slices)), 8)
    layers = []
    for path, found, *_ in slices:
        with reading(path):
            layers.append(_pixels(path, found))
    if layers[0].ndim != 2:
        raise DataError(f"{first_path} holds colours, expected a volume of one value a voxel.")
    rows, columns = grid
    affine = np.eye(4)
    # A step along X goes from column to column, in the direction in which a row runs.
    affine[:3, :3] = np.column_stack([turn[0] * columns, turn[1] * rows, normal * step])
    affine[:3, 3] = slices[0][2]
    return np.stack(layers, axis=-1).swapaxes(0, 1), (columns, rows, step), TO_RAS @ affine


def _step(folder: Path, depths: np.ndarray) -> float:
    """Distance in mm between neighbours of slices at these depths, in their order."""
    gaps = np.diff(depths)
    step = float(np.median(gaps)) if len(gaps) else 0.0
    if step <= 0 or gaps.min() < step * (1 - GAP) or gaps.max() > step * (1 + GAP):
        found = "one slice" if not len(gaps) else f"{len(depths)} slices {gaps.min():.4g} to {gaps.max():.4g} mm apart"
        raise DataError(
            f"{folder} holds {found}, expected two or more at equal distances: slices are missing or there twice. "
            "Restore the series, or resample it to an even grid and save it as NIfTI."
        )
    return step


def _open(path: Path) -> Dataset:
    """A file whose pixels have been found to fit into memory. Raises DataError for what is not one image."""
    import pydicom  # see datasets.files.nifti

    # Real files break the rules for values in many harmless ways.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    found = pydicom.dcmread(path, stop_before_pixels=True)
    if "Rows" not in found or "Columns" not in found:
        raise DataError(f"{path} is a DICOM file without an image, expected one slice. Remove it from the folder.")
    frames = int(found.get("NumberOfFrames") or 1)
    if frames > 1:
        raise DataError(
            f"{path} holds {frames} frames, expected one slice a file. Convert it to NIfTI, with dcm2niix for example."
        )
    bytes_each = math.ceil(int(found.get("BitsAllocated") or 8) / 8)
    channels = int(found.get("SamplesPerPixel") or 1)
    syntax = found.file_meta.get("TransferSyntaxUID")
    ratio = math.inf if getattr(syntax, "is_encapsulated", False) else 8 * DEFLATED
    stored = ratio * file_size(path)
    admit(path, (int(found.Rows), int(found.Columns), channels), bytes_each, stored)
    return pydicom.dcmread(path)


def _pixels(path: Path, found: Dataset) -> np.ndarray:
    """Intensities of one file, brighter for more."""
    from pydicom.pixels import apply_color_lut, apply_modality_lut

    try:
        array = found.pixel_array
    except RuntimeError as error:  # how pydicom says that a decoder is not installed
        raise NotImplementedError(error) from error
    kind = str(found.get("PhotometricInterpretation", "MONOCHROME2"))
    if kind == "PALETTE COLOR":
        return apply_color_lut(array, found)
    if kind == "MONOCHROME1":
        array = 2 ** int(found.BitsStored) - 1 - array.astype(np.int64)
    if array.ndim == 2 and ("RescaleSlope" in found or "ModalityLUTSequence" in found):
        array = apply_modality_lut(array, found).astype(np.float32)
    if array.ndim != 2 and array.shape[-1] != 3:
        raise DataError(f"{path} holds an image of shape {array.shape}, expected one slice, grey or in colours.")
    return array
