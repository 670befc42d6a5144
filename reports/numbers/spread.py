"""What the uncertainty report is made from: what every method's runs say of each case, and estimates over cases."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from benchmarks.store.results import Results
from reports.numbers import areas, statistics
from reports.numbers.curves import POOLED, Curve
from reports.numbers.statistics import Estimate
from reports.numbers.study import Study
from reports.numbers.verdicts import OF_SCORES

MIN_CASES = 3
"""A rank correlation of fewer cases is nothing but their number."""
MIN_RANKED = 8
"""Fewer patients than this, and a rank correlation has no interval: of five, leaving one out often gives 1, and neither
pseudo-values nor Fisher's z hold the truth in more than 64 to 92 % of experiments."""
RANGES = {
    "auroc": (0.0, 1.0), "auroc_confidence": (0.0, 1.0), "brier": (0.0, 2.0), "dsc": (0.0, 1.0), "run_dsc": (0.0, 1.0),
    "run_dsc_sd": (0.0, np.inf), "mean_sd": (0.0, np.inf), "energy_distance": (0.0, 2.0),
}  # fmt: skip
"""Between what columns of the records can lie."""
OF_RUNS = ("auroc", "auroc_confidence", "brier")
"""Columns that runs which are all alike fix by definition, in patients that were not seen either."""
REGIONS = ("", "foreground_", "boundary_")
"""Beginnings of the columns of calibration: all pixels, those of foreground, those along the label's boundaries."""


@dataclass(frozen=True, eq=False)
class Spread:
    """The runs of one variant on one data set. values: for each training seed of `curve.seeds` a row per case of
    `curve.cases`, the numbers of the records with class "all"; scores: cases times seeds.

    What is said of all cases together (a correlation, a calibration error) is taken of each training by itself and then
    averaged: pooled over trainings it would be that of none of them.
    """

    curve: Curve
    values: tuple[pd.DataFrame, ...]
    runs: int
    nfe: float
    scores: int
    undefined: int
    """Of `scores`: where the AUROC is undefined, because no pixel or every pixel was wrong."""

    def of(self, column: str) -> np.ndarray:
        """(seeds, cases); NaN in records from before there was such a column."""
        known = [frame[column] if column in frame else np.full(len(frame), np.nan) for frame in self.values]
        return np.array(known, dtype=float)

    def mean(self, column: str) -> Estimate:
        """Mean over patients and trainings of a column, with its interval."""
        fixed = self.constant and column in OF_RUNS
        bounds = statistics.UNBOUNDED if fixed else RANGES.get(column, statistics.UNBOUNDED)
        return statistics.mean(self.of(column), self.curve.groups, bounds=bounds)

    @property
    def constant(self) -> bool:
        """Whether all runs are alike in every case."""
        return not (self.of("mean_sd") > 0).any()

    @property
    def gain(self) -> Estimate:
        """DSC of the mean segmentation minus the mean DSC of single runs, case by case."""
        return statistics.mean(self.of("dsc") - self.of("run_dsc"), self.curve.groups, bounds=OF_SCORES)

    @property
    def error_rate(self) -> Estimate:
        """Share of wrong pixels, mean over cases."""
        return statistics.mean(self.of("errors") / self.of("pixels"), self.curve.groups, bounds=(0.0, 1.0))

    @cached_property
    def coverages(self) -> np.ndarray:
        """(coverages,) ascending, in (0, 1]: shares of the pixels that are kept."""
        return np.array([int(name.removeprefix("risk")) / 100 for name in self._named("risk")])

    @cached_property
    def pixel_risks(self) -> np.ndarray:
        """(seeds, coverages, cases): share of wrong pixels among the most certain ones."""
        return np.array([frame[self._named("risk")].to_numpy(dtype=float).T for frame in self.values])

    @property
    def pixel_aurc(self) -> Estimate:
        """Area under the mean of `pixel_risks` by coverage."""

        def area(place: int, weights: np.ndarray) -> np.ndarray:
            return areas.area_under_curve(self.coverages, weights @ self.pixel_risks[place].T)

        return self._by_training(area).within(0.0, 1.0)

    def bins(self, region: str = "") -> np.ndarray:
        """(seeds, 3, bins, cases): count, sum of confidence, number correct, of the pixels of one of REGIONS."""
        parts = [[n for n in self._named(f"{region}bin") if n.endswith(what)]
                 for what in ("count", "confidence", "correct")]  # fmt: skip
        return np.array([[frame[names].to_numpy(dtype=float).T for names in parts] for frame in self.values])

    def ece(self, region: str = "") -> Estimate:
        """Expected calibration error over the pixels (of one of REGIONS) of all cases together (Guo et al. 2017,
        equation 3). Undefined where there are no such pixels."""
        error = self._of_bins(region, lambda count, sure, right: np.abs(right - sure).sum(-1) / count.sum(-1))
        return error.within(0.0, 1.0)

    def overconfidence(self, region: str = "") -> Estimate:
        """Mean confidence minus accuracy, over the pixels (of one of REGIONS) of all cases together."""
        excess = self._of_bins(region, lambda count, sure, right: (sure - right).sum(-1) / count.sum(-1))
        return excess.within(-1.0, 1.0)

    def _of_bins(self, region: str, function: Callable[..., np.ndarray]) -> Estimate:
        """function maps count, sum of confidence and number correct, each (n, bins), to (n,)."""
        bins = self.bins(region)

        def of_weights(place: int, weights: np.ndarray) -> np.ndarray:
            with np.errstate(invalid="ignore", divide="ignore"):
                return function(*np.einsum("nc,kbc->knb", weights, bins[place]))

        return self._by_training(of_weights)

    def image_risks(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Of one training, by the place of its seed: (coverage, mean 1 - DSC of the cases with the lowest mean SD),
        each (cases,); equal SDs enter together."""
        sd, loss = self.of("mean_sd")[place], 1 - self.of("dsc")[place]
        risks = _risks(sd, loss, np.full((1, len(sd)), 1 / len(sd)))[0]
        return np.arange(1, len(sd) + 1) / len(sd), risks[np.argsort(sd, kind="stable")]

    @property
    def image_aurc(self) -> Estimate:
        """Mean of `image_risks` over the cases (Geifman and El-Yaniv, NeurIPS 2017: area under risk by coverage)."""
        sd, loss = self.of("mean_sd"), 1 - self.of("dsc")
        found = self._by_training(lambda n, weights: (weights * _risks(sd[n], loss[n], weights)).sum(-1))
        return found.within(0.0, 1.0)

    @property
    def spearman(self) -> Estimate:
        """Rank correlation over cases of the mean SD with 1 - DSC; undefined where either is the same in all, without
        an interval below MIN_RANKED groups."""
        sd, loss = self.of("mean_sd"), 1 - self.of("dsc")
        if sd.shape[1] < MIN_CASES:
            return Estimate(float("nan"), None, None, sd.shape[1], len(set(self.curve.groups)))
        found = self._by_training(lambda n, weights: _correlation(sd[n], loss[n], weights)).within(-1.0, 1.0)
        bare = replace(found, low=None, high=None, error=None, df=None)
        return found if found.groups >= MIN_RANKED else bare

    def _by_training(self, function: Callable[[int, np.ndarray], np.ndarray]) -> Estimate:
        """A score of all cases together, mean over the trainings in which it is defined, with the interval of a mean of
        its jackknife pseudo-values (see `statistics.smooth`). function: the place of a seed, and weights (n, cases)
        that sum to 1 -> (n,). Every patient weighs the same.
        """
        names, place = np.unique(self.curve.groups, return_inverse=True)
        cases, count = len(place), len(names)
        share = 1 / np.bincount(place)[place]
        found = np.array([function(n, share[None] / count)[0] for n in range(len(self.values))])
        defined = np.flatnonzero(np.isfinite(found))
        value = float(found[defined].mean()) if len(defined) else float("nan")
        if not len(defined) or count < statistics.MIN_GROUPS:
            return Estimate(value, None, None, cases, count)
        without = share * (place != np.arange(count)[:, None]) / (count - 1)
        pseudo = np.array([count * found[n] - (count - 1) * function(int(n), without) for n in defined])
        own = statistics.mean(pseudo, np.arange(count))
        if not np.isfinite(pseudo).all() or own.low is None or own.high is None:
            return Estimate(value, None, None, cases, count)
        # The pseudo-values' mean is the score without its bias; the interval is moved back to the score itself.
        low, high = own.low + value - own.value, own.high + value - own.value
        return Estimate(value, low, high, cases, count, seeds=own.seeds, error=own.error, df=own.df)

    def _named(self, start: str) -> list[str]:
        """Columns that are called so and numbered, in their order."""
        names = self.values[0].columns
        return sorted(name for name in names if name.startswith(start) and name[len(start)].isdigit())


def spreads(it: Study, dataset: str) -> list[Spread]:
    """One for every variant that was sampled on a data set, in the order of the methods."""
    return [_spread(it, curve) for curve in it.curves[dataset]]


def records_of(results: Results, curve: Curve) -> pd.DataFrame:
    """The records of a variant on a data set: a row per case, class and seed."""
    records, variant = results.records, curve.variant
    return records[
        (records["dataset"] == curve.dataset)
        & (records["method"] == variant.method)
        & (records["steps"] == variant.steps)
        & (records["sampler"] == variant.sampler)
        & (records["eta"] == variant.eta)
        & (records["ensemble"] == variant.ensemble)
    ]


def _spread(it: Study, curve: Curve) -> Spread:
    part = records_of(it.results, curve)
    part = part[part["class"] == POOLED]
    by_case = part.assign(case=part["case"].astype(str)).set_index("case").select_dtypes("number")
    # A training that was tested in part only has no scores in the curve, and none here.
    scored = np.isfinite(curve.by_seed("dsc")[:, 0]).any(axis=1)
    values = tuple(by_case[(by_case["seed"] == seed) & known].reindex(curve.cases)
                   for seed, known in zip(curve.seeds, scored))  # fmt: skip
    undefined = int(part["auroc"].isna().sum())
    return Spread(curve, values, int(part["runs"].max()), float(part["nfe"].mean()), len(part), undefined)


def _risks(sd: np.ndarray, loss: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean loss of the cases whose SD is no higher than that of each case. weights: (..., N) -> (..., N)."""
    # risk_i = sum_j w_j [sd_j <= sd_i] loss_j / sum_j w_j [sd_j <= sd_i]
    kept = (sd[None] <= sd[:, None]).astype(float)
    total = weights @ kept.T
    return ((weights * loss) @ kept.T) / np.where(total > 0, total, 1)


def _correlation(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of cases that occur as often as `weights` (n, N) say -> (n,); NaN where either is the
    same in all."""
    centred = []
    for values in (first, second):
        # Weighted mid-rank of case i: sum_j w_j ([x_j < x_i] + [x_j = x_i] / 2), then less its weighted mean.
        below = (values[None] < values[:, None]) + 0.5 * (values[None] == values[:, None])
        ranks = weights @ below.T
        centred.append(ranks - (weights * ranks).sum(-1, keepdims=True))
    a, b = centred
    # Pearson's correlation of the ranks: sum w a b / sqrt(sum w a^2 sum w b^2).
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.sqrt((weights * a * a).sum(-1) * (weights * b * b).sum(-1))
        return np.where(scale > 1e-15, (weights * a * b).sum(-1) / scale, np.nan)
