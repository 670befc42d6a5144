"""The number of sampling steps of a generative method, chosen on validation cases and never on those of the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

TOLERANCE = 0.005
"""DSC: a number of steps that comes this close to the best is enough."""
POOLED = "all"


@dataclass(frozen=True)
class Selection:
    """How often one method is sampled on one data set.

    candidates (n,) ascending and scores (seeds, n), the mean DSC on validation, foreground classes pooled, of each
    training: over groups of cases, so that every patient weighs the same; steps is the choice from them, nfe its
    network evaluations for one image. equal_steps and equal_nfe: the same where every method of the suite gets as many
    evaluations as the one that chose the most, as nearly as its steps and samples admit.
    """

    candidates: tuple[int, ...]
    seeds: tuple[int, ...]
    scores: np.ndarray
    cases: int
    steps: int
    nfe: int
    equal_steps: int
    equal_nfe: int

    @property
    def means(self) -> np.ndarray:
        """(n,) mean over the trainings, by which the choice was made."""
        return self.scores.mean(axis=0)


def fewest_enough(steps: ArrayLike, scores: ArrayLike, tolerance: float = TOLERANCE) -> np.ndarray:
    """Smallest number of steps whose score lies within `tolerance` of the best.

    steps: (n,) ascending; scores: (..., n), higher is better -> (...,).
    """
    scores = np.asarray(scores, dtype=np.float64)
    # A difference of exactly the tolerance is not to be lost by rounding.
    close = scores >= scores.max(axis=-1, keepdims=True) - tolerance - 1e-12
    return np.asarray(steps)[np.argmax(close, axis=-1)]


def validation_scores(frames: Mapping[int, Sequence[pd.DataFrame]]) -> tuple[tuple[int, ...], np.ndarray, int]:
    """(candidates, scores (seeds, candidates), cases) of the validation records of some trainings.

    frames: for each seed, in the order of `scores`, the records of every candidate. Raises ValueError where trainings
    were not validated at the same numbers of steps.
    """
    rows: dict[int, dict[int, float]] = {}
    cases = 0
    for seed, found in frames.items():
        pooled = [frame[frame["class"] == POOLED] for frame in found]
        rows[seed] = {int(frame["steps"].iloc[0]): _mean(frame) for frame in pooled}
        cases = max(cases, *(frame["case"].nunique() for frame in pooled))
    candidates = tuple(sorted(next(iter(rows.values()))))
    if any(tuple(sorted(row)) != candidates for row in rows.values()):
        raise ValueError(f"validated at other numbers of steps by seed: {rows}, expected the same for all.")
    return candidates, np.array([[row[steps] for steps in candidates] for row in rows.values()]), cases


def _mean(frame: pd.DataFrame) -> float:
    """Mean DSC over groups of the means over their cases."""
    return float(frame.groupby("group")["dsc"].mean().mean())
