"""Training curves: loss above, validation DSC below, one column per method."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from benchmarks.store.trial import TrialView
from reports.numbers import training
from reports.paper import style
from reports.paper.style import WIDTH, Look

LEFT, RIGHT, TOP, BOTTOM = 0.65, 0.12, 0.3, 0.4
BETWEEN = 0.6
LOSS, SCORE, JOINT = 1.35, 1.5, 0.14
"""Inches: margins, the gap between columns, the heights of the two panels of a method and the gap between them."""
LONG = 26
"""Letters of a name beyond which it would run into the panel beside its own."""


def draw(methods: dict[str, tuple[Look, list[TrialView]]]) -> Figure:
    """methods: name -> its look and its trials (one per seed) on one data set."""
    columns = style.columns(len(methods))
    blocks = math.ceil(len(methods) / columns)
    width, block = WIDTH if columns > 1 else 4.6, TOP + LOSS + JOINT + SCORE + BOTTOM
    # One panel is narrower than the legend in a row: its entries stand below each other.
    figure = Figure(figsize=(width, block * blocks + (0.35 if columns > 1 else 0.75)))
    drawn = {"best": False, "ceiling": False, "stage": False}
    floor = 1.0
    for place, (name, (look, trials)) in enumerate(methods.items()):
        loss, score = _axes(figure, place // columns, place % columns, columns, block)
        smallest_loss = math.inf
        for trial in trials:
            lowest_score, lowest_loss = _trial(loss, score, trial, look, drawn)
            floor, smallest_loss = min(floor, lowest_score), min(smallest_loss, lowest_loss)
        if len(name) > LONG:
            loss.set_title(name.replace(" (", "\n("), fontsize=7.5, pad=3)
        else:
            loss.set_title(name)
        _scale(loss, smallest_loss)
        score.set_xlabel("optimiser step")
        loss.sharex(score)
        loss.tick_params(labelbottom=False)
        score.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        if place % columns == 0:
            loss.set_ylabel("training loss")
            score.set_ylabel("validation DSC")
    for score in figure.axes[1::2]:
        score.set_ylim(max(0.0, math.floor(floor * 20) / 20 - 0.02), 1.02)
    _legend(figure, drawn, beside=columns > 1)
    return figure


def numbers(methods: dict[str, tuple[Look, list[TrialView]]]) -> pd.DataFrame:
    """What `draw` draws: method, seed, curve, step (counted over all stages) and value, a row per point."""
    parts = [pd.DataFrame(columns=["method", "seed", "curve", "step", "value"])]
    for name, (_, trials) in methods.items():
        for trial in trials:
            for curve, lines in _curves(trial).items():
                for steps, values in lines:
                    given = {"method": name, "seed": trial.config.seed, "curve": curve}
                    parts.append(pd.DataFrame(given | {"step": steps, "value": values}))
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


def _curves(trial: TrialView) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """(steps, values) of each curve of a trial, one per stage that recorded it."""
    history = trial.history
    return {
        "training loss": [_thinned(*line) for line in training.series(history, "train", "total")],
        "validation DSC": training.series(history, "val", "dsc"),
        "ceiling": training.series(history, "val", "dsc_ceiling"),
    }


def _scale(ax: Axes, smallest: float) -> None:
    """A logarithmic axis for losses that span a factor of 5 or more; below that it would have hardly a tick."""
    largest = max((float(np.max(line.get_ydata())) for line in ax.lines if len(line.get_ydata()) > 2), default=0.0)
    if 0 < smallest and largest >= 5 * smallest:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_minor_locator(NullLocator())
    else:
        ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _axes(figure: Figure, row: int, column: int, columns: int, block: float) -> list[Axes]:
    """The two panels of a method: training loss, validation DSC. Placed by hand, as automatic layout takes longer than
    drawing."""
    total_width, total_height = figure.get_size_inches()
    width = (total_width - LEFT - RIGHT - BETWEEN * (columns - 1)) / columns
    left, top = LEFT + column * (width + BETWEEN), total_height - row * block - TOP
    boxes = [(left, top - LOSS, width, LOSS), (left, top - LOSS - JOINT - SCORE, width, SCORE)]
    scale = (total_width, total_height, total_width, total_height)
    return [figure.add_axes([value / by for value, by in zip(box, scale)]) for box in boxes]


def _trial(loss: Axes, score: Axes, trial: TrialView, look: Look, drawn: dict) -> tuple[float, float]:
    """Draw one trial and return its lowest validation DSC (1 where there is none) and its lowest loss."""
    curves = _curves(trial)
    lowest_score, lowest_loss = 1.0, math.inf
    for steps, values in curves["training loss"]:
        loss.plot(steps, values, color=look.color, linewidth=1.0)
        lowest_loss = min(lowest_loss, float(values.min()))
    for steps, values in curves["ceiling"]:
        score.plot(steps, values, color="#555555", linewidth=1.2, linestyle=(0, (4, 2)))
        lowest_score, drawn["ceiling"] = min(lowest_score, float(values.min())), True
    for steps, values in curves["validation DSC"]:
        score.plot(steps, values, color=look.color, linewidth=1.2, marker=look.marker, markersize=3)
        best = int(values.argmax())
        score.plot(steps[best], values[best], marker="o", markersize=9, markerfacecolor="none", markeredgecolor="black")
        lowest_score, drawn["best"] = min(lowest_score, float(values.min())), True
    for start in list(training.offsets(trial.history).values())[1:]:
        for ax in (loss, score):
            ax.axvline(start, color="#999999", linewidth=0.8, linestyle=(0, (1, 1.5)))
        drawn["stage"] = True
    return lowest_score, lowest_loss


def _thinned(steps: np.ndarray, values: np.ndarray, points: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """At most `points` points, each the mean over a stretch of steps."""
    if len(steps) <= points:
        return steps, values
    parts = np.array_split(np.arange(len(steps)), points)
    return np.array([steps[p].mean() for p in parts]), np.array([values[p].mean() for p in parts])


def _legend(figure: Figure, drawn: dict, beside: bool) -> None:
    """What was drawn besides lines, below all panels. beside: whether there is room for a row."""
    handles = []
    if drawn["best"]:
        handles.append(Line2D([], [], linestyle="", marker="o", markersize=8, markerfacecolor="none",
                              markeredgecolor="black", label="selected (best validation DSC)"))  # fmt: skip
    if drawn["ceiling"]:
        handles.append(
            Line2D([], [], color="#555555", linestyle=(0, (4, 2)), label="ceiling: label encoded and decoded")
        )
    if drawn["stage"]:
        handles.append(Line2D([], [], color="#999999", linestyle=(0, (1, 1.5)), label="next training stage"))
    if handles:
        figure.legend(handles=handles, loc="lower center", ncols=len(handles) if beside else 1)
