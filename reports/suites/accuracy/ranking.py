"""Accuracy at a glance: every method's mean DSC with its interval, and accuracy against what an image costs."""

import math

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from reports.numbers.curves import Variant
from reports.numbers.statistics import Estimate
from reports.paper import words
from reports.paper.style import WIDTH, Look

Score = tuple[Variant, Estimate, float | None]
"""A variant, its mean DSC and the published value on the same data, if there is one."""
Point = tuple[Variant, Estimate, float]
"""A variant, its mean DSC and the seconds that one image takes."""


def dots(panels: dict[str, list[Score]], names: dict[Variant, str], looks: dict[Variant, Look]) -> Figure:
    """One panel per data set, below each other; methods by falling DSC."""
    left, right, row, head, foot = 1.95, 0.65, 0.21, 0.3, 0.48
    heights = [row * len(scores) + 0.15 for scores in panels.values()]
    published = any(value is not None for scores in panels.values() for _, _, value in scores)
    legend = 0.3 if published else 0.0
    total = sum(heights) + (head + foot) * len(panels) + legend
    figure = Figure(figsize=(WIDTH, total))
    top = total
    for (dataset, scores), height in zip(panels.items(), heights):
        bottom = top - head - height
        ax = figure.add_axes([left / WIDTH, bottom / total, (WIDTH - left - right) / WIDTH, height / total])
        top = bottom - foot
        for place, (variant, estimate, value) in enumerate(scores):
            look = looks[variant]
            if estimate.has_interval:
                ax.plot([estimate.low, estimate.high], [place, place], color=look.color, linewidth=2.2, alpha=0.55)
            ax.plot(estimate.value, place, look.marker, color=look.color, markersize=6.5)
            if value is not None:
                ax.plot(value, place, "|", color="black", markersize=10, markeredgewidth=1.4)
            ax.annotate(
                words.number(estimate.value), (1, place), xycoords=("axes fraction", "data"), xytext=(6, 0),
                textcoords="offset points", va="center", fontsize=8,
            )  # fmt: skip
        ax.set_yticks(range(len(scores)), [names[variant] for variant, _, _ in scores])
        ax.set_ylim(len(scores) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="y", visible=False)
        ax.set_title(dataset, loc="left")
        ax.set_xlabel("mean DSC")
    if published:
        mark = Line2D([], [], color="black", marker="|", markersize=10, markeredgewidth=1.4, linestyle="none")
        figure.legend([mark], ["published, on the same data set"], loc="lower right")
    return figure


def against_cost(panels: dict[str, list[Point]], names: dict[Variant, str], looks: dict[Variant, Look]) -> Figure:
    """Mean DSC against seconds per image on a logarithmic axis, one panel per data set."""
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    shown = list(dict.fromkeys(variant for points in panels.values() for variant, _, _ in points))
    legend_columns = 4 if max(len(names[variant]) for variant in shown) < 22 else 3
    legend = 0.22 * math.ceil(len(shown) / legend_columns) + 0.15
    height = 2.9 * rows + legend
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(
        left=0.7 / WIDTH, right=1 - 0.15 / WIDTH, top=1 - 0.3 / height,
        bottom=(legend + 0.45) / height, wspace=0.28, hspace=0.42,
    )  # fmt: skip
    for ax, (dataset, points) in zip(axes.flat, panels.items()):
        for variant, estimate, seconds in points:
            look = looks[variant]
            if estimate.has_interval:
                ax.plot([seconds, seconds], [estimate.low, estimate.high], color=look.color, alpha=0.4, linewidth=1.6)
            ax.plot(seconds, estimate.value, look.marker, color=look.color, markersize=7)
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.duration(value)))
        span = max(x for _, _, x in points) / min(x for _, _, x in points)
        ax.xaxis.set_major_locator(LogLocator(subs=(1,) if span > 100 else (1, 2, 5)))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.margins(x=0.12)
        ax.set_title(dataset, loc="left")
        ax.set_xlabel("time per image")
        ax.set_ylabel("mean DSC")
    for ax in list(axes.flat)[len(panels) :]:
        ax.remove()
    handles = [
        Line2D([], [], color=looks[v].color, marker=looks[v].marker, linestyle="none", markersize=6.5) for v in shown
    ]
    figure.legend(
        handles, [names[v] for v in shown], loc="lower center", ncols=legend_columns, fontsize=8, handletextpad=0.3,
        columnspacing=1.0,
    )  # fmt: skip
    return figure
