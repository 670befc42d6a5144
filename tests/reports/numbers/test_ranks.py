"""Ranks of methods, how stable they are, and other orders."""

import numpy as np

from reports.numbers import ranks as ranking


def test_a_rank_that_is_sure_is_always_kept_and_one_that_is_not_is_shared():
    base = np.linspace(0.5, 0.6, 20)
    swap = 0.01 * np.tile([1, -1], 10)
    best, second, third = ranking.ranks(np.stack([base + 0.3, base, base + swap]), np.arange(20))
    assert best == ranking.Rank(1, 1, 1, 1.0, 1.0)
    assert (second.first, third.first) == (0, 0) and (third.low, third.high) == (2, 3)
    assert 0.2 < third.kept < 0.8


def test_a_row_without_any_value_has_no_rank_and_does_not_cost_the_others_theirs():
    values = np.array([[0.9] * 6, [np.nan] * 6, [0.8] * 6])
    first, nothing, second = ranking.ranks(values, np.arange(6))
    assert nothing is None and (first.place, second.place) == (1, 2)


def test_equal_means_share_a_rank():
    values = np.array([[0.5, 0.7] * 4, [0.7, 0.5] * 4, [0.1, 0.2] * 4])
    assert [rank[0] for rank in ranking.ranks(values, np.arange(8))] == [1, 1, 3]


def test_cases_undefined_in_one_row_are_left_out_of_all_ranks():
    values = np.array([[0.9, 0.1, np.nan, 0.9, 0.9, 0.9], [0.8, 0.8, 1.0, 0.8, 0.8, 0.8]])
    (first, *_), (second, *_) = ranking.ranks(values, np.arange(6))
    assert (first, second) == (2, 1)
    assert ranking.ranks(np.full((2, 3), np.nan), np.arange(3)) == [None, None]


def test_trainings_that_differ_make_a_rank_unsure():
    patients = np.linspace(0.7, 0.9, 12)
    first, second = (patients + level + 0.03 * np.array([[-1], [0], [1]]) for level in (0.01, 0.0))
    sure = ranking.ranks([first.mean(0), second.mean(0)], np.arange(12))
    unsure = ranking.ranks([first, second], np.arange(12))
    assert sure[0] == ranking.Rank(1, 1, 1, 1.0, 1.0)
    assert unsure[0].place == 1 and unsure[0].high == 2 and 0.5 < unsure[0].first < 0.8


def test_agreement_is_kendall_s_tau():
    assert ranking.agreement([1, 2, 3], [1, 2, 3]) == 1 and ranking.agreement([1, 2, 3], [3, 2, 1]) == -1
    assert ranking.agreement([1, 2, None], [2, 1, 3]) == -1
    assert ranking.agreement([1], [1]) is None and ranking.agreement([1, 1], [1, 2]) is None
