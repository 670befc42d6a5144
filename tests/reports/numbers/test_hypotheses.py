"""Tests of a difference, on differences whose answer is known by hand or by simulation."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from reports.numbers import hypotheses, statistics
from tests.reports.resampling import power


def test_signed_rank_agrees_with_the_exact_distribution():
    # All of 6 differences positive: 2 of the 2^6 sign patterns are as extreme.
    assert hypotheses.signed_rank([1, 2, 3, 4, 5, 6.5], np.zeros(6), np.arange(6)) == pytest.approx(2 / 64)
    assert hypotheses.signed_rank(np.ones(6), np.ones(6), np.arange(6)) == 1
    assert hypotheses.signed_rank(np.ones(8), np.zeros(8), np.arange(8) // 2) is None


def test_holm_multiplies_the_smallest_most_and_never_reorders():
    assert hypotheses.holm([0.01, 0.04, 0.03, None]) == [
        pytest.approx(0.03),
        pytest.approx(0.06),
        pytest.approx(0.06),
        None,
    ]
    assert hypotheses.holm([0.6, 0.9]) == [1, 1]


def test_effect_sizes_by_hand():
    # Differences 1, 2, -3, 4, 0 and 5: ranks 1 + 2 + 4 + 5 = 12 favour the first, 3 the second, 0 is left out.
    first = np.array([1, 2, -3, 4, 0, 5.0])
    rank_biserial, d_z = hypotheses.effect_sizes(first, np.zeros(6), np.arange(6))
    assert rank_biserial == pytest.approx((12 - 3) / 15)
    assert d_z == pytest.approx(1.5 / np.std(first, ddof=1))
    mirrored = hypotheses.effect_sizes(np.zeros(6), first, np.arange(6))
    assert mirrored == pytest.approx((-rank_biserial, -d_z))


def test_effect_sizes_where_there_is_no_spread_or_too_little_data():
    assert hypotheses.effect_sizes(np.full(6, 0.3), np.full(6, 0.1 + 0.2), np.arange(6)) == (0, 0)
    assert hypotheses.effect_sizes(np.full(6, 0.75), np.full(6, 0.5), np.arange(6)) == (1, None)
    assert hypotheses.effect_sizes(np.ones(12), np.zeros(12), np.arange(12) // 3) == (None, None)


def test_tests_are_made_on_the_means_of_patients():
    first, groups = np.random.default_rng(4).normal(0.1, 1, 24), np.arange(24) % 8
    by_patient = np.array([first[groups == k].mean() for k in range(8)])
    np.testing.assert_allclose(statistics.group_means(first, groups), by_patient)
    zeros = np.zeros(24)
    alone = hypotheses.signed_rank(by_patient, np.zeros(8), np.arange(8))
    assert hypotheses.signed_rank(first, zeros, groups) == pytest.approx(alone)
    alone = hypotheses.effect_sizes(by_patient, np.zeros(8), np.arange(8))
    assert hypotheses.effect_sizes(first, zeros, groups) == pytest.approx(alone)


@pytest.fixture
def estimate():
    """Two methods with three trainings each on 30 patients; the first is better by about 0.004."""
    random = np.random.default_rng(8)
    first = 0.8 + random.normal(0, 0.003, (3, 1)) + random.normal(0, 0.02, (3, 30))
    return statistics.paired_difference(first + 0.004, first.mean(0) + random.normal(0, 0.02, (3, 30)), np.arange(30))


def test_the_interval_excludes_what_the_test_rejects(estimate):
    first, second = np.zeros((3, 30)), np.zeros((3, 30))
    p = hypotheses.superiority(first, second, np.arange(30), estimate)
    assert (p < 0.05) == (estimate.low > 0 or estimate.high < 0)
    low, high = hypotheses.one_sided(estimate, abs(estimate.low))
    # A margin at the end of the 95 % interval is rejected one-sided at 2.5 %.
    assert low == pytest.approx(0.025)
    assert hypotheses.one_sided(estimate, 0.01)[0] < hypotheses.one_sided(estimate, 0.005)[0]


def test_one_training_of_either_is_tested_by_ranks():
    first = np.array([[1, 2, 3, 4, 5, 6.5]])
    estimate = statistics.paired_difference(first, np.zeros((3, 6)), np.arange(6))
    assert hypotheses.superiority(first, np.zeros((3, 6)), np.arange(6), estimate) == pytest.approx(2 / 64)


def test_six_patients_without_any_difference_do_not_show_that_there_is_none():
    ones = np.ones((3, 6))
    same = statistics.paired_difference(ones, ones, np.arange(6), bounds=(-1, 1))
    assert hypotheses.superiority(ones, ones, np.arange(6), same) == 1
    assert min(hypotheses.one_sided(same, 0.01)) > 0.4 and hypotheses.detectable(same) > 0.3
    unbounded = statistics.paired_difference(ones, ones, np.arange(6))
    assert hypotheses.one_sided(unbounded, 0.01) == (None, None) and hypotheses.detectable(unbounded) is None


@pytest.mark.parametrize("zeros", [0, 2, 10, 60])
def test_patients_without_a_difference_add_nothing_to_the_test_of_signs(zeros):
    """Five that differ, all in the same sense: 2 of 2^5 patterns of signs."""
    first = np.array([1, 2, 3, 4, 5, *[0] * zeros])
    p = hypotheses.signed_rank(first, np.zeros(5 + zeros), np.arange(5 + zeros))
    assert p == pytest.approx(0.0625) == hypotheses.attainable(5)
    one = hypotheses.signed_rank([1, 0, 0, 0, 0, 0], np.zeros(6), np.arange(6))
    assert one == hypotheses.attainable(1) == hypotheses.attainable(0) == 1


@pytest.mark.parametrize("comparisons", [1, 6])
def test_the_detectable_difference_is_found_four_times_in_five(estimate, comparisons):
    found = hypotheses.detectable(estimate, comparisons)
    assert power(found, estimate.error, estimate.df, comparisons) == pytest.approx(0.8, abs=0.005)


def test_few_groups_bound_the_smallest_p():
    assert hypotheses.attainable(5) == pytest.approx(0.0625) and hypotheses.attainable(6) == pytest.approx(2 / 64)
    best = hypotheses.signed_rank(np.arange(1.0, 8), np.zeros(7), np.arange(7))
    assert best == pytest.approx(hypotheses.attainable(7))


def test_too_few_groups_have_no_test():
    estimate = statistics.paired_difference(np.ones((3, 4)), np.zeros((3, 4)), np.arange(4))
    assert hypotheses.superiority(np.ones((3, 4)), np.zeros((3, 4)), np.arange(4), estimate) is None
    assert hypotheses.one_sided(estimate, 0.01) == (None, None) and hypotheses.detectable(estimate) is None


def test_holm_agrees_with_statsmodels():
    generator = np.random.default_rng(0)
    for size in (1, 2, 3, 8, 40):
        p_values = np.round(generator.uniform(0, 0.3, size), 2)  # with ties
        expected = multipletests(p_values, method="holm")[1]
        found = hypotheses.holm([None, *p_values.tolist(), None])
        assert found[0] is None and found[-1] is None
        assert found[1:-1] == pytest.approx(expected.tolist(), abs=1e-15)
    assert hypotheses.holm([]) == [] and hypotheses.holm([None]) == [None]
