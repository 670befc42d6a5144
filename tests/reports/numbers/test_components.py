"""Components of variance, on tables whose components are known."""

import numpy as np
import pytest
from scipy import stats

from reports.numbers.components import Error, combined, standard_error

PATIENTS, SEEDS = 15, 3


def test_without_trainings_it_is_the_standard_error_of_a_mean():
    means = np.random.default_rng(0).normal(size=PATIENTS)
    found = standard_error(means)
    assert (found.error, found.df) == pytest.approx((means.std(ddof=1) / np.sqrt(PATIENTS), PATIENTS - 1))
    assert found.reach(0.05) == pytest.approx(stats.t.ppf(0.95, PATIENTS - 1) * found.error)


def test_trainings_that_add_a_constant_add_its_variance():
    means, shifts = np.random.default_rng(0).normal(size=PATIENTS), np.array([[-0.3], [0.1], [0.2]])
    found = standard_error(means, [means + shifts])
    patients, trainings = means.var(ddof=1) / PATIENTS, shifts.var(ddof=1) / SEEDS
    assert found.error**2 == pytest.approx(patients + trainings)
    alone = stats.t.ppf(0.975, 14) * patients**0.5, stats.t.ppf(0.975, 2) * trainings**0.5
    assert found.reach(0.025) == pytest.approx(np.hypot(*alone))
    assert found.reach(0.025) == pytest.approx(stats.t.ppf(0.975, found.df) * found.error)
    # What patients add may be told otherwise than by Student's t.
    assert found.reach(0.025, patients=3.0) == pytest.approx(np.hypot(3 * patients**0.5, alone[1]))


def test_degrees_of_freedom_lie_between_those_of_the_fewest_trainings_and_of_patients():
    """Of two methods' trainings Satterthwaite's: two for one that alone scatters, four where both do so equally."""
    for patients, trainings, error, df in (
        ([(0.0, 39)], [(1.0, 2), (0.0, 2)], 1, 2),
        ([(0.0, 39)], [(1.0, 2), (1.0, 2)], 2**0.5, 4),
        ([(1.0, 39)], [(0.0, 2), (0.0, 2)], 1, 39),
        ([(0.5, 9), (0.5, 9)], [], 1, 18),
    ):
        found = combined(patients, trainings)
        assert (found.error, found.df) == pytest.approx((error, df))
    between = [combined([(1 - share, 39)], [(share, 2)]).df for share in (0.01, 0.1, 0.5, 0.9, 0.99)]
    assert 39 > between[0] and between[-1] > 2 and between == sorted(between, reverse=True)


def test_what_trainings_scatter_within_patients_is_not_counted_twice():
    """The mean of many estimates of the variance is the variance of many means: no term is in it twice."""
    random, found, means = np.random.default_rng(1), [], []
    for _ in range(4000):
        table = random.normal(size=(1, PATIENTS)) + random.normal(0, 0.6, (SEEDS, 1))
        table += random.normal(0, 1.5, (SEEDS, PATIENTS))
        means.append(table.mean())
        found.append(standard_error(table.mean(0), [table]).error ** 2)
    counted_twice = (1 + 1.5**2 / SEEDS) / PATIENTS + (0.6**2 + 1.5**2 / PATIENTS) / SEEDS
    assert np.var(means) == pytest.approx(1 / PATIENTS + (0.6**2 + 1.5**2 / PATIENTS) / SEEDS, rel=0.1)
    assert np.mean(found) == pytest.approx(np.var(means), rel=0.1) and counted_twice > 1.15 * np.var(means)


def test_patients_alone_never_have_more_than_the_total():
    random = np.random.default_rng(2)
    for _ in range(200):
        table = random.normal(size=(2, 6))
        alone, both = standard_error(table.mean(0)).error, standard_error(table.mean(0), [table])
        assert both.error >= alone - 1e-12 and both.df >= 1 - 1e-9


def test_no_spread_at_all_is_an_error_of_0():
    found = standard_error(np.ones(6), [np.ones((3, 6))])
    assert (found.error, found.df, found.reach(0.025)) == (0, 5, 0)


@pytest.mark.parametrize("rounding", [1e-40, 1e-34, 1e-32, 1e-20])
def test_trainings_that_agree_but_for_rounding_leave_the_degrees_of_freedom_of_patients(rounding):
    assert Error(1e-4, 11, rounding, 2).df == pytest.approx(11)
    assert Error(rounding, 11, 1e-4, 2).df == pytest.approx(2)
