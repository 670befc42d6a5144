"""The limits of a mean over patients and trainings at any level, and the p that follow from them.

- One or two trainings: bootstrap-t (Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982, section
  10.10; Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 5.2.1), however many the groups:
  with a long tail percentiles are too short at 80 groups, still.
- MIN_SEEDS trainings and more: bootstrap-t for what patients add, Student's t for what trainings add, put together by
  `Error.reach`. Student's t for both would miss which way the patients' values are skewed.
- Where many groups have one and the same value, as at the ceiling of a score: Gaffke's limits, which know that the
  values not seen lie between the bounds of the score.

The draw of a bootstrap depends on the number of groups and the seed alone: methods tested on the same patients are
resampled alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from reports.numbers.components import Error, students

RESAMPLES = 2000
FURTHEST = 2.0
"""A limit of the bootstrap-t is at most so many times as far from the mean as Student's: samples that leave out the one
outlier of a dozen groups hardly spread, and without a bound their t would put the limits ten times as far out."""
ROUNDING = 1e-12
"""Scores closer than this are equal."""
LEAST_TAIL = 0.005
"""Draws tell no quantile further out: there the limits go on as Student's do."""
ALIKE = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4)
"""Values within these widths are counted as alike, each with the same weight, so that ties end gradually."""
FEW_ALIKE, MANY_ALIKE = 0.25, 0.5
"""Shares of the groups that are alike from which on Gaffke's limits begin to count, and count alone."""
Bounds = tuple[float, float]
"""Between what a value can lie: (0, 1) of a score, (-1, 1) of a difference of two. An interval is cut there."""
UNBOUNDED: Bounds = (-np.inf, np.inf)


@dataclass(frozen=True, eq=False)
class Limits:
    """Of a mean. several: whether its error holds the variance of training.

    replicates: (mean of a sample - mean) / standard error over bootstrap samples of the groups, sorted; their upper end
    tells how far the truth may lie below the mean; empty where all groups are alike. unseen: means with a share of
    patients at the lower bound, and at the upper bound, that are like none of those seen, each sorted; None without
    bounds or with too few groups alike. weight: of these, in [0, 1]; beside the variance of training they only widen.
    """

    value: float
    error: Error
    replicates: np.ndarray
    unseen: tuple[np.ndarray, np.ndarray] | None
    weight: float
    several: bool

    def low(self, tail: float) -> float:
        """The truth lies below this with a probability of `tail`, in (0, 0.5]."""
        return self.value - self._reach(tail, upper=False)

    def high(self, tail: float) -> float:
        """The truth lies above this with a probability of `tail`."""
        return self.value + self._reach(tail, upper=True)

    def above(self, value: float) -> float:
        """One-sided p of the test that shows the truth to lie above a value: the tail at which the lower limit is that
        value; 0.5 where the mean itself is no larger."""
        return _tail(lambda tail: self.low(tail) > value)

    def below(self, value: float) -> float:
        """The same of a truth below a value."""
        return _tail(lambda tail: self.high(tail) < value)

    def students(self, value: float) -> float:
        """Two-sided p of the test by Student's t alone that the truth is a value."""
        return min(1.0, 2 * _tail(lambda tail: self.error.reach(tail) < abs(self.value - value)))

    def _reach(self, tail: float, upper: bool) -> float:
        reach = self.error.reach(tail, self._of_patients(tail, upper))
        if self.unseen is None:
            return reach
        low, high = self.unseen
        further = (ranked(high, 1 - tail) - self.value if upper else self.value - ranked(low, tail)) - reach
        return reach + self.weight * (max(further, 0.0) if self.several else further)

    def _of_patients(self, tail: float, upper: bool) -> float:
        """How many standard errors the truth lies from the mean at most as far as patients go."""
        if not len(self.replicates):
            return 0.0
        # The upper limit is told by the lower end of the replicates: where means of samples scatter far below theirs.
        near = max(tail, LEAST_TAIL)
        found = -ranked(self.replicates, near) if upper else ranked(self.replicates, 1 - near)
        reach = students(self.error.patients_df, near)
        found = max(min(found, FURTHEST * reach), -FURTHEST * reach)
        return found if near == tail else found * students(self.error.patients_df, tail) / reach


def limits(means: np.ndarray, error: Error, bounds: Bounds, several: bool, resamples: int, seed: int) -> Limits:
    """Of the mean of `means` (groups,), whose error is known; several: whether it holds the variance of training."""
    weight = alike(means) if np.isfinite(bounds).all() else 0.0
    unseen = of_unseen(means, bounds, resamples, seed) if weight > 0 else None
    replicates = _replicates(means, resamples, seed)
    return Limits(float(means.mean()), error, replicates, unseen, weight, several)


def _replicates(means: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Sorted t*_b = (m*_b - m) / se*_b, whose upper quantile tells how far the truth may lie below m, in standard
    errors. A sample in which all groups are alike has no t."""
    weights, centre, count = draws(len(means), resamples, seed), means.mean(), len(means)
    drawn = weights @ means / count
    error = means.std(ddof=1) / np.sqrt(count)
    if error <= ROUNDING:
        return np.empty(0)
    squares = weights @ (means - centre) ** 2 / count - (drawn - centre) ** 2
    errors = np.sqrt(np.maximum(squares, 0) / (count - 1))
    known = errors > ROUNDING
    return np.sort((drawn - centre)[known] / errors[known])


def ranked(ordered: np.ndarray, share: float) -> float:
    """Quantile of sorted values: the nearest of them on the outer side."""
    place = share * (len(ordered) - 1)
    return float(ordered[int(np.floor(place) if share < 0.5 else np.ceil(place))])


def alike(means: np.ndarray) -> float:
    """In [0, 1], how much values (groups,) are one and the same: 0 up to FEW_ALIKE of them, 1 from MANY_ALIKE on."""
    ordered = np.sort(means)
    most = [
        np.max(np.searchsorted(ordered, ordered + width, side="right") - np.arange(len(ordered))) for width in ALIKE
    ]
    # Of any other group; so two alike among five are none too many.
    share = (float(np.mean(most)) - 1) / (len(ordered) - 1)
    return float(np.clip((share - FEW_ALIKE) / (MANY_ALIKE - FEW_ALIKE), 0, 1))


def of_unseen(means: np.ndarray, bounds: Bounds, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws whose quantiles are limits of the mean of values (groups,) between bounds, however rare those are that were
    not seen: for the lower limit, and for the upper one, sorted.

    The lower limit is a quantile of w_0 a + sum_i w_i x_i, a being the lower bound and w_0 ... w_n Dirichlet of ones;
    the upper one likewise (Gaffke, Math. Methods of Statistics 14:451-467, 2005; Phan, Thomas and Learned-Miller, ICML
    2021, who compare such limits). Of zeros and ones these are Clopper's and Pearson's: twelve patients with a score of
    1 leave it possible that a quarter of all patients has 0.
    """
    weights = _shares(len(means), resamples, seed)
    seen = weights[:, 1:] @ means
    low, high = (np.sort(seen + weights[:, 0] * bound) for bound in bounds)
    return low, high


def _tail(shown: Callable[[float], bool]) -> float:
    """The smallest tail, in (0, 0.5], at which something is shown that larger tails show, too; 0.5 where none does."""
    largest, smallest = np.log(0.5), np.log(1e-9)
    if not shown(0.5):
        return 0.5
    for _ in range(25):
        middle = (largest + smallest) / 2
        largest, smallest = (middle, smallest) if shown(float(np.exp(middle))) else (largest, middle)
    return float(np.exp(largest))


@lru_cache(maxsize=16)
def draws(groups: int, resamples: int, seed: int) -> np.ndarray:
    """How often each group occurs in each bootstrap sample (resamples, groups)."""
    return np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=resamples).astype(float)


@lru_cache(maxsize=16)
def _shares(groups: int, resamples: int, seed: int) -> np.ndarray:
    """Shares of all patients that are like none of those seen, and like each of them (resamples, 1 + groups)."""
    return np.random.default_rng(seed).dirichlet(np.ones(groups + 1), resamples)
