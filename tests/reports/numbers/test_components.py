"""Components of variance, on tables whose components are known."""

import numpy as np
import pytest

from reports.numbers.components import combined, standard_error

PATIENTS, SEEDS = 15, 3


def test_without_trainings_it_is_the_standard_error_of_a_mean():
    means = np.random.default_rng(0).normal(size=PATIENTS)
    assert standard_error(means) == pytest.approx((means.std(ddof=1) / np.sqrt(PATIENTS), PATIENTS - 1))


def test_trainings_that_add_a_constant_add_its_variance():
    means, shifts = np.random.default_rng(0).normal(size=PATIENTS), np.array([[-0.3], [0.1], [0.2]])
    error, df = standard_error(means, [means + shifts])
    patients, trainings = means.var(ddof=1) / PATIENTS, shifts.var(ddof=1) / SEEDS
    assert error**2 == pytest.approx(patients + trainings)
    share = trainings / (patients + trainings)
    assert df == pytest.approx(1 / ((1 - share) / 14 + share / 2))


def test_degrees_of_freedom_lie_between_those_of_the_fewest_trainings_and_of_patients():
    """Of two methods' trainings Satterthwaite's: two for one that alone scatters, four where both do so equally."""
    assert combined([(0.0, 39)], [(1.0, 2), (0.0, 2)]) == pytest.approx((1, 2))
    assert combined([(0.0, 39)], [(1.0, 2), (1.0, 2)]) == pytest.approx((2**0.5, 4))
    assert combined([(1.0, 39)], [(0.0, 2), (0.0, 2)]) == pytest.approx((1, 39))
    # Half of the variance each: 1 / df is in the middle of 1 / 39 and 1 / 2.
    assert combined([(1.0, 39)], [(1.0, 2)]).df == pytest.approx(2 / (1 / 39 + 1 / 2))
    assert combined([(0.5, 9), (0.5, 9)], []) == pytest.approx((1, 18))


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
        assert both.error >= alone - 1e-12 and both.df >= 1 - 1e-12


def test_no_spread_at_all_is_an_error_of_0():
    assert standard_error(np.ones(6), [np.ones((3, 6))]) == (0, 5)
