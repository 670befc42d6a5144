"""What a segmented image leaves: its mask on its own grid, an overlay, maps of uncertainty, and sizes by class."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
from PIL import Image
from scipy.ndimage import binary_erosion

from benchmarks.prediction.segmenting import Segmented
from benchmarks.store.outside import write_text, write_whole
from benchmarks.testing.pictures import cut, plane
from datasets.unlabelled import Unlabelled

COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
"""Of the classes in their order, again from the first beyond these: Okabe and Ito, Color Universal Design, 2008."""
OPACITY = 0.4
SD_LARGEST = 0.5
"""White in a picture of the SD."""
MILLIMETRES = ("px", "mm", "mm2", "mm3")
"""Units by the number of axes."""


@dataclass(frozen=True)
class Output:
    """The folder that results are written to, and the names of the foreground classes 1, 2, ... in masks."""

    folder: Path
    classes: Sequence[str]

    def write(self, name: str, image: Unlabelled, found: Segmented) -> list[dict[str, Any]]:
        """Write masks/NAME, overlays/NAME and uncertainty/NAME_entropy, NAME_sd of one image: pictures as PNG, volumes
        and what was NIfTI as NIfTI with its affine, maps in float32 there and 8 bits in PNG. Returns its rows of
        sizes.csv. Raises CannotWrite."""
        as_nifti = found.mask.ndim == 3 or image.nifti
        maps = {"entropy": (found.entropy, 1.0)} | ({} if found.sd is None else {"sd": (found.sd, SD_LARGEST)})
        if as_nifti:
            _nifti(self.folder / "masks" / f"{name}.nii.gz", found.mask, image)
        else:
            self._mask(self.folder / "masks" / f"{name}.png", found.mask)
        for what, (values, largest) in maps.items():
            path = self.folder / "uncertainty" / f"{name}_{what}"
            if as_nifti:
                _nifti(path.with_name(f"{path.name}.nii.gz"), values, image)
            else:
                scaled = np.clip(values / largest * 255, 0, 255).round().astype(np.uint8)
                _png(path.with_name(f"{path.name}.png"), Image.fromarray(scaled))
        where = plane(found.mask)
        picture = overlay(cut(image.image, where), cut(found.mask, where))
        _png(self.folder / "overlays" / f"{name}.png", Image.fromarray(picture))
        return self._sizes(name, image, found)

    def finish(self, rows: Sequence[dict[str, Any]], about: dict[str, Any]) -> None:
        """Write sizes.csv (from the rows of all images), classes.csv (what the numbers in masks mean) and segment.json
        (what made them). Raises CannotWrite."""
        numbers = range(len(self.classes) + 1)
        legend = [
            {"value": n, "class": self._name(n), "colour": COLOURS[(n - 1) % len(COLOURS)] if n else ""}
            for n in numbers
        ]
        write_text(self.folder / "sizes.csv", pd.DataFrame(rows).to_csv(index=False))
        write_text(self.folder / "classes.csv", pd.DataFrame(legend).to_csv(index=False))
        write_text(self.folder / "segment.json", json.dumps(about, indent=1, default=str) + "\n")

    def _name(self, value: int) -> str:
        return self.classes[value - 1] if value else "background"

    def _mask(self, path: Path, mask: np.ndarray) -> None:
        """Class numbers as the indices of a palette: programs read numbers, people see colours."""
        picture = Image.fromarray(mask).convert("L")
        picture.putpalette([0, 0, 0, *(part for colour in self._palette() for part in colour)])
        _png(path, picture)

    def _palette(self) -> list[tuple[int, int, int]]:
        return [_rgb(number) for number in range(1, len(self.classes) + 1)]

    def _sizes(self, name: str, image: Unlabelled, found: Segmented) -> list[dict[str, Any]]:
        """A row for each foreground class: pixels, their share, area or volume in mm where the file knows lengths."""
        each = float(np.prod(image.spacing)) if image.spacing else 1.0
        unit = MILLIMETRES[found.mask.ndim] if image.spacing else MILLIMETRES[0]
        rows = []
        for value in range(1, len(self.classes) + 1):
            inside = found.mask == value
            pixels = int(np.count_nonzero(inside))
            row = {"image": name, "class": self._name(value), "value": value, "pixels": pixels,
                   "share": pixels / inside.size, "size": pixels * each, "unit": unit,
                   "mean_entropy": float(found.entropy[inside].mean()) if pixels else np.nan}  # fmt: skip
            rows.append(
                row if found.sd is None else row | {"mean_sd": float(found.sd[inside].mean()) if pixels else np.nan}
            )
        return rows


def overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """uint8 (h, w, 3): the image (C, h, w) in [0, 1], of other than three channels the first, with each class of the
    mask (h, w) in its colour, its outline at full strength."""
    shown = image if len(image) == 3 else np.repeat(image[:1], 3, axis=0)
    picture = np.clip(np.moveaxis(shown, 0, -1), 0, 1) * 255.0
    for value in np.unique(mask[mask > 0]).tolist():
        inside = mask == value
        colour = np.array(_rgb(value), float)
        picture[inside] = (1 - OPACITY) * picture[inside] + OPACITY * colour
        picture[inside & ~binary_erosion(inside)] = colour
    return picture.round().astype(np.uint8)


def _rgb(value: int) -> tuple[int, int, int]:
    colour = COLOURS[(value - 1) % len(COLOURS)]
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _png(path: Path, picture: Image.Image) -> None:
    write_whole(path, lambda file: picture.save(file, "png"))


def _nifti(path: Path, array: np.ndarray, image: Unlabelled) -> None:
    """An array (H, W) or (X, Y, Z) in the order in which the image's file stores its voxels, and at its place."""
    # A 2D NIfTI file is read as rows and columns, which are its Y and X.
    voxels = array.swapaxes(0, 1)[..., None] if array.ndim == 2 else array
    affine = image.affine
    if affine is None:
        affine = np.diag([*(image.spacing or (1.0,) * 3), 1.0])
    file = nibabel.Nifti1Image(voxels, affine)
    file.header.set_xyzt_units("mm" if image.spacing else "unknown")
    # Without a time, so that equal masks make equal files.
    packed = gzip.compress(file.to_bytes(), mtime=0)
    write_whole(path, lambda to: to.write(packed))
