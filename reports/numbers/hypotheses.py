"""Tests of a difference between two methods, what they can show, and how large a difference is beside its spread.

With MIN_SEEDS trainings of both methods or more the tests are Student's, on the standard error that holds the variance
of training (`reports.numbers.components`), and speak of the methods. With fewer of either, superiority is tested by
Wilcoxon's signed-rank test on the patients' mean differences, and the result is one of these trainings.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.optimize import brentq

from reports.numbers.statistics import MIN_GROUPS, ROUNDING, Estimate, Groups, differences, group_means

ALPHA = 0.05
POWER = 0.8
MARGIN = 0.01
"""DSC: methods that differ by less are as good as each other, unless a suite says otherwise."""


def superiority(first: ArrayLike, second: ArrayLike, groups: Groups, estimate: Estimate) -> float | None:
    """Two-sided p that the difference is 0; None where it has no interval. first and second: (cases,) of one training
    or (seeds, cases); estimate: their difference."""
    if estimate.error is None or estimate.df is None:
        return None
    if estimate.seeds == 1:
        return signed_rank(first, second, groups)
    return min(1.0, 2 * _tail(abs(estimate.value), estimate.error, estimate.df))


def one_sided(estimate: Estimate, margin: float) -> tuple[float | None, float | None]:
    """p of the two one-sided t tests that the difference is above -margin (the first is not worse by more than that),
    and that it is below margin; None where there is no interval. Both small: equivalent (Schuirmann, J.
    Pharmacokinetics and Biopharmaceutics 15:657-680, 1987)."""
    if estimate.error is None or estimate.df is None:
        return None, None
    distances = estimate.value + margin, margin - estimate.value
    low, high = (_tail(distance, estimate.error, estimate.df) for distance in distances)
    return low, high


def _tail(distance: float, error: float, df: float) -> float:
    """Share of Student's t above distance / error; where there is no error, the sign decides."""
    if error <= ROUNDING:
        return 0.5 if abs(distance) <= ROUNDING else float(distance < 0)
    return float(stats.t.sf(distance / error, df))


def detectable(estimate: Estimate, comparisons: int = 1) -> float | None:
    """The smallest true difference that a two-sided t test at ALPHA / comparisons finds with probability POWER, given
    the standard error that was found: the first step of Holm's correction. None where there is no interval.

    By the noncentral t distribution (Cohen, Statistical Power Analysis, 1988, section 2.3); for Wilcoxon's test, whose
    power is close to it, an approximation.
    """
    if estimate.error is None or estimate.df is None:
        return None
    critical = stats.t.isf(ALPHA / comparisons / 2, estimate.df)

    def lacks(shift: float) -> float:
        return float(stats.nct.sf(critical, estimate.df, shift)) - POWER

    # A shift of the critical value alone is found about half of the time; four times that and 4 is always enough.
    return float(brentq(lacks, 0, 4 * critical + 4, xtol=1e-4)) * estimate.error


def attainable(differing: int) -> float:
    """The smallest p that Wilcoxon's test can give where so many groups differ: all signs agree, which has a
    probability of 2 / 2^n; 1 for none."""
    return min(1.0, 2.0 ** (1 - differing))


def signed_rank(first: ArrayLike, second: ArrayLike, groups: Groups) -> float | None:
    """Two-sided p of the Wilcoxon signed-rank test on the groups' mean differences; None below MIN_GROUPS groups."""
    means = mean_differences(first, second, groups)
    if len(means) < MIN_GROUPS:
        return None
    # The test drops groups without a difference. With them the library takes a sample of few others for a large one,
    # and its normal approximation for good: 0.043 for five of fifteen, where 2 / 2^5 = 0.0625 is the smallest p.
    changed = means[means != 0]
    return float(stats.wilcoxon(changed).pvalue) if len(changed) > 1 else 1.0


def effect_sizes(first: ArrayLike, second: ArrayLike, groups: Groups) -> tuple[float | None, float | None]:
    """How large the difference first - second is beside its own spread, on the groups' mean differences d.

    The matched-pairs rank-biserial correlation, in [-1, 1]: the sum of the ranks of |d| where d > 0 minus that where
    d < 0, divided by their total, groups with d = 0 left out (Kerby, Comprehensive Psychology 3:11.IT.3.1, 2014). And
    Cohen's d_z: the mean of d divided by its SD (Cohen, Statistical Power Analysis, 1988, section 2.3.5). Both are
    None below MIN_GROUPS groups, 0 where every d is 0; d_z is None where all d are the same but not 0.
    """
    means = mean_differences(first, second, groups)
    if len(means) < MIN_GROUPS:
        return None, None
    if not means.any():
        return 0.0, 0.0
    changed = means[means != 0]
    # R_i, the rank of |d_i|; then r = sum_i R_i sign(d_i) / sum_i R_i, and d_z = mean(d) / SD(d).
    ranked = stats.rankdata(np.abs(changed))
    spread = means.std(ddof=1)
    return (
        float(np.sum(ranked * np.sign(changed)) / ranked.sum()),
        float(means.mean() / spread) if spread > ROUNDING else None,
    )


def mean_differences(first: ArrayLike, second: ArrayLike, groups: Groups) -> np.ndarray:
    """(groups,) mean of first - second, averaged over trainings; a difference that rounding alone explains is 0."""
    means = group_means(differences(first, second), groups)
    return np.where(np.abs(means) < ROUNDING, 0.0, means)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction (Scand. J. Statist. 6:65-70, 1979), in the order given; None stays None.

    Of m values the k-th smallest becomes max over j <= k of (m - j + 1) p_(j), at most 1.
    """
    known = np.array([p for p in p_values if p is not None])
    order = np.argsort(known, kind="stable")
    scaled = np.maximum.accumulate(known[order] * np.arange(len(known), 0, -1))
    corrected = np.empty_like(known)
    corrected[order] = np.minimum(scaled, 1.0)
    found = iter(corrected.tolist())
    return [None if p is None else next(found) for p in p_values]
