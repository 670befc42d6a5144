"""DSC against sigma: one panel per data set, one line with its band per variant."""

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.numbers.curves import Curve, Variant
from reports.paper import style
from reports.paper.style import WIDTH, Look

PUBLISHED_LIMIT = 0.2
"""The largest sigma in figure 8 of the LDSeg paper."""


def draw(panels: dict[str, list[Curve]], names: dict[Variant, str], looks: dict[Variant, Look]) -> Figure:
    """panels: data set -> its curves. The band is the 95 % interval, absent where there is none."""
    columns = style.columns(len(panels))
    rows = math.ceil(len(panels) / columns)
    shown = [variant for variant in names if any(c.variant == variant for curves in panels.values() for c in curves)]
    # A single panel is too narrow for four entries in a row.
    legend_columns = 2 if columns == 1 or max(map(len, names.values())) > 22 else min(4, len(shown))
    legend_rows = math.ceil((len(shown) + 1) / legend_columns)
    panel_height = {1: 3.4, 2: 2.9, 3: 2.5}[columns]
    figure = Figure(
        figsize=(WIDTH if columns > 1 else 5.2, rows * panel_height + 0.2 * legend_rows + 0.2), layout="constrained"
    )
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax, (dataset, curves) in zip(axes.flat, panels.items()):
        for curve in curves:
            style.curve_line(ax, curve, looks[curve.variant])
        ax.set_title(dataset)
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    for column in range(columns):
        lowest = max(row for row in range(rows) if row * columns + column < len(panels))
        axes[lowest, column].set_xlabel("noise standard deviation σ")
        axes[lowest, column].tick_params(labelbottom=True)
    for row in axes[:, 0]:
        row.set_ylabel("DSC")
    limit = _limits(axes, panels)
    handles = [axes[0, 0].plot([], [], label=names[variant], **looks[variant].plot)[0] for variant in shown]
    handles += [limit] if limit else []
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns, handlelength=3.6)
    return figure


def _limits(axes: np.ndarray, panels: dict[str, list[Curve]]) -> Line2D | None:
    """One range for all panels, and the line that marks the largest published sigma, where there are larger ones. axes:
    (rows, columns)."""
    estimates = [estimate for curves in panels.values() for curve in curves for estimate in curve.means()]
    lowest = min((e.low if e.has_interval else e.value for e in estimates if not math.isnan(e.value)), default=0)
    highest = max((e.high if e.has_interval else e.value for e in estimates if not math.isnan(e.value)), default=1)
    # Nearly equal scores are not blown up to fill the panel: the axis spans at least 0.1.
    room = max(0.03 * (highest - lowest), (0.1 - (highest - lowest)) / 2, 0.005)
    # Markers at 0 are not to be cut by the axis.
    axes[0, 0].set_ylim(max(-0.02, lowest - room), min(1.0, highest + room) + 0.005)
    sigmas = [sigma for curves in panels.values() for curve in curves for sigma in curve.sigmas]
    limit = None
    if max(sigmas) > PUBLISHED_LIMIT:
        for ax in axes.flat[: len(panels)]:
            limit = ax.axvline(PUBLISHED_LIMIT, color="#777777", linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
        limit.set_label("end of the published range")
    if min(sigmas) == max(sigmas):
        axes[0, 0].set_xlim(sigmas[0] - 0.05, sigmas[0] + 0.05)
        axes[0, 0].set_xticks([sigmas[0]])
    return limit
