"""Intervals of means, differences, areas and thresholds: of scores that are normal, skewed or at a ceiling."""

import numpy as np
import pandas as pd
from scipy import stats

from reports.numbers import areas, statistics
from reports.numbers.simulation.invented import GROUPS, OWN_SD, PATIENT_SD, RESIDUAL_SD, SHAPES, heavy, holds, scores

TAILS = {**SHAPES, "heavy tail": heavy}
FAILURES = (0.05, 0.1, 0.2, 0.4)
"""Shares of patients in whom a method fails that is otherwise perfect, or nearly."""
MISSED, DIAGONAL = 0.1, 140.0
"""Share of the structures that are missed, and what that costs as a distance, in pixels; others have about 7."""
SIGMAS = np.array([0.0, 0.1, 0.2, 0.3])
"""Noise levels of the simulated curves."""
FALL = np.array([0.0, 0.02, 0.08, 0.2])
"""How much of its DSC the mean curve has lost there."""
LOSS_SD = 0.3
"""Between trainings, of what is lost."""


def coverage(groups: int, shape: str, repeats: int, seed: int = 0) -> dict[str, float]:
    """Share of intervals that hold the truth, in [0, 1], by estimate: of a mean and a paired difference after one
    training, with three trainings, of a relative area and of the sigma at which 0.05 is lost, after one training and
    with three that differ in how much they lose."""
    random, draw = np.random.default_rng([seed, groups]), TAILS[shape]
    truth = 0.8 - FALL
    area = float(areas.relative_area(SIGMAS, truth))
    lost = float(areas.x_at_loss(SIGMAS, truth))
    hits: dict[str, list[bool]] = {}
    names = np.arange(groups)
    for _ in range(repeats):
        patients = 0.8 + PATIENT_SD * draw(random, (groups,))
        other = patients + OWN_SD * draw(random, (groups,))
        steeper = 1 + 0.4 * draw(random, (groups,))
        curves = patients - FALL[:, None] * steeper
        trainings = curves - FALL[:, None] * LOSS_SD * random.normal(size=(3, 1, 1))
        trainings = trainings + RESIDUAL_SD * draw(random, (3, 1, groups))
        first, second = (patients + scores(random, draw, 3, groups, 0.01) for _ in range(2))
        found = {
            "mean": (statistics.mean(patients, names), 0.8),
            "difference": (statistics.paired_difference(other, patients, names), 0.0),
            "mean, 3 seeds": (statistics.mean(first, names), 0.8),
            "difference, 3 seeds": (statistics.paired_difference(first, second, names), 0.0),
            "relative area": (statistics.smooth(lambda y: areas.relative_area(SIGMAS, y), curves, names), area),
            "sigma at loss": (statistics.statistic(lambda y: areas.x_at_loss(SIGMAS, y), curves, names), lost),
            "sigma at loss, 3 seeds": (
                statistics.statistic(lambda y: areas.x_at_loss(SIGMAS, y), trainings, names),
                lost,
            ),
        }
        for name, (estimate, value) in found.items():
            hits.setdefault(name, []).append(holds(estimate, value))
    return {name: float(np.mean(held)) for name, held in hits.items()}


def ceiling(groups: int, share: float, spread: float, repeats: int, seed: int = 0) -> float:
    """Coverage, in [0, 1], of the interval of a mean score after one training that is between 0 and 1, evenly, in a
    share of the patients; in the others 1, or with a spread normal around 0.95, cut at 1."""
    random = np.random.default_rng([seed, groups, round(100 * share), round(1e3 * spread)])
    others = 1.0
    if spread:
        # The mean of a normal variable cut above at c, z = (c - mu) / sd: c Phi(-z) + mu Phi(z) - sd phi(z).
        z = 0.05 / spread
        others = float(stats.norm.cdf(-z) + 0.95 * stats.norm.cdf(z) - spread * stats.norm.pdf(z))
    truth, names, held = share * 0.5 + (1 - share) * others, np.arange(groups), []
    for _ in range(repeats):
        good = np.minimum(0.95 + spread * random.normal(size=groups), 1) if spread else np.ones(groups)
        values = np.where(random.random(groups) < share, random.random(groups), good)
        held.append(holds(statistics.mean(values, names, bounds=(0, 1)), truth))
    return float(np.mean(held))


def distances(groups: int, repeats: int, seed: int = 0) -> dict[str, float]:
    """Of the interval of a mean distance after one training: coverage in [0, 1] with a long tail and no misses, and
    with MISSED at the DIAGONAL; and how many times as wide as Student's it is in the widest hundredth of the latter."""
    random, names = np.random.default_rng([seed, groups]), np.arange(groups)
    found: dict[str, list[float]] = {"long tail": [], "with misses": [], "widest": []}
    for _ in range(repeats):
        values = 3 + 2 * random.gamma(2, 1, groups)
        found["long tail"].append(holds(statistics.mean(values, names, bounds=(0, np.inf)), 7.0))
        values = np.where(random.random(groups) < MISSED, DIAGONAL, values)
        estimate = statistics.mean(values, names)
        found["with misses"].append(holds(estimate, MISSED * DIAGONAL + (1 - MISSED) * 7.0))
        reach = 2 * stats.t.ppf((1 + statistics.LEVEL) / 2, groups - 1) * values.std(ddof=1) / np.sqrt(groups)
        if estimate.low is not None and estimate.high is not None:
            found["widest"].append((estimate.high - estimate.low) / reach)
    widest = float(np.quantile(found.pop("widest"), 0.99))
    return {name: float(np.mean(held)) for name, held in found.items()} | {"widest": widest}


def coverages(repeats: int) -> pd.DataFrame:
    """`coverage` by number of groups and shape."""
    return pd.DataFrame(
        [{"groups": n, "scores": shape} | coverage(n, shape, repeats) for shape in TAILS for n in GROUPS]
    )


def ceilings(repeats: int) -> pd.DataFrame:
    """`ceiling` by number of groups, a column for each share of failures among scores of 1, and around 0.95."""
    kinds = {"exactly 1": 0.0, "about 0.95": 0.03}
    return pd.DataFrame(
        [
            {"groups": n, "others": name}
            | {f"{share:.0%} fail": ceiling(n, share, spread, repeats) for share in FAILURES}
            for name, spread in kinds.items()
            for n in GROUPS
        ]
    )


def outliers(repeats: int) -> pd.DataFrame:
    """`distances` by number of groups."""
    return pd.DataFrame([{"groups": n} | distances(n, repeats) for n in GROUPS])
