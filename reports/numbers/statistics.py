"""Means over patients and trainings with their intervals.

The unit of analysis is the group (the patient): the cases of a group (slices or frames of one patient) are averaged
first, and every group weighs the same. Where each method was trained with MIN_SEEDS seeds or more, an interval holds
the variance of training, too, and speaks of the method; with fewer it speaks of these trainings.

- these trainings: bootstrap-t below LARGE groups (Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982,
  section 10.10; Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 5.2.1), percentiles from
  there on;
- methods: Student's t with the degrees of freedom of `reports.numbers.components`;
- where half of the groups or more have one and the same value, as at the ceiling of a score: Gaffke's limits, which
  know that the values not seen lie between the bounds of the score.

The draw of a bootstrap depends on the number of groups and the seed alone: methods tested on the same patients are
resampled alike. `python -m reports.numbers.simulation` shows how often these intervals hold the truth.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from reports.numbers.components import standard_error

Groups = ArrayLike
"""(cases,) labels of any sort that can be ordered: cases with one label belong together, as those of one patient."""
Pair = tuple[np.ndarray, np.ndarray, np.ndarray]
"""(first, second, groups): the values of two methods on the same cases, each (seeds, cases) or, of one training,
(cases,), and the groups (cases,)."""

RESAMPLES = 2000
LEVEL = 0.95
MIN_GROUPS = 5
"""Fewer independent groups than this, and no interval is given."""
MIN_SEEDS = 3
"""Of fewer trainings the variance of training is not estimated: two that happen to agree hide it, and by simulation a t
interval on two misses the truth in 10 % of experiments (docs/statistics.md)."""
LARGE = 40
"""From so many groups on percentiles of the bootstrap cover what they promise."""
FURTHEST = 2.0
"""A limit of the bootstrap-t is at most so many times as far from the mean as Student's: samples that leave out the one
outlier of a dozen groups hardly spread, and without a bound their t would put the limits ten times as far out."""
ROUNDING = 1e-12
"""Scores closer than this are equal."""
Bounds = tuple[float, float]
"""Between what a value can lie: (0, 1) of a score, (-1, 1) of a difference of two. An interval is cut there."""
UNBOUNDED: Bounds = (-np.inf, np.inf)


@dataclass(frozen=True)
class Estimate:
    """A value with its interval. `low` and `high` are None where fewer than MIN_GROUPS groups carry a value, and where
    all of them carry the same and the value has no bounds: nothing then tells how far it may be off.

    cases and groups count what entered the value (cases whose value is undefined, NaN, do not); undefined counts the
    cases that were left out; value is NaN when nothing was left. seeds: how many trainings of each method the interval
    speaks for, 1 where it holds for these trainings alone; error and df: standard error of the value and its degrees
    of freedom, None where there is no interval or the value is no mean.
    """

    value: float
    low: float | None
    high: float | None
    cases: int
    groups: int
    undefined: int = 0
    seeds: int = 1
    error: float | None = None
    df: float | None = None

    @property
    def has_interval(self) -> bool:
        """Whether there were groups enough for one, and not all alike."""
        return self.low is not None

    def within(self, lowest: float, highest: float) -> "Estimate":
        """The interval cut to values that can be, as those of a score in [0, 1]."""
        if self.low is None or self.high is None:
            return self
        return replace(self, low=min(max(self.low, lowest), highest), high=max(min(self.high, highest), lowest))


def mean(
    values: ArrayLike, groups: Groups, resamples: int = RESAMPLES, seed: int = 0, bounds: Bounds = UNBOUNDED
) -> Estimate:
    """Mean over groups of their means over cases, with its interval. values: (cases,) of one training or (seeds,
    cases), NaN = undefined; groups: (cases,). A case is averaged over the seeds in which it is defined."""
    table = _trainings(values)
    return _estimate(_seed_means(table), [table], groups, resamples, seed, bounds)


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    groups: Groups,
    resamples: int = RESAMPLES,
    seed: int = 0,
    bounds: Bounds = UNBOUNDED,
) -> Estimate:
    """Mean over groups of first - second with its interval; a case undefined in either is left out. Each is (cases,) of
    one training or (seeds, cases), with a number of seeds of its own. The interval holds the variance of training where
    both have MIN_SEEDS or more. Raises ValueError where the cases are not the same number."""
    tables = [_trainings(part) for part in (first, second)]
    return _estimate(differences(first, second), tables, groups, resamples, seed, bounds)


def differences(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """(cases,) first - second, each averaged over the seeds in which a case is defined; as for `paired_difference`."""
    tables = _trainings(first), _trainings(second)
    if tables[0].shape[-1] != tables[1].shape[-1]:
        raise ValueError(
            f"paired values have shapes {np.shape(first)} and {np.shape(second)}, expected the same cases in both."
        )
    return _seed_means(tables[0]) - _seed_means(tables[1])


def _estimate(
    values: np.ndarray,
    tables: list[np.ndarray],
    groups: Groups,
    resamples: int,
    seed: int,
    bounds: Bounds = UNBOUNDED,
) -> Estimate:
    """values (cases,): what is averaged; tables (seeds, cases): the trainings of the methods that it was taken from."""
    cases, count, undefined = _counts(values, groups)
    means = group_means(values, groups)
    value = float(means.mean()) if cases else float("nan")
    if count < MIN_GROUPS:
        return Estimate(value, None, None, cases, count, undefined)
    trainings = [found for table in tables if (found := _complete(table, groups)) is not None]
    several = len(trainings) == len(tables)
    seeds = min(len(table) for table in trainings) if several else 1
    error, df = standard_error(means, trainings if several else ())
    students = float(stats.t.ppf((1 + LEVEL) / 2, df))
    if several:
        low, high = value - students * error, value + students * error
    else:
        low, high = _of_one_training(means, resamples, seed)
    if _half_alike(means) and np.isfinite(bounds).all():
        lowest, highest = _of_bounded_mean(means, bounds, resamples, seed)
        low, high = (min(low, lowest), max(high, highest)) if several else (lowest, highest)
        # Tests are made on the error: it is no smaller than what the interval says.
        error = max(error, max(value - low, high - value) / students)
    elif error <= ROUNDING:
        return Estimate(value, None, None, cases, count, undefined, seeds)
    return Estimate(value, low, high, cases, count, undefined, seeds, error, df).within(*bounds)


def _of_one_training(means: np.ndarray, resamples: int, seed: int) -> tuple[float, float]:
    """Interval of the mean of the groups' means (groups,), over groups alone."""
    weights = _draws(len(means), resamples, seed)
    drawn = weights @ means / len(means)
    if len(means) >= LARGE:
        low, high = interval(drawn)
        return float(low), float(high)
    # Bootstrap-t: t*_b = (m*_b - m) / se*_b, and m - se q_0.975 ... m - se q_0.025 of these. A sample in which all
    # groups are alike has no t.
    centre, (error, df) = means.mean(), standard_error(means)
    squares = weights @ (means - centre) ** 2 / len(means) - (drawn - centre) ** 2
    errors = np.sqrt(np.maximum(squares, 0) / (len(means) - 1))
    known = errors > ROUNDING
    if not known.any():
        return float(centre), float(centre)
    furthest = FURTHEST * stats.t.ppf((1 + LEVEL) / 2, df)
    ends = interval(np.where(known, drawn - centre, np.nan) / np.where(known, errors, 1))
    low, high = np.clip(ends, -furthest, furthest)
    return float(centre - error * high), float(centre - error * low)


def _half_alike(means: np.ndarray) -> bool:
    """Whether half of the values (groups,) or more are one and the same."""
    ordered, half = np.sort(means), (len(means) + 1) // 2
    return bool((ordered[half - 1 :] - ordered[: len(means) - half + 1]).min() <= ROUNDING)


def _of_bounded_mean(means: np.ndarray, bounds: Bounds, resamples: int, seed: int) -> tuple[float, float]:
    """Interval of the mean of values (groups,) between bounds, however rare those are that were not seen.

    The lower limit is a quantile of w_0 a + sum_i w_i x_i, a being the lower bound and w_0 ... w_n Dirichlet of ones;
    the upper one likewise (Gaffke, Math. Methods of Statistics 14:451-467, 2005; Phan, Thomas and Learned-Miller, ICML
    2021, who compare such limits). Of zeros and ones these are Clopper's and Pearson's: twelve patients with a score of
    1 leave it possible that a quarter of all patients has 0.
    """
    weights = _shares(len(means), resamples, seed)
    seen = weights[:, 1:] @ means
    low, high = (interval(seen + weights[:, 0] * bound)[place] for place, bound in enumerate(bounds))
    return float(low), float(high)


def smooth(
    function: Callable[[np.ndarray], np.ndarray],
    values: ArrayLike,
    groups: Groups,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """A smooth function of several means (an area, a ratio of means) with the interval of a mean.

    values: (conditions, cases) or (seeds, conditions, cases); function: maps means (..., conditions) to (...,). A case
    counts when it is defined under every condition and seed. What each group adds is its jackknife pseudo-value,
    n f(all) - (n - 1) f(all but this one) (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 11.5);
    of these the interval is that of `mean`.
    """
    table = _by_seed(values)
    complete = np.where(np.isfinite(table).all(axis=(0, 1)), 0.0, np.nan)
    cases, count, undefined = _counts(complete, groups)
    if not cases:
        return Estimate(float("nan"), None, None, 0, 0, undefined)
    by_group = _means_of_groups(table[..., np.isfinite(complete)], np.asarray(groups)[np.isfinite(complete)])
    value = float(function(by_group.mean(axis=(0, 2))))
    if count < MIN_GROUPS:
        return Estimate(value, None, None, cases, count, undefined)
    everyone = np.arange(count)
    own = _estimate(_pseudo_values(function, by_group.mean(axis=0)), [_pseudo_values(function, by_group)], everyone,
                    resamples, seed)  # fmt: skip
    if own.low is None or own.high is None:
        return Estimate(value, None, None, cases, count, undefined)
    # The pseudo-values' mean is f without its bias; the interval is moved back to f itself.
    shift = value - own.value
    return Estimate(value, own.low + shift, own.high + shift, cases, count, undefined, own.seeds, own.error, own.df)


def _pseudo_values(function: Callable[[np.ndarray], np.ndarray], by_group: np.ndarray) -> np.ndarray:
    """(..., conditions, groups) -> (..., groups)."""
    count = by_group.shape[-1]
    total = by_group.sum(axis=-1)
    without = (total[..., None, :] - np.swapaxes(by_group, -1, -2)) / (count - 1)
    return count * np.asarray(function(total / count))[..., None] - (count - 1) * np.asarray(function(without))


def statistic(
    function: Callable[[np.ndarray], np.ndarray],
    values: ArrayLike,
    groups: Groups,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Any function of several means (a threshold, the smallest of some numbers) with its interval by percentiles.

    values: (conditions, cases) or (seeds, conditions, cases); function: maps means (..., conditions) to (...,) and is
    applied to the means over all groups and to those of every bootstrap sample. A case counts when it is defined under
    every condition and seed. A function that jumps or is infinite has no standard error, hence no bootstrap-t: below
    LARGE groups the samples' means are moved away from the mean instead (`stretch`). From MIN_SEEDS trainings on, what
    other trainings would change is drawn, too (`seed_draws`).
    """
    table = _by_seed(values)
    complete = np.where(np.isfinite(table).all(axis=(0, 1)), 0.0, np.nan)
    cases, count, undefined = _counts(complete, groups)
    if not cases:
        return Estimate(float("nan"), None, None, 0, 0, undefined)
    kept = np.isfinite(complete)
    by_group = _means_of_groups(table[..., kept], np.asarray(groups)[kept])
    value = float(function(by_group.mean(axis=(0, 2))))
    if count < MIN_GROUPS:
        return Estimate(value, None, None, cases, count, undefined)
    # The function is taken of each sample's means, so that they stay paired: all conditions see the same groups drawn.
    centre = by_group.mean(axis=(0, 2))
    patients = centre + stretch(count) * (_draws(count, resamples, seed) / count @ by_group.mean(axis=0).T - centre)
    trainings = (seed_draws(len(table), resamples, seed) - 1 / len(table)) @ by_group.mean(axis=2)
    low, high = interval(function(patients + trainings))
    seeds = len(table) if len(table) >= MIN_SEEDS else 1
    return Estimate(value, float(low), float(high), cases, count, undefined, seeds)


def stretch(groups: int) -> float:
    """How many times as far as a bootstrap sample of so few groups the true mean lies from the mean, at the ends of an
    interval: t / z sqrt(n / (n - 1)) with t of n - 1 degrees of freedom; 1 from LARGE groups on. (Hesterberg, American
    Statistician 69:371-386, 2015, section 5.3, who takes percentiles further out instead.)"""
    if groups >= LARGE:
        return 1.0
    students, normal = stats.t.ppf((1 + LEVEL) / 2, groups - 1), stats.norm.ppf((1 + LEVEL) / 2)
    return float(students / normal * np.sqrt(groups / (groups - 1)))


def resample(values: ArrayLike, groups: Groups, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Means over groups of `resamples` bootstrap samples of groups.

    values: (..., cases), NaN = undefined and left out; groups: (cases,) any sortable labels. Returns (resamples, ...);
    a sample in which nothing is defined is NaN. Raises ValueError when the lengths differ.
    """
    by_group = _means_of_groups(np.asarray(values, dtype=np.float64), groups)
    # Sample b holds group g w_bg times, w_b being multinomial with as many draws as groups.
    weights = _draws(by_group.shape[-1], resamples, seed)
    defined = np.isfinite(by_group)
    flat = np.where(defined, by_group, 0.0).reshape(-1, by_group.shape[-1])
    with np.errstate(invalid="ignore"):
        means = (weights @ flat.T) / (weights @ defined.reshape(flat.shape).T)
    return means.reshape(resamples, *by_group.shape[:-1])


def interval(replicates: ArrayLike, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval over the first axis of bootstrap replicates: (low, high), each of the remaining shape.

    Infinite replicates count as larger than any number; undefined ones (NaN) are left out.
    """
    # NaN is sorted to the end, behind infinity.
    ordered = np.sort(np.asarray(replicates, dtype=np.float64), axis=0)
    defined = np.sum(~np.isnan(ordered), axis=0)
    tail = (1 - level) / 2
    # The nearest observed replicate, not an interpolated one: between a number and infinity there is no midpoint.
    last = np.maximum(defined - 1, 0)
    low = np.take_along_axis(ordered, np.floor(tail * last).astype(int)[None], axis=0)[0]
    high = np.take_along_axis(ordered, np.ceil((1 - tail) * last).astype(int)[None], axis=0)[0]
    return low, high


def group_means(values: ArrayLike, groups: Groups) -> np.ndarray:
    """Mean over the defined cases of every group that has one. values: (cases,) -> (groups,), by name of the group."""
    found = _means_of_groups(np.asarray(values, dtype=np.float64), groups)
    return found[np.isfinite(found)]


def seed_spread(values: ArrayLike, groups: Groups) -> tuple[float, float | None]:
    """Mean and SD over seeds of the mean over groups. values: (seeds, cases). The SD of one seed is None."""
    means = np.array([found.mean() if len(found := group_means(row, groups)) else np.nan for row in np.asarray(values)])
    return float(means.mean()), float(means.std(ddof=1)) if len(means) > 1 else None


def _trainings(values: ArrayLike) -> np.ndarray:
    """(seeds, cases) of that, or of (cases,)."""
    return np.atleast_2d(np.asarray(values, dtype=np.float64))


def _by_seed(values: ArrayLike) -> np.ndarray:
    """(seeds, conditions, cases) of that, or of (conditions, cases)."""
    table = np.asarray(values, dtype=np.float64)
    return table if table.ndim == 3 else table[None]


def _seed_means(table: np.ndarray) -> np.ndarray:
    """(seeds, cases) -> (cases,), over the seeds in which a case is defined."""
    defined = np.isfinite(table)
    with np.errstate(invalid="ignore"):
        return np.where(defined, table, 0.0).sum(axis=0) / defined.sum(axis=0)


def _complete(table: np.ndarray, groups: Groups) -> np.ndarray | None:
    """The groups' means under every seed that has scores (seeds, groups), over cases that are defined in all of them;
    None below MIN_SEEDS seeds and two groups, which say too little of the variance of training."""
    table = table[np.isfinite(table).any(axis=1)]
    kept = np.isfinite(table).all(axis=0)
    labels = np.asarray(groups)[kept]
    if len(table) < MIN_SEEDS or len(set(labels.tolist())) < 2:
        return None
    return _means_of_groups(table[:, kept], labels)


def _means_of_groups(values: np.ndarray, groups: Groups) -> np.ndarray:
    """(..., cases) -> (..., groups) means over the defined cases, by name of the group; NaN where there is none."""
    labels = np.asarray(groups)
    if values.shape[-1] != len(labels):
        raise ValueError(f"there are {values.shape[-1]} cases but {len(labels)} groups, expected one group per case.")
    names, index = np.unique(labels, return_inverse=True)
    membership = np.zeros((values.shape[-1], len(names)))
    membership[np.arange(values.shape[-1]), index] = 1
    defined = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(defined, values, 0.0) @ membership / (defined @ membership)


@lru_cache(maxsize=16)
def _draws(groups: int, resamples: int, seed: int) -> np.ndarray:
    """How often each group occurs in each bootstrap sample (resamples, groups)."""
    return np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=resamples).astype(float)


@lru_cache(maxsize=16)
def _shares(groups: int, resamples: int, seed: int) -> np.ndarray:
    """Shares of all patients that are like none of those seen, and like each of them (resamples, 1 + groups)."""
    return np.random.default_rng(seed).dirichlet(np.ones(groups + 1), resamples)


def seed_draws(seeds: int, resamples: int, seed: int, stream: int = 0) -> np.ndarray:
    """Weights of the trainings in each bootstrap sample (resamples, seeds), which sum to 1; all alike below MIN_SEEDS.

    The weighted mean of S trainings scatters as Student's t around their plain mean, with S - 1 degrees of freedom and
    the error that this mean has: what is known of the mean of all trainings after S of them (Gelman et al., Bayesian
    Data Analysis, 3rd edition, 2013, section 3.2). Draws among three trainings never lie more than two errors from
    their mean, where Student's limits are 4.3 away.
    """
    if seeds < MIN_SEEDS:
        return np.full((resamples, seeds), 1 / seeds)
    random = np.random.default_rng([seed, 1, stream])
    # w_s = 1 / S + (z_s - mean z) / sqrt(S chi^2): given chi^2, sum_s w_s x_s has the variance (S - 1) / chi^2 s^2 / S.
    normal, spread = random.normal(size=(resamples, seeds)), random.chisquare(seeds - 1, (resamples, 1))
    return 1 / seeds + (normal - normal.mean(axis=1, keepdims=True)) / np.sqrt(seeds * spread)


def _counts(values: np.ndarray, groups: Groups) -> tuple[int, int, int]:
    """Cases with a value, groups that have such a case, cases without."""
    defined = np.isfinite(values)
    return int(defined.sum()), len(group_means(values, groups)), int((~defined).sum())
