"""All scores of one segmented case of a data set, on the case's own grid."""

from typing import Any

import numpy as np

from benchmarks.plan.trials import Unions
from benchmarks.testing.metrics import POOLED, score
from benchmarks.testing.objects import COLUMNS, object_scores
from datasets.prepared import Prepared


def case_scores(
    data: Prepared, index: int, prediction: np.ndarray, tolerance: float | None = None
) -> list[dict[str, Any]]:
    """A row per foreground class and one pooled, as `metrics.score` gives them, with the columns of
    `objects.object_scores`: of data that tell objects apart in the pooled row, else NaN.

    prediction: integers (*spatial) on the grid of `data.truth(index)`; tolerance: of NSD, in `data.unit(index)`.
    """
    label, spacing = data.truth(index)
    rows = score(prediction, label, list(data.class_names), spacing, tolerance)
    for row in rows:
        row |= dict.fromkeys(COLUMNS, float("nan"))
        if row["class"] == POOLED and data.instances is not None:
            row |= object_scores(prediction > 0, data.instances[index], spacing)
    return rows


def union_scores(
    data: Prepared, index: int, prediction: np.ndarray, unions: Unions, tolerance: float | None = None
) -> list[dict[str, Any]]:
    """A row for each union of classes, which is scored as one class: its DSC is that of the united masks, such as that
    of the left ventricle within its outer wall. Arguments as of `case_scores`."""
    label, spacing = data.truth(index)
    rows = []
    for name, parts in unions:
        values = [1 + list(data.class_names).index(part) for part in parts]
        masks = [np.isin(part, values).astype(np.uint8) for part in (prediction, label)]
        rows.append(score(*masks, [name], spacing, tolerance)[0])
    return rows
