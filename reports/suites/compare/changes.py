"""What differs between two stores of one suite: scores case by case, costs, settings, and what only one holds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.store.results import Results
from benchmarks.store.trial import TrialView
from reports.numbers import curves as selection
from reports.numbers import statistics
from reports.numbers.collapse import any_collapsed
from reports.numbers.curves import HIGHER_IS_BETTER, POOLED, Curve, Variant
from reports.numbers.statistics import Estimate
from reports.numbers.study import margin
from reports.numbers.verdicts import OF_SCORES, Significance, tested

BEFORE, AFTER = "before", "after"
NOT_SETTINGS = ("request", "method.title", "method.summary", "method.loss")


@dataclass(frozen=True)
class Change:
    """One variant on one data set at one sigma, over the cases both stores have. estimate: after minus before."""

    before: Curve
    after: Curve
    sigma: float
    estimate: Estimate
    test: Significance
    same: bool
    """Whether the DSC of every case is the same to the last digit."""


@dataclass(frozen=True)
class Pair:
    """The trials of one data set, method and seed; None where a store has none."""

    before: TrialView | None
    after: TrialView | None

    @property
    def trial(self) -> TrialView:
        """The later of the two, or the only one."""
        return self.after or self.before

    @property
    def name(self) -> str:
        """Method, data set and seed in words."""
        config = self.trial.config
        return f"{self.trial.label} on {config.dataset.name}, seed {config.seed}"


def side(results: Results, store: str) -> Results:
    """The results of one of the two stores."""
    folder = Path(results.suite[store]) / "trials"
    trials = [trial for trial in results.trials if trial.path.parent == folder]
    return replace(results, trials=trials, records=results.records[results.records["store"] == store])


def pairs(before: Results, after: Results) -> list[Pair]:
    """In the order of the suite's data sets, methods and seeds."""
    held = [{_subject(trial): trial for trial in results.trials} for results in (before, after)]
    return [Pair(held[0].get(key), held[1].get(key)) for key in dict.fromkeys([*held[1], *held[0]])]


def shared(results: Results, found: list[Pair]) -> Results:
    """What is left of a side's records when only data sets, methods and seeds that both stores have count."""
    keys = {_subject(pair.trial) for pair in found if pair.before and pair.after}
    subjects = zip(results.records["dataset"], results.records["method"], results.records["seed"])
    kept = np.array([subject in keys for subject in subjects], dtype=bool)
    return replace(results, records=results.records[kept])


def changes(before: Results, after: Results, dataset: str) -> list[Change]:
    """Of every variant and sigma both sides have, the pooled DSC; p is corrected over all of them."""
    met, values = [], []
    earlier = {untitled(variant): variant for variant in selection.variants(before)}
    for variant in selection.variants(after):
        if untitled(variant) not in earlier:
            continue
        first = selection.curve(after, dataset, variant)
        second = selection.curve(before, dataset, earlier[untitled(variant)])
        for sigma in first.sigmas.tolist() if first and second else []:
            pair = paired(second, first, sigma)
            if pair is not None:
                met.append((second, first, sigma))
                values.append((pair[1], pair[0], pair[2]))
    found = []
    fallen = [any_collapsed([second, first], float(first.sigmas[0])) for second, first, _ in met]
    for (second, first, sigma), pair, (estimate, test) in zip(
        met, values, tested(values, margin(after), collapsed=fallen)
    ):
        same = bool(np.array_equal(pair[0], pair[1], equal_nan=True))
        found.append(Change(second, first, sigma, estimate, test, same))
    return found


def paired(
    before: Curve, after: Curve, sigma: float, metric: str = "dsc", name: str = POOLED
) -> statistics.Pair | None:
    """(before, after, groups) over the cases both have, scores (seeds, cases); None where there is none."""
    if before.at(sigma) is None or after.at(sigma) is None:
        return None
    if (metric, name) not in before.scores or (metric, name) not in after.scores:
        return None
    _, left, right = np.intersect1d(before.cases, after.cases, return_indices=True)
    if not len(left):
        return None
    earlier = before.by_seed(metric, name)[:, before.at(sigma)][:, left]
    return earlier, after.by_seed(metric, name)[:, after.at(sigma)][:, right], after.groups[right]


def means(values: statistics.Pair, metric: str = "dsc") -> tuple[Estimate, Estimate, Estimate]:
    """Before, after, and after minus before, over the cases defined in both. values: (before, after, groups)."""
    score = HIGHER_IS_BETTER.get(metric, True)
    highest = 1.0 if score else np.inf
    before, after, groups = values
    defined = np.isfinite(statistics.differences(after, before))
    before, after = np.where(defined, before, np.nan), np.where(defined, after, np.nan)
    return (
        statistics.mean(before, groups, bounds=(0.0, highest)),
        statistics.mean(after, groups, bounds=(0.0, highest)),
        statistics.paired_difference(after, before, groups, bounds=OF_SCORES if score else statistics.UNBOUNDED),
    )


def settings(found: list[Pair]) -> dict[tuple[str, str, str], list[str]]:
    """(what, before, after) -> names of the trials in which it differs: outcome, code, settings, data, environment."""
    differing: dict[tuple[str, str, str], list[str]] = {}
    for pair in found:
        if pair.before is None or pair.after is None:
            continue
        first, second = _described(pair.before), _described(pair.after)
        for key in dict.fromkeys([*first, *second]):
            if first.get(key, "") != second.get(key, ""):
                differing.setdefault((key, first.get(key, ""), second.get(key, "")), []).append(pair.name)
    return differing


def _described(trial: TrialView) -> dict[str, str]:
    """All that may differ between two trials of one name, as text."""
    config = {key: value for key, value in _flat(trial.config.to_json()) if key not in NOT_SETTINGS}
    environment = {f"environment.{key}": value for key, value in _flat(trial.environment)}
    return {"outcome": " ".join(filter(None, [trial.status, trial.reason]))} | config | environment


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(name, value) of every setting as text, those of inner groups as GROUP.NAME."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _subject(trial: TrialView) -> tuple[str, str, int]:
    """Data set, method and seed."""
    return trial.config.dataset.name, trial.config.method.name, trial.config.seed


def untitled(variant: Variant) -> Variant:
    """What a variant is, however it is called."""
    return replace(variant, title="")
