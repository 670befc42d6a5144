"""Panels side by side over one legend, on a logarithmic axis of time."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from reports.paper import words
from reports.paper.style import WIDTH


def over_time(
    titles: Sequence[str], labels: tuple[str, str], handles: dict[str, Line2D], height: float = 2.9, columns: int = 4
) -> tuple[Figure, list[Axes]]:
    """The figure and a panel for each title, two in a row. labels: of the axes of time and of scores; handles: what the
    legend names; height: of a row in inches; columns: of the legend."""
    beside = min(2, len(titles))
    rows = math.ceil(len(titles) / beside)
    legend = 0.22 * math.ceil(len(handles) / columns) + 0.15
    total = height * rows + legend
    figure = Figure(figsize=(WIDTH, total))
    axes = list(figure.subplots(rows, beside, squeeze=False).flat)
    figure.subplots_adjust(
        left=0.7 / WIDTH, right=1 - 0.15 / WIDTH, top=1 - 0.3 / total, bottom=(legend + 0.45) / total,
        wspace=0.28, hspace=0.42,
    )  # fmt: skip
    for ax, title in zip(axes, titles):
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.duration(value)))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_title(title, loc="left")
        ax.set_xlabel(labels[0])
        ax.set_ylabel(labels[1])
    for ax in axes[len(titles) :]:
        ax.remove()
    figure.legend(
        list(handles.values()), list(handles), loc="lower center", ncols=columns, fontsize=8, handletextpad=0.4,
        columnspacing=1.0,
    )  # fmt: skip
    return figure, axes[: len(titles)]
