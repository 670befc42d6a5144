"""Scores of objects, as the GlaS challenge ranks its entries: whether each gland was found, and how well drawn.

Sirinukunwattana et al. 2017, Gland segmentation in colon histology images: the GlaS challenge contest, Medical Image
Analysis 35, 489-502, section 4. Predicted objects S are the connected components of the prediction, corners included;
true objects G come with the data.
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import label

from benchmarks.testing.pairs import Objects, Pairs
from benchmarks.testing.surfaces import diagonal

COLUMNS = ("object_f1", "object_dice", "object_hausdorff")
FOUND = 0.5
"""Share of a true object that the predicted one covering most of it must exceed: the paper asks for half, the
challenge's own code for more than half, so that no two can have found the same object."""


def object_scores(
    prediction: np.ndarray, instances: np.ndarray, spacing: Sequence[float] | None = None
) -> dict[str, float]:
    """`COLUMNS` of one case.

    prediction: bool (*spatial); instances: integers (*spatial), 0 = background, every other number an object; spacing:
    length of a voxel along each axis, None for 1.

    object_f1:        2 TP / (2 TP + FP + FN), in [0, 1]. Each predicted object belongs to the true one that it overlaps
                      most; it is a true positive if it covers more than half of it. True objects that no predicted one
                      has found are false negatives.
    object_dice:      mean of the Dice coefficients of all true objects, each with the predicted one that overlaps it
                      most, weighted by area, and of all predicted objects likewise; half of each (equation 3). What
                      has no partner counts 0.
    object_hausdorff: the same of Hausdorff distances between the objects' voxels, in the unit of the spacing (equation
                      5). An object that overlaps none is paired with the nearest.

    Neither has objects: 1, 1 and 0. One has none: 0, 0 and the diagonal of the grid, where the challenge has infinity.
    Raises ValueError where the shapes differ.
    """
    if prediction.shape != instances.shape:
        raise ValueError(f"the prediction has shape {prediction.shape}, the instances {instances.shape}; expected one.")
    predicted, _ = label(prediction, np.ones((3,) * prediction.ndim))
    # Numbers without gaps, so that they are places in a table.
    present = np.bincount(instances.ravel()) > 0
    present[0] = True
    true = (np.cumsum(present) - 1)[instances]
    common = _common(predicted, true)
    if common.shape[0] == 1 or common.shape[1] == 1:
        perfect = common.shape == (1, 1)
        worst = 0.0 if perfect else diagonal(instances.shape, spacing)
        return dict(zip(COLUMNS, (float(perfect), float(perfect), worst), strict=True))
    areas = common.sum(1)[1:], common.sum(0)[1:]
    common = common[1:, 1:]
    pairs = Pairs(Objects(predicted, spacing), Objects(true, spacing), common)
    return {
        "object_f1": _f1(common, areas[1]),
        "object_dice": _object_dice(common, *areas),
        "object_hausdorff": _object_hausdorff(*areas, pairs),
    }


def _common(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """(predicted objects + 1, true objects + 1): voxels in both, the background being number 0."""
    shape = int(predicted.max()) + 1, int(true.max()) + 1
    return np.bincount((predicted.astype(np.int64) * shape[1] + true).ravel(), minlength=shape[0] * shape[1]).reshape(
        shape
    )


def _f1(common: np.ndarray, true_areas: np.ndarray) -> float:
    """From the voxels in common (predicted, true)."""
    partner = common.argmax(1)
    covered = common[np.arange(len(common)), partner] / true_areas[partner]
    found = int((covered > FOUND).sum())
    return 2 * found / sum(common.shape)


def _object_dice(common: np.ndarray, predicted_areas: np.ndarray, true_areas: np.ndarray) -> float:
    """Equation 3."""
    dice = 2 * common / (predicted_areas[:, None] + true_areas)
    of_predicted = dice[np.arange(len(common)), common.argmax(1)]
    of_true = dice[common.argmax(0), np.arange(common.shape[1])]
    return float(np.average(of_predicted, weights=predicted_areas) + np.average(of_true, weights=true_areas)) / 2


def _object_hausdorff(predicted_areas: np.ndarray, true_areas: np.ndarray, pairs: Pairs) -> float:
    """Equation 5."""
    of_predicted = [
        pairs.distance(s, int(row.argmax())) if row.any() else pairs.nearest_true(s)
        for s, row in enumerate(pairs.common)
    ]
    of_true = [
        pairs.distance(int(row.argmax()), g) if row.any() else pairs.nearest_predicted(g)
        for g, row in enumerate(pairs.common.T)
    ]
    return float(np.average(of_predicted, weights=predicted_areas) + np.average(of_true, weights=true_areas)) / 2
