"""From records to what is compared: one curve of scores against sigma per data set, method and sampling."""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.store.records import undisturbed
from benchmarks.store.results import Results
from reports.numbers import areas, statistics
from reports.numbers.statistics import Estimate, Pair

POOLED = "all"
"""Class of the records that pool the foreground classes."""
CLASS_MEAN = "mean over classes"
"""Not in the records: the plain mean of the classes' scores of one case; where its prediction has no foreground and its
label has, the pooled score, or classes that are in neither would count in its favour."""

HIGHER_IS_BETTER = {
    "dsc": True, "iou": True, "nsd": True, "hd95": False, "assd": False, "hd95_penalised": False,
    "assd_penalised": False, "object_f1": True, "object_dice": True, "object_hausdorff": False,
}  # fmt: skip
"""Metrics by which methods are compared, where the records have them."""
TEMPORAL = ("temporal_dsc", "temporal_dsc_label")
ALWAYS = ("dsc", "iou", "hd95", "assd", *TEMPORAL)
"""Metrics that all records have."""


@dataclass(frozen=True)
class Variant:
    """A method together with how it was sampled. steps is 0 and sampler empty for deterministic methods."""

    method: str
    title: str
    steps: int = 0
    sampler: str = ""
    eta: float | None = None
    ensemble: int = 1

    @property
    def key(self) -> str:
        """For the columns of CSV files."""
        return f"{self.method}-{self.steps}" if self.steps else self.method


@dataclass(frozen=True)
class Curve:
    """Scores of one variant on one data set.

    sigmas (S,) ascending; cases and groups (N,); scores[metric, class] (seeds, S, N), NaN where undefined or missing,
    with the metrics that the records have and, 1 where it is so, "both_empty" and "missed": neither label nor
    prediction has any foreground, or the label alone.
    videos (N,): the video each case is a frame of; None where no case is one. unions: of classes that were scored as
    one, beside `classes`, in no mean. folds (seeds, N): in cross-validation, which fold's training tested each case, ""
    for none; else None. partial: (seed, sigma, cases, of) of each training that was tested on fewer cases than its
    fellows: it has no scores there, or it would count as a whole one.
    """

    dataset: str
    variant: Variant
    seeds: tuple[int, ...]
    sigmas: np.ndarray
    cases: np.ndarray
    groups: np.ndarray
    classes: tuple[str, ...]
    scores: dict[tuple[str, str], np.ndarray]
    videos: np.ndarray | None = None
    unions: tuple[str, ...] = ()
    folds: np.ndarray | None = None
    partial: tuple[tuple[int, float, int, int], ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """What scores are shown of, class by class: of a single class that, which is the pooled score."""
        return (*self.classes, *self.unions, POOLED, CLASS_MEAN) if len(self.classes) > 1 else (POOLED,)

    def by_seed(self, metric: str, name: str = POOLED) -> np.ndarray:
        """(seeds, S, N)."""
        if name == CLASS_MEAN:
            mean = np.mean([self.scores[metric, part] for part in self.classes], axis=0)
            return np.where(self.scores["missed", POOLED] == 1, self.scores[metric, POOLED], mean)
        return self.scores[metric, name]

    def has(self, metric: str, name: str = POOLED) -> bool:
        """Whether the records have it."""
        return all((metric, part) in self.scores for part in (self.classes if name == CLASS_MEAN else (name,)))

    def by_case(self, metric: str, name: str = POOLED) -> np.ndarray:
        """(S, N), averaged over the seeds in which a case is defined: a seed is no further case."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return np.nanmean(self.by_seed(metric, name), axis=0)

    def at(self, sigma: float) -> int | None:
        """Index of a sigma, None where it was not tested."""
        found = np.flatnonzero(np.isclose(self.sigmas, sigma, atol=1e-9))
        return int(found[0]) if len(found) else None

    def mean(self, sigma: float, metric: str = "dsc", name: str = POOLED) -> Estimate | None:
        """Mean over patients with its interval, which holds the variance of training from MIN_SEEDS seeds on; None
        where sigma was not tested."""
        index = self.at(sigma)
        if index is None:
            return None
        highest = 1.0 if HIGHER_IS_BETTER.get(metric, True) else np.inf
        return statistics.mean(self.by_seed(metric, name)[:, index], self.groups, bounds=(0.0, highest))

    def means(self) -> list[Estimate]:
        """Mean DSC over patients at every sigma."""
        return [estimate for sigma in self.sigmas if (estimate := self.mean(sigma)) is not None]

    def trainings(self, sigma: float) -> int:
        """How many seeds have a DSC at a sigma: what is said there is of so many trainings."""
        index = self.at(sigma)
        return 0 if index is None else int(np.isfinite(self.by_seed("dsc")[:, index]).any(axis=1).sum())

    def undefined(self, sigma: float, metric: str, name: str = POOLED) -> int:
        """How many scores (cases times seeds) are undefined at a sigma."""
        return int(np.isnan(self.by_seed(metric, name)[:, self.at(sigma)]).sum())

    def seed_sd(self, sigma: float) -> float | None:
        """SD over seeds of the mean DSC, of those that have one; None for a single seed."""
        means = self.seed_means(sigma)
        return float(np.std(means, ddof=1)) if len(means) > 1 else None

    def seed_means(self, sigma: float) -> list[float]:
        """Mean DSC over patients of every training that has one at a sigma; empty where it was not tested."""
        index = self.at(sigma)
        rows = self.by_seed("dsc")[:, index] if index is not None else ()
        return [float(found.mean()) for row in rows if len(found := statistics.group_means(row, self.groups))]

    def _everywhere(self) -> np.ndarray:
        """DSC (seeds, S, N) of the trainings that have one at every sigma; of all where none has."""
        scores = self.by_seed("dsc")
        whole = np.isfinite(scores).any(axis=2).all(axis=1)
        return scores[whole] if whole.any() else scores

    def relative_area(self) -> Estimate:
        """Mean DSC over the range of sigma, divided by that at the smallest; 1 means that nothing was lost."""
        return statistics.smooth(lambda y: areas.relative_area(self.sigmas, y), self._everywhere(), self.groups)

    def area(self) -> Estimate:
        """Mean DSC over the range of sigma, by trapezia."""
        found = statistics.smooth(lambda y: areas.area_under_curve(self.sigmas, y), self._everywhere(), self.groups)
        return found.within(0.0, 1.0)

    def sigma_at_loss(self, loss: float = 0.05) -> Estimate:
        """Sigma at which so much DSC is lost since the smallest one; infinite where the loss was not reached."""
        return statistics.statistic(lambda y: areas.x_at_loss(self.sigmas, y, loss), self._everywhere(), self.groups)


def variants(results: Results) -> list[Variant]:
    """Every variant in the records: methods in the suite's order, then by sampling. Of a method whose number of steps
    validation chose, only with numbers that were chosen on a data set."""
    records = results.records
    if records.empty:
        return []
    chosen = {key: choice.steps for key, choice in results.selection.items()}
    own = [chosen.get((dataset, method), steps) == steps
           for dataset, method, steps in zip(records["dataset"], records["method"], records["steps"])]  # fmt: skip
    records = records[own]
    titles = {trial.config.method.name: trial.label for trial in results.trials}
    order = method_order(results)
    columns = ["method", "steps", "sampler", "eta", "ensemble"]
    found = [
        Variant(
            method,
            titles.get(method, method),
            int(steps),
            sampler or "",
            None if pd.isna(eta) else float(eta),
            int(ensemble),
        )  # fmt: skip
        for method, steps, sampler, eta, ensemble in records[columns].drop_duplicates().itertuples(index=False)
    ]
    return sorted(set(found), key=lambda v: (order.index(v.method), v.sampler, v.ensemble, v.eta or 0, v.steps))


def labels(found: list[Variant]) -> dict[Variant, str]:
    """A name for each variant that says no more than it takes to tell them apart."""
    named = {}
    for variant in found:
        same = [other for other in found if other.method == variant.method]
        parts = [f"{variant.steps} steps"] if variant.steps else []
        if len({other.sampler for other in same}) > 1:
            parts.append(variant.sampler)
        if len({other.eta for other in same if other.sampler == variant.sampler}) > 1 and variant.eta is not None:
            parts.append(f"eta {variant.eta:g}")
        if variant.ensemble > 1:
            parts.append(f"mean of {variant.ensemble}")
        named[variant] = f"{variant.title} ({', '.join(parts)})" if parts else variant.title
    return named


def method_order(results: Results) -> list[str]:
    """Method keys: the suite's order, then whatever else the trials and records hold."""
    held = [trial.config.method.name for trial in results.trials] + list(results.records["method"].unique())
    return list(dict.fromkeys([*map(str, results.suite.get("methods") or []), *held]))


def dataset_order(results: Results) -> list[str]:
    """Data set keys: the suite's order, then whatever else the trials and records hold."""
    held = [trial.config.dataset.name for trial in results.trials] + list(results.records["dataset"].unique())
    return list(dict.fromkeys([*map(str, results.suite.get("datasets") or []), *held]))


def curve(results: Results, dataset: str, variant: Variant, any_steps: bool = False) -> Curve | None:
    """The curve of a variant on a data set, None where there are no records of it or, unless `any_steps`, where
    validation chose another number of steps. Of tests on corrupted images and on other data sets it holds nothing:
    those reports choose their records themselves."""
    choice = results.selection.get((dataset, variant.method))
    if choice is not None and choice.steps != variant.steps and not any_steps:
        return None
    records = results.records[undisturbed(results.records)]
    eta = records["eta"].isna() if variant.eta is None else records["eta"] == variant.eta
    part = records[
        (records["dataset"] == dataset)
        & (records["method"] == variant.method)
        & (records["steps"] == variant.steps)
        & (records["sampler"].fillna("") == variant.sampler)
        & (records["ensemble"] == variant.ensemble)
        & eta
    ]
    if part.empty:
        return None
    # A training that gave no score at all has no part in any mean, nor in how many trainings a sentence speaks of.
    scored = part.loc[part["dsc"].notna(), "seed"].unique()
    part = part[part["seed"].isin(scored)] if len(scored) else part
    part = part.assign(case=part["case"].astype(str))
    seeds, sigmas = np.unique(part["seed"]), np.unique(part["sigma"].astype(float))
    by_name = part.drop_duplicates("case").sort_values("case")
    cases, groups = by_name["case"].to_numpy(), by_name["group"].astype(str).to_numpy()
    position = (
        np.searchsorted(seeds, part["seed"]),
        np.searchsorted(sigmas, part["sigma"].astype(float)),
        np.searchsorted(cases, part["case"].to_numpy()),
    )
    scores = {}
    for name in dict.fromkeys(part["class"]):
        chosen = (part["class"] == name).to_numpy()
        known = {
            metric: part[metric].astype(float)[chosen] for metric in (*HIGHER_IS_BETTER, *TEMPORAL) if metric in part
        }
        # What was not measured, or not yet when the records were written, is left out; a distance may be undefined.
        known = {metric: values for metric, values in known.items() if metric in ALWAYS or values.notna().any()}
        known |= {"both_empty": part["empty"][chosen] == "both", "missed": part["empty"][chosen] == "prediction"}
        for metric, values in known.items():
            table = np.full((len(seeds), len(sigmas), len(cases)), np.nan)
            table[tuple(axis[chosen] for axis in position)] = values
            scores[metric, name] = table
    classes = [name for name in dict.fromkeys(part["class"]) if name != POOLED]
    named = next((t.config.dataset.class_names for t in results.trials
                  if t.config.dataset.name == dataset), None) or classes  # fmt: skip
    videos = by_name["video"].to_numpy() if by_name["video"].notna().any() else None
    return Curve(
        dataset, variant, tuple(int(seed) for seed in seeds), sigmas, cases, groups,
        tuple(sorted(set(classes) & set(named), key=list(named).index)), scores, videos,
        tuple(name for name in classes if name not in named),
        _folds(results, part, (*position[::2], (len(seeds), len(cases)))),
        _leave_out(scores, position, seeds, sigmas),
    )  # fmt: skip


def _leave_out(
    scores: dict[tuple[str, str], np.ndarray], position: tuple[np.ndarray, ...], seeds: np.ndarray, sigmas: np.ndarray
) -> tuple[tuple[int, float, int, int], ...]:
    """Take the scores of trainings that were tested in part only out of the tables (seeds, S, N), and say which.
    position: of each record in these tables."""
    there = np.zeros(next(iter(scores.values())).shape, dtype=bool)
    there[position] = True
    tested = there.sum(axis=2)
    most = tested.max(axis=0)
    fewer = (tested > 0) & (tested < most)
    for table in scores.values():
        table[fewer] = np.nan
    return tuple((int(seeds[s]), float(sigmas[k]), int(tested[s, k]), int(most[k])) for s, k in np.argwhere(fewer))


def _folds(results: Results, part: pd.DataFrame, where: tuple) -> np.ndarray | None:
    """Labels (seeds, N) of the folds of cross-validation; None for a split. where: positions by seed and by case, and
    the shape."""
    if "trial" not in part or part.groupby("seed")["trial"].nunique().max() < 2:
        return None
    *position, shape = where
    known = {trial.key: trial.config.dataset.part for trial in results.trials}
    labels = np.full(shape, "", dtype=object)
    labels[tuple(position)] = [known.get(key) or str(key) for key in part["trial"]]
    return labels


def paired_values(first: Curve, second: Curve, sigma: float, since: float | None = None) -> Pair | None:
    """DSC at a sigma (seeds, cases) over the cases both have, or with `since` how it changed from there to sigma; None
    where either was not tested at these sigmas."""
    wanted = [sigma] if since is None else [sigma, since]
    if any(part.at(value) is None for part in (first, second) for value in wanted):
        return None
    _, left, right = np.intersect1d(first.cases, second.cases, return_indices=True)
    if not len(left):
        return None

    def kept(part: Curve, index: np.ndarray) -> np.ndarray:
        """(seeds, cases) at sigma, less what it was at `since`."""
        scores = part.by_seed("dsc")[..., index]
        now = scores[:, part.at(sigma)]
        return now if since is None else now - scores[:, part.at(since)]

    one, two = kept(first, left), kept(second, right)
    if first.variant.method == second.variant.method and first.seeds == second.seeds:
        # The same trainings sampled in two ways: what a training adds to both cancels, seed by seed.
        one, two = one - two, np.zeros_like(two)
    return one, two, first.groups[left]
