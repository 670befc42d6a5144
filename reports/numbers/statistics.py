"""Means over patients and trainings with their intervals.

The unit of analysis is the group (the patient): the cases of a group (slices or frames of one patient) are averaged
first, and every group weighs the same. Where each method was trained with MIN_SEEDS seeds or more, an interval holds
the variance of training, too, and speaks of the method; with fewer it speaks of these trainings.

`reports.numbers.limits` has the formulas and their sources, and `python -m reports.numbers.simulation` shows how often
these intervals hold the truth.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from reports.numbers.components import TAIL, standard_error, students
from reports.numbers.limits import RESAMPLES, ROUNDING, UNBOUNDED, Bounds, Limits, draws, limits

Groups = ArrayLike
"""(cases,) labels of any sort that can be ordered: cases with one label belong together, as those of one patient."""
Pair = tuple[np.ndarray, np.ndarray, np.ndarray]
"""(first, second, groups): the values of two methods on the same cases, each (seeds, cases) or, of one training,
(cases,), and the groups (cases,)."""

LEVEL = 0.95
MIN_GROUPS = 5
"""Fewer independent groups than this, and no interval is given."""
MIN_SEEDS = 3
"""Of fewer trainings the variance of training is not estimated: two that happen to agree hide it, and by simulation a t
interval on two misses the truth in 10 % of experiments (docs/statistics.md)."""


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
    return _estimate(_seed_means(table), [table], groups, resamples, seed, bounds)[0]


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
    return difference(first, second, groups, resamples, seed, bounds)[0]


def difference(
    first: ArrayLike,
    second: ArrayLike,
    groups: Groups,
    resamples: int = RESAMPLES,
    seed: int = 0,
    bounds: Bounds = UNBOUNDED,
) -> tuple[Estimate, Limits | None]:
    """`paired_difference` with its limits at every level; None where it has no interval."""
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
) -> tuple[Estimate, Limits | None]:
    """values (cases,): what is averaged; tables (seeds, cases): the trainings of the methods that it was taken from."""
    cases, count, undefined = _counts(values, groups)
    means = group_means(values, groups)
    value = float(means.mean()) if cases else float("nan")
    if count < MIN_GROUPS:
        return Estimate(value, None, None, cases, count, undefined), None
    trainings = [found for table in tables if (found := _complete(table, groups)) is not None]
    several = len(trainings) == len(tables)
    seeds = min(len(table) for table in trainings) if several else 1
    off = standard_error(means, trainings if several else ())
    ends = limits(means, off, bounds, several, resamples, seed)
    if ends.unseen is None and off.error <= ROUNDING:
        return Estimate(value, None, None, cases, count, undefined, seeds), None
    low, high = ends.low(TAIL), ends.high(TAIL)
    error = off.error
    if ends.unseen is not None:
        # What is said of it is no smaller than what the interval says.
        error = max(error, max(value - low, high - value) / students(off.df, TAIL))
    estimate = Estimate(value, low, high, cases, count, undefined, seeds, error, off.df).within(*bounds)
    return estimate, ends


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
    own, _ = _estimate(_pseudo_values(function, by_group.mean(axis=0)), [_pseudo_values(function, by_group)], everyone,
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
    every condition and seed. A function that jumps or is infinite has no standard error, hence no bootstrap-t: the
    samples' means are moved away from the mean instead (`stretch`). From MIN_SEEDS trainings on, what other trainings
    would change is drawn, too (`seed_draws`).
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
    patients = centre + stretch(count) * (draws(count, resamples, seed) / count @ by_group.mean(axis=0).T - centre)
    trainings = (seed_draws(len(table), resamples, seed) - 1 / len(table)) @ by_group.mean(axis=2)
    low, high = interval(function(patients + trainings))
    seeds = len(table) if len(table) >= MIN_SEEDS else 1
    return Estimate(value, float(low), float(high), cases, count, undefined, seeds)


def stretch(groups: int) -> float:
    """How many times as far as a bootstrap sample of so few groups the true mean lies from the mean, at the ends of an
    interval: t / z sqrt(n / (n - 1)) with t of n - 1 degrees of freedom. (Hesterberg, American Statistician 69:371-386,
    2015, section 5.3, who takes percentiles further out instead.)"""
    students, normal = stats.t.ppf((1 + LEVEL) / 2, groups - 1), stats.norm.ppf((1 + LEVEL) / 2)
    return float(students / normal * np.sqrt(groups / (groups - 1)))


def resample(values: ArrayLike, groups: Groups, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Means over groups of `resamples` bootstrap samples of groups.

    values: (..., cases), NaN = undefined and left out; groups: (cases,) any sortable labels. Returns (resamples, ...);
    a sample in which nothing is defined is NaN. Raises ValueError when the lengths differ.
    """
    by_group = _means_of_groups(np.asarray(values, dtype=np.float64), groups)
    # Sample b holds group g w_bg times, w_b being multinomial with as many draws as groups.
    weights = draws(by_group.shape[-1], resamples, seed)
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
