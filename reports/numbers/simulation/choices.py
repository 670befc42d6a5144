"""What is chosen on the cases it is told of: the best number of sampling steps, what it gains, and ranks."""

import numpy as np
import pandas as pd

from reports.numbers import ranks, statistics, steps
from reports.numbers.simulation.invented import GROUPS, PATIENT_SD, SHAPES, Draw, holds, scores

STEPS = np.array([2, 3, 5, 10, 20, 50])
GAINS = {"nothing": np.zeros(6), "a gain": np.array([0.0, 0.008, 0.012, 0.02, 0.018, 0.016])}
"""DSC over the fewest steps, by number of steps."""
STEP_SD, TRAINING_STEP_SD = 0.02, 0.003
"""DSC: what a number of steps does to a patient, and what it does to a training."""
MEANS = np.array([0.8, 0.81, 0.82, 0.84])
"""DSC of the methods that are ranked."""


def gains(groups: int, seeds: int, gain: np.ndarray, draw: Draw, repeats: int, seed: int = 0) -> dict[str, float]:
    """Coverage, in [0, 1], of what the best number of steps gains, of the smallest number that is enough and of the
    best number, which is undefined where all are as good."""
    random, names = np.random.default_rng([seed, groups, seeds]), np.arange(groups)
    hits: dict[str, list[bool]] = {}
    for _ in range(repeats):
        own = gain[:, None] + STEP_SD * draw(random, (len(STEPS), groups))
        own = own + TRAINING_STEP_SD * random.normal(size=(seeds, len(STEPS), 1)) * (seeds > 1)
        trained = 0.8 + PATIENT_SD * draw(random, (groups,)) + scores(random, draw, seeds, groups, 0.01)
        values = trained[:, None] + own
        place = int(np.argmax(values.mean(axis=(0, 2))))
        found = {"gain": (steps.gain(place, values, names), float(gain.max()))}
        if gain.any():
            found["enough"] = (steps.enough(STEPS, values, names), float(STEPS[3]))
            found["best"] = (steps.best(STEPS, values, names), float(STEPS[3]))
        for name, (interval, value) in found.items():
            hits.setdefault(name, []).append(holds(interval, value))
    return {name: float(np.mean(held)) for name, held in hits.items()}


def ranges(groups: int, seeds: int, draw: Draw, repeats: int, seed: int = 0) -> float:
    """Share of the ranges of ranks, in [0, 1], that hold the true rank: of the methods from three trainings on, of
    these trainings with one."""
    random, names = np.random.default_rng([seed, groups, seeds]), np.arange(groups)
    held = []
    for _ in range(repeats):
        patients = PATIENT_SD * draw(random, (groups,))
        trainings = 0.01 * random.normal(size=(len(MEANS), seeds, 1))
        rows = [mean + patients + luck + scores(random, draw, seeds, groups, 0.0)
                for mean, luck in zip(MEANS, trainings)]  # fmt: skip
        truth = MEANS if seeds >= statistics.MIN_SEEDS else MEANS + trainings.mean(axis=(1, 2))
        for found, place in zip(ranks.ranks(rows, names), ranks.places(truth)):
            held.append(found is not None and found.low <= place <= found.high)
    return float(np.mean(held))


def table(repeats: int) -> pd.DataFrame:
    """`gains` and `ranges` by number of groups, shape and seeds."""
    rows = []
    for shape, draw in SHAPES.items():
        for n in GROUPS:
            row: dict[str, object] = {"groups": n, "scores": shape}
            for seeds, end in ((1, ""), (3, ", 3 seeds")):
                for kind, gain in GAINS.items():
                    found = gains(n, seeds, gain, draw, repeats)
                    row[f"gain of {kind}{end}" if kind == "nothing" else f"{kind}{end}"] = found.pop("gain")
                    row |= {f"{name}{end}": share for name, share in found.items()}
                row[f"rank{end}"] = ranges(n, seeds, draw, repeats)
            rows.append(row)
    return pd.DataFrame(rows)
