"""Trajectories as pictures: strips of states and what they decode to, and DSC against time."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.store.kept import Watched
from reports.paper.overlays import handles_of, overlay, rgb
from reports.paper.style import WIDTH, Look
from reports.paper.words import MINUS, number

SHOWN = 0.995
"""Share of the values of all states that lie within the range of grey."""
FORWARD = ("forward", 0)


class Line(NamedTuple):
    """A process of a method on a data set. label: for the legend, the same for what looks the same; times: share of the
    longest time, 0 to 1 (a little below 0 for the noise-free time before t = 0); dsc: mean over cases at each."""

    label: str
    direction: str
    look: Look
    times: np.ndarray
    dsc: np.ndarray


def limit(case: Watched) -> float:
    """States are drawn from black at -limit to white at +limit, the same for all states of a case."""
    values = np.abs(np.concatenate([states.ravel() for states in case.states.values()]))
    return max(1.0, math.ceil(10 * float(np.quantile(values, SHOWN))) / 10)


def grey(state: np.ndarray, largest: float) -> np.ndarray:
    """A state (h, w) as a picture (h, w, 3) in [0, 1]."""
    return np.repeat(np.clip(0.5 + state[..., None] / (2 * largest), 0, 1), 3, axis=-1)


def time_text(t: float) -> str:
    """A time as it is printed: 999, \u22121, 0.333."""
    return f"{t:.3g}".replace("-", MINUS)


def title(process: tuple[str, int]) -> str:
    """A process in words."""
    direction, steps = process
    if direction == "forward":
        return "forward: noise is added to the true label"
    return f"reverse: a segmentation is sampled in {steps} steps"


def strips(case: Watched, traces: dict[tuple[str, int], pd.DataFrame], classes: list[str]) -> Figure:
    """A pair of rows per process: its states, and the segmentations read off them with errors in colour.

    traces: per process its times and scores (columns t and dsc) in its order. A process with few steps has its states
    under the times of the longest one nearest to its own.
    """
    longest = max((process for process in traces if process[0] == "reverse"), key=lambda p: len(traces[p]))
    columns = len(traces[longest])
    left, right, gap, first = 1.42, 0.06, 0.04, 0.1
    width = (WIDTH - left - right - gap * (columns - 1)) / columns
    height = min(width * case.label.shape[0] / case.label.shape[1], 1.6 * width)
    block = 0.2 + 0.14 + 2 * height + gap + 0.15 + 0.1
    handles = handles_of(classes, outline=False)
    legend_columns = min(5, len(handles))
    tall = first + len(traces) * block + 0.1 + 0.2 * math.ceil(len(handles) / legend_columns)
    figure = Figure(figsize=(WIDTH, tall))
    # One pair of axes in inches from the upper left corner, in which everything lies: one per picture takes long.
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()

    def show(picture: np.ndarray, x: float, y: float, w: float, h: float) -> None:
        ax.imshow(picture, extent=(x, x + w, y + h, y), interpolation="nearest", aspect="auto")

    side = 0.95
    tallest = min(side * case.label.shape[0] / case.label.shape[1], 1.6 * side)
    truth = overlay(case.image, case.label, case.label)
    for place, (name, picture) in enumerate((("image", rgb(case.image)), ("label", truth))):
        top = first + 0.34 + place * (tallest + 0.24)
        ax.text(0.05, top - 0.05, name, fontsize=8)
        show(picture, 0.05, top, side, tallest)
    largest, names = limit(case), ("latent", "decoded") if case.latent else ("state", "mask")
    reference = traces[longest]["t"].to_numpy()
    for row, (process, trace) in enumerate(traces.items()):
        top = first + row * block
        ax.text(left, top + 0.11, title(process), fontsize=8.5, fontweight="bold")
        top += 0.34
        for line, name in enumerate(names):
            middle = top + line * (height + gap) + height / 2
            ax.text(left - 0.07, middle, name, fontsize=7, rotation=90, va="center", ha="right")
        below = top + 2 * height + gap + 0.12
        ax.text(left - 0.07, below, "DSC", fontsize=7, ha="right")
        times = trace["t"].to_numpy()
        where = range(columns) if len(times) == columns else [int(np.abs(reference - t).argmin()) for t in times]
        pictures = zip(where, times, trace["dsc"], case.states[process], case.decoded[process], strict=True)
        for place, t, dsc, state, decoded in pictures:
            x = left + place * (width + gap)
            text = {"fontsize": 7, "ha": "center"}
            ax.text(x + width / 2, top - 0.03, f"t = {time_text(t)}" if t == times[0] else time_text(t), **text)
            show(grey(state, largest), x, top, width, height)
            show(overlay(case.image, case.label, decoded), x, top + height + gap, width, height)
            ax.text(x + width / 2, below, number(dsc, 2), **text)
    ax.set(xlim=(0, WIDTH), ylim=(tall, 0))
    figure.legend(handles=handles, loc="lower center", ncols=legend_columns, fontsize=8, handlelength=1.3)
    return figure


def dsc_by_time(panels: dict[str, list[Line]]) -> Figure:
    """A row per data set; forward processes on the left, reverse ones on the right. Both run from left to right."""
    labels = {line.label: line.look for lines in panels.values() for line in lines}
    legend_columns = min(3, len(labels))
    legend_rows = math.ceil(len(labels) / legend_columns)
    figure = Figure(figsize=(WIDTH, 2.6 * len(panels) + 0.2 * legend_rows + 0.3), layout="constrained")
    axes = figure.subplots(len(panels), 2, sharex="col", sharey=True, squeeze=False)
    for row, (dataset, lines) in zip(axes, panels.items()):
        for ax, direction in zip(row, ("forward", "reverse")):
            for line in lines:
                if line.direction == direction:
                    ax.plot(line.times, line.dsc, clip_on=False, **line.look.plot)
            ax.set_title(f"{dataset}, {direction}")
        row[0].set_ylabel("DSC")
    for ax, word in zip(axes[-1], ("noise is added", "noise is taken off")):
        ax.set_xlabel(f"time, as a share of the longest ({word} \u2192)")
    axes[0, 0].set(xlim=(0, 1), ylim=(0, 1))
    axes[0, 1].set_xlim(1, 0)
    handles = [axes[0, 0].plot([], [], label=label, **look.plot)[0] for label, look in labels.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns, handlelength=3.2)
    return figure
