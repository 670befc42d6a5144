"""What the uncertainty report compares, with its tests: methods by how well their SD tells the error, the SD with the
mean's own confidence, and the mean of all runs with a single run."""

from dataclasses import replace

import numpy as np
import pandas as pd

from reports.numbers.collapse import any_collapsed
from reports.numbers.hypotheses import Margin
from reports.numbers.spread import Spread
from reports.numbers.statistics import Pair
from reports.numbers.study import Study
from reports.numbers.verdicts import Tested, tested
from reports.paper.document import Table
from reports.sections.score_tables import TEST_CELLS, numbers, test_cells, test_columns

MARGIN = 0.01
"""AUROC: what differs by less tells the error as well."""


def between(found: list[Spread], declared: Margin) -> list[tuple[Spread, Spread, Tested]]:
    """AUROC of the SD: the first method minus each other, case by case; one family. Methods whose runs are all alike
    have an SD that tells nothing, and are left out."""
    spread = [one for one in found if not one.constant]
    if len(spread) < 2:
        return []
    first, *others = spread
    fallen = [_fallen(first, other) for other in others]
    results = tested([_paired(first, other) for other in others], _of_auroc(declared), collapsed=fallen)
    return [(first, other, result) for other, result in zip(others, results, strict=True) if result is not None]


def _fallen(*spreads: Spread) -> bool:
    return any_collapsed([one.curve for one in spreads], float(spreads[0].curve.sigmas[0]))


def _of_auroc(declared: Margin) -> Margin:
    """The same, a failure being one of AUROC."""
    return replace(declared, within=MARGIN)


def _paired(first: Spread, second: Spread) -> Pair | None:
    """AUROC of both, each (seeds, cases), over the images both have."""
    _, left, right = np.intersect1d(first.curve.cases, second.curve.cases, return_indices=True)
    values = first.of("auroc")[:, left], second.of("auroc")[:, right]
    both = np.isfinite(values[0]).any(axis=0) & np.isfinite(values[1]).any(axis=0)
    return (*values, first.curve.groups[left]) if both.any() else None


def beyond_confidence(found: list[Spread], declared: Margin) -> list[tuple[Spread, Tested]]:
    """AUROC of the SD minus that of 1 - confidence of the mean, of the methods whose runs differ; one family."""
    return _within([one for one in found if not one.constant], "auroc", "auroc_confidence", _of_auroc(declared))


def gains(found: list[Spread], declared: Margin) -> list[tuple[Spread, Tested]]:
    """DSC of the segmentation by the mean of all runs minus the mean DSC of single runs; one family."""
    return _within(found, "dsc", "run_dsc", declared)


def _within(found: list[Spread], first: str, second: str, margin: Margin) -> list[tuple[Spread, Tested]]:
    """One column minus another of the same trainings: what a training adds to both cancels, seed by seed."""
    values = [one.of(first) - one.of(second) for one in found]
    pairs = [(value, np.zeros_like(value), one.curve.groups) if np.isfinite(value).any() else None
             for one, value in zip(found, values)]  # fmt: skip
    results = tested(pairs, margin, collapsed=[_fallen(one) for one in found])
    return [(one, result) for one, result in zip(found, results, strict=True) if result is not None]


def table(it: Study, found: dict[str, list[Spread]]) -> Table | None:
    """All of these, by data set; None where there is nothing to compare."""
    rows, data = [], []

    def add(dataset: str, what: str, names: str, keys: dict, tested: Tested) -> None:
        rows.append([dataset, names, what, *test_cells(*tested)])
        data.append({"dataset": dataset, "of": what} | keys | numbers("difference", tested[0]) | test_columns(*tested))

    for dataset, spreads in found.items():
        for first, second, result in between(spreads, it.margin):
            names = " − ".join(it.names[one.curve.variant] for one in (first, second))
            keys = {"first": first.curve.variant.key, "second": second.curve.variant.key}
            add(dataset, "AUROC of the SD", names, keys, result)
        for what, results in (
            ("AUROC of the SD − of 1 − confidence", beyond_confidence(spreads, it.margin)),
            ("DSC of the mean − of one run", gains(spreads, it.margin)),
        ):
            for one, result in results:
                add(dataset, what, it.names[one.curve.variant], {"first": one.curve.variant.key, "second": ""}, result)
    if not rows:
        return None
    caption = (
        "What was compared, case by case: the first method's SD with that of the others, the SD with the mean's own "
        "confidence, and the mean of all runs with a single one. Tests as docs/statistics.md explains them, "
        f"equivalence within {MARGIN:g} AUROC and {it.margin.within:g} DSC; Holm's families: of each data set the "
        "rows of one kind."
    )
    columns = ["data set", "method", "of", *TEST_CELLS]
    return Table("uncertainty_differences", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))
