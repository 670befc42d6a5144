"""Object scores against cases worked out by hand, and against a script that takes the definitions word by word."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays
from scipy.ndimage import gaussian_filter

from benchmarks.testing.objects import object_scores


def drawn(*boxes, shape=(20, 30)):
    """A map with an object for each box (top, left, height, width)."""
    found = np.zeros(shape, np.int64)
    for number, (top, left, height, width) in enumerate(boxes, 1):
        found[top : top + height, left : left + width] = number
    return found


def scores(predicted, true, spacing=None):
    return tuple(object_scores(predicted > 0, true, spacing).values())


def test_equal_objects_are_perfect_whatever_their_numbers():
    true = drawn((2, 2, 5, 6), (10, 12, 6, 6))
    assert scores(true, true) == scores(true, np.where(true == 1, 40, true)) == (1, 1, 0)


def test_one_gland_found_and_one_missed():
    """True: 4x10 and 4x5 voxels; predicted: the left 4x8 of the first. Dice 64/72; the second gland counts 0.

    Hausdorff: 2 between the pair; the missed gland's nearest predicted object ends 12 rows above its last row, and 5
    columns beside it: 15 of its columns are 12..16, the prediction's 2..9."""
    true, predicted = drawn((2, 2, 4, 10), (14, 12, 4, 5)), drawn((2, 2, 4, 8))
    f1, dice, hausdorff = scores(predicted, true)
    assert f1 == pytest.approx(2 * 1 / (1 + 2))
    assert dice == pytest.approx((64 / 72 + (40 * 64 / 72 + 20 * 0) / 60) / 2)
    # From (17, 16) of the gland to (5, 9); the way back, from (2, 2) to (14, 12), is longer.
    missed = math.hypot(12, 10)
    assert missed > math.hypot(12, 7)
    assert hausdorff == pytest.approx((2 + (40 * 2 + 20 * missed) / 60) / 2)


def test_one_prediction_over_two_glands_finds_the_one_it_covers_most_of():
    """6x6 and 6x8 voxels, two columns apart, under one object of 6x16: Dice 72/132 and 96/144."""
    true, predicted = drawn((4, 4, 6, 6), (4, 12, 6, 8)), drawn((4, 4, 6, 16))
    f1, dice, hausdorff = scores(predicted, true)
    assert f1 == pytest.approx(2 / 3)
    first, second = 2 * 36 / (36 + 96), 2 * 48 / (48 + 96)
    assert dice == pytest.approx((second + (36 * first + 48 * second) / 84) / 2)
    # Columns 4..19 of the prediction; the glands end at 9 and begin at 12.
    assert hausdorff == pytest.approx((8 + (36 * 10 + 48 * 8) / 84) / 2)


@pytest.mark.parametrize(("columns", "f1"), [(4, 0.0), (5, 0.0), (6, 1.0)])
def test_a_gland_is_found_by_more_than_half_of_it(columns, f1):
    assert scores(drawn((3, 3, 4, columns)), drawn((3, 3, 4, 10)))[0] == f1


def test_an_object_too_many_is_a_false_positive_and_belongs_to_the_nearest_gland():
    """A voxel at (2, 20), the gland at rows 2..5 and columns 2..7: 18 from its far side."""
    true, predicted = drawn((2, 2, 4, 6)), drawn((2, 2, 4, 6), (2, 20, 1, 1))
    f1, dice, hausdorff = scores(predicted, true)
    assert f1 == pytest.approx(2 / 3)
    assert dice == pytest.approx((1 + 24 / 25) / 2)
    assert hausdorff == pytest.approx((0 + math.hypot(18, 3) / 25) / 2)


def test_the_inside_of_a_ring_is_measured_from_the_middle():
    """True: a disc's worth of 9x9; predicted: its ring of one voxel. The middle is 4 away from the ring."""
    true = drawn((4, 4, 9, 9))
    predicted = true.copy()
    predicted[5:12, 5:12] = 0
    assert scores(predicted, true)[2] == pytest.approx(4)


def test_an_object_that_falls_in_two_gains_by_the_right_pixels_it_loses():
    """The example of docs/statistics.md: two touching glands of 4x4 under one object, then without a column of it."""
    true, whole = drawn((1, 1, 4, 4), (1, 5, 4, 4), shape=(6, 10)), drawn((1, 1, 4, 8), shape=(6, 10))
    parts = drawn((1, 1, 4, 3), (1, 5, 4, 4), shape=(6, 10))
    assert scores(whole, true)[:2] == pytest.approx((2 / 3, 2 / 3))
    first = 2 * 12 / (12 + 16)
    by_gland, by_object = (16 * first + 16) / 32, (12 * first + 16) / 28
    assert scores(parts, true)[:2] == pytest.approx((1, (by_gland + by_object) / 2))
    text = (Path(__file__).parents[3] / "docs" / "statistics.md").read_text()
    assert f"({by_gland:.3f} + {by_object:.3f}) / 2 = {(by_gland + by_object) / 2:.3f} |" in text


def test_components_touch_at_corners():
    assert scores(drawn((2, 2, 3, 3), (5, 5, 3, 3)), drawn((2, 2, 3, 3), (5, 5, 3, 3)))[0] == pytest.approx(2 / 3)


def test_distances_follow_the_spacing():
    true, predicted = drawn((2, 2, 4, 10)), drawn((2, 4, 4, 10))
    assert scores(predicted, true, (0.5, 0.62))[2] == pytest.approx(2 * 0.62)
    assert scores(np.roll(predicted, 3, 0), true, (0.5, 0.62))[2] == pytest.approx(math.hypot(1.5, 1.24))


@pytest.mark.parametrize("spacing", [None, (0.62, 0.62)])
def test_empty_maps(spacing):
    true, none = drawn((2, 2, 4, 10)), drawn()
    longest = math.hypot(20, 30) * (spacing or (1,))[0]
    assert scores(none, none, spacing) == (1, 1, 0)
    assert scores(none, true, spacing) == pytest.approx((0, 0, longest))
    assert scores(true, none, spacing) == pytest.approx((0, 0, longest))


def test_maps_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match=r"shape \(3, 3\), the instances \(3, 4\)"):
        object_scores(np.ones((3, 3), bool), np.ones((3, 4), int))


# ---- the definitions, word by word ---------------------------------------------------------------------------------


def flooded(mask):
    """The objects of a mask as sets of places, grown neighbour by neighbour."""
    left = set(map(tuple, np.argwhere(mask).tolist()))
    found = []
    while left:
        waiting = [left.pop()]
        piece = set(waiting)
        while waiting:
            row, column = waiting.pop()
            around = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= around
            piece |= around
            waiting += around
        found.append(piece)
    return found


def dice(a, b):
    return 2 * len(a & b) / (len(a) + len(b))


def hausdorff(a, b, spacing):
    def directed(x, y):
        return max(min(math.dist(np.multiply(p, spacing), np.multiply(q, spacing)) for q in y) for p in x)

    return max(directed(a, b), directed(b, a))


def by_definition(predicted, true, spacing):
    S = flooded(predicted)
    G = [set(map(tuple, np.argwhere(true == number).tolist())) for number in set(true.ravel().tolist()) - {0}]
    if not S or not G:
        longest = math.hypot(*np.multiply(true.shape, spacing))
        return (1, 1, 0) if not S and not G else (0, 0, longest)
    owners = [max(G, key=lambda g: len(s & g)) for s in S]
    true_positives = sum(2 * len(s & g) > len(g) for s, g in zip(S, owners, strict=True))
    precision, recall = true_positives / len(S), true_positives / len(G)
    f1 = 2 * precision * recall / (precision + recall) if true_positives else 0
    sides = []
    for these, those in ((G, S), (S, G)):
        area, of_dice, of_distance = sum(map(len, these)), 0, 0
        for this in these:
            most = max(those, key=lambda that: len(this & that))
            touched = bool(this & most)
            of_dice += len(this) / area * (dice(this, most) if touched else 0)
            far = hausdorff(this, most, spacing) if touched else min(hausdorff(this, that, spacing) for that in those)
            of_distance += len(this) / area * far
        sides.append((of_dice, of_distance))
    return f1, sum(side[0] for side in sides) / 2, sum(side[1] for side in sides) / 2


def ties(predicted, true):
    """Whether some object overlaps two others equally: which of them it belongs to is then left open."""
    S = flooded(predicted)
    G = [set(map(tuple, np.argwhere(true == number).tolist())) for number in set(true.ravel().tolist()) - {0}]
    for these, those in ((G, S), (S, G)):
        for this in these:
            shared = sorted((len(this & that) for that in those), reverse=True)
            if len(shared) > 1 and shared[0] == shared[1] > 0:
                return True
    return False


@pytest.mark.parametrize("seed", range(24))
def test_random_glands_score_as_the_definitions_say(seed):
    random = np.random.default_rng(seed)
    fields = gaussian_filter(random.normal(size=(2, 22, 26)), (0, 1.5, 1.5))
    fields /= fields.std()
    fields[1] += random.uniform(0, 2) * fields[0]
    predicted, foreground = fields > random.uniform(0.2, 1.2)
    true = np.zeros(foreground.shape, np.int64)
    for number, piece in enumerate(flooded(foreground), 3):
        true[tuple(np.array(list(piece)).T)] = 2 * number
    if ties(predicted, true):
        pytest.skip("an object overlaps two others equally")
    assert scores(predicted, true, (0.5, 0.8)) == pytest.approx(by_definition(predicted, true, (0.5, 0.8)))


@settings(max_examples=150, deadline=None)
@given(
    arrays.arrays(np.bool_, (6, 7)),
    arrays.arrays(np.int64, (6, 7), elements=some.sampled_from([0, 0, 1, 2, 5])),
)
def test_specks_score_as_the_definitions_say(predicted, true):
    if not ties(predicted, true):
        assert scores(predicted, true, (1.0, 0.7)) == pytest.approx(by_definition(predicted, true, (1.0, 0.7)))


@settings(max_examples=150, deadline=None)
@given(
    arrays.arrays(np.bool_, (6, 7)),
    arrays.arrays(np.int64, (6, 7), elements=some.sampled_from([0, 0, 1, 2])),
)
def test_emptying_a_prediction_whose_label_is_not_empty_improves_no_object_score(predicted, true):
    if true.any():
        before, after = scores(predicted, true), scores(np.zeros_like(predicted), true)
        assert after[0] <= before[0] and after[1] <= before[1] and after[2] >= before[2]
