"""The bootstrap of the reports once more, for tests that recompute a report from its records."""

import numpy as np

RESAMPLES = 2000


def samples(values, groups):
    """(..., 2000) means over cases of bootstrap samples of patients: a case weighs as often as its patient was drawn.

    values: (..., cases), NaN is left out; groups: (cases,).
    """
    names, patient = np.unique(groups, return_inverse=True)
    draws = np.random.default_rng(0).multinomial(len(names), [1 / len(names)] * len(names), size=RESAMPLES)
    weights, values = draws[:, patient], np.asarray(values, float)
    return np.nan_to_num(values) @ weights.T / (np.isfinite(values) @ weights.T)


def ends(replicates):
    """The 95 % range: the 50th smallest and largest of 2000, as nearest ranks."""
    ordered = np.sort(replicates)
    return ordered[int(np.floor(0.025 * (len(ordered) - 1)))], ordered[int(np.ceil(0.975 * (len(ordered) - 1)))]


def holm(p_values):
    """Holm's correction (Scand J Statist 6:65, 1979), step by step."""
    count, order, corrected = len(p_values), np.argsort(p_values), np.empty(len(p_values))
    for place, k in enumerate(order):
        corrected[k] = max([(count - place) * p_values[k], *corrected[order[:place]]])
    return np.minimum(corrected, 1)
