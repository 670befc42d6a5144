"""Tests of a difference, on differences whose answer is known by hand or by simulation."""

import numpy as np
import pytest

from reports.numbers import hypotheses, statistics, verdicts
from reports.numbers.hypotheses import Margin
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


def compared(first, second, bounds=(-1, 1)):
    """A difference with its limits, p of no difference, and p of not worse and not better by 0.01."""
    groups = np.arange(np.shape(first)[-1])
    estimate, limits = statistics.difference(first, second, groups, bounds=bounds)
    p = hypotheses.superiority(first, second, groups, estimate, limits)
    return estimate, limits, p, hypotheses.within_margin(limits, len(groups), Margin())


@pytest.fixture
def three_trainings():
    """Two methods with three trainings each on 30 patients; the first is better by about 0.004."""
    random = np.random.default_rng(8)
    first = 0.8 + random.normal(0, 0.003, (3, 1)) + random.normal(0, 0.02, (3, 30))
    return first + 0.004, first.mean(0) + random.normal(0, 0.02, (3, 30))


@pytest.mark.parametrize("shift", np.linspace(-0.02, 0.03, 11))
@pytest.mark.parametrize("trainings", [1, 3])
def test_the_interval_excludes_what_the_tests_reject(three_trainings, trainings, shift):
    first, second = (table[:trainings] for table in three_trainings)
    estimate, limits, p, _ = compared(first + shift, second)
    if trainings == 3:
        assert p > 0.05 or estimate.low > 0 or estimate.high < 0
    for margin in (Margin(0.02), Margin(0.05), Margin(abs(shift)), Margin(0.02, 0), Margin(0.02, 1)):
        room = margin.within - margin.failure / 31
        not_worse, not_better = hypotheses.within_margin(limits, 30, margin)
        assert (not_worse < 0.05, not_better < 0.05) == (estimate.low > -room, estimate.high < room)
    at_end, _ = hypotheses.within_margin(limits, 30, Margin(-estimate.low + 0.3 / 31))
    assert at_end == pytest.approx(0.05, abs=1e-3)


def test_a_p_is_the_level_of_the_interval_that_ends_there(three_trainings):
    _, limits, p, _ = compared(*three_trainings)
    own = min(2 * limits.above(0), 2 * limits.below(0))
    assert limits.low(own / 2) == pytest.approx(0, abs=1e-4) or limits.high(own / 2) == pytest.approx(0, abs=1e-4)
    # Student's t, the sum of the squares of what patients and trainings reach, is the other of the two.
    assert limits.error.reach(limits.students(0) / 2) == pytest.approx(abs(limits.value), rel=1e-4)
    assert p == max(own, limits.students(0))
    levels = [limits.low(tail) for tail in (1e-6, 1e-3, 0.004, 0.005, 0.025, 0.2)]
    assert levels == sorted(levels) and levels[0] > -0.2


def test_no_margin_is_claimed_that_one_unseen_failure_would_break():
    """Twelve patients that hardly differ: a thirteenth in whom the first method loses 0.3 would cost 0.023."""
    values = 0.9 + 0.0005 * np.random.default_rng(0).normal(size=300)
    nearly = values + 0.001 * np.random.default_rng(1).normal(size=300)
    *_, few = compared(nearly[:12], values[:12])
    *_, many = compared(nearly, values)
    assert min(few) > 0.5 and max(many) < 0.001
    assert Margin().unseen(12) == pytest.approx(0.3 / 13)


def test_without_a_failure_the_interval_alone_decides():
    """What is declared, that failures play no part, is what is tested; what is claimed then says nothing of them."""
    values = 0.9 + 0.0005 * np.random.default_rng(0).normal(size=12)
    nearly = values + 0.001 * np.random.default_rng(1).normal(size=12)
    _, limits = statistics.difference(nearly, values, np.arange(12), bounds=(-1, 1))
    alone = hypotheses.within_margin(limits, 12, Margin(failure=0))
    assert max(alone) < 0.001 < min(hypotheses.within_margin(limits, 12, Margin()))


def test_three_patients_in_whom_a_method_fails_do_not_decide():
    """Seventeen patients alike but for chance, three in whom the first loses 0.4: the bootstrap-t, which takes the
    losses for a tail, ends its interval below 0, Student's above it."""
    chance = 0.005 * np.random.default_rng(3).normal(size=(2, 3, 20))
    first, second = 0.85 + chance - np.mean(chance, axis=(1, 2), keepdims=True)
    first[:, :3] -= 0.4
    estimate, limits, p, _ = compared(first, second)
    assert estimate.high < 0 and 2 * limits.below(0) < 0.05 < p == limits.students(0)
    (tested,) = verdicts.tested([(first, second, np.arange(20))])
    assert verdicts.verdict(*tested) is verdicts.Verdict.UNDECIDED


def test_one_training_of_either_is_tested_by_ranks():
    _, _, p, _ = compared(np.array([[1, 2, 3, 4, 5, 6.5]]), np.zeros((3, 6)), (-9, 9))
    assert p == pytest.approx(2 / 64)


def test_six_patients_without_any_difference_do_not_show_that_there_is_none():
    ones = np.ones((3, 6))
    same, _, p, within = compared(ones, ones)
    assert p == 1 and min(within) > 0.4 and hypotheses.detectable(same) > 0.3
    unbounded, _, p, within = compared(ones, ones, statistics.UNBOUNDED)
    assert (p, *within) == (None, None, None) and hypotheses.detectable(unbounded) is None


@pytest.mark.parametrize("zeros", [0, 2, 10, 60])
def test_patients_without_a_difference_add_nothing_to_the_test_of_signs(zeros):
    """Five that differ, all in the same sense: 2 of 2^5 patterns of signs."""
    first = np.array([1, 2, 3, 4, 5, *[0] * zeros])
    p = hypotheses.signed_rank(first, np.zeros(5 + zeros), np.arange(5 + zeros))
    assert p == pytest.approx(0.0625) == hypotheses.attainable(5)
    one = hypotheses.signed_rank([1, 0, 0, 0, 0, 0], np.zeros(6), np.arange(6))
    assert one == hypotheses.attainable(1) == hypotheses.attainable(0) == 1


@pytest.mark.parametrize("comparisons", [1, 6])
def test_the_detectable_difference_is_found_four_times_in_five(three_trainings, comparisons):
    estimate = statistics.paired_difference(*three_trainings, np.arange(30))
    found = hypotheses.detectable(estimate, comparisons)
    assert power(found, estimate.error, estimate.df, comparisons) == pytest.approx(0.8, abs=0.005)


def test_few_groups_bound_the_smallest_p():
    assert hypotheses.attainable(5) == pytest.approx(0.0625) and hypotheses.attainable(6) == pytest.approx(2 / 64)
    best = hypotheses.signed_rank(np.arange(1.0, 8), np.zeros(7), np.arange(7))
    assert best == pytest.approx(hypotheses.attainable(7))


def test_too_few_groups_have_no_test():
    estimate, _, p, within = compared(np.ones((3, 4)), np.zeros((3, 4)))
    assert (p, *within) == (None, None, None) and hypotheses.detectable(estimate) is None
