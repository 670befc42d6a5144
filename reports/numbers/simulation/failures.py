"""A method that gains nearly everywhere and fails now and then: how often it is called better, the price of caution."""

import numpy as np
import pandas as pd

from reports.numbers.simulation.invented import holds, normal, scores
from reports.numbers.simulation.sentences import TOLD_APART, judgements
from reports.numbers.statistics import paired_difference
from reports.numbers.verdicts import OF_SCORES, Verdict

GAIN = 0.03
"""DSC that is gained in every patient in whom the method does not fail."""
FAILING = ((0.1, 0.3), (0.05, 0.9))
"""Shares of patients in whom it fails, and the DSC lost there beside the gain: it is as good on average, or worse by
0.015."""
FEW = (12, 20, 40, 80)
BOTH = ((0.05, 0.4), (0.1, 0.3))
"""The same of two methods that fail alike."""
TRUE = (0.03, 0.05, 0.08)
"""DSC by which a method is better that fails nowhere."""
SAID = ("better", "better so far", "by the interval alone")


def rare(seeds: int, share: float, lost: float, groups: int, repeats: int, seed: int = 0) -> dict[str, float]:
    """Shares in [0, 1] of reports that call such a method better, so far or outright, and with an interval alone. Both
    have scores of 0.9 with an SD of 0.015 that otherwise hardly differ, and an SD of training of 0.002."""
    random = np.random.default_rng([seed, seeds, groups, round(1e3 * share)])
    said = []
    for _ in range(repeats):
        patients = np.minimum(0.9 + 0.015 * random.normal(size=groups), 0.96)

        def scored(patients: np.ndarray = patients) -> np.ndarray:
            own = patients + 0.01 * random.normal(size=groups) + 0.005 * random.normal(size=(seeds, groups))
            return own + 0.002 * random.normal(size=(seeds, 1))

        fails = random.random(groups) < share
        first, second = (np.clip(table, 0, 1) for table in (scored() + GAIN - lost * fails, scored()))
        said.append(judgements(first, second))
    return _shares(said)


def alike(seeds: int, share: float, lost: float, groups: int, repeats: int, seed: int = 0) -> dict[str, float]:
    """Shares in [0, 1] of reports that tell two methods apart, so far or outright, of which each loses so much in a
    share of the patients, not the same, and which are equal otherwise: by the verdict and by the interval alone. SD of
    training 0.002."""
    random = np.random.default_rng([seed, seeds, groups, round(1e3 * share)])
    verdicts, intervals = [], []
    for _ in range(repeats):
        patients = 0.85 + 0.03 * random.normal(size=groups)

        def scored(patients: np.ndarray = patients) -> np.ndarray:
            own = patients + 0.015 * random.normal(size=groups) - lost * (random.random(groups) < share)
            return own + 0.005 * random.normal(size=(seeds, groups)) + 0.002 * random.normal(size=(seeds, 1))

        first, second = scored(), scored()
        verdicts.append(judgements(first, second)[0] in TOLD_APART)
        apart = paired_difference(first, second, np.arange(groups), bounds=OF_SCORES)
        intervals.append(not holds(apart, 0.0))
    return {"told apart": float(np.mean(verdicts)), "interval without 0": float(np.mean(intervals))}


def _shares(said: list[list[Verdict]]) -> dict[str, float]:
    """Of what is said with an unseen failure declared and without."""
    held, alone = zip(*said)
    counted = (
        [one is Verdict.BETTER for one in held],
        [one is Verdict.BETTER_SO_FAR for one in held],
        [one is Verdict.BETTER for one in alone],
    )
    return {name: float(np.mean(found)) for name, found in zip(SAID, counted)}


def found(seeds: int, seed_sd: float, truth: float, groups: int, repeats: int, seed: int = 0) -> dict[str, float]:
    """The same of a method that is better by `truth` and fails nowhere, with scores as in the other tables."""
    random = np.random.default_rng([seed, seeds, groups, round(1e4 * seed_sd), round(1e3 * truth)])
    said = []
    for _ in range(repeats):
        first, second = (scores(random, normal, seeds, groups, seed_sd) for _ in range(2))
        said.append(judgements(first + truth, second))
    return _shares(said)


def false(repeats: int) -> pd.DataFrame:
    """`rare` by share of failures, number of groups and seeds."""
    return pd.DataFrame(
        [{"groups": n, "seeds": s, "failures": f"{share:.0%} lose {lost:g}"} | rare(s, share, lost, n, repeats)
         for share, lost in FAILING for n in FEW for s in (1, 3, 5)]
    )  # fmt: skip


def both(repeats: int) -> pd.DataFrame:
    """`alike` by share of failures, number of groups and seeds."""
    return pd.DataFrame(
        [{"groups": n, "seeds": s, "failures": f"{share:.0%} lose {lost:g}"} | alike(s, share, lost, n, repeats)
         for share, lost in BOTH for n in FEW for s in (1, 3, 5)]
    )  # fmt: skip


def price(repeats: int) -> pd.DataFrame:
    """`found` by true difference, seeds and SD of training: outright, and outright or so far."""
    rows = []
    for truth in TRUE:
        for seeds, sd in ((1, 0.0), (3, 0.005), (3, 0.01), (5, 0.005)):
            row: dict[str, object] = {"true difference": f"{truth:g}", "seeds": seeds, "SD of training": sd}
            for n in FEW:
                counted = found(seeds, sd, truth, n, repeats)
                row |= {f"{n} groups": counted[SAID[0]], f"{n} groups, or so far": counted[SAID[0]] + counted[SAID[1]]}
            rows.append(row)
    return pd.DataFrame(rows)
