"""Functions of median times, as ratios and exponents, with intervals that resample rounds.

A round is drawn as a whole: its calls stand beside each other in time, so that what slows the machine for a while
cancels in ratios and exponents.
"""

from collections.abc import Callable

import numpy as np

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
    low, high = statistics.interval(function(np.median(rounds[drawn], axis=1)))
    return Estimate(value, float(low), float(high), contestants, count)
