"""What many samples of one image say together, against plain numpy."""

import numpy as np
import pytest

from benchmarks.testing import spread
from benchmarks.testing.metrics import score
from tests.benchmarks.many import collected, random_runs


def test_mean_and_sd_are_those_of_numpy_and_the_sd_of_two_classes_is_that_of_the_foreground():
    many = random_runs()
    runs = collected(many)
    assert np.allclose(runs.mean, many.astype(float).mean(0))
    assert np.allclose(runs.sd, many.astype(float).std(0).sum(0) / 2)
    assert np.array_equal(runs.labels, many.argmax(1))
    two = random_runs(classes=2)
    assert np.allclose(collected(two).sd, two[:, 1].astype(float).std(0))


def test_equal_runs_have_no_spread_and_what_is_not_finite_is_refused():
    many = np.repeat(random_runs(1), 9, axis=0)
    assert not collected(many).sd.any()
    assert not collected(many + np.float32(3e-8) * np.arange(9, dtype=np.float32)[:, None, None, None]).sd.any()
    many[4, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="run 4 gave probabilities that are not finite"):
        collected(many)


def test_auroc_is_the_share_of_pairs_in_the_right_order_and_undefined_without_pairs():
    random = np.random.default_rng(1)
    sd, error = random.integers(0, 5, (8, 8)) / 4, random.random((8, 8)) < 0.3
    wrong, right = sd[error], sd[~error]
    pairs = (wrong[:, None] > right).mean() + 0.5 * (wrong[:, None] == right).mean()
    assert spread.auroc(sd, error) == pytest.approx(pairs)
    assert spread.auroc(np.zeros((8, 8)), error) == 0.5
    assert np.isnan(spread.auroc(sd, np.zeros((8, 8), bool))) and np.isnan(spread.auroc(sd, np.ones((8, 8), bool)))


def test_calibration_bins_give_the_expected_calibration_error():
    mean, label = collected(random_runs(size=(20, 20))).mean, np.random.default_rng(2).integers(0, 3, (20, 20))
    count, confidence, correct = spread.calibration(mean, label)
    sure, right = mean.max(0).ravel(), (mean.argmax(0) == label).ravel()
    ece = 0.0
    for b in range(15):
        inside = (sure >= b / 15) & (sure < (b + 1) / 15)
        if inside.any():
            ece += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    assert np.abs(correct - confidence).sum() / count.sum() == pytest.approx(ece)
    certain = np.stack([np.ones((2, 2)), np.zeros((2, 2))])
    assert spread.calibration(certain, np.zeros((2, 2), int))[0][-1] == 4  # a confidence of 1 is in the last bin


def test_risks_of_equal_scores_are_those_of_a_random_order():
    random = np.random.default_rng(3)
    sd, error = random.integers(0, 4, (6, 10)) / 3, random.random((6, 10)) < 0.4
    expected = []
    for _ in range(3000):
        order = np.lexsort((random.random(60), sd.ravel()))
        errors = np.cumsum(error.ravel()[order])
        expected.append([errors[round(60 * c) - 1] / (60 * c) for c in spread.COVERAGES])
    assert np.allclose(spread.risks(sd, error), np.mean(expected, axis=0), atol=0.02)
    assert spread.risks(sd, error)[-1] == pytest.approx(error.mean())
    assert np.allclose(spread.risks(np.zeros((6, 10)), error), error.mean())


def test_calibration_of_a_region_takes_its_pixels_alone():
    mean, label = collected(random_runs(size=(20, 20))).mean, np.random.default_rng(2).integers(0, 3, (20, 20))
    region = np.random.default_rng(3).random((20, 20)) < 0.3
    count, confidence, correct = spread.calibration(mean, label, region)
    assert count.sum() == region.sum() and confidence.sum() == pytest.approx(mean.max(0)[region].sum())
    assert correct.sum() == (mean.argmax(0) == label)[region].sum()
    none = spread.calibration(mean, label, np.zeros((20, 20), bool))
    assert all(not part.any() for part in none)


def test_the_foreground_is_that_of_label_and_segmentation():
    label = np.array([[0, 1, 0, 0]])
    mean = np.array([[[0.9, 0.8, 0.4, 0.5]], [[0.1, 0.2, 0.6, 0.5]]])
    assert spread.foreground(mean, label).tolist() == [[False, True, True, False]]  # equal probabilities: background


def test_the_boundary_is_a_band_on_both_sides_of_where_the_class_changes():
    label = np.zeros((60, 80), int)  # diagonal 100: a reach of 2 pixels
    label[:, 40:] = 1
    band = spread.boundary(label)
    assert np.flatnonzero(band.all(axis=0)).tolist() == [38, 39, 40, 41] and band.sum() == 4 * 60
    label[:, 60:] = 2  # between two foreground classes too
    assert np.flatnonzero(spread.boundary(label).all(axis=0)).tolist() == [38, 39, 40, 41, 58, 59, 60, 61]
    assert not spread.boundary(np.zeros((60, 80), int)).any() and not spread.boundary(np.ones((60, 80), int)).any()
    small = np.zeros((8, 8), int)
    small[:, 4:] = 1
    assert np.flatnonzero(spread.boundary(small).all(axis=0)).tolist() == [3, 4]  # one pixel at least
    ball = np.zeros((12, 12, 12), int)
    ball[5:7, 5:7, 5:7] = 1
    assert spread.boundary(ball).sum() == 4**3


def test_the_brier_score_is_the_mean_squared_distance_from_the_label():
    # Two pixels, three classes: (0.2^2 + 0.1^2 + 0.1^2) + (0.5^2 + 0.5^2 + 0) over 2.
    mean = np.array([[[0.8, 0.5]], [[0.1, 0.5]], [[0.1, 0.0]]])
    assert spread.brier(mean, np.array([[0, 1]])) == pytest.approx((0.06 + 0.5) / 2)
    assert spread.brier(mean, np.array([[2, 2]])) == pytest.approx(((0.64 + 0.01 + 0.81) + (0.25 + 0.25 + 1)) / 2)
    mean, label = collected(random_runs(size=(20, 20))).mean, np.random.default_rng(2).integers(0, 3, (20, 20))
    onehot = np.eye(3)[label].transpose(2, 0, 1)
    assert spread.brier(mean, label) == pytest.approx(((mean - onehot) ** 2).sum(0).mean())
    assert spread.brier(onehot, label) == 0


def far(first, second) -> float:
    """1 - IoU of two maps by the scores, over two foreground classes."""
    return 1 - score(first, second, ["x", "y"], None)[-1]["iou"]


def test_energy_distance_by_hand():
    """Runs {1}, {1, 2} and {2} of a line of pixels, label {1}: distances to it 0, 1/2, 1; between runs 1/2, 1, 1/2."""
    runs = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0]])
    label = np.array([[1, 0, 0]])
    assert spread.energy_distance(runs, label, 1) == pytest.approx(2 * 1.5 / 3 - 2 / 3)
    raters = np.array([[1, 0, 0], [0, 1, 0]])  # 1 apart; runs are 0, 1/2, 1 and 1, 1/2, 0 from them
    assert spread.energy_distance(runs, raters, 1) == pytest.approx(2 * 3 / 6 - 2 / 3 - 1)
    assert np.isnan(spread.energy_distance(runs[:1], label, 1))


def test_energy_distance_takes_pairs_of_different_maps_by_the_iou_of_the_scores():
    random = np.random.default_rng(4)
    runs, raters = random.integers(0, 3, (4, 6, 6)), random.integers(0, 3, (2, 6, 6))
    across = np.mean([far(a, b) for a in runs for b in raters])
    within = np.mean([far(a, b) for i, a in enumerate(runs) for j, b in enumerate(runs) if i != j])
    expected = 2 * across - within - far(raters[0], raters[1])
    assert spread.energy_distance(runs, raters, 2) == pytest.approx(expected)
    empty = np.zeros((2, 6, 6), int)
    assert spread.energy_distance(empty, empty, 2) == 0 and spread.energy_distance(empty, raters[:1], 2) > 0.5


def test_energy_distance_does_not_depend_on_the_number_of_runs_on_average():
    """Runs and raters from one distribution: 0 on average, for two runs as for many."""
    random = np.random.default_rng(6)
    for count in (2, 8):
        found = [spread.energy_distance(*random.integers(0, 2, (2, count, 3, 3)), 1) for _ in range(1500)]
        assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found)) and np.std(found) < 0.4
