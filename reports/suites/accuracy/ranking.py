"""Accuracy at a glance: every method's mean DSC with its interval, and accuracy against what an image costs."""

import statistics

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from reports.numbers.curves import Variant
from reports.numbers.statistics import Estimate
from reports.paper import words
from reports.paper.panels import over_time
from reports.paper.style import WIDTH, Look

Score = tuple[Variant, Estimate, float | None]
"""A variant, its mean DSC and the published value on the same data, if there is one."""
WIDE = 6
"""Times the median width of the intervals, beyond which one is cut at the frame."""
Point = tuple[Variant, Estimate, float]
"""A variant, its mean DSC and the seconds that one image takes."""


def dots(panels: dict[str, list[Score]], names: dict[Variant, str], looks: dict[Variant, Look]) -> Figure:
    """One panel per data set, below each other; methods by falling DSC."""
    longest = max(len(names[variant]) for scores in panels.values() for variant, _, _ in scores)
    left, right, row, head, foot = min(max(1.95, 0.066 * longest), WIDTH / 2), 0.65, 0.21, 0.3, 0.48
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
            ax.plot(estimate.value, place, markersize=6.5, **look.point)
            if value is not None:
                ax.plot(value, place, "|", color="black", markersize=10, markeredgewidth=1.4)
            ax.annotate(
                words.number(estimate.value), (1, place), xycoords=("axes fraction", "data"), xytext=(6, 0),
                textcoords="offset points", va="center", fontsize=8,
            )  # fmt: skip
        _limits(ax, scores)
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


def _limits(ax: Axes, scores: list[Score]) -> None:
    """An interval that is many times as wide as the others, as that of a method with a collapsed training, does not
    squeeze them: it is cut at the frame, with an arrow where it goes on."""
    intervals = [estimate for _, estimate, _ in scores if estimate.has_interval]
    if not intervals:
        return
    widest = WIDE * statistics.median(estimate.high - estimate.low for estimate in intervals)
    ends = [end for one in intervals if one.high - one.low <= widest for end in (one.low, one.high)]
    ends += [value for _, estimate, published in scores for value in (estimate.value, published) if value is not None]
    room = 0.05 * (max(ends) - min(ends)) or 0.05
    low, high = min(ends) - room, max(ends) + room
    if all(low <= one.low and one.high <= high for one in intervals):
        return
    ax.set_xlim(low, high)
    for place, (_, estimate, _) in enumerate(scores):
        for beyond, side, arrow in ((estimate.low < low, 0, "◂"), (estimate.high > high, 1, "▸")):
            if estimate.has_interval and beyond:
                ax.annotate(arrow, (side, place), xycoords=("axes fraction", "data"), ha="center", va="center")


def against_cost(panels: dict[str, list[Point]], names: dict[Variant, str], looks: dict[Variant, Look]) -> Figure:
    """Mean DSC against seconds per image on a logarithmic axis, one panel per data set."""
    shown = list(dict.fromkeys(variant for points in panels.values() for variant, _, _ in points))
    handles = {names[v]: Line2D([], [], markersize=6.5, **looks[v].point) for v in shown}
    columns = 4 if max(map(len, handles)) < 22 else 3
    figure, axes = over_time(list(panels), ("time per image", "mean DSC"), handles, columns=columns)
    for ax, points in zip(axes, panels.values()):
        for variant, estimate, seconds in points:
            look = looks[variant]
            if estimate.has_interval:
                ax.plot([seconds, seconds], [estimate.low, estimate.high], color=look.color, alpha=0.4, linewidth=1.6)
            ax.plot(seconds, estimate.value, markersize=7, **look.point)
        span = max(x for _, _, x in points) / min(x for _, _, x in points)
        ax.xaxis.set_major_locator(LogLocator(subs=(1,) if span > 100 else (1, 2, 5)))
        ax.margins(x=0.12)
    return figure
