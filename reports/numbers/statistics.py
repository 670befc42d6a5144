"""Means, intervals and comparisons over test cases. Every interval is a percentile bootstrap that resamples groups.

Cases of one group (slices or frames of one patient) are not independent, so whole groups are drawn with replacement
and the mean is taken over the cases they bring along (cluster bootstrap: Davison and Hinkley, Bootstrap Methods and
their Application, 1997, section 3.8). The draw depends on the groups and the seed alone: methods tested on the same
cases are resampled alike, which makes their differences paired.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

Groups = ArrayLike
"""(cases,) labels of any sort that can be ordered: cases with one label belong together, as those of one patient."""
Pair = tuple[np.ndarray, np.ndarray, np.ndarray]
"""(first, second, groups), each (cases,): the values of two methods on the same cases."""

RESAMPLES = 2000
LEVEL = 0.95
MIN_GROUPS = 5
"""Fewer independent groups than this, and no interval is given."""
ROUNDING = 1e-12
"""Scores closer than this are equal."""


@dataclass(frozen=True)
class Estimate:
    """A value with its interval. `low` and `high` are None where fewer than MIN_GROUPS groups carry a value.

    cases and groups count what entered the value (cases whose value is undefined, NaN, do not); undefined counts the
    cases that were left out; value is NaN when nothing was left.
    """

    value: float
    low: float | None
    high: float | None
    cases: int
    groups: int
    undefined: int = 0

    @property
    def has_interval(self) -> bool:
        """Whether there were groups enough for one."""
        return self.low is not None


def resample(values: ArrayLike, groups: Groups, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Means over cases of `resamples` bootstrap samples of groups.

    values: (..., cases), NaN = undefined and left out; groups: (cases,) any sortable labels. Returns (resamples, ...);
    a sample in which nothing is defined is NaN. Raises ValueError when the lengths differ.
    """
    values = np.asarray(values, dtype=np.float64)
    names, index = _group_index(values, groups)
    # Cluster bootstrap: sample b holds group g w_bg times, w_b being multinomial with as many draws as groups.
    weights = _draws(len(names), resamples, seed)
    membership = np.zeros((len(names), values.shape[-1]))
    membership[index, np.arange(values.shape[-1])] = 1
    defined = np.isfinite(values)
    flat = np.where(defined, values, 0.0).reshape(-1, values.shape[-1])
    # The mean of sample b over cases: sum_g w_bg (sum of the values in g) / sum_g w_bg (number of cases in g).
    sums = weights @ (membership @ flat.T)
    counts = weights @ (membership @ defined.reshape(flat.shape).T)
    with np.errstate(invalid="ignore"):
        means = sums / counts
    return means.reshape(resamples, *values.shape[:-1])


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


def mean(values: ArrayLike, groups: Groups, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """Mean over cases with its interval. values: (cases,), NaN = undefined; groups: (cases,)."""
    values = np.asarray(values, dtype=np.float64)
    cases, count, undefined = _counts(values, groups)
    value = float(np.nanmean(values)) if cases else float("nan")
    if count < MIN_GROUPS:
        return Estimate(value, None, None, cases, count, undefined)
    low, high = interval(resample(values, groups, resamples, seed))
    return Estimate(value, float(low), float(high), cases, count, undefined)


def statistic(
    function: Callable[[np.ndarray], np.ndarray],
    values: ArrayLike,
    groups: Groups,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """A function of several means (area under a curve, a threshold) with its interval.

    values: (conditions, cases); function: maps means (..., conditions) to (...,) and is applied to the means over all
    cases and to those of every bootstrap sample. A case counts when it is defined under every condition.
    """
    values = np.asarray(values, dtype=np.float64)
    complete = np.where(np.isfinite(values).all(axis=0), values[0], np.nan)
    cases, count, undefined = _counts(complete, groups)
    if not cases:
        return Estimate(float("nan"), None, None, 0, 0, undefined)
    kept = np.isfinite(complete)
    value = float(function(values[:, kept].mean(axis=1)))
    if count < MIN_GROUPS:
        return Estimate(value, None, None, cases, count, undefined)
    # The function is taken of each sample's means, so that they stay paired: all conditions see the same groups drawn.
    low, high = interval(function(resample(values[:, kept], np.asarray(groups)[kept], resamples, seed)))
    return Estimate(value, float(low), float(high), cases, count, undefined)


def paired_difference(
    first: ArrayLike, second: ArrayLike, groups: Groups, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """Mean over cases of first - second with its interval; a case undefined in either is left out. All: (cases,)."""
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(
            f"paired values have shapes {first.shape} and {second.shape}, expected the same cases in both."
        )
    return mean(first - second, groups, resamples, seed)


class Rank(NamedTuple):
    """place: 1 is the highest mean, equal means share the better place; low and high: 95 % range of the place over
    bootstrap samples, both the place itself below MIN_GROUPS groups; kept and first: share of the samples in [0, 1] in
    which the place is this one, and in which it is the first (ties count for each), None below MIN_GROUPS groups."""

    place: int
    low: int
    high: int
    kept: float | None = None
    first: float | None = None


def ranks(values: ArrayLike, groups: Groups, resamples: int = RESAMPLES, seed: int = 0) -> list[Rank | None]:
    """Rank of every row by its mean over cases, and how stable it is over bootstrap samples of groups.

    values: (rows, cases); a case that is undefined in one row is left out for all. None for a row without any defined
    case, which the others do not wait for, and for every row where no case is left.
    """
    values = np.asarray(values, dtype=np.float64)
    ranked = np.isfinite(values).any(axis=1)
    kept = np.isfinite(values[ranked]).all(axis=0)
    found = iter(_rank_rows(values[ranked][:, kept], np.asarray(groups)[kept], resamples, seed))
    return [next(found) if has else None for has in ranked]


def _rank_rows(values: np.ndarray, groups: np.ndarray, resamples: int, seed: int) -> list[Rank | None]:
    """As `ranks`, of values (rows, cases) that are all defined."""
    if not values.size:
        return [None] * len(values)
    own = _ranked(values.mean(axis=1)[None])[0]
    if len(set(groups)) < MIN_GROUPS:
        return [Rank(int(place), int(place), int(place)) for place in own]
    # The rank of every row in every bootstrap sample: (samples, rows).
    sampled = _ranked(resample(values, groups, resamples, seed))
    low, high = interval(sampled)
    return [
        Rank(int(place), int(low[k]), int(high[k]), float(np.mean(sampled[:, k] == place)),
             float(np.mean(sampled[:, k] == 1)))
        for k, place in enumerate(own)
    ]  # fmt: skip


def _ranked(means: np.ndarray) -> np.ndarray:
    """(samples, rows) -> ranks of the same shape: 1 + how many rows are higher, beyond rounding."""
    return 1 + (means[:, None, :] > means[:, :, None] + ROUNDING).sum(axis=2)


def seed_spread(values: ArrayLike) -> tuple[float, float | None]:
    """Mean and SD over seeds of the mean over cases. values: (seeds, cases). The SD of one seed is None."""
    values = np.asarray(values, dtype=np.float64)
    means = np.array([np.nanmean(row) if np.isfinite(row).any() else np.nan for row in values])
    return float(means.mean()), float(means.std(ddof=1)) if len(means) > 1 else None


def area_under_curve(x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Trapezoidal area divided by the range of x, that is the mean height. x: (n,) ascending; y: (..., n) -> (...).

    NaN for a single point, which has no range.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(x) < 2:
        return np.full(y.shape[:-1], np.nan)
    # Sum over the stretches between neighbours of (y_i + y_i+1) / 2 * (x_i+1 - x_i), divided by x_n - x_1.
    return np.sum((y[..., 1:] + y[..., :-1]) / 2 * np.diff(x), axis=-1) / (x[-1] - x[0])


def relative_area(x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Area under the curve divided by its value at the first x: 1 means that nothing was lost. NaN where that is 0."""
    y = np.asarray(y, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(y[..., 0] > 0, area_under_curve(x, y) / y[..., 0], np.nan)


def x_at_loss(x: ArrayLike, y: ArrayLike, loss: float = 0.05) -> np.ndarray:
    """First x, linearly interpolated, at which y is `loss` below its value at x[0]; infinity if it never is.

    x: (n,) ascending; y: (..., n) -> (...).
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    target = y[..., :1] - loss
    # The tolerance keeps a fall of exactly `loss` from being missed by rounding.
    below = y <= target + 1e-12
    after = np.argmax(below, axis=-1)[..., None]
    before = np.maximum(after - 1, 0)
    y_before, y_after = np.take_along_axis(y, before, axis=-1), np.take_along_axis(y, after, axis=-1)
    # The crossing between x_k-1 and x_k: x_k-1 + (y_k-1 - target) / (y_k-1 - y_k) * (x_k - x_k-1).
    with np.errstate(invalid="ignore", divide="ignore"):
        fraction = np.clip((y_before - target) / (y_before - y_after), 0, 1)
        crossing = x[before] + fraction * (x[after] - x[before])
    return np.where(below.any(axis=-1), crossing[..., 0], np.where(np.isnan(y).any(axis=-1), np.nan, np.inf))


def group_means(values: ArrayLike, groups: Groups) -> np.ndarray:
    """Mean over the defined cases of every group that has one. values: (cases,) -> (groups,), by name of the group."""
    values = np.asarray(values, dtype=np.float64)
    names, index = _group_index(values, groups)
    parts = [values[(index == k) & np.isfinite(values)] for k in range(len(names))]
    return np.array([part.mean() for part in parts if len(part)])


def signed_rank(first: ArrayLike, second: ArrayLike, groups: Groups) -> float | None:
    """Two-sided p of the Wilcoxon signed-rank test on the groups' mean differences; None below MIN_GROUPS groups."""
    from scipy.stats import wilcoxon

    means = _mean_differences(first, second, groups)
    if len(means) < MIN_GROUPS:
        return None
    return float(wilcoxon(means).pvalue) if means.any() else 1.0


def effect_sizes(first: ArrayLike, second: ArrayLike, groups: Groups) -> tuple[float | None, float | None]:
    """How large the difference first - second is beside its own spread, on the groups' mean differences d.

    The matched-pairs rank-biserial correlation, in [-1, 1]: the sum of the ranks of |d| where d > 0 minus that where
    d < 0, divided by their total, groups with d = 0 left out (Kerby, Comprehensive Psychology 3:11.IT.3.1, 2014). And
    Cohen's d_z: the mean of d divided by its SD (Cohen, Statistical Power Analysis, 1988, section 2.3.5). Both are
    None below MIN_GROUPS groups, 0 where every d is 0; d_z is None where all d are the same but not 0.
    """
    from scipy.stats import rankdata

    means = _mean_differences(first, second, groups)
    if len(means) < MIN_GROUPS:
        return None, None
    if not means.any():
        return 0.0, 0.0
    changed = means[means != 0]
    # R_i, the rank of |d_i|; then r = sum_i R_i sign(d_i) / sum_i R_i, and d_z = mean(d) / SD(d).
    ranked = rankdata(np.abs(changed))
    spread = means.std(ddof=1)
    return (
        float(np.sum(ranked * np.sign(changed)) / ranked.sum()),
        float(means.mean() / spread) if spread > ROUNDING else None,
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction (Scand. J. Statist. 6:65-70, 1979), in the order given; None stays None."""
    known = tuple(p for p in p_values if p is not None)
    corrected = iter(_holm(known))
    return [None if p is None else next(corrected) for p in p_values]


@lru_cache(maxsize=256)
def _holm(p_values: tuple[float, ...]) -> tuple[float, ...]:
    """Of m values the k-th smallest becomes max over j <= k of (m - j + 1) p_(j), at most 1."""
    # Every call of the library collects all garbage, which takes longer than the rest of a report's numbers together.
    from statsmodels.stats.multitest import multipletests

    return tuple(map(float, multipletests(p_values, method="holm")[1])) if p_values else ()


def _mean_differences(first: ArrayLike, second: ArrayLike, groups: Groups) -> np.ndarray:
    """(groups,) mean of first - second; a difference that rounding alone explains is 0."""
    means = group_means(np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64), groups)
    return np.where(np.abs(means) < ROUNDING, 0.0, means)


@lru_cache(maxsize=16)
def _draws(groups: int, resamples: int, seed: int) -> np.ndarray:
    """How often each group occurs in each bootstrap sample (resamples, groups)."""
    return np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=resamples).astype(float)


def _group_index(values: np.ndarray, groups: Groups) -> tuple[np.ndarray, np.ndarray]:
    """Names of the groups (groups,), sorted, and the place of each case's own among them (cases,)."""
    labels = np.asarray(groups)
    if values.shape[-1] != len(labels):
        raise ValueError(f"there are {values.shape[-1]} cases but {len(labels)} groups, expected one group per case.")
    return np.unique(labels, return_inverse=True)


def _counts(values: np.ndarray, groups: Groups) -> tuple[int, int, int]:
    """Cases with a value, groups that have such a case, cases without."""
    names, index = _group_index(values, groups)
    defined = np.isfinite(values)
    return int(defined.sum()), len(np.unique(index[defined])), int((~defined).sum())
