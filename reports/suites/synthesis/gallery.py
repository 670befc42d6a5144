"""Maps, real images and what methods made of the maps, as pictures; of volumes orthogonal slices."""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmarks.store.syntheses import Made
from reports.paper.overlays import CORRECT, rgb
from reports.paper.style import WIDTH

BACKGROUND, OUTSIDE = "#000000", "#555555"
PLANES = ("across the first axis", "across the second axis", "across the third axis")


class View(NamedTuple):
    """Where a case is looked at: nothing for an image; of a volume the axis across which its slice lies, and where."""

    axis: int | None = None
    place: int = 0

    def of(self, array: np.ndarray) -> np.ndarray:
        """The slice of (..., *S), turned so that the last axis points up, as (..., h, w); an image as it is."""
        if self.axis is None:
            return array
        return np.rot90(array.take(self.place, axis=array.ndim - 3 + self.axis), axes=(-2, -1))


def views(label_map: np.ndarray, classes: int) -> list[View]:
    """Of an image one; of a volume three orthogonal slices through the middle of its structures."""
    if label_map.ndim == 2:
        return [View()]
    inside = np.argwhere((label_map > 0) & (label_map < classes))
    return [View(axis, int(round(inside[:, axis].mean()))) for axis in range(3)]


def with_field(made: dict[str, Made], case: str, classes: int) -> np.ndarray:
    """The map that a case's images are made from, with the field of view where a method's maps have it."""
    found = [one.maps[place] for one in made.values() for place in np.flatnonzero(one.ids.astype(str) == case)]
    return next((label_map for label_map in found if (label_map == classes).any()), found[0])


def image_of(made: Made, case: str) -> np.ndarray | None:
    """The image (C, *S) that a method made of a case's map; None where it made none."""
    place = np.flatnonzero(made.ids.astype(str) == case)
    return made.images[place[0]] if len(place) else None


def legend(class_names: list[str]) -> list[tuple[str, str]]:
    """(colour, what it stands for) of the classes of a map and, last, of what lies outside of the field of view."""
    named = [(CORRECT[k % len(CORRECT)], name) for k, name in enumerate(class_names)]
    return [*named, (OUTSIDE, "outside the field of view")]


def painted(label_map: np.ndarray, classes: int) -> np.ndarray:
    """A map (h, w) of codes as a picture (h, w, 3) in [0, 1]: every class its colour, what is outside of the field of
    view (the code `classes`) grey."""
    colours = [BACKGROUND, *(CORRECT[k % len(CORRECT)] for k in range(classes - 1)), OUTSIDE]
    return np.array([to_rgb(colour) for colour in colours])[label_map]


def grey(image: np.ndarray) -> np.ndarray:
    """An image (C, h, w) in [-1, 1] as a picture (h, w, 3) in [0, 1]."""
    return rgb(np.clip((image + 1) * 127.5, 0, 255).round().astype(np.uint8))


def draw(
    titles: list[str],
    maps: dict[str, list[np.ndarray]],
    rows: dict[str, list[np.ndarray | None]],
    class_names: list[str],
) -> Figure:
    """Maps (h, w) of codes, then pictures (h, w, 3), in rows with names, a column each title; None where nothing is
    stored. The legend names what the maps show."""
    classes = len(class_names) + 1
    seen = {int(code) for one in maps.values() for label_map in one for code in np.unique(label_map)}
    named = legend(class_names) if classes in seen else legend(class_names)[:-1]
    rows = {name: [painted(one, classes) for one in row] for name, row in maps.items()} | rows
    shape = np.max([cell.shape[:2] for cells in rows.values() for cell in cells if cell is not None], axis=0)
    left, gap, top = 1.3, 0.05, 0.3
    width = min((WIDTH - left - 0.05 - gap * (len(titles) - 1)) / len(titles), 1.7)
    height = min(width * shape[0] / shape[1], 2 * width)
    wide = left + 0.05 + len(titles) * (width + gap)
    handles = [Patch(facecolor=colour, label=name) for colour, name in named]
    columns = max(1, min(len(handles), int(wide / 1.6)))
    tall = top + len(rows) * (height + gap) + 0.15 + 0.2 * math.ceil(len(handles) / columns)
    figure = Figure(figsize=(wide, tall))
    for row, (name, cells) in enumerate(rows.items()):
        bottom = tall - top - (row + 1) * height - row * gap
        words = name.replace(" (", "\n(").replace(", ", ",\n")
        figure.text(0.06 / wide, (bottom + height / 2) / tall, words, va="center", fontsize=8)
        for column, cell in enumerate(cells):
            box = ((left + column * (width + gap)) / wide, bottom / tall, width / wide, height / tall)
            ax = figure.add_axes(box)
            ax.set_axis_off()
            if row == 0:
                ax.set_title(titles[column], fontsize=7.5, pad=3)
            if cell is None:
                ax.text(0.5, 0.5, "not stored", ha="center", va="center", fontsize=8, color="#777777")
            else:
                ax.imshow(cell, interpolation="nearest", aspect="equal")
    figure.legend(handles=handles, loc="lower center", ncols=columns, fontsize=8, handlelength=1.4)
    return figure
