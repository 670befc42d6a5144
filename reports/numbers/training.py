"""How training went: whether it had converged, and its curves."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

RISE = 0.01
"""A validation DSC that rose by more than this in the last fifth of training had not converged."""


@dataclass(frozen=True)
class Convergence:
    """Best validation DSC in the last fifth of the last stage minus the best before.

    rise is None where there was no validation in one of the two parts; steps is the last step of the stage; ceiling is
    the validation DSC after encoding and decoding the true label by the selected weights, None for a method without.
    """

    rise: float | None
    best_dsc: float
    best_step: int
    steps: int
    ceiling: float | None = None

    @property
    def reached(self) -> bool | None:
        """Whether training had converged; None where that cannot be told."""
        return None if self.rise is None else self.rise <= RISE

    @property
    def words(self) -> str:
        """The same as the end of a sentence that begins with the method's name."""
        if self.rise is None:
            return "too few validations to tell whether training had converged"
        if not self.reached:
            return f"had not converged (validation DSC still rose by {self.rise:.3f} in the last fifth of training)"
        if self.rise > 0:
            return f"had converged (validation DSC rose by {self.rise:.3f} in the last fifth of training)"
        return "had converged (validation DSC rose no further in the last fifth of training)"


def convergence(history: pd.DataFrame) -> Convergence | None:
    """None where no validation DSC was recorded."""
    scores = history[(history["split"] == "val") & (history["metric"] == "dsc")]
    if scores.empty:
        return None
    stage = scores["stage"].iloc[-1]
    scores = scores[scores["stage"] == stage].sort_values("step")
    last = int(history.loc[history["stage"] == stage, "step"].max())
    value, step = scores["value"].to_numpy(dtype=float), scores["step"].to_numpy()
    late = step > 0.8 * last
    rise = float(np.max(value[late]) - np.max(value[~late])) if late.any() and (~late).any() else None
    best = int(np.argmax(value))
    ceilings = history[(history["stage"] == stage) & (history["split"] == "val") & (history["metric"] == "dsc_ceiling")]
    ceiling = ceilings.loc[ceilings["step"] == step[best], "value"]
    return Convergence(
        rise, float(value[best]), int(step[best]), last, None if ceiling.empty else float(ceiling.iloc[0])
    )


def best_by_time(history: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(seconds of training, all stages and validations included; best validation DSC so far) at every validation of the
    last stage; empty arrays where there was none or the time is not known."""
    scores = history[(history["split"] == "val") & (history["metric"] == "dsc")]
    if scores.empty or "seconds" not in scores:
        return np.empty(0), np.empty(0)
    scores = scores[scores["stage"] == scores["stage"].iloc[-1]].sort_values("step", kind="stable")
    return scores["seconds"].to_numpy(dtype=float), np.maximum.accumulate(scores["value"].to_numpy(dtype=float))


def offsets(history: pd.DataFrame) -> dict[str, int]:
    """Steps done before each stage, in the order of the stages: steps count from 0 within a stage."""
    found, total = {}, 0
    for stage, part in history.groupby("stage", sort=False):
        found[str(stage)] = total
        total += int(part["step"].max())
    return found


def series(history: pd.DataFrame, split: str, metric: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """(steps counted over all stages, values) of a metric for each stage that recorded it."""
    part = history[(history["split"] == split) & (history["metric"] == metric)]
    starts = offsets(history)
    found = []
    for stage, rows in part.groupby("stage", sort=False):
        rows = rows.sort_values("step", kind="stable")
        found.append((rows["step"].to_numpy() + starts[str(stage)], rows["value"].to_numpy(dtype=float)))
    return found
