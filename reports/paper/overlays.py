"""Example rows: what a method was given and what it made of it, errors in colour."""

import math
import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke

from reports.paper.style import WIDTH

MISSED = "#8b0000"
ADDED = "#ff9d9d"
CONFUSED = "#7b3294"
CORRECT = ("#1b9e77", "#4393c3", "#d9b430", "#8c9fb5")
"""One colour per class, repeated beyond four."""
OUTLINE = "#ffffff"
DARK_EDGE = [Stroke(linewidth=3.0, foreground="#444444"), Normal()]
"""Makes a white line visible in the legend."""


def draw(
    columns: list[str], images: list[np.ndarray | None], rows: dict[str, list[tuple | None]], classes: list[str]
) -> Figure:
    """One row of inputs, then one row per variant.

    columns: titles, one per sigma; images: (C, h, w) uint8, or None where nothing is stored; rows: name -> per column
    (label (h, w), prediction (h, w), text printed into the picture), or None.
    """
    # Slices of volumes differ in size; each keeps its proportions within a cell as tall and wide as the largest needs.
    shape = np.max([image.shape[1:] for image in images if image is not None], axis=0)
    left, right, gap = 1.25, 0.05, 0.05
    width = (WIDTH - left - right - gap * (len(columns) - 1)) / len(columns)
    width = min(width, 1.9 if len(rows) < 8 else 1.15)
    height = min(width * shape[0] / shape[1], 2.2 * width)
    total_width = left + right + len(columns) * width + (len(columns) - 1) * gap
    titles = [_wrapped(column, int(11 * width)) for column in columns]
    top = 0.13 + 0.15 * max(1 + title.count("\n") for title in titles)
    handles = handles_of(classes)
    legend_columns = max(1, min(4, int(total_width / 1.75)))
    legend = 0.25 + 0.17 * math.ceil(len(handles) / legend_columns)
    total_height = top + (1 + len(rows)) * (height + gap) + legend
    figure = Figure(figsize=(total_width, total_height))
    for row, (name, cells) in enumerate([("input", images), *rows.items()]):
        bottom = total_height - top - (row + 1) * height - row * gap
        figure.text(0.06 / total_width, (bottom + height / 2) / total_height, _wrapped(name), va="center", fontsize=8.5)
        for column, cell in enumerate(cells):
            where = (left + column * (width + gap), bottom, width, height)
            scale = (total_width, total_height, total_width, total_height)
            ax = figure.add_axes([value / by for value, by in zip(where, scale)])
            ax.set_axis_off()
            if row == 0:
                ax.set_title(titles[column], fontsize=9, pad=3)
            if cell is None:
                ax.text(0.5, 0.5, "not stored", ha="center", va="center", fontsize=8, color="#777777")
            elif row == 0:
                ax.imshow(rgb(cell), interpolation="nearest", aspect="equal")
            else:
                _prediction(ax, images[column], *cell)
    figure.legend(
        handles=handles, loc="lower center", ncols=legend_columns, fontsize=8, handlelength=1.4, columnspacing=1.3
    )
    return figure


def overlay(image: np.ndarray, label: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """The image in grey with errors and correct foreground in colour. Returns (h, w, 3) in [0, 1].

    image: (C, h, w) uint8; label and prediction: (h, w) class indices. Pixels missed, added, given another foreground
    class and correct are told apart.
    """
    grey = rgb(image).mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    # Paler than the input, so that strong noise does not drown the colours.
    picture = 0.4 + 0.55 * grey
    for mask, color, alpha in kinds(label, prediction):
        picture[mask] = (1 - alpha) * picture[mask] + alpha * np.array(to_rgb(color))
    return picture


def kinds(label: np.ndarray, prediction: np.ndarray) -> list[tuple[np.ndarray, str, float]]:
    """(mask (h, w), colour, opacity) of each kind of pixel that is painted; no two masks overlap."""
    found = [
        ((label > 0) & (prediction == 0), MISSED, 0.85),
        ((label == 0) & (prediction > 0), ADDED, 0.85),
        ((label > 0) & (prediction > 0) & (label != prediction), CONFUSED, 0.85),
    ]
    return found + [
        ((label == k) & (prediction == k), CORRECT[(k - 1) % len(CORRECT)], 0.45) for k in np.unique(label) if k > 0
    ]


def legend(classes: list[str]) -> list[tuple[str, str]]:
    """(colour, what it stands for) of each kind of pixel that is painted."""
    several = len(classes) > 1
    named = [(MISSED, "missed (false negative)"), (ADDED, "added (false positive)")]
    named += [(CONFUSED, "wrong class")] if several else []
    return named + [
        (CORRECT[k % len(CORRECT)], f"correct {name}" if several else "correct") for k, name in enumerate(classes)
    ]


def _prediction(ax: Axes, image: np.ndarray | None, label: np.ndarray, prediction: np.ndarray, text: str) -> None:
    """Draw the overlay of a case, outlined, with a text in its corner; on grey where the image is not stored."""
    if image is None:
        image = np.full((1, *label.shape), 128, dtype=np.uint8)
    ax.imshow(overlay(image, label, prediction), interpolation="nearest", aspect="equal")
    for k in np.unique(label):
        if k > 0 and (label != k).any():
            ax.contour(label == k, levels=[0.5], colors=OUTLINE, linewidths=0.7)
    ax.text(
        0.97, 0.03, text, transform=ax.transAxes, ha="right", va="bottom", fontsize=7.5, color="black",
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.2},
    )  # fmt: skip


def handles_of(classes: list[str], outline: bool = True) -> list:
    """What the colours of `overlay` mean, for a legend; outline: whether the label's is drawn as well."""
    patches = [Patch(facecolor=color, label=name) for color, name in legend(classes)]
    line = Line2D([], [], color=OUTLINE, linewidth=1.6, label="outline of the label", path_effects=DARK_EDGE)
    return [*patches[: -len(classes)], *([line] if outline else []), *patches[-len(classes) :]]


def rgb(image: np.ndarray) -> np.ndarray:
    """(C, h, w) uint8 as (h, w, 3) in [0, 1]; anything but three channels is shown by its first."""
    channels = image if image.shape[0] == 3 else image[:1].repeat(3, axis=0)
    return np.moveaxis(channels, 0, -1) / 255.0


def _wrapped(name: str, width: int = 16) -> str:
    """A name in lines of at most `width` letters, if it has places to break; what stands in brackets begins a line."""
    parts = name.replace(" (", "\n(").splitlines()
    lines = [line for part in parts for line in textwrap.wrap(part.replace("_", "_ "), width=width)]
    return "\n".join(lines).replace("_ ", "_")
