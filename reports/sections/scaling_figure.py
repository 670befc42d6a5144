"""Seconds and memory of one image, on logarithmic axes: against the number of steps, and against the size."""

import math
from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from reports.numbers.curves import Variant
from reports.paper import style, words
from reports.paper.style import WIDTH
from reports.sections.calls import Calls

PUBLISHED = {"color": "#666666", "marker": "*", "markersize": 9, "linestyle": "none"}


def by_steps(found: list[Calls], published: dict[tuple[str, str], dict[int, float]]) -> Figure:
    """A panel per data set. published: (data set, method) -> {steps: seconds} on another machine."""
    datasets = list(dict.fromkeys(one.dataset for one in found))
    looks = _looks(found)
    columns = style.columns(len(datasets))
    rows = math.ceil(len(datasets) / columns)
    figure = Figure(figsize=(WIDTH if columns > 1 else 4.6, 2.7 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
    handles, stars = {}, {}
    for ax, dataset in zip(axes.flat, datasets):
        here = [one for one in found if one.dataset == dataset]
        for method in dict.fromkeys(one.variant.method for one in here):
            same = sorted((one for one in here if one.variant.method == method), key=lambda one: one.variant.steps)
            # A method without sampling steps makes one evaluation.
            x = [max(one.variant.steps, 1) for one in same]
            look = looks[method]
            handles[same[0].variant.title] = ax.plot(x, [one.median for one in same], zorder=3, **look.plot)[0]
            for steps, one in zip(x, same):
                ax.plot([steps] * len(one.repeated), one.repeated, ".", color=look.color, markersize=3, alpha=0.5)
                ax.plot(steps, one.first, look.marker, color=look.color, markerfacecolor="none", markersize=7)
            if (dataset, method) in published:
                theirs = published[dataset, method]
                label = f"{same[0].variant.title}, published"
                stars[label] = ax.plot(*zip(*theirs.items()), **PUBLISHED)[0]
        ax.set_title(f"{dataset} ({here[0].size})")
        ax.set_xlabel("sampling steps")
        ax.set_xscale("log")
        theirs = {steps for (name, _), times in published.items() if name == dataset for steps in times}
        ticks = sorted({max(one.variant.steps, 1) for one in here} | theirs)
        ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.margins(x=0.18)
    for ax in axes.flat[len(datasets) :]:
        ax.set_axis_off()
    for row in axes[:, 0]:
        row.set_ylabel("time for one image")
    _logarithmic(axes[0, 0], _seconds)
    handles |= stars
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4, handlelength=3.6)
    return figure


def by_size(
    found: list[Calls], names: dict[Variant, str], fits: dict[tuple[str, Variant], tuple[float, float]]
) -> Figure:
    """A row per data set: time and peak memory. fits: (data set, variant) -> (slope, intercept) of the natural
    logarithm of seconds against that of the side, drawn as a thin line."""
    datasets = list(dict.fromkeys(one.dataset for one in found))
    looks = style.looks(list(names))
    figure = Figure(figsize=(WIDTH, 3.3 * len(datasets) + 0.5), layout="constrained")
    axes = figure.subplots(len(datasets), 2, squeeze=False)
    handles, guides = {}, {}
    for (left, right), dataset in zip(axes, datasets):
        here = [one for one in found if one.dataset == dataset]
        for variant in dict.fromkeys(one.variant for one in here):
            same = sorted((one for one in here if one.variant == variant), key=lambda one: one.side)
            sides, look = np.array([one.side for one in same]), looks[variant]
            medians = np.array([one.median for one in same])
            marks = look.plot | {"linestyle": "none"}
            low, high = np.array([one.quartiles for one in same]).T
            left.errorbar(sides, medians, [medians - low, high - medians], capsize=2, elinewidth=0.8, zorder=3, **marks)
            if (dataset, variant) in fits:
                slope, intercept = fits[dataset, variant]
                left.plot(sides, np.exp(intercept) * sides**slope, color=look.color, linestyle=look.line, linewidth=1)
            handles[names[variant]] = right.plot(sides, [one.memory for one in same], **look.plot)[0]
        measured = any(np.isfinite(one.memory) for one in here)
        sides = sorted({one.side for one in here})
        for ax, format_value in ((left, _seconds), (right, words.memory)):
            ax.set_xscale("log")
            ax.set_xticks(sides, [f"{side:g}" for side in sides])
            ax.xaxis.set_minor_locator(NullLocator())
            ax.set_xlabel("side of the image in pixels")
            if ax is right and not measured:
                ax.text(0.5, 0.5, "not measured", transform=ax.transAxes, ha="center", color="#666666")
                ax.set_xticks([])
                ax.set_yticks([])
                continue
            _logarithmic(ax, format_value)
            if len(sides) > 1:
                guide = _guide(ax, sides, here[0].dimensions)
                guides["∝ pixels" if here[0].dimensions == 2 else "∝ voxels"] = guide
        left.set_ylabel("time for one image")
        right.set_ylabel("peak memory for one image")
        if len(datasets) > 1:
            left.set_title(dataset)
            right.set_title(dataset)
    shown = handles | guides
    columns = 3 if max(map(len, shown)) > 14 else min(6, len(shown))
    figure.legend(list(shown.values()), list(shown), loc="outside lower center", ncols=columns, handlelength=3.2)
    return figure


def _guide(ax: Axes, sides: list[float], dimensions: int) -> Line2D:
    """How steep proportional to the number of pixels is, from the lower left corner of what is drawn."""
    bottom, top = ax.get_ylim()
    x = np.array([sides[0], sides[-1]])
    y = bottom * (x / x[0]) ** dimensions
    ax.set_ylim(bottom, max(top, 1.3 * y[-1]))
    return ax.plot(x, y, color="#999999", linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)[0]


def _logarithmic(ax: Axes, format_value: Callable[[float], str]) -> None:
    """The y axis with its numbers written as in the tables."""
    ax.set_yscale("log")
    axis = ax.yaxis
    axis.set_major_locator(LogLocator(10))
    axis.set_major_formatter(FuncFormatter(lambda value, _: format_value(value)))
    axis.set_minor_formatter(NullFormatter())


def _seconds(value: float) -> str:
    """A tick of a time axis: 20 ms, 100 s."""
    return f"{value * 1e3:g} ms" if value < 0.1 else f"{value:,g} s"


def _looks(found: list[Calls]) -> dict[str, style.Look]:
    """By method: its look in all figures, whatever the number of steps."""
    first = {one.variant.method: one.variant for one in reversed(found)}
    ordered = {method: first[method] for method in dict.fromkeys(one.variant.method for one in found)}
    return {variant.method: look for variant, look in style.looks(list(ordered.values())).items()}
