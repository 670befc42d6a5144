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
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

TAIL = 0.025
"""Beyond either limit of a 95 % interval."""


def students(df: float, tail: float) -> float:
    """The value that Student's t exceeds with a probability of `tail`."""
    return float(-stdtrit(df, tail))


@dataclass(frozen=True)
class Error:
    """How far a mean may be off: the squared standard errors that patients and trainings add, each with the degrees of
    freedom of its estimate."""

    patients: float
    patients_df: float
    trainings: float = 0.0
    trainings_df: float = 1.0

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return float(np.sqrt(self.patients + self.trainings))

    def reach(self, tail: float, patients: float | None = None) -> float:
        """How far below the mean the truth lies at most, but for a probability of `tail`: the root of the sum of the
        squares of what it would be for patients and for trainings alone (Zou and Donner, Statistics in Medicine
        27:1693-1702, 2008). patients: that of patients in standard errors, Student's t unless given.

        One t for both kinds, by Satterthwaite's degrees of freedom or by degrees weighed in proportion to the
        variances, is too small where three trainings happen to scatter little: the share of trainings then comes out
        too small, and the degrees of freedom too many, both at once.
        """
        own = students(self.patients_df, tail) if patients is None else patients
        if self.trainings <= 0:
            return own * float(np.sqrt(self.patients))
        of_trainings = students(self.trainings_df, tail) * np.sqrt(self.trainings)
        return float(np.hypot(max(own, 0.0) * np.sqrt(self.patients), of_trainings))

    @cached_property
    def df(self) -> float:
        """Degrees of freedom of the one t whose 95 % interval reaches as far."""
        lowest, highest = sorted((self.patients_df, self.trainings_df))
        if self.trainings <= 0 or self.patients <= 0 or lowest == highest:
            return self.patients_df if self.trainings <= 0 else self.trainings_df
        sought = self.reach(TAIL) / self.error
        # Beside the one kind of chance the other may be no more than rounding: the root is then an end, or just beyond.
        if not students(highest, TAIL) < sought < students(lowest, TAIL):
            return highest if sought <= students(highest, TAIL) else lowest
        return float(brentq(lambda df: students(df, TAIL) - sought, lowest, highest))

    def beyond(self, distance: float) -> float:
        """Share of Student's t of these degrees of freedom above distance / error, in [0, 1]."""
        return float(stdtr(self.df, -distance / self.error))


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
    """The error of a sum of independent parts, each the squared standard error of its own with the degrees of freedom
    of its estimate: those that patients add, one or more, and those that trainings add, which may be none.

    The parts of either kind have Satterthwaite's degrees of freedom (Biometrics Bulletin 2:110-114, 1946),
    nu = (sum v_i)^2 / sum(v_i^2 / nu_i).
    """
    return Error(*_sum(patients), *_sum(trainings))


def _sum(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Of independent parts: (variance, degrees of freedom)."""
    if len(parts) == 1:
        return parts[0]
    value = sum(variance for variance, _ in parts)
    inverse = sum(variance**2 / df for variance, df in parts)
    return value, value**2 / inverse if inverse > 0 else min((df for _, df in parts), default=1.0)
