"""What the uncertainty report is made from: what every method's runs say of each case, and estimates over cases."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from benchmarks.store.results import Results
from reports.numbers import statistics
from reports.numbers.curves import POOLED, Curve
from reports.numbers.statistics import Estimate
from reports.numbers.study import Study

MIN_CASES = 3
"""A rank correlation of fewer cases is nothing but their number."""


@dataclass(frozen=True, eq=False)
class Spread:
    """The runs of one variant on one data set. values: a row per case of `curve.cases`, the numbers of the records with
    class "all", averaged over the training seeds in which they are defined; scores: cases times seeds."""

    curve: Curve
    values: pd.DataFrame
    runs: int
    nfe: float
    scores: int
    undefined: int
    """Of `scores`: where the AUROC is undefined, because no pixel or every pixel was wrong."""

    def of(self, column: str) -> np.ndarray:
        """(cases,)."""
        return self.values[column].to_numpy(dtype=float)

    def mean(self, column: str) -> Estimate:
        """Mean over cases of a column, with its interval."""
        return statistics.mean(self.of(column), self.curve.groups)

    @property
    def constant(self) -> bool:
        """Whether all runs are alike in every case."""
        return not (self.of("mean_sd") > 0).any()

    @property
    def gain(self) -> Estimate:
        """DSC of the mean segmentation minus the mean DSC of single runs, case by case."""
        return statistics.paired_difference(self.of("dsc"), self.of("run_dsc"), self.curve.groups)

    @property
    def error_rate(self) -> Estimate:
        """Share of wrong pixels, mean over cases."""
        return statistics.mean(self.of("errors") / self.of("pixels"), self.curve.groups)

    @cached_property
    def coverages(self) -> np.ndarray:
        """(coverages,) ascending, in (0, 1]: shares of the pixels that are kept."""
        return np.array([int(name.removeprefix("risk")) / 100 for name in self._named("risk")])

    @cached_property
    def pixel_risks(self) -> np.ndarray:
        """(coverages, cases): share of wrong pixels among the most certain ones."""
        return self.values[self._named("risk")].to_numpy(dtype=float).T

    @property
    def pixel_aurc(self) -> Estimate:
        """Area under the mean of `pixel_risks` by coverage."""

        def area(risks: np.ndarray) -> np.ndarray:
            return statistics.area_under_curve(self.coverages, risks)

        return statistics.statistic(area, self.pixel_risks, self.curve.groups)

    @cached_property
    def bins(self) -> np.ndarray:
        """(3, bins, cases): count, sum of confidence, number correct."""
        parts = [[n for n in self._named("bin") if n.endswith(what)] for what in ("count", "confidence", "correct")]
        return np.stack([self.values[names].to_numpy(dtype=float).T for names in parts])

    @property
    def ece(self) -> Estimate:
        """Expected calibration error over the pixels of all cases together (Guo et al. 2017, equation 3)."""
        return self._of_bins(lambda count, sure, right: np.abs(right - sure).sum(-1) / count.sum(-1))

    @property
    def overconfidence(self) -> Estimate:
        """Mean confidence minus accuracy, over the pixels of all cases together."""
        return self._of_bins(lambda count, sure, right: (sure - right).sum(-1) / count.sum(-1))

    def _of_bins(self, function: Callable[..., np.ndarray]) -> Estimate:
        """function maps count, sum of confidence and number correct, each (..., bins), to (...,)."""
        shape = self.bins.shape

        def of_means(means: np.ndarray) -> np.ndarray:
            """means: (..., 3 * bins), which are the sums over cases but for a factor that functions divide out."""
            return function(*np.moveaxis(means.reshape(*means.shape[:-1], *shape[:2]), -2, 0))

        return statistics.statistic(of_means, self.bins.reshape(-1, shape[2]), self.curve.groups)

    @property
    def image_risks(self) -> tuple[np.ndarray, np.ndarray]:
        """(coverage, mean 1 - DSC of the cases with the lowest mean SD), each (cases,); equal SDs enter together."""
        order = np.sort(self.of("mean_sd"))
        weights = np.full((1, len(order)), 1 / len(order))
        risks = _risks(self.of("mean_sd"), 1 - self.of("dsc"), weights)[0]
        place = np.argsort(self.of("mean_sd"), kind="stable")
        return np.arange(1, len(order) + 1) / len(order), risks[place]

    @property
    def image_aurc(self) -> Estimate:
        """Mean of `image_risks` over the cases (Geifman and El-Yaniv, NeurIPS 2017: area under risk by coverage)."""

        def area(weights: np.ndarray) -> np.ndarray:
            return (weights * _risks(self.of("mean_sd"), 1 - self.of("dsc"), weights)).sum(-1)

        return self._of_cases(float(area(np.full((1, len(self.values)), 1 / len(self.values)))[0]), area)

    @property
    def spearman(self) -> Estimate:
        """Rank correlation over cases of the mean SD with 1 - DSC; undefined where either is the same in all."""
        sd, loss = self.of("mean_sd"), 1 - self.of("dsc")
        if len(sd) < MIN_CASES or np.ptp(sd) == 0 or np.ptp(loss) == 0:
            return Estimate(float("nan"), None, None, len(sd), len(set(self.curve.groups)))
        return self._of_cases(float(spearmanr(sd, loss).statistic), lambda w: _correlation(sd, loss, w))

    def _of_cases(self, value: float, function: Callable[[np.ndarray], np.ndarray]) -> Estimate:
        """function maps weights of the cases (resamples, cases), which sum to 1, to (resamples,)."""
        groups = self.curve.groups
        count = len(set(groups))
        if count < statistics.MIN_GROUPS:
            return Estimate(value, None, None, len(groups), count)
        # The mean of a case's indicator over a bootstrap sample is the weight the case has in it.
        low, high = statistics.interval(function(statistics.resample(np.eye(len(groups)), groups)))
        return Estimate(value, float(low), float(high), len(groups), count)

    def _named(self, start: str) -> list[str]:
        """Columns that are called so and numbered, in their order."""
        return sorted(name for name in self.values.columns if name.startswith(start) and name[len(start)].isdigit())


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


def difference(first: Spread, second: Spread) -> Estimate:
    """AUROC of the first minus that of the second, image by image, over the images both have."""
    _, left, right = np.intersect1d(first.curve.cases, second.curve.cases, return_indices=True)
    values = first.of("auroc")[left], second.of("auroc")[right]
    return statistics.paired_difference(*values, first.curve.groups[left])


def _spread(it: Study, curve: Curve) -> Spread:
    part = records_of(it.results, curve)
    part = part[part["class"] == POOLED]
    values = part.assign(case=part["case"].astype(str)).groupby("case").mean(numeric_only=True).reindex(curve.cases)
    undefined = int(part["auroc"].isna().sum())
    return Spread(curve, values, int(part["runs"].max()), float(part["nfe"].mean()), len(part), undefined)


def _risks(sd: np.ndarray, loss: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean loss of the cases whose SD is no higher than that of each case. weights: (..., N) -> (..., N)."""
    # risk_i = sum_j w_j [sd_j <= sd_i] loss_j / sum_j w_j [sd_j <= sd_i]
    kept = (sd[None] <= sd[:, None]).astype(float)
    total = weights @ kept.T
    return ((weights * loss) @ kept.T) / np.where(total > 0, total, 1)


def _correlation(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of cases that occur as often as `weights` (resamples, N) say -> (resamples,)."""
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
