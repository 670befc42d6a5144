import numpy as np
import pytest
from scipy import stats

from reports.numbers import areas, statistics


def by_loop(values, groups, resamples, seed):
    """The bootstrap over patients written as a loop over resamples and drawn groups."""
    names = np.unique(groups)
    means = np.array([np.nanmean(values[groups == name]) for name in names])
    draws = np.random.default_rng(seed).multinomial(len(names), [1 / len(names)] * len(names), size=resamples)
    return np.array([np.mean([mean for mean, times in zip(means, draw) for _ in range(times)]) for draw in draws])


@pytest.fixture
def cases():
    generator = np.random.default_rng(3)
    groups = np.repeat([f"p{k}" for k in range(8)], [1, 2, 3, 4, 1, 2, 3, 4])
    return generator.uniform(0.5, 1, len(groups)), groups


def test_resampling_many_conditions_equals_resampling_each(cases):
    values, groups = cases
    both = np.stack([values, values**2])
    replicates = statistics.resample(both, groups, 40)
    np.testing.assert_allclose(replicates[:, 1], statistics.resample(values**2, groups, 40))


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


def test_area_is_the_mean_height_of_the_curve():
    x = np.array([0, 0.1, 0.5])
    assert areas.area_under_curve(x, [0.8, 0.8, 0.8]) == pytest.approx(0.8)
    assert areas.area_under_curve(x, 1 - x) == pytest.approx(0.75)
    assert areas.relative_area(x, 0.5 * (1 - x)) == pytest.approx(0.75)
    assert np.isnan(areas.area_under_curve([0.0], [0.9]))
    assert np.isnan(areas.relative_area(x, np.zeros(3)))


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
    found = areas.x_at_loss([0, 0.1, 0.2, 0.3], y)
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(areas.x_at_loss([0, 0.1, 0.2, 0.3], np.stack([y, y]))[1], expected)


def test_lengths_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="5 cases but 4 groups"):
        statistics.mean(np.ones(5), np.arange(4))
    with pytest.raises(ValueError, match="same cases"):
        statistics.paired_difference(np.ones(5), np.ones(1), np.arange(5))


def test_resampling_draws_groups_that_weigh_the_same(cases):
    values, groups = cases
    values[2] = np.nan
    np.testing.assert_allclose(statistics.resample(values, groups, 50, 7), by_loop(values, groups, 50, 7))


def test_the_mean_is_over_patients_and_the_interval_contains_it(cases):
    values, groups = cases
    estimate = statistics.mean(values, groups)
    assert estimate.value == pytest.approx(np.mean([values[groups == name].mean() for name in np.unique(groups)]))
    assert estimate.low < estimate.value < estimate.high
    assert (estimate.cases, estimate.groups, estimate.undefined, estimate.seeds) == (20, 8, 0, 1)


def test_the_interval_is_bootstrap_t_and_wider_than_percentiles_however_many_the_groups():
    values = np.random.default_rng(6).exponential(size=200)
    for count in (6, 12, 39, 40, 41, 200):
        estimate = statistics.mean(values[:count], np.arange(count))
        low, high = statistics.interval(statistics.resample(values[:count], np.arange(count)))
        assert estimate.high - estimate.low > high - low
        # Where values are skewed to the right, so is the doubt.
        assert estimate.high - estimate.value > estimate.value - estimate.low


@pytest.mark.parametrize("shape", [9, (3, 9)])
def test_equal_values_say_nothing_of_those_not_seen(shape):
    unbounded = statistics.mean(np.full(shape, 0.75), np.arange(9))
    assert (unbounded.value, unbounded.low, unbounded.high, unbounded.error) == (0.75, None, None, None)
    estimate = statistics.mean(np.full(shape, 0.75), np.arange(9), bounds=(0, 1))
    # The share of values not seen has the distribution Beta(1, 9), whose 97.5 % point is 1 - 0.025^(1/9).
    unseen = 1 - 0.025 ** (1 / 9)
    assert estimate.low == pytest.approx(0.75 * (1 - unseen), abs=0.02)
    assert estimate.high == pytest.approx(0.75 + 0.25 * unseen, abs=0.02)


@pytest.mark.parametrize("ones", [8, 11, 12])
def test_scores_of_0_and_1_have_the_interval_of_a_share(ones):
    values = np.repeat([1.0, 0.0], [ones, 12 - ones])
    estimate = statistics.mean(values, np.arange(12), resamples=20_000, bounds=(0, 1))
    expected = stats.binomtest(ones, 12).proportion_ci(method="exact")
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high), abs=0.01)


def test_where_half_are_alike_the_error_says_no_less_than_the_interval():
    """Of the trainings' mean, too, whose interval is as wide as Student's and as what was not seen."""
    random = np.random.default_rng(0)
    values = np.where(np.arange(12) < 7, 1, random.uniform(0.9, 1, (3, 12)))
    free, bound = (statistics.mean(values, np.arange(12), **more) for more in ({}, {"bounds": (0, 1)}))
    assert bound.low < free.low and bound.high == free.high and bound.error > 3 * free.error and bound.df == free.df
    # Three of twelve alike are too few to say that there is a ceiling: the bounds cut, and nothing else.
    apart = np.where(np.arange(12) < 3, 1, random.uniform(0.9, 1, (3, 12)))
    free, bound = (statistics.mean(apart, np.arange(12), **more) for more in ({}, {"bounds": (0, 1)}))
    assert (bound.low, bound.error) == (free.low, free.error)


def test_an_interval_has_no_cliff_where_ties_are_broken_or_one_more_is_alike():
    """24 scores, of which some are 1 but for noise."""
    random = np.random.default_rng(0)
    rest, noise = random.uniform(0.9, 0.999, 24), random.uniform(-1, 0, 24)

    def low(alike, size):
        values = np.where(np.arange(24) < alike, 1 + size * noise, rest)
        return statistics.mean(values, np.arange(24), bounds=(0, 1)).low

    by_count = [low(alike, 0) for alike in range(5, 25)]
    by_noise = [low(24, size) for size in 10 ** np.linspace(-12, -1.5, 40)]
    assert low(24, 1e-9) == pytest.approx(low(24, 0), abs=1e-6) == pytest.approx(1 - (1 - 0.025 ** (1 / 24)), abs=0.02)
    for steps in (np.diff(by_count), np.diff(by_noise)):
        assert np.abs(steps).max() < 0.45 * np.ptp(np.cumsum(steps))


def test_one_outlier_puts_no_limit_further_out_than_twice_students():
    """Eleven distances of a few pixels and one diagonal of the image."""
    values = np.array([3.1, 4.0, 4.4, 5.2, 5.9, 6.3, 7.0, 7.7, 8.1, 9.5, 11.0, 140.0])
    estimate = statistics.mean(values, np.arange(12))
    reach = stats.t.ppf(0.975, 11) * values.std(ddof=1) / 12**0.5
    assert estimate.high == pytest.approx(values.mean() + 2 * reach)
    assert values.mean() - reach < estimate.low < values.mean()


def test_one_patient_that_differs_from_all_others_has_a_finite_interval():
    estimate = statistics.mean(np.array([0.8] * 7 + [0.1]), np.arange(8))
    assert np.isfinite([estimate.low, estimate.high]).all() and estimate.low < estimate.value < estimate.high


def test_an_interval_can_be_cut_to_the_range_of_a_score():
    estimate = statistics.mean(np.array([1.0, 1, 1, 1, 1, 0.7]), np.arange(6))
    assert estimate.high > 1 and estimate.within(0, 1).high == 1 and estimate.within(0, 1).low == estimate.low
    assert statistics.mean(np.ones(3), np.arange(3)).within(0, 1).low is None


def test_several_trainings_widen_the_interval_by_how_much_they_differ():
    patients = np.random.default_rng(2).normal(0.8, 0.01, 30)
    alike, apart = (patients + np.array([[-d], [0], [d]]) for d in (0, 0.05))
    narrow, wide = (statistics.mean(values, np.arange(30)) for values in (alike, apart))
    assert narrow.value == pytest.approx(wide.value) and (narrow.seeds, wide.seeds) == (3, 3)
    assert wide.error**2 == pytest.approx(narrow.error**2 + 0.05**2 / 3)
    # Nearly all that is unknown is the training, of which there are three: two degrees of freedom.
    assert narrow.df == pytest.approx(29) and 2 < wide.df < 2.1


def test_a_difference_speaks_of_methods_only_where_both_were_trained_several_times():
    values = np.random.default_rng(3).normal(0.8, 0.02, (3, 12))
    assert statistics.paired_difference(values, values - 0.1, np.arange(12)).seeds == 3
    # Two trainings that happen to agree would hide how much trainings differ.
    assert statistics.paired_difference(values, values[:2] - 0.1, np.arange(12)).seeds == 1
    assert statistics.mean(values[:2], np.arange(12)).seeds == 1 and statistics.mean(values, np.arange(12)).seeds == 3
    assert statistics.paired_difference(values, values[0], np.arange(12)).seeds == 1
    assert statistics.paired_difference(values[0], values[1], np.arange(12)).seeds == 1


def test_a_seed_without_any_score_is_no_training():
    values = np.random.default_rng(3).normal(0.8, 0.02, (3, 12))
    lost = np.vstack([values, np.full(12, np.nan)])
    assert statistics.mean(lost, np.arange(12)) == statistics.mean(values, np.arange(12))


@pytest.fixture
def curves():
    """DSC of 25 patients at six sigmas."""
    return 0.9 - np.random.default_rng(2).uniform(0.2, 0.6, 25) * np.linspace(0, 0.5, 6)[:, None]


def test_a_smooth_function_of_the_curve_has_the_interval_of_a_mean(curves):
    sigma = np.linspace(0, 0.5, 6)
    area = statistics.smooth(lambda y: areas.area_under_curve(sigma, y), curves, np.arange(25))
    # An area is linear: its interval is that of the mean of the patients' own areas.
    own = statistics.mean(areas.area_under_curve(sigma, curves.T), np.arange(25))
    assert (area.value, area.low, area.high) == pytest.approx((own.value, own.low, own.high))
    curves[3, 4] = np.nan
    assert statistics.smooth(lambda y: y[..., 0], curves, np.arange(25)).cases == 24


def test_a_smooth_function_holds_the_variance_of_training(curves):
    trainings = np.stack([curves - 0.02, curves, curves + 0.02])
    found = statistics.smooth(lambda y: y[..., 0] / y[..., -1], trainings, np.arange(25))
    alone = statistics.smooth(lambda y: y[..., 0] / y[..., -1], curves, np.arange(25))
    assert found.seeds == 3 and found.high - found.low > alone.high - alone.low


def test_a_threshold_s_samples_scatter_more_where_groups_are_few(curves):
    sigma = np.linspace(0, 0.5, 6)

    def lost(y):
        return areas.x_at_loss(sigma, y, 0.05)

    found = statistics.statistic(lost, curves, np.arange(25))
    means = curves.mean(axis=1)
    moved = means + statistics.stretch(25) * (statistics.resample(curves, np.arange(25)) - means)
    assert (found.low, found.high) == pytest.approx(tuple(statistics.interval(lost(moved))))
    assert 1 < statistics.stretch(40) < statistics.stretch(25) < statistics.stretch(8) < 2
    assert statistics.stretch(10_000) == pytest.approx(1, abs=1e-3)
    # Of what is no threshold but a mean, the interval is Student's but for the skewness and sqrt(n / (n - 1)).
    at_zero = statistics.statistic(
        lambda y: y[..., 0], values := curves + np.linspace(-1, 1, 25), np.arange(25), 20_000
    )
    reach = stats.t.ppf(0.975, 24) * values[0].std(ddof=1) / 5
    assert at_zero.high - at_zero.low == pytest.approx(2 * reach, rel=0.03)


@pytest.mark.parametrize("seeds", [3, 5])
def test_where_patients_are_all_alike_a_threshold_s_interval_is_student_s_over_trainings(seeds):
    values = np.array([-0.03, 0.0, 0.03, 0.01, 0.02])[:seeds]
    trainings = values[:, None, None] * np.ones((seeds, 1, 50))
    found = statistics.statistic(lambda y: y[..., 0], trainings, np.arange(50), resamples=50_000)
    reach = stats.t.ppf(0.975, seeds - 1) * values.std(ddof=1) / seeds**0.5
    assert (found.low, found.high) == pytest.approx((values.mean() - reach, values.mean() + reach), rel=0.05)
    assert found.seeds == seeds


def test_weights_of_trainings_sum_to_1_and_are_alike_where_there_are_too_few():
    for seeds in (1, 2, 3, 7):
        drawn = statistics.seed_draws(seeds, 100, 0)
        assert drawn.shape == (100, seeds) and drawn.sum(axis=1) == pytest.approx(1)
        assert (np.ptp(drawn) == 0) == (seeds < 3)
    # Another stream is another draw: two methods' trainings are drawn independently.
    assert not np.array_equal(statistics.seed_draws(3, 100, 0), statistics.seed_draws(3, 100, 0, stream=1))
