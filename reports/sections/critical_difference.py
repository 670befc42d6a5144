"""Critical-difference diagrams: methods by mean rank, bars joining those that are not told apart."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.numbers.curves import Variant
from reports.numbers.friedman import ALPHA, Friedman
from reports.paper.style import WIDTH, Look

ROW, HEAD, FOOT = 0.2, 0.95, 0.1
"""Inches: a line of text; above the axis; below the last method."""
CHARACTER = 0.058
"""Inches: the mean width of a character of a name."""


def draw(panels: dict[str, Friedman], names: dict[Variant, str], looks: dict[Variant, Look]) -> Figure:
    """panels: title -> test. One diagram below the other, the best method on the left."""
    figure = Figure(figsize=(WIDTH, 1))
    longest = max(len(names[curve.variant]) for test in panels.values() for curve in test.curves)
    # Beside the axis: the longest name and its rank.
    label = min(2.9, CHARACTER * (longest + len(" (12.34)")) + 0.1)
    drawn = []
    for title, test in panels.items():
        ax = figure.add_axes([label / WIDTH, 0, 1 - 2 * label / WIDTH, 1])
        drawn.append((ax, _diagram(ax, test, names, looks)))
        ax.set_title(title, loc="left", x=-label / (WIDTH - 2 * label) + 0.02, pad=40)
    heights = [HEAD + FOOT + ROW * rows for _, rows in drawn]
    total = sum(heights)
    figure.set_figheight(total)
    top = total
    for (ax, rows), height in zip(drawn, heights, strict=True):
        ax.set_position([label / WIDTH, (top - HEAD - ROW * rows) / total, 1 - 2 * label / WIDTH, ROW * rows / total])
        top -= height
    return figure


def _diagram(ax: Axes, test: Friedman, names: dict[Variant, str], looks: dict[Variant, Look]) -> float:
    """Draw into `ax` and return its height in lines."""
    from scikit_posthocs import critical_difference_diagram  # see reports.numbers.friedman

    methods = len(test.curves)
    # Places stand in for names, which need not differ between two methods.
    keys = [str(place) for place in range(methods)]
    nemenyi = test.nemenyi.set_axis(keys, axis=0).set_axis(keys, axis=1)
    colours = {key: looks[curve.variant].color for key, curve in zip(keys, test.curves)}
    artists = critical_difference_diagram(
        dict(zip(keys, test.mean_ranks)), nemenyi, alpha=ALPHA, ax=ax, color_palette=colours,
        label_fmt_left="{label}", label_fmt_right="{label}", text_h_margin=0.0, label_props={"fontsize": 8},
        elbow_props={"linewidth": 1.0, "clip_on": False}, marker_props={"s": 18, "clip_on": False},
        crossbar_props={"linewidth": 2.2, "color": "#333333", "clip_on": False},
    )  # fmt: skip
    left, right = 1, methods
    for (bar,) in artists["crossbars"]:
        # A little longer than what it joins: methods of one rank are to have a bar, too.
        low, high = min(bar.get_xdata()), max(bar.get_xdata())
        bar.set_data([low - 0.007 * (right - left), high + 0.007 * (right - left)], [bar.get_ydata()[0]] * 2)
    for text, elbow in zip(artists["labels"], artists["elbows"], strict=True):
        place = int(text.get_text())
        on_left = text.get_ha() == "right"
        edge = left if on_left else right
        elbow.set_xdata([edge, *elbow.get_xdata()[1:]])
        rank = f"({test.mean_ranks[place]:.2f})"
        name = names[test.curves[place].variant]
        text.set_color("black")
        text.set_x(edge - (0.01 if on_left else -0.01) * (right - left))
        text.set_text(f"{name} {rank}" if on_left else f"{rank} {name}")
    rows = 1 - min(float(text.get_position()[1]) for text in artists["labels"])
    ax.set_xlim(left, right)
    ax.set_ylim(1 - rows - 0.6, 0)
    ax.grid(False)
    ax.spines["top"].set_visible(True)
    ticks = np.arange(left, right + 1)
    ax.set_xticks(ticks[:: max(1, len(ticks) // 8)])
    ax.plot([left, left + test.critical], [1.9, 1.9], color="black", linewidth=1.4, clip_on=False)
    ax.annotate(
        f"critical difference {test.critical:.2f}", (left + test.critical, 1.9), xytext=(5, 0),
        textcoords="offset points", va="center", fontsize=8, annotation_clip=False,
    )  # fmt: skip
    return rows + 0.6 - 1
