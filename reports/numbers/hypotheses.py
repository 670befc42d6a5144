"""Tests of a difference between two methods, what they can show, and how large a difference is beside its spread.

A p is the level at which the difference's interval just ends where the test asks (`reports.numbers.limits`). That of
superiority is, from MIN_SEEDS trainings of both methods on, no smaller than that of Student's t; with fewer it is that
of Wilcoxon's signed-rank test on the patients' mean differences. Where it disagrees with the interval the verdict stays
open.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.optimize import brentq

from reports.numbers.limits import ROUNDING, Limits
from reports.numbers.statistics import MIN_GROUPS, Estimate, Groups, differences, group_means

ALPHA = 0.05
POWER = 0.8
OUTRIGHT = 2
"""A method is better without reservation if it would be with so many failures more that were not seen. By simulation,
where it gains in nine patients of ten and loses as much in the tenth, "better" is false in 28 to 36 % of reports on
twelve patients and in 13 to 20 % on twenty where the interval alone decides, in up to 14 % with one failure more, in
4 % at most with two (docs/statistics.md)."""
NODES = 64
"""Of the integral over what the standard error may truly be."""


@dataclass(frozen=True)
class Margin:
    """What is declared before anybody looks, of a score between 0 and 1.

    within: methods that differ by less are as good as each other. failure: what a method loses in a patient in whom it
    fails and the other does not; no margin is claimed that one such patient more would break, no method is better
    outright that OUTRIGHT of them would bring down, and with 0 the interval alone decides. By simulation scores near a
    ceiling have a false claim in 5 % of reports at most with 0.3 where one patient in twenty fails, and in up to 30 %
    with 0 (docs/statistics.md).
    """

    within: float = 0.01
    failure: float = 0.3

    def unseen(self, groups: int, failures: int = 1) -> float:
        """By how much further groups move the mean of so many where a method fails in them: no smaller margin can be
        claimed against one."""
        return failures * self.failure / (groups + failures)


def superiority(
    first: ArrayLike, second: ArrayLike, groups: Groups, estimate: Estimate, limits: Limits | None
) -> float | None:
    """Two-sided p that the difference is 0; None where it has no interval. first and second: (cases,) of one training
    or (seeds, cases); estimate and limits: of their difference.

    Two or three patients in whom a method fails are a tail to the bootstrap-t, which ends near the mean on the other
    side. Where both methods fail in one patient of twenty or ten, the interval alone tells equal ones apart in up to
    16 % of reports (docs/statistics.md): so Student's t has to agree.
    """
    if limits is None:
        return None
    if estimate.seeds == 1:
        return signed_rank(first, second, groups)
    return max(min(1.0, 2 * limits.above(0.0), 2 * limits.below(0.0)), limits.students(0.0))


def lasting(limits: Limits | None, groups: int, margin: Margin) -> float | None:
    """Two-sided p that the difference is on the side of 0 where it was found, and would be with OUTRIGHT further
    patients in whom the method that is ahead loses `margin.failure` and the other nothing. None where there is no
    interval, and where no failure is declared."""
    if limits is None or not margin.failure:
        return None
    room = margin.unseen(groups, OUTRIGHT)
    return min(1.0, 2 * (limits.above(room) if limits.value > 0 else limits.below(-room)))


def within_margin(limits: Limits | None, groups: int, margin: Margin) -> tuple[float | None, float | None]:
    """p of the test that the difference is above -margin (the first is not worse by more than that), and that it is
    below it, each twice the one-sided p: below 0.05 where the whole 95 % interval lies there, as guidelines on
    trials ask (ICH E9, 1998, section 3.3.2). None where there is no interval. Both small: equivalent (Schuirmann, J.
    Pharmacokinetics and Biopharmaceutics 15:657-680, 1987).

    An interval knows no failure that was not seen, so it is moved by what one further patient would do to the mean in
    whom one method loses `margin.failure` and the other nothing.
    """
    if limits is None:
        return None, None
    room = margin.within - margin.unseen(groups)
    return min(1.0, 2 * limits.above(-room)), min(1.0, 2 * limits.below(room))


def detectable(estimate: Estimate, comparisons: int = 1) -> float | None:
    """The smallest true difference that a repetition of the experiment finds with probability POWER, in a two-sided t
    test at ALPHA / comparisons: the first step of Holm's correction. None where there is no interval.

    By the noncentral t distribution (Cohen, Statistical Power Analysis, 1988, section 2.3), averaged over what the true
    standard error may be where that found has so few degrees of freedom (O'Hagan, Stevens and Campbell, Pharmaceutical
    Statistics 4:187-201, 2005, who call it assurance). For Wilcoxon's test, whose power is close, an approximation.
    """
    if estimate.error is None or estimate.df is None:
        return None
    return _found_with_power(round(estimate.df, 2), comparisons) * estimate.error


@lru_cache(maxsize=1024)
def _found_with_power(df: float, comparisons: int) -> float:
    """`detectable` in units of the standard error found."""
    critical = stats.t.isf(ALPHA / comparisons / 2, df)
    # error / true error = sqrt(chi^2 / df); chi^2 at the middles of NODES equally probable parts of its distribution.
    ratios = np.sqrt(stats.chi2.ppf((np.arange(NODES) + 0.5) / NODES, df) / df)

    def lacks(shift: float) -> float:
        return float(np.mean(stats.nct.sf(critical, df, shift * ratios))) - POWER

    largest = 2 * critical + 4
    while lacks(largest) < 0:
        largest *= 2
    return float(brentq(lacks, 0, largest, xtol=1e-3))


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
