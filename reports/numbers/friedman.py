"""Friedman's test over several methods, and which of them Nemenyi's test tells apart.

Demsar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7:1-30, 2006, with patients as blocks: in
every patient the methods are ranked, and the test asks whether their mean ranks differ by more than chance. It takes
the trainings as given; the same of each seed alone shows how much of the order another training turns round.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from reports.numbers import statistics
from reports.numbers.curves import Curve

ALPHA = 0.05
MIN_METHODS = 3


@dataclass(frozen=True)
class Friedman:
    """curves: the methods tested, k of them; blocks: n patients; mean_ranks (k,): 1 is the best in every patient;
    statistic: chi-squared with k - 1 degrees of freedom; concordance: Kendall's W in [0, 1]; nemenyi (k, k): p of every
    pair, by position; critical: mean ranks that differ by less are not told apart at ALPHA. seed_ranks (seeds, k) and
    seed_p (seeds,): mean ranks and p of each seed that all the methods share, none unless they share several."""

    curves: tuple[Curve, ...]
    blocks: int
    mean_ranks: np.ndarray
    statistic: float
    p: float
    concordance: float
    nemenyi: pd.DataFrame
    critical: float
    seed_ranks: np.ndarray
    seed_p: np.ndarray


def friedman(found: list[Curve], sigma: float) -> Friedman | None:
    """The test over the variants that have a DSC in every case; None below three of them or MIN_GROUPS patients."""
    tested = complete(found, sigma)
    if len(tested) < MIN_METHODS:
        return None
    scores = np.stack([statistics.group_means(c.by_case("dsc")[c.at(sigma)], c.groups) for c in tested], axis=1)
    blocks, methods = scores.shape
    if blocks < statistics.MIN_GROUPS:
        return None
    # It brings statsmodels along, and most reports have too few methods for it.
    from scikit_posthocs import posthoc_nemenyi_friedman

    losses, ranks, value, p = _ranked(scores)
    found_by_seed = [_ranked(table) for table in _by_seed(tested, sigma)]
    return Friedman(
        tuple(tested), blocks, ranks.mean(axis=0), value, p, float(value / (blocks * (methods - 1))),
        posthoc_nemenyi_friedman(losses), critical_difference(methods, blocks),
        np.array([one.mean(axis=0) for _, one, _, _ in found_by_seed]).reshape(-1, methods),
        np.array([one for *_, one in found_by_seed]),
    )  # fmt: skip


def _ranked(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Of scores (patients, methods): losses and ranks of that shape, chi-squared and its p."""
    # Equal scores are to share a rank even where their sums were rounded differently.
    losses = -np.round(scores, 12)
    ranks = stats.rankdata(losses, axis=1)
    told_apart = bool(np.ptp(ranks, axis=1).any())
    # Section 3.2.2: chi^2_F = 12 n / (k (k + 1)) (sum_j R_j^2 - k (k + 1)^2 / 4), R_j being the mean rank of method j;
    # here corrected for ties. Kendall's W = chi^2_F / (n (k - 1)).
    value, p = stats.friedmanchisquare(*losses.T) if told_apart else (0.0, 1.0)
    return losses, ranks, float(value), float(p)


def _by_seed(tested: list[Curve], sigma: float) -> list[np.ndarray]:
    """(patients, methods) scores of each seed under which all methods have every case; empty unless there are two."""
    shared = sorted(set.intersection(*(set(curve.seeds) for curve in tested)))
    tables = []
    for seed in shared:
        rows = [curve.by_seed("dsc")[curve.seeds.index(seed), curve.at(sigma)] for curve in tested]
        if np.isfinite(rows).all():
            tables.append(np.stack([statistics.group_means(r, c.groups) for r, c in zip(rows, tested)], axis=1))
    return tables if len(tables) > 1 else []


def complete(found: list[Curve], sigma: float) -> list[Curve]:
    """The variants tested at sigma that have a DSC in every case that any of them has."""
    tested = [curve for curve in found if curve.at(sigma) is not None]
    cases = set().union(*(curve.cases for curve in tested))
    return [
        curve
        for curve in tested
        if len(curve.cases) == len(cases) and np.isfinite(curve.by_case("dsc")[curve.at(sigma)]).all()
    ]


def critical_difference(methods: int, blocks: int) -> float:
    """q sqrt(k (k + 1) / (6 n)) of section 3.2.2, q being the studentised range's quantile divided by sqrt(2)."""
    q = stats.studentized_range.ppf(1 - ALPHA, methods, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(methods * (methods + 1) / (6 * blocks)))
