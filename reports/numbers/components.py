"""How far a mean over patients and trainings may be off: components of variance and degrees of freedom.

A score of method M in patient p after training s is mu_M + a_Ms + b_p + c_Mp + e_Msp. The mean over P patients and S_M
trainings of the difference A - B has the variance

    var_patients / P + s2_A / S_A + s2_B / S_B,

var_patients being that of c_Ap - c_Bp, and s2_M that of the mean score of one training on these patients. Where seeds
are averaged first, the variance of the patients' differences holds var(e_A) / S_A + var(e_B) / S_B as well, which the
s2_M hold already; so the residual mean square of each method's table of seeds by patients is taken off it, which makes
the sum unbiased. Not more is taken off than the trainings add: patients alone never have more than the total. (Searle,
Casella and McCulloch, Variance Components, 1992, chapter 4, for the tables.)
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Error(NamedTuple):
    """Standard error of a mean and its degrees of freedom."""

    error: float
    df: float


def standard_error(means: np.ndarray, tables: Sequence[np.ndarray] = ()) -> Error:
    """Of the mean of `means` (patients,), two patients or more.

    tables: for each method the means come from, its scores (seeds, patients), two seeds or more; the patients may be
    fewer where some have no score under every seed. Without tables the error is that for these trainings alone.
    """
    patients = float(np.var(means, ddof=1)) / len(means)
    twice, trainings = 0.0, []
    for table in tables:
        seeds, count = table.shape
        rows, columns = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
        trainings.append((float(np.var(rows, ddof=1)) / seeds, seeds - 1))
        # The residual mean square is over (seeds - 1) (count - 1), and of means over both.
        residual = float(np.sum((table - rows - columns + table.mean()) ** 2)) / (seeds - 1) / (count - 1)
        twice += residual / (count * seeds)
    added = sum(value for value, _ in trainings)
    patients = max(patients - min(twice, added), 0.0)
    return combined([(patients, len(means) - 1)], trainings)


def combined(patients: Sequence[tuple[float, float]], trainings: Sequence[tuple[float, float]]) -> Error:
    """Standard error of a sum of independent parts, each the squared standard error of its own with the degrees of
    freedom of its estimate: those that patients add, one or more, and those that trainings add, which may be none.

    The parts of either kind have Satterthwaite's degrees of freedom (Biometrics Bulletin 2:110-114, 1946),
    nu = (sum v_i)^2 / sum(v_i^2 / nu_i). Over both kinds the same formula would weigh 1 / nu by the squares of the
    shares v / (v_patients + v_trainings). But where three trainings happen to scatter little, their share comes out too
    small and nu near that of patients, both at once, and equal methods are told apart too often (8 % of experiments in
    place of 5 %). So 1 / nu is weighed by the shares themselves, as Cochran and Cox weigh the critical values
    of unequal variances (Experimental Designs, 1957, section 4.14).
    """
    total, inverse = 0.0, 0.0
    for parts in (patients, trainings):
        value = sum(variance for variance, _ in parts)
        if value > 0:
            total += value
            inverse += sum(variance**2 / df for variance, df in parts) / value
    # value * (1 / nu) of both kinds, over their total.
    df = total / inverse if inverse > 0 else float(min(df for _, df in patients))
    return Error(float(np.sqrt(total)), df)
