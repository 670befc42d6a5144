"""What the points of a figure stand for, and where in the picture they lie: a page says the value under the pointer."""

import json
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

MOST_POINTS = 60
"""Of a line: of more, evenly spread ones."""


def write(figure: Figure, path: Path) -> None:
    """The points of every line of a figure that is drawn, as JSON: x and y (their axes' names), and for each line its
    name and its points (share of the picture's width from the left, of its height from the top, x, y as text).
    Nothing is written for a figure without any."""
    named = _legend(figure)
    lines = [found for ax in figure.axes for line in ax.lines if (found := _line(ax, line, named)) is not None]
    if lines:
        path.write_text(json.dumps({"lines": lines}, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def _legend(figure: Figure) -> dict[tuple[str, str], str]:
    """Names of lines by (colour, marker), as the figure's legends have them."""
    found = {}
    for legend in [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend())]:
        for handle, text in zip(legend.legend_handles, legend.get_texts()):
            if isinstance(handle, Line2D):
                found.setdefault(_look(handle), text.get_text())
    return found


def _look(line: Line2D) -> tuple[str, str]:
    return to_hex(line.get_color()), str(line.get_marker())


def _line(ax: Axes, line: Line2D, named: dict[tuple[str, str], str]) -> dict | None:
    """None for what are no points: intervals, rules, and lines in other coordinates than those of the axes."""
    given = np.column_stack([np.asarray(axis, float) for axis in line.get_data(orig=False)])
    bare = line.get_marker() in ("None", "", None)
    if not line.get_visible() or line.get_transform() != ax.transData or (bare and len(given) < 3):
        return None
    data = given[np.isfinite(given).all(axis=1)]
    if len(data) > MOST_POINTS:
        data = data[np.linspace(0, len(data) - 1, MOST_POINTS).astype(int)]
    where = ax.transData.transform(data) / ax.figure.bbox.size if len(data) else data
    inside = [k for k, (x, y) in enumerate(where) if 0 <= x <= 1 and 0 <= y <= 1]
    if not inside:
        return None
    own = str(line.get_label())
    name = named.get(_look(line), "") if own.startswith("_") else own
    axis_x, axis_y = _name(ax, "x"), _name(ax, "y")
    points = [
        [round(where[k][0], 4), round(1 - where[k][1], 4), _said(ax.xaxis, data[k][0]), _said(ax.yaxis, data[k][1])]
        for k in inside
    ]
    title = ax.get_title("left") or ax.get_title()
    return {"name": ": ".join(filter(None, [title, name])), "x": axis_x, "y": axis_y, "points": points}


def _name(ax: Axes, which: str) -> str:
    """The label of an axis, or of the one that it shares, or of a panel beside or below that has one; nothing for an
    axis of words."""
    place = ax.get_position()
    same = [
        other
        for other in ax.figure.axes
        if abs((other.get_position().y0 - place.y0) if which == "y" else (other.get_position().x0 - place.x0)) < 0.02
    ]
    shared = getattr(ax, f"get_shared_{which}_axes")().get_siblings(ax)
    labels = (getattr(other, f"get_{which}label")() for other in [ax, *shared, *same])
    return next((label for label in labels if label), "")


def _said(axis: Axis, value: float) -> str:
    """A value as text: in the words of the axis where it has words, such as names of methods or 84 ms."""
    formatter = axis.get_major_formatter()
    if isinstance(formatter, FuncFormatter):
        text = str(formatter(value))
        if any(letter.isalpha() for letter in text) and "$" not in text:
            return text
    return f"{value:.4g}".replace("-", "\u2212")
