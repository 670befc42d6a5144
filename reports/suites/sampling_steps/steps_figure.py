"""DSC against sampling steps, or against the time they take, on a logarithmic axis."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from reports.numbers.curves import Curve
from reports.paper import style, words
from reports.paper.style import WIDTH, Look
from reports.sections.cost import Cost
from reports.suites.sampling_steps.curves_by_steps import StepCurve

NEXT_LABEL = 1.15
"""Times as long as the point before that has a label."""
Panels = dict[str, list[tuple[str, StepCurve, Look]]]
"""Title of a panel -> its lines: (name, curve, look)."""
Single = tuple[str, Curve, Cost, Look]
"""A method that takes no steps: name, scores, what one image costs, look."""


def by_steps(panels: Panels) -> Figure:
    """One line with its 95 % band per curve."""
    ticks = sorted({int(k) for lines in panels.values() for _, curve, _ in lines for k in curve.steps})
    figure, axes = _figure(panels, "sampling steps")
    for ax, lines in zip(axes, panels.values()):
        for _, curve, look in lines:
            _line(ax, curve.steps, curve, look)
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(FixedLocator(ticks))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlim(ticks[0] / 1.15, ticks[-1] * 1.15)
        ax.tick_params(axis="x", labelsize=7)
    return figure


def by_time(panels: Panels, single: dict[str, list[Single]]) -> Figure:
    """The same against seconds per image, as far as they were measured, with methods that take no steps as points, and
    the Pareto front of all of these as a line."""
    figure, axes = _figure(panels, "time per image", [(name, look) for s in single.values() for name, _, _, look in s])
    for ax, (dataset, lines) in zip(axes, panels.items()):
        for _, curve, look in lines:
            _line(ax, np.array(curve.seconds, dtype=float), curve, look)
            _steps(ax, curve, look)
        for _, curve, spent, look in single.get(dataset, []):
            mean = curve.mean(lines[0][1].sigma)
            ax.plot(spent.seconds, mean.value, zorder=3, **look.point)
            if mean.has_interval:
                ax.vlines(spent.seconds, mean.low, mean.high, color=look.color, linewidth=1.2, zorder=2)
        table = times(lines, single.get(dataset, []))
        front = table[table["front"]].sort_values("seconds_median")
        ax.plot(front["seconds_median"], front["dsc"], color="#999999", linewidth=3.5, alpha=0.5, zorder=1)
        ax.set_xscale("log")
        span = table["seconds_median"].max() / table["seconds_median"].min()
        ax.xaxis.set_major_locator(LogLocator(subs=(1,) if span > 100 else (1, 2, 5)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.duration(value)))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.margins(x=0.08)
    return figure


def times(lines: list[tuple[str, StepCurve, Look]], single: list[Single]) -> pd.DataFrame:
    """What `by_time` shows of one data set. front: whether nothing else has at least its mean DSC in less time."""
    table = numbers([curve for _, curve, _ in lines])
    rows = [
        {"dataset": curve.dataset, "method": curve.variant.method, "steps": 0, "nfe": spent.nfe, "dsc": mean.value,
         "low": mean.low, "high": mean.high, "seconds_median": spent.seconds}
        for _, curve, spent, _ in single
        if (mean := curve.mean(lines[0][1].sigma))
    ]  # fmt: skip
    table = pd.concat([table, pd.DataFrame(rows)], ignore_index=True) if rows else table
    best = table.sort_values(["seconds_median", "dsc"], ascending=[True, False])["dsc"]
    return table.assign(front=best > best.cummax().shift(fill_value=-np.inf))


def numbers(curves: list[StepCurve]) -> pd.DataFrame:
    """What the figures show."""
    rows = []
    for curve in curves:
        for steps, nfe, seconds, mean in zip(curve.steps, curve.nfe, curve.seconds, curve.means()):
            rows.append(
                {"dataset": curve.dataset, "method": curve.method, "sampler": curve.variant.sampler,
                 "steps": int(steps), "nfe": nfe, "dsc": mean.value, "low": mean.low, "high": mean.high,
                 "seconds_median": seconds}
            )  # fmt: skip
    return pd.DataFrame(rows)


def _figure(panels: Panels, label: str, more: list[tuple[str, Look]] = ()):
    columns = style.columns(len(panels))
    rows = math.ceil(len(panels) / columns)
    named = {name: look for lines in panels.values() for name, _, look in lines} | dict(more)
    figure = Figure(figsize=(WIDTH if columns > 1 else 5.2, rows * {1: 3.4, 2: 2.9, 3: 2.5}[columns] + 0.4),
                    layout="constrained")  # fmt: skip
    axes = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for place, ax in enumerate(axes):
        if place >= len(panels):
            ax.set_axis_off()
            continue
        ax.set_title(list(panels)[place])
        ax.set_xlabel(label)
        if place % columns == 0:
            ax.set_ylabel("DSC")
    handles = [axes[0].plot([], [], label=name, **look.plot)[0] for name, look in named.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)), handlelength=3.6)
    return figure, axes[: len(panels)]


def _steps(ax: Axes, curve: StepCurve, look: Look) -> None:
    """The numbers of steps below the points; in between only where there is room."""
    seconds, last = np.array(curve.seconds, dtype=float), 0.0
    for place, (x, steps, mean) in enumerate(zip(seconds, curve.steps, curve.means())):
        if np.isfinite(x) and (x > NEXT_LABEL * last or place == len(seconds) - 1):
            ax.annotate(f"{steps:g}", (x, mean.value), xytext=(0, -5), textcoords="offset points", ha="center",
                        va="top", fontsize=7, color=look.color, zorder=4)  # fmt: skip
            last = x


def _line(ax: Axes, x: np.ndarray, curve: StepCurve, look: Look) -> None:
    means = curve.means()
    ax.plot(x, [mean.value for mean in means], zorder=3, **look.plot)
    if all(mean.has_interval for mean in means):
        low, high = [mean.low for mean in means], [mean.high for mean in means]
        if len(means) > 1:
            ax.fill_between(x, low, high, color=look.color, alpha=0.15, linewidth=0, zorder=2)
        else:
            ax.vlines(x, low, high, color=look.color, linewidth=1.2, zorder=2)
