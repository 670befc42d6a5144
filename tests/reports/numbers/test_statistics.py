import numpy as np
import pytest

from reports.numbers import statistics


def by_loop(values, groups, resamples, seed):
    """The cluster bootstrap written as a loop over resamples and drawn groups."""
    names = np.unique(groups)
    draws = np.random.default_rng(seed).multinomial(len(names), [1 / len(names)] * len(names), size=resamples)
    means = []
    for draw in draws:
        cases = [v for name, times in zip(names, draw) for _ in range(times) for v in values[groups == name]]
        cases = [v for v in cases if not np.isnan(v)]
        means.append(np.mean(cases) if cases else np.nan)
    return np.array(means)


@pytest.fixture
def cases():
    generator = np.random.default_rng(3)
    groups = np.repeat([f"p{k}" for k in range(8)], [1, 2, 3, 4, 1, 2, 3, 4])
    return generator.uniform(0.5, 1, len(groups)), groups


def test_resampling_draws_whole_groups(cases):
    values, groups = cases
    values[2] = np.nan
    np.testing.assert_allclose(statistics.resample(values, groups, 50, 7), by_loop(values, groups, 50, 7))


def test_resampling_many_conditions_equals_resampling_each(cases):
    values, groups = cases
    both = np.stack([values, values**2])
    replicates = statistics.resample(both, groups, 40)
    np.testing.assert_allclose(replicates[:, 1], statistics.resample(values**2, groups, 40))


def test_the_mean_is_over_cases_and_the_interval_contains_it(cases):
    values, groups = cases
    estimate = statistics.mean(values, groups)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low < estimate.value < estimate.high
    assert (estimate.cases, estimate.groups, estimate.undefined) == (20, 8, 0)


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        estimate = statistics.mean(generator.normal(size=40), np.arange(40), resamples=400)
        hits += estimate.low <= 0 <= estimate.high
    assert 0.89 <= hits / 200 <= 0.99


def test_cases_of_one_patient_widen_the_interval():
    patient_means = np.random.default_rng(1).normal(size=10)
    values = np.repeat(patient_means, 6)
    grouped = statistics.mean(values, np.repeat(np.arange(10), 6))
    independent = statistics.mean(values, np.arange(60))
    assert grouped.high - grouped.low > 1.5 * (independent.high - independent.low)


def test_no_interval_below_five_groups():
    values = np.linspace(0, 1, 12)
    assert not statistics.mean(values, np.arange(12) // 3).has_interval
    assert not statistics.mean(values[:4], np.arange(4)).has_interval
    assert statistics.mean(values[:5], np.arange(5)).has_interval


def test_undefined_cases_are_counted_and_do_not_enter():
    values = np.array([1.0, np.nan, 3.0, np.nan, 2.0, 2.0])
    estimate = statistics.mean(values, np.arange(6))
    assert estimate.value == 2 and estimate.cases == 4 and estimate.undefined == 2
    assert not estimate.has_interval
    nothing = statistics.mean(np.full(6, np.nan), np.arange(6))
    assert np.isnan(nothing.value) and nothing.cases == 0 and nothing.undefined == 6


def test_equal_values_have_an_interval_of_no_width():
    estimate = statistics.mean(np.full(9, 0.75), np.arange(9))
    assert (estimate.value, estimate.low, estimate.high) == (0.75, 0.75, 0.75)


def test_the_interval_is_the_same_every_time_and_follows_the_seed(cases):
    values, groups = cases
    assert statistics.mean(values, groups) == statistics.mean(values, groups)
    assert statistics.mean(values, groups, seed=1) != statistics.mean(values, groups)
    order = np.random.default_rng(0).permutation(len(values))
    shuffled = statistics.mean(values[order], groups[order])
    assert shuffled.low == pytest.approx(statistics.mean(values, groups).low)


def test_interval_keeps_infinite_replicates_and_leaves_out_undefined_ones():
    low, high = statistics.interval(np.array([np.nan, *np.linspace(0, 1, 50), np.inf, np.inf]))
    assert 0 <= low < 0.05 and high == np.inf


def test_a_paired_difference_removes_what_the_cases_share():
    generator = np.random.default_rng(5)
    difficulty = generator.normal(size=30)
    first, second = difficulty + 0.1 + generator.normal(0, 0.01, 30), difficulty
    estimate = statistics.paired_difference(first, second, np.arange(30))
    assert estimate.value == pytest.approx((first - second).mean())
    assert 0.09 < estimate.low < estimate.high < 0.11


def test_a_pair_with_one_undefined_side_is_left_out():
    estimate = statistics.paired_difference([1.0, np.nan, 3, 4, 5, 6], [0.0, 0, np.nan, 3, 4, 5], np.arange(6))
    assert estimate.value == 1 and estimate.cases == 4 and estimate.undefined == 2


def test_seed_spread_is_over_the_means_of_the_seeds():
    values = np.array([[0.8, 0.9], [0.7, 0.8], [0.6, 0.7]])
    mean, spread = statistics.seed_spread(values)
    assert mean == pytest.approx(0.75) and spread == pytest.approx(0.1)
    assert statistics.seed_spread(values[:1])[1] is None


def test_area_is_the_mean_height_of_the_curve():
    x = np.array([0, 0.1, 0.5])
    assert statistics.area_under_curve(x, [0.8, 0.8, 0.8]) == pytest.approx(0.8)
    assert statistics.area_under_curve(x, 1 - x) == pytest.approx(0.75)
    assert statistics.relative_area(x, 0.5 * (1 - x)) == pytest.approx(0.75)
    assert np.isnan(statistics.area_under_curve([0.0], [0.9]))
    assert np.isnan(statistics.relative_area(x, np.zeros(3)))


@pytest.mark.parametrize(
    "y, expected",
    [
        ([0.9, 0.88, 0.80, 0.5], 0.1375),  # 0.85 lies three eighths of the way from 0.88 to 0.80
        ([0.9, 0.85, 0.80, 0.7], 0.1),
        ([0.9, 0.7, 0.95, 0.1], 0.025),  # the first fall counts, not the last
        ([0.9, 0.95, 0.89, 0.86], np.inf),
        ([0.9, np.nan, 0.9, 0.9], np.nan),
    ],
)
def test_x_at_loss_interpolates_the_first_fall(y, expected):
    found = statistics.x_at_loss([0, 0.1, 0.2, 0.3], y)
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(statistics.x_at_loss([0, 0.1, 0.2, 0.3], np.stack([y, y]))[1], expected)


def test_a_statistic_of_the_curve_gets_an_interval_from_resampled_curves():
    generator = np.random.default_rng(2)
    sigma = np.linspace(0, 0.5, 6)
    curves = 0.9 - generator.uniform(0.2, 0.6, 25) * sigma[:, None]
    area = statistics.statistic(lambda y: statistics.area_under_curve(sigma, y), curves, np.arange(25))
    assert area.value == pytest.approx(statistics.area_under_curve(sigma, curves.mean(axis=1)))
    assert area.low < area.value < area.high
    curves[3, 4] = np.nan
    assert statistics.statistic(lambda y: y[..., 0], curves, np.arange(25)).cases == 24


def test_signed_rank_agrees_with_the_exact_distribution():
    # All of 6 differences positive: 2 of the 2^6 sign patterns are as extreme.
    assert statistics.signed_rank([1, 2, 3, 4, 5, 6.5], np.zeros(6), np.arange(6)) == pytest.approx(2 / 64)
    assert statistics.signed_rank(np.ones(6), np.ones(6), np.arange(6)) == 1
    assert statistics.signed_rank(np.ones(8), np.zeros(8), np.arange(8) // 2) is None


def test_holm_multiplies_the_smallest_most_and_never_reorders():
    assert statistics.holm([0.01, 0.04, 0.03, None]) == [
        pytest.approx(0.03),
        pytest.approx(0.06),
        pytest.approx(0.06),
        None,
    ]
    assert statistics.holm([0.6, 0.9]) == [1, 1]


def test_lengths_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="5 cases but 4 groups"):
        statistics.mean(np.ones(5), np.arange(4))
    with pytest.raises(ValueError, match="same cases"):
        statistics.paired_difference(np.ones(5), np.ones(1), np.arange(5))


def test_effect_sizes_by_hand():
    # Differences 1, 2, -3, 4, 0 and 5: ranks 1 + 2 + 4 + 5 = 12 favour the first, 3 the second, 0 is left out.
    first = np.array([1, 2, -3, 4, 0, 5.0])
    rank_biserial, d_z = statistics.effect_sizes(first, np.zeros(6), np.arange(6))
    assert rank_biserial == pytest.approx((12 - 3) / 15)
    assert d_z == pytest.approx(1.5 / np.std(first, ddof=1))
    mirrored = statistics.effect_sizes(np.zeros(6), first, np.arange(6))
    assert mirrored == pytest.approx((-rank_biserial, -d_z))


def test_effect_sizes_where_there_is_no_spread_or_too_little_data():
    assert statistics.effect_sizes(np.full(6, 0.3), np.full(6, 0.1 + 0.2), np.arange(6)) == (0, 0)
    assert statistics.effect_sizes(np.full(6, 0.75), np.full(6, 0.5), np.arange(6)) == (1, None)
    assert statistics.effect_sizes(np.ones(12), np.zeros(12), np.arange(12) // 3) == (None, None)


def test_tests_are_made_on_the_means_of_patients():
    first, groups = np.random.default_rng(4).normal(0.1, 1, 24), np.arange(24) % 8
    by_patient = np.array([first[groups == k].mean() for k in range(8)])
    np.testing.assert_allclose(statistics.group_means(first, groups), by_patient)
    zeros = np.zeros(24)
    alone = statistics.signed_rank(by_patient, np.zeros(8), np.arange(8))
    assert statistics.signed_rank(first, zeros, groups) == pytest.approx(alone)
    alone = statistics.effect_sizes(by_patient, np.zeros(8), np.arange(8))
    assert statistics.effect_sizes(first, zeros, groups) == pytest.approx(alone)


def test_a_rank_that_is_sure_is_always_kept_and_one_that_is_not_is_shared():
    base = np.linspace(0.5, 0.6, 20)
    swap = 0.01 * np.tile([1, -1], 10)
    best, second, third = statistics.ranks(np.stack([base + 0.3, base, base + swap]), np.arange(20))
    assert best == statistics.Rank(1, 1, 1, 1.0, 1.0)
    assert (second.first, third.first) == (0, 0) and (third.low, third.high) == (2, 3)
    assert 0.2 < third.kept < 0.8


def test_a_row_without_any_value_has_no_rank_and_does_not_cost_the_others_theirs():
    values = np.array([[0.9] * 6, [np.nan] * 6, [0.8] * 6])
    first, nothing, second = statistics.ranks(values, np.arange(6))
    assert nothing is None and (first.place, second.place) == (1, 2)
