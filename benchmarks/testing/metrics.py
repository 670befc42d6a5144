"""Overlap and surface distance of one predicted label map, per class and pooled over the foreground classes."""

from collections.abc import Sequence

import numpy as np

from benchmarks.testing.surfaces import Distances, diagonal, distances

POOLED = "all"


def score(
    prediction: np.ndarray,
    label: np.ndarray,
    class_names: Sequence[str],
    spacing: Sequence[float] | None,
    tolerance: float | None = None,
) -> list[dict]:
    """Scores of one case: a row per foreground class, then a row "all" pooled over them.

    prediction, label: integers (*spatial) in 0..len(class_names), 0 = background, k + 1 = class_names[k]; spacing:
    length of a voxel along each axis, or None for distances in voxels; tolerance: of NSD, in the same unit. Columns of
    a row:

    class:      name of the class, or "all".
    dsc, iou:   Dice similarity coefficient 2|P n L| / (|P| + |L|) and intersection over union, in [0, 1]; in the row
                "all" the counts are summed over the classes before the division.
    nsd:        normalised surface distance, or surface Dice (Nikolov et al. 2021, J Med Internet Res 23, e26151): the
                share of both masks' surface voxels that the other surface is no farther from than the tolerance, in
                [0, 1]; pooled like dsc; NaN without a tolerance.
    hd95, assd: the larger of the two directed 95th percentiles of the surface distance, and the average symmetric
                surface distance (mean over the surface voxels of both masks); >= 0. Row "all": mean over the classes.
    hd95_penalised, assd_penalised: the same with a value where the distance is undefined.
    empty:      which mask is empty: "", "both", "label" or "prediction"; in the row "all", that of all foreground.

    Empty masks: both empty is a perfect score (1 for overlap, 0 for distance). One empty is 0 for overlap and NaN for
    distance, which makes the distance of "all" NaN too; penalised, it is the diagonal of the grid, longer than any
    distance on it. Where only one of all foregrounds is empty, so is the penalised distance of "all": the mean over the
    classes would reward a prediction without any foreground for the classes that are not in the label.
    Raises ValueError where shapes or values do not fit.
    """
    _check(prediction, label, len(class_names), spacing)
    worst = diagonal(label.shape, spacing)
    rows, found = [], []
    for value, name in enumerate(class_names, start=1):
        p, y = prediction == value, label == value
        common, volume = np.count_nonzero(p & y), np.count_nonzero(p) + np.count_nonzero(y)
        found.append(distances(p, y, spacing))
        empty = _empty(p, y)
        row = {"class": name, **_overlap(common, volume), "nsd": _nsd(found[-1:], tolerance)}
        rows.append(row | _lengths(found[-1], empty, worst) | {"empty": empty})
    empty = _empty(prediction > 0, label > 0)
    pooled = {"class": POOLED, **_overlap(*_pooled_counts(prediction, label)), "nsd": _nsd(found, tolerance)}
    pooled |= {name: float(np.mean([row[name] for row in rows])) for name in LENGTHS}
    if empty in ("label", "prediction"):
        pooled |= {f"{name}_penalised": worst for name in ("hd95", "assd")}
    return [*rows, pooled | {"empty": empty}]


def pooled_dsc(prediction: np.ndarray, label: np.ndarray, classes: int) -> float:
    """DSC of the row "all" alone; `classes` is the number of foreground classes. See `score`."""
    _check(prediction, label, classes, None)
    return _overlap(*_pooled_counts(prediction, label))["dsc"]


def class_dsc(prediction: np.ndarray, label: np.ndarray, classes: int) -> list[float]:
    """DSC of each of the `classes` foreground classes, then that of the row "all". See `score`."""
    _check(prediction, label, classes, None)
    found = []
    for value in range(1, classes + 1):
        p, y = prediction == value, label == value
        found.append(_overlap(np.count_nonzero(p & y), np.count_nonzero(p) + np.count_nonzero(y))["dsc"])
    return [*found, _overlap(*_pooled_counts(prediction, label))["dsc"]]


def _pooled_counts(prediction: np.ndarray, label: np.ndarray) -> tuple[int, int]:
    """Sums over the foreground classes of |P n L| and of |P| + |L|."""
    foreground = label > 0
    volume = np.count_nonzero(prediction) + np.count_nonzero(foreground)
    return np.count_nonzero((prediction == label) & foreground), volume


def _overlap(common: int, volume: int) -> dict[str, float]:
    """DSC and IoU from |P n L| and |P| + |L|."""
    if volume == 0:
        return {"dsc": 1.0, "iou": 1.0}
    return {"dsc": float(2 * common / volume), "iou": float(common / (volume - common))}


def _nsd(found: Sequence[Distances], tolerance: float | None) -> float:
    """NSD of one class or, the counts being summed, of several."""
    if tolerance is None:
        return float("nan")
    voxels = sum(one.voxels for one in found)
    return sum(one.within(tolerance) for one in found) / voxels if voxels else 1.0


LENGTHS = ("hd95", "assd", "hd95_penalised", "assd_penalised")


def _lengths(found: Distances, empty: str, worst: float) -> dict[str, float]:
    """Distances of a class, `LENGTHS`."""
    if empty == "both":
        return dict.fromkeys(LENGTHS, 0.0)
    if empty:
        undefined = float("nan")
        return dict(zip(LENGTHS, (undefined, undefined, worst, worst), strict=True))
    hd95, assd = found.hd95, found.assd
    return dict(zip(LENGTHS, (hd95, assd, hd95, assd), strict=True))


def _empty(p: np.ndarray, y: np.ndarray) -> str:
    return {(True, True): "", (False, False): "both", (True, False): "label", (False, True): "prediction"}[
        bool(p.any()), bool(y.any())
    ]


def _check(prediction: np.ndarray, label: np.ndarray, classes: int, spacing: Sequence[float] | None) -> None:
    if prediction.shape != label.shape:
        raise ValueError(f"the prediction has shape {prediction.shape}, the label {label.shape}; expected the same.")
    for name, values in (("prediction", prediction), ("label", label)):
        if values.dtype.kind not in "ui":
            raise ValueError(f"the {name} is {values.dtype}, expected integers.")
        if values.size == 0 or values.min() < 0 or values.max() > classes:
            raise ValueError(f"the {name} holds {np.unique(values).tolist()}, expected values from 0 to {classes}.")
    if spacing is not None and len(spacing) != label.ndim:
        raise ValueError(
            f"spacing is {tuple(spacing)}, expected {label.ndim} numbers for a label of shape {label.shape}."
        )
