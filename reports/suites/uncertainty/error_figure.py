"""Whether spread and confidence tell of errors: risk by coverage, reliability, and spread against error by image."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reports.numbers import statistics
from reports.numbers.curves import Variant
from reports.numbers.spread import Spread
from reports.paper import words
from reports.paper.style import WIDTH, Look
from reports.sections.score_tables import keys

RARE = 1e-4
"""Bins with a smaller share of the pixels are not drawn: a few pixels have an accuracy of their own."""
Panels = dict[str, list[Spread]]


def risks(panels: Panels, names: dict[Variant, str], looks: dict[Variant, Look]) -> Figure:
    """A row per data set: risk by coverage over the pixels of an image, and over images."""
    figure, axes = _grid(panels, names, looks, 2, 2.5)
    for row, (dataset, found) in zip(axes, panels.items()):
        for spread in found:
            look = looks[spread.curve.variant]
            row[0].plot(spread.coverages, _pixel_risks(spread), markevery=4, **look.plot)
            row[1].plot(*_image_risks(spread), markevery=max(1, len(spread.curve.cases) // 6), **look.plot)
        row[0].set_title(f"{dataset}: pixels", loc="left")
        row[1].set_title(f"{dataset}: images", loc="left")
        row[0].set(xlabel="share of pixels kept, most certain first", ylabel="share of wrong pixels")
        row[1].set(xlabel="share of images kept, most certain first", ylabel="mean 1 − DSC")
        for ax in row:
            ax.set_xlim(0, 1.02)
            ax.set_ylim(0, max(ax.get_ylim()[1], 0.01))
    return figure


def _pixel_risks(spread: Spread) -> np.ndarray:
    """(coverages,) mean over groups of cases and over trainings."""
    by_case = np.nanmean(spread.pixel_risks, axis=0)
    return np.array([statistics.group_means(row, spread.curve.groups).mean() for row in by_case])


def _image_risks(spread: Spread) -> tuple[np.ndarray, np.ndarray]:
    """(coverage, risk), each (cases,): mean over trainings."""
    found = [spread.image_risks(place) for place in range(len(spread.values))]
    return found[0][0], np.mean([risk for _, risk in found], axis=0)


def risk_data(panels: Panels) -> pd.DataFrame:
    """What `risks` draws."""
    rows = []
    for spread in (s for found in panels.values() for s in found):
        parts = {"pixels": (spread.coverages, _pixel_risks(spread)), "images": _image_risks(spread)}
        rows += [
            keys(spread.curve) | {"over": over, "coverage": coverage, "risk": risk}
            for over, part in parts.items() for coverage, risk in zip(*part)
        ]  # fmt: skip
    return pd.DataFrame(rows)


def reliability(panels: Panels, names: dict[Variant, str], looks: dict[Variant, Look]) -> Figure:
    """Accuracy against confidence, over the pixels of all images of a data set; larger markers hold more pixels."""
    columns = min(2, len(panels))
    figure, axes = _grid(dict.fromkeys(range(-(-len(panels) // columns)), sum(panels.values(), [])),
                         names, looks, columns, 3.0)  # fmt: skip
    for ax, (dataset, found) in zip(axes.flat, panels.items()):
        ax.plot([0, 1], [0, 1], color="#888888", linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
        lowest = 1.0
        for spread in found:
            share, confidence, accuracy = _bins(spread)
            shown = share >= RARE
            lowest = min([lowest, *confidence[shown], *accuracy[shown]])
            look = looks[spread.curve.variant]
            ax.plot(confidence[shown], accuracy[shown], color=look.color, linestyle=look.line)
            sizes = 8 + 90 * np.sqrt(share[shown])
            ax.scatter(confidence[shown], accuracy[shown], sizes, look.color, marker=look.marker)
        ax.set_title(dataset, loc="left")
        ax.set(xlabel="confidence", ylabel="accuracy", xlim=(lowest - 0.03, 1.02), ylim=(lowest - 0.03, 1.03))
    for ax in axes.flat[len(panels) :]:
        ax.remove()
    return figure


def _bins(spread: Spread) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(share of the pixels, mean confidence, accuracy) of every bin that holds any."""
    count, confidence, correct = spread.bins().sum(axis=(0, -1))
    held = count > 0
    return count[held] / count.sum(), confidence[held] / count[held], correct[held] / count[held]


def reliability_data(panels: Panels) -> pd.DataFrame:
    """What `reliability` draws."""
    return pd.DataFrame(
        keys(spread.curve) | {"share_of_pixels": share, "confidence": confidence, "accuracy": accuracy}
        for found in panels.values() for spread in found for share, confidence, accuracy in zip(*_bins(spread))
    )  # fmt: skip


def images(panels: Panels, names: dict[Variant, str], looks: dict[Variant, Look]) -> Figure:
    """Mean SD against 1 - DSC, a dot per image; a row per data set, a panel per method, each with its own SD scale."""
    columns = max(len(found) for found in panels.values())
    shown = min(4, columns)
    cells = [(d, found[k : k + shown]) for d, found in panels.items() for k in range(0, len(found), shown)]
    figure = Figure(figsize=(max(2.6, WIDTH * shown / 4), 2.15 * len(cells) + 0.1), layout="constrained")
    axes = figure.subplots(len(cells), shown, squeeze=False, sharey="row")
    for row, (dataset, found) in zip(axes, cells):
        for ax, spread in zip(row, found):
            look = looks[spread.curve.variant]
            ax.plot(spread.of("mean_sd").ravel(), 1 - spread.of("dsc").ravel(), linestyle="none",
                    **{k: v for k, v in look.plot.items() if k != "linestyle"})  # fmt: skip
            title = names[spread.curve.variant].replace(" (", "\n(")
            ax.set_title(f"{title}\nρ = {words.number(spread.spearman.value, 2)}", fontsize=8.5)
            ax.set_xlabel("mean SD")
            ax.xaxis.set_major_locator(MaxNLocator(3))
            ax.ticklabel_format(axis="x", scilimits=(-3, 3))
            if not spread.of("mean_sd").any():
                ax.set_xlim(-0.01, 0.1)
        row[0].set_ylabel(f"{dataset}\n1 − DSC")
        row[0].set_ylim(0, max(1.08 * max((1 - spread.of("dsc")).max() for spread in found), 0.01))
        for ax in row[len(found) :]:
            ax.set_axis_off()
    return figure


def image_data(panels: Panels) -> pd.DataFrame:
    """What `images` draws."""
    return pd.DataFrame(
        keys(spread.curve) | {"seed": seed, "case": case, "group": group, "mean_sd": sd, "dsc": dsc}
        for found in panels.values() for spread in found
        for seed, sds, scores in zip(spread.curve.seeds, spread.of("mean_sd"), spread.of("dsc"))
        for case, group, sd, dsc in zip(spread.curve.cases, spread.curve.groups, sds, scores)
    )  # fmt: skip


def _grid(
    panels: dict[Any, list[Spread]], names: dict[Variant, str], looks: dict[Variant, Look], columns: int, height: float
) -> tuple[Figure, np.ndarray]:
    """A figure with a row of axes per panel and one legend of the methods below."""
    shown = [v for v in names if any(s.curve.variant == v for found in panels.values() for s in found)]
    narrow = columns == 1 or max(len(names[v]) for v in shown) > 22
    legend_columns = min(2 if narrow else 4, len(shown))
    figure = Figure(
        figsize=(WIDTH if columns > 1 else 4.6, height * len(panels) + 0.2 * -(-len(shown) // legend_columns) + 0.2),
        layout="constrained",
    )
    axes = figure.subplots(len(panels), columns, squeeze=False)
    handles = [Line2D([], [], label=names[v], **looks[v].plot) for v in shown]
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns, handlelength=3.6)
    return figure, axes
