import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from benchmarks.testing.metrics import pooled_dsc, score


def random_labels(seed, shape=(12, 15), classes=2, smooth=1.5, background=5.0):
    """A prediction and a label that overlap partly.

    With the highest `background` a class is missing, in some seeds, from one of them or from both.
    """
    random = np.random.default_rng(seed)
    fields = gaussian_filter(random.normal(size=(2, classes + 1, *shape)), (0, 0, *[smooth] * len(shape)))
    fields /= fields.std()
    fields[1] += 0.5 * fields[0]
    fields[:, 0] += random.uniform(0, background)
    return fields.argmax(1).astype(np.int64)


def surface_by_hand(mask):
    """Voxels of the mask with a neighbour across a face that is background or outside the image."""
    found = []
    for voxel in np.argwhere(mask):
        for axis in range(mask.ndim):
            for step in (-1, 1):
                other = voxel.copy()
                other[axis] += step
                inside = (other >= 0).all() and (other < mask.shape).all()
                if not inside or not mask[tuple(other)]:
                    found.append(tuple(voxel))
    return np.array(sorted(set(found)), dtype=float)


def distances_by_hand(p, y, spacing):
    """All pairwise distances between the surfaces, in full."""
    a, b = surface_by_hand(p) * spacing, surface_by_hand(y) * spacing
    pairs = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))
    forth, back = pairs.min(1), pairs.min(0)
    hd95 = max(np.percentile(forth, 95), np.percentile(back, 95))
    return hd95, (forth.sum() + back.sum()) / (len(forth) + len(back))


def scores_by_hand(p, y, spacing):
    p_empty, y_empty = not p.any(), not y.any()
    if p_empty and y_empty:
        return 1.0, 1.0, 0.0, 0.0, "both"
    if p_empty or y_empty:
        return 0.0, 0.0, math.nan, math.nan, "prediction" if p_empty else "label"
    common, union = (p & y).sum(), (p | y).sum()
    return 2 * common / (p.sum() + y.sum()), common / union, *distances_by_hand(p, y, spacing), ""


def columns(row):
    return row["dsc"], row["iou"], row["hd95"], row["assd"]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    ("shape", "spacing"), [((12, 15), None), ((12, 15), (0.5, 1.7)), ((7, 6, 8), None), ((7, 6, 8), (3.0, 1.0, 0.8))]
)
def test_classes_score_as_the_formulas_written_out_in_full(seed, shape, spacing):
    names = ["a", "b", "c"]
    prediction, label = random_labels(seed, shape, classes=3)
    rows = score(prediction, label, names, spacing)
    assert [row["class"] for row in rows] == [*names, "all"]
    for value, row in enumerate(rows[:-1], start=1):
        *expected, empty = scores_by_hand(prediction == value, label == value, spacing or (1.0,) * len(shape))
        assert columns(row) == pytest.approx(expected, abs=1e-9, nan_ok=True)
        assert row["empty"] == empty


@pytest.mark.parametrize("seed", range(12))
def test_pooled_row_sums_the_counts_and_averages_the_distances(seed):
    prediction, label = random_labels(seed, classes=3, background=2.0)
    rows = score(prediction, label, ["a", "b", "c"], None)
    common = sum(((prediction == k) & (label == k)).sum() for k in (1, 2, 3))
    volume = (prediction > 0).sum() + (label > 0).sum()
    union = sum(((prediction == k) | (label == k)).sum() for k in (1, 2, 3))
    expected = 2 * common / volume, common / union, *(np.mean([r[m] for r in rows[:3]]) for m in ("hd95", "assd"))
    assert columns(rows[-1]) == pytest.approx(expected, nan_ok=True)
    assert pooled_dsc(prediction, label, 3) == pytest.approx(2 * common / volume)


def test_random_masks_above_cover_every_kind_of_emptiness():
    kinds = {
        row["empty"] for seed in range(12) for row in score(*random_labels(seed, (7, 6, 8), 3), ["a", "b", "c"], None)
    }
    assert kinds == {"", "both", "label", "prediction"}


@pytest.mark.parametrize("spacing", [None, (0.7, 1.3)])
def test_distances_agree_with_monai(spacing):
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    for seed in range(5):
        prediction, label = random_labels(seed, (64, 48), classes=1, smooth=4, background=0.5)
        p, y = (torch.from_numpy(x == 1)[None, None].float() for x in (prediction, label))
        options = {"include_background": True, "spacing": spacing}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            hd95 = compute_hausdorff_distance(p, y, percentile=95, **options).item()
            assd = compute_average_surface_distance(p, y, symmetric=True, **options).item()
        row = score(prediction, label, ["gland"], spacing)[0]
        assert (row["hd95"], row["assd"]) == pytest.approx((hd95, assd), rel=1e-5)


def test_overlap_agrees_with_monai():
    from monai.metrics import compute_dice, compute_iou

    for seed in range(5):
        prediction, label = random_labels(seed, (64, 48), classes=2, smooth=4, background=0.5)
        one_hot = [torch.from_numpy(np.stack([x == k for k in range(3)]))[None].float() for x in (prediction, label)]
        rows = score(prediction, label, ["a", "b"], None)
        dsc, iou = (f(*one_hot, include_background=False)[0].tolist() for f in (compute_dice, compute_iou))
        assert [row["dsc"] for row in rows[:2]] == pytest.approx(dsc)
        assert [row["iou"] for row in rows[:2]] == pytest.approx(iou)


def test_binary_data_have_equal_overlap_in_both_rows():
    gland, pooled = score(*random_labels(3, classes=1), ["gland"], None, 1.0)
    assert pooled == gland | {"class": "all"}


def test_distances_follow_the_spacing_of_each_axis():
    label = np.zeros((20, 20), np.int64)
    label[4:8, 5:9] = 1
    down, right = np.roll(label, 3, 0), np.roll(label, 3, 1)
    assert score(down, label, ["a"], (2.0, 0.5))[0]["hd95"] == pytest.approx(6.0)
    assert score(right, label, ["a"], (2.0, 0.5))[0]["hd95"] == pytest.approx(1.5)


def mask(*corner):
    """4x4 grid, one voxel set, or none."""
    values = np.zeros((4, 4), np.int64)
    if corner:
        values[corner] = 1
    return values


@pytest.mark.parametrize(
    ("prediction", "label", "overlap", "distance", "empty"),
    [
        (mask(), mask(), 1.0, 0.0, "both"),
        (mask(1, 1), mask(), 0.0, math.nan, "label"),
        (mask(), mask(1, 1), 0.0, math.nan, "prediction"),
        (mask(0, 0), mask(0, 0), 1.0, 0.0, ""),
        (mask(0, 0), mask(3, 3), 0.0, 18**0.5, ""),
    ],
)
def test_empty_masks(prediction, label, overlap, distance, empty):
    for row in score(prediction, label, ["a"], None):
        assert columns(row) == pytest.approx((overlap, overlap, distance, distance), nan_ok=True)
        assert row["empty"] == empty
    assert pooled_dsc(prediction, label, 1) == overlap


def test_one_undefined_class_leaves_the_pooled_overlap_defined_and_its_distance_not():
    label = mask(0, 0)
    label[3, 3] = 2
    a, b, pooled = score(mask(0, 0), label, ["a", "b"], None)
    assert (a["empty"], b["empty"], pooled["empty"]) == ("", "prediction", "")
    assert pooled["dsc"] == pytest.approx(2 / 3)
    assert math.isnan(pooled["hd95"]) and math.isnan(pooled["assd"])


def test_scores_are_symmetric_but_for_which_mask_is_empty():
    for seed in range(6):
        prediction, label = random_labels(seed, classes=3)
        for there, back in zip(
            score(prediction, label, list("abc"), None), score(label, prediction, list("abc"), None)
        ):
            assert columns(there) == pytest.approx(columns(back), nan_ok=True)


@pytest.mark.parametrize(
    ("prediction", "label", "spacing", "message"),
    [
        (mask(), np.zeros((4, 5), np.int64), None, r"shape \(4, 4\), the label \(4, 5\)"),
        (mask() + 2, mask(), None, r"the prediction holds \[2\], expected values from 0 to 1"),
        (mask(), mask() - 1, None, r"the label holds \[-1\]"),
        (mask().astype(float), mask(), None, "the prediction is float64, expected integers"),
        (mask(), mask(), (1.0,), r"spacing is \(1.0,\), expected 2 numbers"),
    ],
)
def test_what_does_not_fit_is_refused(prediction, label, spacing, message):
    with pytest.raises(ValueError, match=message):
        score(prediction, label, ["a"], spacing)


def test_unsigned_labels_score_like_signed_ones():
    prediction, label = random_labels(1)
    assert score(prediction.astype(np.uint8), label.astype(np.uint8), ["a", "b"], None, 1.0) == score(
        prediction, label, ["a", "b"], None, 1.0
    )


def test_distances_do_not_depend_on_how_the_processor_takes_denormal_numbers():
    """In a process of its own: flushing once made the tree behind the distances recurse until the process crashed."""
    program = """
import numpy as np, torch
torch.set_flush_denormal(True)
from benchmarks.testing.metrics import score
random = np.random.default_rng(0)
for _ in range(300):
    masks = (random.random((2, 32, 32)) < random.choice([0.02, 0.3, 0.9])).astype(np.uint8)
    score(masks[0], masks[1].astype(np.int64), ["gland"], None)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
