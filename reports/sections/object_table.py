"""Scores of objects, such as glands, for each part of the test set that the owners of the data report on apart."""

import numpy as np
import pandas as pd

from reports.numbers import statistics
from reports.numbers.curves import Curve
from reports.numbers.study import Study
from reports.paper import words
from reports.paper.document import Table
from reports.sections.distances import unit
from reports.sections.score_tables import INTERVAL, by_score, keys, numbers, under

METRICS = ("object_f1", "object_dice", "object_hausdorff")


def table(it: Study, dataset: str) -> Table | None:
    """Methods by falling DSC, a row for each part of the test set and one for all of it; None where the records of a
    data set have no object scores."""
    found = [curve for curve in by_score(it, it.curves[dataset]) if all(curve.has(metric) for metric in METRICS)]
    if not found:
        return None
    records = it.results.records[it.results.records["dataset"] == dataset]
    subset = records.drop_duplicates("case").set_index("case")["subset"]
    parts = sorted(subset.dropna().astype(str).unique())
    rows, data = [], []
    for curve in found:
        of_case = subset.reindex(curve.cases).to_numpy()
        for part in [*parts, None]:
            chosen = np.full(len(curve.cases), True) if part is None else of_case == part
            shown = part or (words.listing(parts) if len(parts) > 1 else "all")
            scores = {metric: _mean(curve, it.clean, metric, chosen) for metric in METRICS}
            rows.append(
                [it.names[curve.variant], shown, str(chosen.sum()),
                 *(words.with_interval(scores[m], 2 if m == "object_hausdorff" else 3) for m in METRICS)]
            )  # fmt: skip
            values = {name: value for m, estimate in scores.items() for name, value in numbers(m, estimate).items()}
            data.append(keys(curve) | {"part": shown, "cases": int(chosen.sum())} | values)
    columns = ["method", "part", "cases", "object F1", "object Dice", f"object Hausdorff{unit(it, dataset)}"]
    caption = (
        f"{dataset}: scores of objects, connected components of the prediction against the released instances, mean "
        f"over {it.unit(dataset)}s{under(it)} [{INTERVAL}]. F1: an object is found by a component that covers more "
        "than half of it. Dice and Hausdorff distance: of each object with the component that overlaps it most and of "
        "each component likewise, weighted by area; where one side has no object, the distance is the diagonal of the "
        "image (Sirinukunwattana et al. 2017)."
    )
    return Table(f"objects_{dataset}", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def _mean(curve: Curve, sigma: float, metric: str, chosen: np.ndarray) -> statistics.Estimate:
    """Mean over the chosen cases (N,), by patient."""
    highest = np.inf if metric == "object_hausdorff" else 1.0
    scores = curve.by_seed(metric)[:, curve.at(sigma)]
    return statistics.mean(scores[:, chosen], curve.groups[chosen], bounds=(0.0, highest))
