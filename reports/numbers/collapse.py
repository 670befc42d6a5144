"""Trainings that say nothing of their method: those that collapsed, those that do not look at the image, and those that
were tested in part only."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from reports.numbers import statistics
from reports.numbers.curves import Curve

COLLAPSE = 0.1
"""DSC: a training that ends so far below the best of its method is told apart from what chance does to trainings. One
that falls by less is not: most reports with a false sentence hold no fallen training at all (docs/statistics.md)."""
STILL, NOISY = 1e-3, 0.05
"""A training of which no noise, of this standard deviation or more, changes any case's DSC by more than so much
answers alike whatever it is shown. Of the others some case's changes by fifty times as much (docs/statistics.md)."""
FEWEST = 4
"""Cases from which that is seen: one in nine of a sound training's hardly changes at the least of these noises."""
APART = 3.0
"""Trainings of different folds are tested on different patients: their means may also differ by so many standard
errors of patients."""


@dataclass(frozen=True)
class Collapse:
    """A training by its seed and, in cross-validation, its fold in words; its mean DSC, and the best of its method it
    is held against, over the same cases unless they are those of another fold. unmoved: the noise up to which it
    answers alike, where that is why it counts as collapsed; None: it fell behind."""

    seed: int
    fold: str
    score: float
    best: float
    unmoved: float | None = None


def collapsed(scored: Sequence[float]) -> int:
    """How many of a method's trainings ended more than COLLAPSE below the best. scored: their mean DSC on test."""
    return sum(value < max(scored) - COLLAPSE for value in scored)


def collapses(curve: Curve, sigma: float) -> list[Collapse]:
    """The trainings of a variant that ended more than COLLAPSE below its best at a sigma, then those besides that
    answer alike whatever they are shown. In cross-validation a fold is held against the same fold of other seeds or,
    of one seed, against its other folds, allowing for patients."""
    index = curve.at(sigma)
    if index is None:
        return []
    fallen = _fallen(curve, sigma, curve.by_seed("dsc")[:, index])
    told = {(one.seed, one.fold) for one in fallen}
    return [*fallen, *(one for one in _blind(curve, index) if (one.seed, one.fold) not in told)]


def _fallen(curve: Curve, sigma: float, table: np.ndarray) -> list[Collapse]:
    """Those that ended too far below the best. table: (seeds, cases)."""
    if curve.folds is None:
        return _among(curve, table, np.arange(table.shape[1]), "")
    if curve.trainings(sigma) == 1:
        return _between_folds(curve, table, curve.folds)
    return [
        found
        for seed, row in zip(curve.seeds, curve.folds)
        for fold in sorted({fold for fold in row if fold})
        for found in _among(curve, table, row == fold, fold)
        if found.seed == seed
    ]


def _blind(curve: Curve, index: int) -> list[Collapse]:
    """Those that noise leaves as they are, from images with none to speak of up to the strongest that each was tested
    with; nobody knows where none of it is strong."""
    if curve.sigmas[index] >= NOISY:
        return []
    scores, found = curve.by_seed("dsc"), []
    for place, seed in enumerate(curve.seeds):
        folds = np.full(len(curve.cases), "") if curve.folds is None else curve.folds[place]
        own, noisy = scores[place, index], scores[place, index + 1 :]
        for fold in sorted(set(folds[np.isfinite(own)])):
            cases = (folds == fold) & np.isfinite(own)
            change = np.abs(noisy[:, cases] - own[cases])
            tested = np.flatnonzero(np.isfinite(change).sum(axis=1) >= FEWEST)
            strongest = float(curve.sigmas[index + 1 + tested[-1]]) if len(tested) else 0.0
            if strongest >= NOISY and np.nanmax(change) <= STILL:
                score = float(statistics.group_means(own[cases], curve.groups[cases]).mean())
                found.append(Collapse(seed, fold, score, score, strongest))
    return found


def _among(curve: Curve, table: np.ndarray, cases: np.ndarray, fold: str) -> list[Collapse]:
    """Of the seeds, over some of the cases. table: (seeds, cases)."""
    means = {seed: statistics.group_means(row[cases], curve.groups[cases]) for seed, row in zip(curve.seeds, table)}
    ended = {seed: float(found.mean()) for seed, found in means.items() if len(found)}
    best = max(ended.values(), default=0.0)
    return [Collapse(seed, fold, value, best) for seed, value in ended.items() if value < best - COLLAPSE]


def _between_folds(curve: Curve, table: np.ndarray, folds: np.ndarray) -> list[Collapse]:
    """Of one seed, fold against fold. table, folds: (seeds, cases)."""
    place = int(np.flatnonzero(np.isfinite(table).any(axis=1))[0])
    own, scores = folds[place], table[place]
    by_fold = {
        fold: statistics.group_means(scores[own == fold], curve.groups[own == fold])
        for fold in sorted({fold for fold in own if fold})
    }
    by_fold = {fold: means for fold, means in by_fold.items() if len(means) > 1}
    error = {fold: means.var(ddof=1) / len(means) for fold, means in by_fold.items()}
    best = max(by_fold, key=lambda fold: by_fold[fold].mean(), default="")
    return [
        Collapse(curve.seeds[place], fold, float(means.mean()), float(by_fold[best].mean()))
        for fold, means in by_fold.items()
        if means.mean() < by_fold[best].mean() - COLLAPSE - APART * np.sqrt(error[fold] + error[best])
    ]


def any_collapsed(curves: Sequence[Curve], sigma: float) -> bool:
    """Whether a training of any of these variants collapsed: no sentence then tells of their methods."""
    return any(collapses(curve, sigma) for curve in curves)


def sound(curves: Sequence[Curve], sigma: float) -> list[Curve]:
    """Those of which no training collapsed: ranks and descriptions of methods are of these."""
    return [curve for curve in curves if not collapses(curve, sigma)]


def by_training(curves: Sequence[Curve], sigma: float) -> list[tuple[Curve, list[Collapse]]]:
    """The collapses of every method, once for the variants that sample the same trainings."""
    found = [(curve, fallen) for curve in curves if (fallen := collapses(curve, sigma))]
    told: dict[tuple, tuple[Curve, list[Collapse]]] = {}
    for curve, fallen in found:
        which = ((one.seed, one.fold, one.unmoved is None) for one in fallen)
        told.setdefault((curve.variant.method, *which), (curve, fallen))
    return list(told.values())


@dataclass(frozen=True)
class Partial:
    """A training that was tested on fewer cases than its fellows, at these sigmas, and is therefore left out there."""

    curve: Curve
    seed: int
    sigmas: tuple[float, ...]
    cases: int
    of: int


def partials(curves: Sequence[Curve]) -> list[Partial]:
    """All of them, one entry for each number of cases."""
    found = []
    for curve in curves:
        for (seed, cases, of), same in groupby(curve.partial, key=lambda one: (one[0], *one[2:])):
            found.append(Partial(curve, seed, tuple(one[1] for one in same), cases, of))
    return found
