"""What is said of the numbers of sampling steps that a method was tested with: which is best, which is enough, and what
the best gains. All is chosen anew in every bootstrap sample.

Scores are DSC (seeds, steps, cases) of the trainings that every number of steps (n,), ascending, was tested with, and
groups (cases,) are labels of patients.
"""

import numpy as np

from benchmarks.store.selection import fewest_enough
from reports.numbers import statistics
from reports.numbers.statistics import Estimate, Groups


def best(steps: np.ndarray, scores: np.ndarray, groups: Groups) -> Estimate:
    """The number of steps with the highest mean DSC, with the range of what bootstrap samples choose."""

    def highest(means: np.ndarray) -> np.ndarray:
        """(..., steps) mean DSC -> (...,) number of steps."""
        return steps[np.argmax(means, axis=-1)].astype(float)

    return statistics.statistic(highest, scores, groups)


def enough(steps: np.ndarray, scores: np.ndarray, groups: Groups) -> Estimate:
    """Smallest number of steps whose mean DSC lies within TOLERANCE of the best, with its bootstrap interval."""

    def smallest(means: np.ndarray) -> np.ndarray:
        """(..., steps) mean DSC -> (...,) number of steps."""
        return fewest_enough(steps, means).astype(float)

    return statistics.statistic(smallest, scores, groups)


def gain(place: int, scores: np.ndarray, groups: Groups) -> Estimate:
    """DSC at the best number of steps, which is at `place`, minus DSC at the smallest, each paired by case.

    The best is chosen anew in every bootstrap sample, from the patients drawn, and judged on the patients that were
    not drawn: value and interval are mean and percentiles of what it gains there (the out-of-bag estimate; Efron,
    J. Am. Statist. Assoc. 78:316-331, 1983). Judged on the cases it was chosen on, the highest of several means
    lies above the first even where steps change nothing. Without an interval where there are too few patients, and
    the value is then that of the cases it was chosen on.
    """
    averaged = scores.mean(axis=0)
    at_best = statistics.paired_difference(averaged[place], averaged[0], groups, bounds=(-1.0, 1.0))
    if not at_best.has_interval:
        return at_best
    own = np.stack([[statistics.group_means(row, groups) for row in rows - rows[0]] for rows in scores])
    seeds, _, count = own.shape
    drawn = statistics.resample(np.eye(count), np.arange(count))
    trainings = statistics.seed_draws(seeds, len(drawn), 0)
    # k_b = argmax_k sum_sg v_bs w_bg d_skg; of d_k_b the mean over the groups with w_bg = 0.
    chosen = np.argmax(np.einsum("bs,bg,skg->bk", trainings, drawn, own, optimize=True), axis=1)
    left_out = (drawn == 0).astype(float)
    with np.errstate(invalid="ignore"):
        left_out /= left_out.sum(axis=1, keepdims=True)
    everywhere = np.einsum("bs,bg,skg->bk", trainings, left_out, own, optimize=True)
    judged = everywhere[np.arange(len(drawn)), chosen]
    low, high = statistics.interval(judged)
    spoken_for = seeds if seeds >= statistics.MIN_SEEDS else 1
    return Estimate(float(np.nanmean(judged)), float(low), float(high), at_best.cases, count, seeds=spoken_for)
