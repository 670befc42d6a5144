"""Intervals where test images are not those that a method was trained for: corruption errors, and drops by shift."""

import numpy as np
import pandas as pd

from benchmarks.store.results import Results
from reports.numbers.corruption import Corrupted, extremes, losses, mean_errors, robust_mean
from reports.numbers.curves import POOLED, Curve, Variant
from reports.numbers.shift import Shifted, drop
from reports.numbers.simulation.invented import (
    GROUPS,
    OWN_SD,
    PATIENT_SD,
    RESIDUAL_SD,
    SHAPES,
    Draw,
    holds,
)
from reports.numbers.study import Study

KINDS = ("blur", "contrast", "motion", "noise")
LOSSES = {"first": 0.8, "reference": 1.0}
"""How much of the losses below each method has."""
LOST = np.array([[0.02, 0.05, 0.1], [0.05, 0.1, 0.2], [0.03, 0.06, 0.12], [0.04, 0.12, 0.3]])
"""DSC (kinds, severities)."""
CLOSE = np.array([[0.03, 0.05, 0.1], [0.03, 0.05, 0.1], [0.03, 0.05, 0.1], [0.04, 0.06, 0.11]])
"""The same of kinds of which the last costs a little more."""
CLEAN = 0.85
LOSS_SD, TRAINING_LOSS_SD = 0.4, 0.1
"""Of what is lost, between patients and between trainings."""
TRAINING_SD = 0.01
SHIFT = 0.1
THERE = 30
"""Patients of the other data set."""


def curve(scores: np.ndarray, method: str = "first") -> Curve:
    """Of scores (seeds, sigmas or severities, cases), every case a patient."""
    seeds, levels, cases = scores.shape
    names = np.array([f"{place:03d}" for place in range(cases)])
    return Curve("invented", Variant(method, method), tuple(range(seeds)), np.arange(levels, dtype=float), names, names,
                 (), {("dsc", POOLED): scores})  # fmt: skip


def corrupted(random: np.random.Generator, draw: Draw, seeds: int, groups: int, costs: np.ndarray = LOST) -> Corrupted:
    """Two methods on the same patients under every kind. costs: DSC (kinds, severities)."""
    patients = CLEAN + PATIENT_SD * draw(random, (groups,))
    # Who is hard to one method under a corruption is so to the other, by half.
    steeper = LOSS_SD * draw(random, (len(KINDS), 1, groups))
    by_kind: dict[str, list[Curve]] = {kind: [] for kind in KINDS}
    for method, share in LOSSES.items():
        own = patients + OWN_SD * draw(random, (groups,)) + TRAINING_SD * random.normal(size=(seeds, 1)) * (seeds > 1)
        more = 1 + steeper / 2 + LOSS_SD / 2 * draw(random, (len(KINDS), 1, groups))
        lost = share * costs[..., None] * (more + TRAINING_LOSS_SD * random.normal(size=(seeds, 1, 1, 1)) * (seeds > 1))
        clean = own[:, None] + RESIDUAL_SD * draw(random, (seeds, 1, groups))
        for place, kind in enumerate(KINDS):
            disturbed = own[:, None] - lost[:, place] + RESIDUAL_SD * draw(random, (seeds, LOST.shape[1], groups))
            by_kind[kind].append(curve(np.concatenate([clean, disturbed], axis=1), method))
    curves = by_kind[KINDS[0]]
    names = {one.variant: one.variant.title for one in curves}
    study = Study(Results({}, [], pd.DataFrame()), ["invented"], {"invented": curves}, names, 0.0, None)
    severities = tuple(range(1, LOST.shape[1] + 1))
    return Corrupted(study, KINDS, severities, {"invented": by_kind}, {"invented": curves[1].variant})


def errors(groups: int, shape: str, seeds: int, repeats: int, seed: int = 0) -> dict[str, float]:
    """Coverage, in [0, 1], of mean corruption error, relative mean corruption error, that of a kind, the loss to a kind
    and the mean score on corrupted images."""
    random = np.random.default_rng([seed, groups, seeds])
    own, other = (1 - CLEAN + LOSSES[name] * LOST for name in LOSSES)
    single = own.sum(axis=1) / other.sum(axis=1)
    truth = {"mCE": single.mean(), "relative mCE": LOSSES["first"] / LOSSES["reference"], "CE": single[0],
             "loss": LOSSES["first"] * LOST[0].mean(), "DSC corrupted": 1 - own.mean()}  # fmt: skip
    hits: dict[str, list[bool]] = {}
    for _ in range(repeats):
        it = corrupted(random, SHAPES[shape], seeds, groups)
        first = it.clean.curves["invented"][0].variant
        found = mean_errors(it, "invented", first)
        intervals = {"mCE": found["mce"], "relative mCE": found["relative"], "CE": found[KINDS[0]],
                     "loss": losses(it, "invented", first)[KINDS[0]],
                     "DSC corrupted": robust_mean(it, "invented", first)}  # fmt: skip
        for name, interval in intervals.items():
            hits.setdefault(name, []).append(holds(interval, float(truth[name])))
    return {name: float(np.mean(held)) for name, held in hits.items()}


def worst(groups: int, shape: str, seeds: int, repeats: int, seed: int = 0) -> float:
    """How often, in [0, 1], the kind that costs most is among those that are named, where the others are CLOSE."""
    random, named = np.random.default_rng([seed, groups, seeds]), []
    for _ in range(repeats):
        it = corrupted(random, SHAPES[shape], seeds, groups, CLOSE)
        named.append(KINDS[-1] in extremes(it, "invented", it.clean.curves["invented"][0].variant)[0])
    return float(np.mean(named))


def drops(groups: int, shape: str, seeds: int, repeats: int, seed: int = 0) -> float:
    """Coverage, in [0, 1], of the drop from so many patients of a data set to THERE of another, where a training that
    is good on one is rather good on the other."""
    random, draw, held = np.random.default_rng([seed, groups, seeds]), SHAPES[shape], []
    for _ in range(repeats):
        both = TRAINING_SD * random.normal(size=(seeds, 1, 1)) * (seeds > 1)
        curves = []
        for count, mean in ((groups, CLEAN), (THERE, CLEAN - SHIFT)):
            luck = both + TRAINING_SD / 2 * random.normal(size=(seeds, 1, 1)) * (seeds > 1)
            patients = mean + PATIENT_SD * draw(random, (count,))
            curves.append(curve(patients + luck + RESIDUAL_SD * draw(random, (seeds, 1, count))))
        it = Shifted("invented", "elsewhere", curves[0].variant, curves[0], curves[1], None)
        held.append(holds(drop(it), SHIFT))
    return float(np.mean(held))


def table(repeats: int) -> pd.DataFrame:
    """`errors` and `drops` by number of groups, shape and seeds."""
    return pd.DataFrame(
        [{"groups": n, "scores": shape, "seeds": seeds} | errors(n, shape, seeds, repeats)
         | {"worst kind": worst(n, shape, seeds, repeats), "drop": drops(n, shape, seeds, repeats)}
         for seeds in (1, 3) for shape in SHAPES for n in GROUPS]
    )  # fmt: skip
