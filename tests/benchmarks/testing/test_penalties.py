"""Surface Dice, distances with a penalty, and what no prediction can gain from: properties over random label maps."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

from benchmarks.testing.metrics import score
from benchmarks.testing.surfaces import diagonal
from tests.benchmarks.testing.test_metrics import random_labels, surface_by_hand

NAMES = ["a", "b"]
HIGHER, LOWER = ("dsc", "iou", "nsd"), ("hd95_penalised", "assd_penalised")


def nsd_by_hand(p, y, spacing, tolerance):
    """All pairs of surface voxels, in full: how many have a partner, of how many."""
    a, b = (surface_by_hand(mask).reshape(-1, mask.ndim) * spacing for mask in (p, y))
    near = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1)) <= tolerance
    return near.any(1).sum() + near.any(0).sum(), len(a) + len(b)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("shape", "spacing"), [((12, 15), (0.5, 1.7)), ((7, 6, 8), (3.0, 1.0, 0.8))])
def test_surface_dice_is_the_share_of_surface_voxels_with_a_partner_within_the_tolerance(seed, shape, spacing):
    prediction, label = random_labels(seed, shape, classes=2, background=0.5)
    *rows, pooled = score(prediction, label, NAMES, spacing, 1.9)
    counts = [nsd_by_hand(prediction == k, label == k, spacing, 1.9) for k in (1, 2)]
    assert [row["nsd"] for row in rows] == pytest.approx([within / voxels for within, voxels in counts])
    assert pooled["nsd"] == pytest.approx(sum(c[0] for c in counts) / sum(c[1] for c in counts))


@pytest.mark.parametrize("spacing", [None, (0.7, 1.3)])
@pytest.mark.parametrize("tolerance", [0.0, 1.0, 2.5])
def test_surface_dice_agrees_with_monai(spacing, tolerance):
    """Where both masks have a surface: MONAI leaves cases without one undefined."""
    from monai.metrics import compute_surface_dice

    for seed in range(5):
        prediction, label = random_labels(seed, (64, 48), classes=1, smooth=4, background=0.5)
        p, y = (torch.from_numpy(x == 1)[None, None].float() for x in (prediction, label))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = compute_surface_dice(p, y, [tolerance], include_background=True, spacing=spacing).item()
        assert score(prediction, label, ["gland"], spacing, tolerance)[0]["nsd"] == pytest.approx(expected)


def test_a_surface_as_far_as_the_tolerance_is_within_it():
    label = np.zeros((30, 4), np.int64)
    label[20:24] = 1
    assert score(np.roll(label, -3, 0), label, ["a"], (0.1, 1.0), 0.3)[0]["nsd"] == 1
    assert score(np.roll(label, -4, 0), label, ["a"], (0.1, 1.0), 0.3)[0]["nsd"] < 1


def test_surface_dice_without_a_tolerance_is_not_measured():
    assert all(math.isnan(row["nsd"]) for row in score(*random_labels(1), NAMES, None))


def block(*corners):
    """8x6 grid with a 2x2 block of class k + 1 at the k-th corner; None leaves the class out."""
    values = np.zeros((8, 6), np.int64)
    for value, corner in enumerate(corners, 1):
        if corner is not None:
            values[corner[0] : corner[0] + 2, corner[1] : corner[1] + 2] = value
    return values


@pytest.mark.parametrize(
    ("prediction", "label", "expected"),
    [
        # (hd95, hd95_penalised, nsd) of a, of b and of both; the diagonal of 8x6 voxels of 2x1 is hypot(16, 6).
        (block(None), block(None), [(0, 0, 1), (0, 0, 1), (0, 0, 1)]),
        (block((1, 1)), block((1, 1)), [(0, 0, 1), (0, 0, 1), (0, 0, 1)]),
        (block(None), block((1, 1)), [(math.nan, "diagonal", 0), (0, 0, 1), (math.nan, "diagonal", 0)]),
        (block((1, 1)), block(None), [(math.nan, "diagonal", 0), (0, 0, 1), (math.nan, "diagonal", 0)]),
        # One class is found two rows off, the other not at all: their mean, the foreground not being empty.
        (
            block((3, 1)),
            block((1, 1), (5, 4)),
            [(4.0, 4.0, 0), (math.nan, "diagonal", 0), (math.nan, "half", 0)],
        ),
    ],
)
def test_a_missed_or_invented_class_costs_the_diagonal_of_the_grid(prediction, label, expected):
    spacing = (2.0, 1.0)
    long = diagonal((8, 6), spacing)
    assert long == pytest.approx(math.hypot(16, 6))
    lengths = {"diagonal": long, "half": (4.0 + long) / 2}
    rows = score(prediction, label, NAMES, spacing, 1.5)
    found = [(row["hd95"], row["hd95_penalised"], row["nsd"]) for row in rows]
    for got, wanted in zip(found, expected, strict=True):
        assert got == pytest.approx([lengths.get(value, value) for value in wanted], nan_ok=True)


def test_defined_distances_carry_no_penalty():
    for seed in range(6):
        for row in score(*random_labels(seed, classes=2), NAMES, (0.5, 2.0)):
            if row["class"] != "all" and row["empty"] == "":
                assert (row["hd95"], row["assd"]) == (row["hd95_penalised"], row["assd_penalised"])
            assert 0 <= row["hd95_penalised"] <= diagonal((12, 15), (0.5, 2.0))


SHAPES = some.one_of(some.tuples(some.integers(1, 7), some.integers(1, 7)), some.just((3, 4, 3)))


@some.composite
def label_maps(draw, classes=2):
    """A prediction and a label on one grid, any of their classes missing, and a spacing."""
    shape = draw(SHAPES)
    highest = [draw(some.integers(0, classes)) for _ in range(2)]
    maps = [draw(arrays.arrays(np.int64, shape, elements=some.integers(0, high))) for high in highest]
    return *maps, tuple(draw(some.floats(0.1, 5)) for _ in shape)


@settings(max_examples=300, deadline=None)
@given(label_maps())
def test_emptying_a_prediction_whose_label_is_not_empty_improves_no_score(masks):
    """Neither that of a class whose voxels are taken from the prediction, nor that of all once none is left."""
    prediction, label, spacing = masks
    before = {row["class"]: row for row in score(prediction, label, NAMES, spacing, 1.0)}
    emptied = {name: np.where(prediction == value, 0, prediction) for value, name in enumerate(NAMES, 1)}
    present = {name: (label == value).any() for value, name in enumerate(NAMES, 1)}
    for name, without in (emptied | {"all": np.zeros_like(prediction)}).items():
        if present.get(name, label.any()):
            after = {row["class"]: row for row in score(without, label, NAMES, spacing, 1.0)}[name]
            assert all(after[metric] <= before[name][metric] for metric in HIGHER)
            assert all(after[metric] >= before[name][metric] for metric in LOWER)


@settings(max_examples=300, deadline=None)
@given(label_maps(), some.data())
def test_taking_away_voxels_that_were_right_improves_no_overlap(masks, data):
    prediction, label, _ = masks
    right = np.argwhere((prediction == label) & (label > 0))
    if not len(right):
        return
    taken = right[data.draw(some.lists(some.integers(0, len(right) - 1), min_size=1, unique=True))]
    fewer = prediction.copy()
    fewer[tuple(taken.T)] = 0
    for before, after in zip(score(prediction, label, NAMES, None), score(fewer, label, NAMES, None), strict=True):
        assert after["dsc"] <= before["dsc"] and after["iou"] <= before["iou"]
