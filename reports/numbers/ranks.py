"""Methods in order: by mean score with bootstrap stability, and how the order changes under other ways to sum up."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from reports.numbers import statistics
from reports.numbers.curves import HIGHER_IS_BETTER, POOLED, Curve
from reports.numbers.limits import RESAMPLES, ROUNDING
from reports.numbers.statistics import MIN_GROUPS, Groups


class Rank(NamedTuple):
    """place: 1 is the highest mean, equal means share the better place; low and high: 95 % range of the place over
    bootstrap samples, both the place itself below MIN_GROUPS groups; kept and first: share of the samples in [0, 1] in
    which the place is this one, and in which it is the first (ties count for each), None below MIN_GROUPS groups."""

    place: int
    low: int
    high: int
    kept: float | None = None
    first: float | None = None


def ranks(
    rows: Sequence[ArrayLike], groups: Groups, resamples: int = RESAMPLES, seed: int = 0, same: bool = False
) -> list[Rank | None]:
    """Rank of every row by its mean over groups, and how stable it is over bootstrap samples of groups and trainings.

    rows: of every method (cases,) of one training or (seeds, cases); a training without any score does not count, and a
    case that is undefined in one of the others is left out for all. None for a row without any defined case, which the
    others do not wait for, and for every row where no case is left. Trainings are drawn as in `statistics.statistic`,
    for each method apart; same: the rows are of the same trainings, which are then drawn together.
    """
    given = [np.atleast_2d(np.asarray(row, dtype=np.float64)) for row in rows]
    tables = [table[scored] if (scored := np.isfinite(table).any(axis=1)).any() else table for table in given]
    defined = [np.isfinite(table).all(axis=0) for table in tables]
    kept = np.all([mask for mask in defined if mask.any()] or [np.zeros(1, dtype=bool)], axis=0)
    if not kept.any():
        return [None] * len(tables)
    labels = np.asarray(groups)[kept]
    ranked = iter(_ranks([t[:, kept] for t, mask in zip(tables, defined) if mask.any()], labels, resamples, seed, same))
    return [next(ranked) if mask.any() else None for mask in defined]


def _ranks(tables: list[np.ndarray], groups: np.ndarray, resamples: int, seed: int, same: bool) -> list[Rank]:
    """As `ranks`, of tables (seeds, cases) that are all defined."""
    own = places(np.array([statistics.group_means(table.mean(axis=0), groups).mean() for table in tables]))
    if len(set(groups.tolist())) < MIN_GROUPS:
        return [Rank(int(place), int(place), int(place)) for place in own]
    means = [
        np.sum(statistics.resample(table, groups, resamples, seed)
               * statistics.seed_draws(len(table), resamples, seed, 0 if same else stream), axis=1)
        for stream, table in enumerate(tables)
    ]  # fmt: skip
    # The rank of every row in every bootstrap sample: (samples, rows).
    sampled = places(np.stack(means, axis=1))
    low, high = statistics.interval(sampled)
    return [
        Rank(int(place), int(low[k]), int(high[k]), float(np.mean(sampled[:, k] == place)),
             float(np.mean(sampled[:, k] == 1)))
        for k, place in enumerate(own)
    ]  # fmt: skip


def places(means: np.ndarray) -> np.ndarray:
    """(..., rows) -> ranks of the same shape: 1 + how many rows are higher, beyond rounding."""
    return 1 + (means[..., None, :] > means[..., :, None] + ROUNDING).sum(axis=-1)


def orders(found: Sequence[Curve], sigma: float) -> dict[str, list[int | None]]:
    """Places of the methods (1: the best; None without a score) at a sigma, all tested there on the same cases, under
    other ways to sum up: by the name of the way. Scores are averaged over trainings first.

    Of DSC: the median over groups; the mean over cases, where groups have several; the mean of the ranks within each
    group, which then weigh the same however much they tell the methods apart (Maier-Hein et al., Nature Communications
    9:5217, 2018, on how such choices change rankings). Of every other metric: the mean over groups.
    """
    groups = found[0].groups
    # A distance that is left out where it is undefined would reward a method for what it misses.
    metrics = [m for m in HIGHER_IS_BETTER if _has(found, m) and not _has(found, f"{m}_penalised")]
    by_group = {m: [_by_group(curve, sigma, m) for curve in found] for m in metrics}
    ways = {"median": _order(by_group["dsc"], np.median)}
    if len(set(groups.tolist())) < len(groups):
        index = found[0].at(sigma)
        ways["mean over cases"] = _order([c.by_case("dsc")[c.at(sigma)] for c in found if index is not None], np.mean)
    complete = [row for row in by_group["dsc"] if np.isfinite(row).all()]
    if len(complete) == len(found) and len({len(row) for row in complete}) == 1:
        within = stats.rankdata(-np.round(complete, 12), axis=0)
        ways["mean rank"] = _order(list(-within), np.mean)
    for metric, rows in by_group.items():
        if metric != "dsc":
            ways[metric] = _order([row if HIGHER_IS_BETTER[metric] else -row for row in rows], np.mean)
    return ways


def agreement(first: Sequence[int | None], second: Sequence[int | None]) -> float | None:
    """Kendall's tau-b of two orders, over the methods that both rank; None below two of them or where all share a
    place."""
    both = [(a, b) for a, b in zip(first, second) if a is not None and b is not None]
    if len(both) < 2 or any(len(set(side)) < 2 for side in zip(*both)):
        return None
    return float(stats.kendalltau(*zip(*both)).statistic)


def _has(found: Sequence[Curve], metric: str) -> bool:
    return all((metric, POOLED) in curve.scores for curve in found)


def _by_group(curve: Curve, sigma: float, metric: str) -> np.ndarray:
    return statistics.group_means(curve.by_case(metric)[curve.at(sigma)], curve.groups)


def _order(rows: list[np.ndarray], summary: Callable[[np.ndarray], float]) -> list[int | None]:
    """Places of rows of values, more being better, by a summary of their defined values."""
    defined = [row[np.isfinite(row)] for row in rows]
    placed = iter(places(np.array([summary(row) for row in defined if len(row)])))
    return [int(next(placed)) if len(row) else None for row in defined]
