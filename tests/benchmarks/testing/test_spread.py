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


def test_energy_distance_is_that_of_all_pairs_by_the_iou_of_the_scores():
    random = np.random.default_rng(4)
    runs, raters = random.integers(0, 3, (4, 6, 6)), random.integers(0, 3, (2, 6, 6))

    def far(first, second):
        return np.mean([[1 - score(a, b, ["x", "y"], None)[-1]["iou"] for b in second] for a in first])

    expected = 2 * far(runs, raters) - far(runs, runs) - far(raters, raters)
    assert spread.energy_distance(runs, raters, 2) == pytest.approx(expected)
    assert spread.energy_distance(raters, raters, 2) == pytest.approx(0)
    empty = np.zeros((1, 6, 6), int)
    assert spread.energy_distance(empty, empty, 2) == 0 and spread.energy_distance(empty, raters, 2) > 0.5
