"""Figure 10 of the LDSeg paper: mean and SD of many runs on an image, the most uncertain places, and the errors."""

import math
import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.patheffects import Normal, Stroke
from scipy.ndimage import gaussian_filter
from skimage.feature import peak_local_max

from benchmarks.store.kept import Maps
from reports.paper.overlays import OUTLINE, handles_of, overlay, rgb
from reports.paper.style import WIDTH

PLACES = 3
"""How many of the most uncertain places are marked."""
SMOOTHING, DISTANCE, RADIUS = 0.02, 0.15, 0.065
"""As parts of the image's shorter side: SD of the Gaussian that smooths the SD map, least distance of two places, and
radius of the ring around one."""
MEAN_COLORS, SD_COLORS = "cividis", "magma"
RING = "#41e0ff"
EDGE = [Stroke(linewidth=2.6, foreground="black"), Normal()]


def places(sd: np.ndarray) -> np.ndarray:
    """(row, column) of the most uncertain places of an SD map (h, w), the most uncertain first: the highest local
    maxima of the smoothed map that keep their distance. Fewer where there are fewer; none where the SD is 0."""
    side = min(sd.shape)
    smooth = gaussian_filter(sd.astype(float), max(0.5, SMOOTHING * side))
    # A plateau of zeros would count as a maximum.
    least = max(1, round(DISTANCE * side))
    return peak_local_max(
        smooth, min_distance=least, threshold_abs=1e-9, exclude_border=False, num_peaks=PLACES, p_norm=2
    )


def draw(rows: list[tuple[str, Maps]], classes: list[str], runs: int) -> Figure:
    """A row per (title, maps): the image with its label outlined, mean and SD map with one scale for all rows, and the
    errors of the segmentation by the mean."""
    shape = np.max([maps.label.shape for _, maps in rows], axis=0)
    left, right, gap = 1.15, 0.05, 0.06
    width = (WIDTH - left - right - 3 * gap) / 4
    height = min(width * shape[0] / shape[1], 1.6 * width)
    titles = ("image, label outlined", f"mean of {runs} runs", "SD over the runs", "errors of the mean")
    handles = handles_of(classes)
    legend = 0.12 + 0.19 * math.ceil(len(handles) / 4)
    top, bars = 0.3, 0.55
    total = top + len(rows) * (height + gap) + bars + legend
    figure = Figure(figsize=(WIDTH, total))

    def axes(column: int, bottom: float, tall: float, inset: float = 0.0) -> Axes:
        where = (left + column * (width + gap) + inset, bottom, width - 2 * inset, tall)
        return figure.add_axes([value / by for value, by in zip(where, (WIDTH, total, WIDTH, total))])

    highest = max(float(maps.sd.max()) for _, maps in rows)
    for row, (title, maps) in enumerate(rows):
        bottom = total - top - (row + 1) * height - row * gap
        text = "\n".join(line for part in title.replace(" (", "\n(").split("\n") for line in textwrap.wrap(part, 17))
        figure.text(0.06 / WIDTH, (bottom + height / 2) / total, text, va="center", fontsize=8)
        panels = [axes(column, bottom, height) for column in range(4)]
        for ax, name in zip(panels, titles):
            ax.set_axis_off()
            if row == 0:
                ax.set_title(name, fontsize=9, pad=3)
        panels[0].imshow(rgb(maps.image), interpolation="nearest")
        mean = panels[1].imshow(maps.mean, cmap=MEAN_COLORS, vmin=0, vmax=1, interpolation="nearest")
        spread = panels[2].imshow(maps.sd, cmap=SD_COLORS, vmin=0, vmax=highest or 1, interpolation="nearest")
        panels[3].imshow(overlay(maps.image, maps.label, maps.prediction), interpolation="nearest")
        for ax in (panels[0], panels[3]):
            _outline(ax, maps.label)
        for ax in panels[2:]:
            _rings(ax, maps.sd)
        for ax in panels:
            # Rings and outlines at the border would widen the axes and so shrink the image.
            ax.set(xlim=(-0.5, maps.sd.shape[1] - 0.5), ylim=(maps.sd.shape[0] - 0.5, -0.5))
    below = total - top - len(rows) * (height + gap) - 0.1
    for column, drawn, label in ((1, mean, "foreground probability"), (2, spread, "SD")):
        bar = figure.colorbar(drawn, cax=axes(column, below, 0.08, 0.1), orientation="horizontal")
        bar.set_label(label, fontsize=8, labelpad=1)
        bar.ax.tick_params(labelsize=7, pad=1, length=2)
        bar.outline.set_visible(False)
        bar.ax.locator_params(nbins=4)
    figure.legend(handles=handles, loc="lower center", ncols=4, fontsize=8, handlelength=1.4, columnspacing=1.3)
    return figure


def _outline(ax: Axes, label: np.ndarray) -> None:
    """White lines with dark edges around every class of a label (h, w)."""
    for k in np.unique(label):
        if k > 0 and (label != k).any():
            ax.contour(label == k, levels=[0.5], colors="black", linewidths=1.6)
            ax.contour(label == k, levels=[0.5], colors=OUTLINE, linewidths=0.8)


def _rings(ax: Axes, sd: np.ndarray) -> None:
    """A numbered ring around each of the most uncertain places of an SD map (h, w)."""
    radius, found = RADIUS * min(sd.shape), places(sd)
    for number, (y, x) in enumerate(found, 1):
        ax.add_patch(Circle((x, y), radius, fill=False, edgecolor=RING, linewidth=1.3, path_effects=EDGE))
        row, column = _beside(found[number - 1], np.delete(found, number - 1, axis=0), 1.6 * radius, sd.shape)
        ax.text(column, row, str(number), color=RING, fontsize=8, fontweight="bold", path_effects=EDGE,
                ha="center", va="center_baseline", clip_on=True)  # fmt: skip


def _beside(place: np.ndarray, others: np.ndarray, far: float, shape: tuple[int, ...]) -> np.ndarray:
    """Where around a place, so far away, its number has most room: from the image's border and from other places."""
    angles = np.pi * (np.arange(8) / 4 - 0.25)
    around = place + far * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    border = np.minimum(around, np.array(shape) - 1 - around).min(axis=1)
    room = [np.linalg.norm(others - spot, axis=1).min(initial=np.inf) for spot in around]
    # Beyond two rings' width more room is no better: then the first spot, to the upper right, is taken.
    return around[np.argmax(np.minimum(np.minimum(room, 2 * border + far), 2 * far))]
