"""Scores whose truth is known: patients, what methods make of them, and what trainings do."""

from collections.abc import Callable

import numpy as np

from reports.numbers.limits import ROUNDING
from reports.numbers.statistics import Estimate

GROUPS = (5, 8, 12, 20, 40, 80)
PATIENT_SD, OWN_SD, RESIDUAL_SD = 0.08, 0.03, 0.02
"""DSC: how hard patients are, what each method makes of a patient whatever the training, and what each training does;
about what the reports in docs/results show on GlaS."""


def normal(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal."""
    return random.normal(size=shape)


def skewed(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Of mean 0 and SD 1 with a long tail below, as DSC has: 1 - an exponential variable (skewness -2)."""
    return 1 - random.exponential(size=shape)


TAIL_SD = 1.2
"""SD of the logarithm of `heavy`."""


def heavy(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Of mean 0 and SD 1 with a tail below that is much longer: minus a lognormal variable (skewness -11)."""
    mean = np.exp(TAIL_SD**2 / 2)
    return (mean - np.exp(TAIL_SD * random.normal(size=shape))) / (mean * np.sqrt(np.exp(TAIL_SD**2) - 1))


Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
SHAPES: dict[str, Draw] = {"normal": normal, "skewed": skewed}


def scores(
    random: np.random.Generator, draw: Draw, seeds: int, groups: int, seed_sd: float, uneven: float = 0.0
) -> np.ndarray:
    """(seeds, groups): what a method adds to how hard its patients are, itself of mean 0. uneven: SD over patients of
    how much of a training's good or bad luck reaches them, 1 on average."""
    own = OWN_SD / np.sqrt(2) * draw(random, (groups,))
    trainings = seed_sd * random.normal(size=(seeds, 1)) * (1 + uneven * random.normal(size=groups))
    return own + trainings + RESIDUAL_SD * draw(random, (seeds, groups))


def holds(estimate: Estimate, value: float) -> bool:
    """Whether there is an interval and it contains a value, but for rounding."""
    if estimate.low is None or estimate.high is None:
        return False
    return estimate.low - ROUNDING <= value <= estimate.high + ROUNDING
