"""DSC where a method was trained and elsewhere: a panel for each pair of data sets."""

import math

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.numbers.curves import Variant
from reports.numbers.shift import Shifts
from reports.paper.style import WIDTH, Look

OWN, THERE, NATIVE = "tested where it was trained", "tested elsewhere", "the same cases, when trained there"


def drops(it: Shifts, looks: dict[Variant, Look]) -> Figure:
    """Of every variant its mean DSC on its own data set (filled), on the other (hollow), with 95 % intervals, and what
    it has on the other when it is trained there (a cross)."""
    panels = {pair: found for pair, found in it.found.items() if found}
    columns = min(2, len(panels))
    rows, most = math.ceil(len(panels) / columns), max(map(len, panels.values()))
    figure = Figure(figsize=(WIDTH, rows * (0.36 * most + 0.85) + 0.35), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, squeeze=False)
    for ax, ((trained, there), found) in zip(axes.flat, panels.items()):
        for place, one in enumerate(found):
            color = looks[one.variant].color
            means = [curve.mean(it.home.clean) for curve in (one.own, one.there)]
            ax.annotate(
                "", (means[1].value, place), (means[0].value, place),
                arrowprops={"arrowstyle": "-|>", "color": color, "alpha": 0.5, "shrinkA": 4, "shrinkB": 4},
            )  # fmt: skip
            for estimate, shift, face in zip(means, (-0.13, 0.13), (color, "white")):
                if estimate.has_interval:
                    ax.hlines(place + shift, estimate.low, estimate.high, color=color, linewidth=1, alpha=0.8)
                ax.plot(estimate.value, place, "o", color=color, markerfacecolor=face, markersize=6, zorder=3)
            if one.native is not None:
                ax.plot(one.native.mean(it.home.clean).value, place, "x", color="#333333", markersize=6, zorder=4)
        ax.set_yticks(range(len(found)), [it.home.names[one.variant] for one in found])
        ax.set_ylim(len(found) - 0.5, -0.5)
        ax.set_title(f"trained on {trained},\ntested on {there}")
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    for ax in axes[-1]:
        ax.set_xlabel("DSC")
    handles = [
        Line2D([], [], color="#555555", marker="o", linestyle="none", label=OWN),
        Line2D([], [], color="#555555", marker="o", markerfacecolor="white", linestyle="none", label=THERE),
    ]
    if any(one.native is not None for found in panels.values() for one in found):
        handles.append(Line2D([], [], color="#333333", marker="x", linestyle="none", label=NATIVE))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure
