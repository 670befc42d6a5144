"""The arms side by side: accuracy on real test images, and what share of real training images' it is."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.store.trial import TrialView
from reports.numbers import statistics
from reports.numbers.curves import POOLED, Curve
from reports.numbers.statistics import Estimate
from reports.numbers.study import Study
from reports.paper import words
from reports.paper.document import Table
from reports.paper.style import LOOKS, WIDTH, columns
from reports.sections.score_tables import INTERVAL, counted, keys, numbers
from reports.sections.trials import absences, of_dataset

REAL = "real"
"""Name of the arm of real training images (benchmarks.plan.arms)."""


def real_of(it: Study, dataset: str) -> Curve | None:
    """The arm of real training images, where it has a result."""
    return next((curve for curve in it.curves[dataset] if curve.variant.method == REAL), None)


def share(it: Study, curve: Curve, of: Curve) -> Estimate:
    """Mean DSC of an arm divided by that of another, on the cases that both have."""
    _, left, right = np.intersect1d(curve.cases, of.cases, return_indices=True)
    seeds = sorted(set(curve.seeds) & set(of.seeds))
    pair = [
        part.by_seed("dsc")[np.ix_([part.seeds.index(s) for s in seeds], [part.at(it.clean)], kept)][:, 0]
        for part, kept in ((curve, left), (of, right))
    ]
    return statistics.smooth(
        lambda y: y[..., 0] / np.maximum(y[..., 1], 1e-9), np.stack(pair, axis=1), curve.groups[left]
    )


def arms(it: Study, dataset: str) -> Table:
    """Every arm in the suite's order: what it was trained on, DSC by structure, pooled, and as a share of real's."""
    found = [curve for curve in it.curves[dataset] if curve.at(it.clean) is not None]
    parts = _parts(found)
    several = len(parts) > 1
    real = real_of(it, dataset)
    rows, data = [], []
    for curve in found:
        views = [v for v in of_dataset(it.results, dataset) if v.config.method.name == curve.variant.method]
        scores = [curve.mean(it.clean, "dsc", name) if curve.has("dsc", name) else None for name in parts]
        distance = curve.mean(it.clean, "hd95_penalised" if curve.has("hd95_penalised") else "hd95")
        of_real = None if real is None or curve is real else share(it, curve, real)
        sd, seconds = curve.seed_sd(it.clean), _training_seconds(views)
        rows.append(
            [it.names[curve.variant], _count(views),
             *(words.NOTHING if score is None else words.with_interval(score) for score in scores),
             words.with_interval(distance, 2), words.NOTHING if of_real is None else words.with_interval(of_real, 2),
             words.number(sd), words.duration(seconds)]
        )  # fmt: skip
        values = keys(curve) | {"training_images": _count(views)}
        for name, score in zip(parts, scores):
            values |= {} if score is None else numbers("dsc" if name == POOLED else f"dsc {name}", score)
        values |= numbers("hd95_penalised", distance) | {"sd_over_seeds": sd, "training_seconds": seconds, "note": ""}
        data.append(values | (numbers("share_of_real", of_real) if of_real is not None else {}))
    heads = [f"DSC {'pooled' if name == POOLED else name}" for name in parts] if several else ["DSC"]
    heads = ["trained on", "training images", *heads, f"HD95, {_unit(it, dataset)}", "DSC as share of Real's"]
    heads += ["SD over seeds", "training"]
    for absence in absences(it.results, dataset):
        rows.append([f"{absence.title}: {absence.words}", *[words.NOTHING] * (len(heads) - 1)])
        data.append({"dataset": dataset, "method": absence.title, "note": absence.words})
    caption = (
        f"{dataset}: {it.results.suite.get('segmenter')} trained on each arm's images, selected on real validation "
        f"images, tested on real ones; mean over {counted(it, found)} [{INTERVAL}], background excluded. Equal "
        "optimiser steps and settings. Both empty counts 1, one of both empty 0; distances count the diagonal there. "
        "Training: of the segmenter alone; the table of makers has what its images cost."
    )
    return Table(f"arms_{dataset}", caption, pd.DataFrame(rows, columns=heads), pd.DataFrame(data))


def by_image(it: Study, dataset: str) -> Table:
    """DSC by structure, mean ± SD over images: the form in which Echo from Noise prints its scores."""
    found = [curve for curve in it.curves[dataset] if curve.at(it.clean) is not None]
    parts = _parts(found)
    rows, data = [], []
    for curve in found:
        cells, values = [], keys(curve)
        for name in parts:
            if not curve.has("dsc", name):
                cells.append(words.NOTHING)
                continue
            table = curve.by_seed("dsc", name)[:, curve.at(it.clean)]
            # Of each training by itself: what trainings differ by is in the column of seeds.
            mean, sd = float(np.nanmean(table)), float(np.nanstd(table, axis=1, ddof=1).mean())
            cells.append(f"{words.number(mean)} \u00b1 {words.number(sd)}")
            values |= {f"dsc {name}": mean, f"sd {name}": sd}
        rows.append([it.names[curve.variant], *cells])
        data.append(values)
    heads = [name if name != POOLED else "pooled" if len(parts) > 1 else "DSC" for name in parts]
    caption = (
        f"{dataset}: DSC of {counted(it, found)}, mean ± SD over images, every image weighing the same and no interval "
        "given, as Echo from Noise prints its scores. The tables above weigh patients alike."
    )
    return Table(f"by_image_{dataset}", caption, pd.DataFrame(rows, columns=["trained on", *heads]), pd.DataFrame(data))


def _parts(found: list[Curve]) -> tuple[str, ...]:
    """What scores are shown of: what the arm with most unions has, since others may not have been tested again yet."""
    return max((curve.parts for curve in found), key=len, default=(POOLED,))


def _unit(it: Study, dataset: str) -> str:
    return next((v.config.dataset.distance_unit or "px" for v in of_dataset(it.results, dataset)), "px")


def _count(views: list[TrialView]) -> str:
    counts = sorted({view.config.dataset.cases.get("train", 0) for view in views})
    return ", ".join(map(str, counts))


def _training_seconds(views: list[TrialView]) -> float | None:
    taken = [cost["training_seconds"] for view in views if (cost := view.cost)]
    return sum(taken) / len(taken) if taken else None


def dots(it: Study, measured: list[str]) -> Figure:
    """Mean DSC of every arm with its interval, a panel each data set; a line at that of real training images."""
    beside = columns(len(measured))
    lines = max(len(it.curves[dataset]) for dataset in measured)
    rows = -(-len(measured) // beside)
    figure = Figure(figsize=(WIDTH, rows * (0.32 * lines + 0.8)), layout="constrained")
    panels = figure.subplots(rows, beside, squeeze=False)
    look = next(iter(LOOKS.values()))
    for ax, dataset in zip(panels.flat, measured):
        found = [curve for curve in it.curves[dataset] if curve.at(it.clean) is not None]
        for place, curve in enumerate(found):
            estimate = curve.mean(it.clean)
            ax.plot(estimate.value, place, marker="o", color=look.color)
            if estimate.has_interval:
                ax.hlines(place, estimate.low, estimate.high, color=look.color, linewidth=1.2)
        if real := real_of(it, dataset):
            ax.axvline(real.mean(it.clean).value, color="#999999", linewidth=0.8, linestyle=(0, (4, 2)))
        ax.set_yticks(range(len(found)), [it.names[curve.variant] for curve in found])
        ax.set_ylim(len(found) - 0.5, -0.5)
        ax.set(xlabel="DSC", title=dataset)
    for ax in list(panels.flat)[len(measured) :]:
        ax.remove()
    return figure


def dots_data(it: Study, measured: list[str]) -> pd.DataFrame:
    """What `dots` draws."""
    return pd.DataFrame(
        {"dataset": dataset, "arm": curve.variant.method} | numbers("dsc", curve.mean(it.clean))
        for dataset in measured
        for curve in it.curves[dataset]
        if curve.at(it.clean) is not None
    )
