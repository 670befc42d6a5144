"""DSC by severity, a panel for each kind; and one case under every kind at every severity."""

import math
from collections.abc import Sequence

import matplotlib.patheffects
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.numbers.corruption import Corrupted
from reports.numbers.curves import Variant
from reports.paper import overlays, style
from reports.paper.style import WIDTH, Look

COLUMNS = 3
EDGE = [matplotlib.patheffects.withStroke(linewidth=1.6, foreground="black")]
PREDICTED = "#FFD400"
"""Seen on dark ultrasound and on pale stains alike, as no colour of a method is."""


def by_severity(it: Corrupted, dataset: str, titles: dict[str, str], looks: dict[Variant, Look]) -> Figure:
    """A panel for each kind, a line with its 95 % band for each variant; severity 0 are the images as they are."""
    panels = it.by_kind[dataset]
    shown = [v for v in it.clean.names if any(c.variant == v for curves in panels.values() for c in curves)]
    rows = math.ceil(len(panels) / COLUMNS)
    columns = min(COLUMNS, len(panels))
    legend = math.ceil(len(shown) / 3)
    figure = Figure(figsize=(WIDTH, 1.75 * rows + 0.2 * legend + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax, (kind, curves) in zip(axes.flat, panels.items()):
        for curve in curves:
            style.curve_line(ax, curve, looks[curve.variant])
        ax.set_title(titles[kind])
        ax.set_xticks([0, *it.severities])
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    for column in range(columns):
        lowest = max(row for row in range(rows) if row * columns + column < len(panels))
        axes[lowest, column].set_xlabel("severity (0: as it is)")
        axes[lowest, column].tick_params(labelbottom=True)
    for row in axes[:, 0]:
        row.set_ylabel("DSC")
    highest = max(e.value if e.high is None else e.high for cs in panels.values() for c in cs for e in c.means())
    axes[0, 0].set_ylim(-0.02, min(1.02, highest + 0.06))
    handles = [axes[0, 0].plot([], [], label=it.clean.names[v], **looks[v].plot)[0] for v in shown]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, handlelength=3.6)
    return figure


def heat_map(it: Corrupted, dataset: str, titles: dict[str, str]) -> Figure:
    """A panel for each variant: kinds by severities, each field with its mean DSC."""
    variants = it.variants(dataset)
    kinds, columns = list(it.by_kind[dataset]), min(2, len(variants))
    rows = math.ceil(len(variants) / columns)
    figure = Figure(figsize=(WIDTH, rows * (0.24 * len(kinds) + 0.75) + 0.1), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
    picture = None
    for ax, variant in zip(axes.flat, variants):
        table = np.array([[e.value for e in it.curve(dataset, kind, variant).means()] for kind in kinds])
        picture = ax.imshow(table, vmin=0, vmax=1, cmap="cividis", aspect="auto")
        for (row, column), value in np.ndenumerate(table):
            color = "white" if value < 0.5 else "black"
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7.5, color=color)
        ax.set_title(it.clean.names[variant])
        ax.set_xticks(range(len(it.severities) + 1), ["as it is", *map(str, it.severities)])
        ax.set_yticks(range(len(kinds)), [titles[kind] for kind in kinds])
        ax.set_xlabel("severity")
        ax.grid(False)
        ax.tick_params(length=0)
    for ax in axes.flat[len(variants) :]:
        ax.set_axis_off()
    figure.colorbar(picture, ax=axes.ravel().tolist(), label="DSC", shrink=0.9, pad=0.01)
    return figure


Shown = tuple[np.ndarray, np.ndarray, np.ndarray, str]
"""image uint8 (C, h, w), label and prediction (h, w), and the DSC as text."""


def gallery(rows: dict[str, Sequence[Shown | None]], columns: Sequence[str]) -> Figure:
    """A row for each kind, a column for each severity: the image as methods see it, with the outline of the label in
    white and that of a prediction in yellow."""
    shape = next(cell[1].shape for cells in rows.values() for cell in cells if cell is not None)
    margin, top, gap = 0.95, 0.22, 0.03
    width = (WIDTH - margin) / len(columns)
    height = (width - gap) * shape[0] / shape[1] + gap
    total = height * len(rows) + top
    figure = Figure(figsize=(WIDTH, total))
    for row, (title, cells) in enumerate(rows.items()):
        bottom = total - top - (row + 1) * height
        figure.text(
            (margin - 0.08) / WIDTH, (bottom + height / 2) / total, title, ha="right", va="center", fontsize=8.5
        )
        for column, cell in enumerate(cells):
            left = margin + column * width
            ax = figure.add_axes(
                (left / WIDTH, bottom / total, (width - gap) / WIDTH, (height - gap) / total), frameon=False
            )
            ax.set_axis_off()
            if row == 0:
                ax.set_title(columns[column], fontsize=8.5, pad=3)
            if cell is None:
                ax.text(0.5, 0.5, "not stored", ha="center", va="center", fontsize=7, color="#777777")
            else:
                _cell(ax, cell)
    return figure


def _cell(ax: Axes, cell: Shown) -> None:
    image, label, prediction, text = cell
    ax.imshow(overlays.rgb(image), interpolation="nearest", aspect="auto")
    # A margin of background closes the outline of what the picture's frame cuts off, all of it included.
    rows, columns = (np.arange(-1, side + 1) for side in label.shape)
    for mask, line in ((label, "white"), (prediction, PREDICTED)):
        for k in np.unique(mask[mask > 0]):
            drawn = ax.contour(columns, rows, np.pad(mask == k, 1), levels=[0.5], colors=[line], linewidths=0.8)
            drawn.set_path_effects(EDGE)
    ax.set(xlim=(-0.8, label.shape[1] - 0.2), ylim=(label.shape[0] - 0.2, -0.8))
    ax.text(
        0.97, 0.03, text, transform=ax.transAxes, ha="right", va="bottom", fontsize=7, color="black",
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1},
    )  # fmt: skip
