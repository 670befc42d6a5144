"""Functions of median times, as ratios and exponents, with intervals that resample rounds.

A round is drawn as a whole: its calls stand beside each other in time, so that what slows the machine for a while
cancels in ratios and exponents.
"""

from collections.abc import Callable

import numpy as np
from scipy import stats

from reports.numbers import statistics
from reports.numbers.statistics import Estimate

CONSTANT = 0.1
"""Exponents so near, 1.23-fold over an eightfold side, count as the same: as that of a constant, and of the pixels."""


def estimate(function: Callable[[np.ndarray], np.ndarray], rounds: np.ndarray) -> Estimate:
    """A function of the medians over rounds with its interval; none below statistics.MIN_GROUPS rounds.

    rounds: seconds (rounds, contestants), one round or more; function: medians (..., contestants) -> (...,).
    """
    count, contestants = rounds.shape
    value = float(function(np.median(rounds, axis=0)))
    if count < statistics.MIN_GROUPS:
        return Estimate(value, None, None, contestants, count)
    drawn = np.random.default_rng(count).integers(0, count, (statistics.RESAMPLES, count))
    low, high = statistics.interval(function(np.median(rounds[drawn], axis=1)), _level(count))
    return Estimate(value, float(low), float(high), contestants, count)


def _level(count: int) -> float:
    """Share of the bootstrap samples that an interval from so few rounds has to hold, so that it holds the truth as
    often as LEVEL says: percentiles at Phi(-t sqrt(n / (n - 1))), t of n - 1 degrees of freedom (Hesterberg, American
    Statistician 69:371-386, 2015, section 5.3). The plain ones of a median of seven are its second and sixth value,
    which hold it in 87.5 % of experiments."""
    t = stats.t.ppf((1 + statistics.LEVEL) / 2, count - 1)
    return float(2 * stats.norm.cdf(t * np.sqrt(count / (count - 1))) - 1)


def slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of the least-squares line: of logarithms the exponent of a power law. x: (n,); y: (..., n) -> (...,)."""
    flat = np.asarray(y).reshape(-1, len(x))
    return np.polyfit(x, flat.T, 1)[0].reshape(np.shape(y)[:-1])


def growth(low: float, high: float, dimensions: int) -> str:
    """What the interval of an exponent of time in the side of an image of 2 or 3 dimensions says, after "time"."""
    pixels = "pixels" if dimensions == 2 else "voxels"
    if high < -CONSTANT:
        return "falls"
    if high <= CONSTANT:
        return "is practically constant" if low >= -CONSTANT else "does not grow"
    if low <= CONSTANT:
        return "cannot be told from a constant"
    if high < dimensions:
        return f"is not constant, but grows more slowly than the number of {pixels}"
    if low > dimensions:
        return f"grows faster than the number of {pixels}"
    if dimensions - CONSTANT <= low and high <= dimensions + CONSTANT:
        return f"grows like the number of {pixels}"
    # An interval that contains the number of dimensions among others does not show that it is the exponent.
    return f"grows, perhaps as fast as the number of {pixels}"
