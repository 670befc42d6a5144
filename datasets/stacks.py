"""Stacks of pages in one TIFF file, as microscopes and ImageJ write them, as volumes."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from datasets.base import DataError
from datasets.formats import admit, file_size
from datasets.pictures import load_page

OTHERS = {"channels": r'SizeC="(\d+)"', "frames": r'SizeT="(\d+)"'}
"""What pages can be besides slices in depth: ImageJ's word for their number, and OME's attribute."""
PAGE_BYTES = 8
"""Fewest that a page takes in a file."""
MILLIMETRES = {"mm": 1.0, "cm": 10.0, "um": 1e-3, "µm": 1e-3, "\\u00B5m": 1e-3, "micron": 1e-3, "nm": 1e-6}
"""By the names that ImageJ gives to units."""


def is_stack(path: Path) -> bool:
    """Whether a TIFF file has several pages of one size. To be called within `formats.reading`."""
    with tifffile.TiffFile(path, _multifile=False) as file:
        return len(_pages(path, file, 2)) > 1


def load_stack(path: Path) -> tuple[np.ndarray, tuple[float, ...] | None]:
    """Voxels (X, Y, Z) with the values as stored, a page for each Z, and the spacing in mm where ImageJ noted it. To be
    called within `formats.reading`. Raises DataError for pages that differ, and for films and channels."""
    with tifffile.TiffFile(path, _multifile=False) as file:
        pages = _pages(path, file, file_size(path) // PAGE_BYTES)
        said = file.imagej_metadata or {}
        others = [what for what, number in _others(file, said).items() if number > 1]
        if len(pages) < 2 or others:
            raise DataError(
                f"{path} holds {len(pages)} page(s){' that are ' if others else ''}{' and '.join(others)}, expected "
                "those of one stack in depth. Save each channel and each time point as a file of its own."
            )
        first = pages[0]
        odd = next((page for page in pages if (page.shape, page.dtype) != (first.shape, first.dtype)), None)
        if odd is not None:
            raise DataError(
                f"{path}: page {pages.index(odd) + 1} has the size {odd.shape} and type {odd.dtype}, the first "
                f"{first.shape} and {first.dtype}. Expected pages of one stack: split the file."
            )
        admit(path, (len(pages), *first.shape), first.dtype.itemsize if first.dtype else 1)
        voxels = np.stack([load_page(path, page, label=True) for page in pages])
        if voxels.ndim != 3:
            raise DataError(f"{path} holds colours, expected a stack of one value a voxel. Save it in grey.")
        return voxels.transpose(2, 1, 0), _spacing(first, said)


def _pages(path: Path, file: tifffile.TiffFile, most: int) -> list[Any]:
    """Pages that are no smaller copy or mask of another, up to so many: a damaged file can have endless."""
    found: list[Any] = []
    seen: set[int] = set()
    for number in range(max(most, 64)):
        try:
            page: Any = file.pages[number]
        except IndexError:
            break
        if page.offset in seen:
            raise DataError(
                f"{path}: its page {number + 1} is one of those before it. Restore the file: it is damaged."
            )
        seen.add(page.offset)
        if not int(getattr(page, "subfiletype", 0) or 0) & 5:
            found.append(page)
        if len(found) >= most:
            break
    return found


def _others(file: tifffile.TiffFile, said: dict[str, Any]) -> dict[str, int]:
    """Number of channels and of frames that the file notes; 1 where it says nothing."""
    ome = str(file.ome_metadata or "")
    found = {what: re.search(attribute, ome) for what, attribute in OTHERS.items()}
    return {what: int(match[1]) if match else int(said.get(what, 1)) for what, match in found.items()}


def _spacing(page: Any, said: dict[str, Any]) -> tuple[float, ...] | None:
    """Lengths of a voxel in mm from ImageJ's unit, its distance of slices and the resolution of a page."""
    scale = MILLIMETRES.get(str(said.get("unit")))
    tags = [page.tags.get(name) for name in ("XResolution", "YResolution")]
    if scale is None or "spacing" not in said or None in tags:
        return None
    lengths = [tag.value[1] / tag.value[0] if tag.value[0] else 0.0 for tag in tags]
    found = tuple(scale * float(length) for length in (*lengths, said["spacing"]))
    return found if all(math.isfinite(length) and length > 0 for length in found) else None
