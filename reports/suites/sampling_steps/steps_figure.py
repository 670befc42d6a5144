"""DSC against sampling steps, or against the time they take, on a logarithmic axis."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from reports.paper import style, words
from reports.paper.style import WIDTH, Look
from reports.suites.sampling_steps.curves_by_steps import StepCurve

Panels = dict[str, list[tuple[str, StepCurve, Look]]]
"""Title of a panel -> its lines: (name, curve, look)."""


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


def by_time(panels: Panels) -> Figure:
    """The same against seconds per image, as far as they were measured."""
    figure, axes = _figure(panels, "time per image")
    for ax, lines in zip(axes, panels.values()):
        for _, curve, look in lines:
            _line(ax, np.array(curve.seconds, dtype=float), curve, look)
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.duration(value)))
        ax.xaxis.set_minor_formatter(NullFormatter())
    return figure


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


def _figure(panels: Panels, label: str):
    columns = style.columns(len(panels))
    rows = math.ceil(len(panels) / columns)
    named = {name: look for lines in panels.values() for name, _, look in lines}
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


def _line(ax: Axes, x: np.ndarray, curve: StepCurve, look: Look) -> None:
    means = curve.means()
    ax.plot(x, [mean.value for mean in means], zorder=3, **look.plot)
    if all(mean.has_interval for mean in means):
        low, high = [mean.low for mean in means], [mean.high for mean in means]
        if len(means) > 1:
            ax.fill_between(x, low, high, color=look.color, alpha=0.15, linewidth=0, zorder=2)
        else:
            ax.vlines(x, low, high, color=look.color, linewidth=1.2, zorder=2)
