"""Functions of median times, as ratios and exponents, with intervals that resample rounds.

A round is drawn as a whole: its calls stand beside each other in time, so that what slows the machine for a while
cancels in ratios and exponents.
"""

from collections.abc import Callable

import numpy as np
from scipy import stats

from reports.numbers import statistics
from reports.numbers.statistics import Estimate


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
