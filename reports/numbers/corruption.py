"""What corrupted images cost: scores by kind and severity, and the mean corruption error.

After Hendrycks and Dietterich, ICLR 2019, arXiv:1903.12261, section 4, with E = 1 - mean DSC in place of the error of
a classifier.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from benchmarks.store.results import Results
from reports.numbers import curves as selection
from reports.numbers import statistics
from reports.numbers.collapse import any_collapsed
from reports.numbers.curves import Curve, Variant
from reports.numbers.hypotheses import Margin
from reports.numbers.ranks import ranks
from reports.numbers.statistics import Estimate
from reports.numbers.study import Study, study
from reports.numbers.verdicts import Tested, tested

LEAST = 0.005
"""DSC that the reference has to lose to a kind, averaged over severities, for the relative corruption error: a ratio to
less would say nothing."""


@dataclass(frozen=True)
class Corrupted:
    """clean: the study of the images as they are. by_kind: data set -> kind -> a curve for each variant, in which
    severities stand where sigmas do, 0 being the images as they are; kinds that are for no image of a data set are
    missing. reference: data set -> the variant whose error others are divided by."""

    clean: Study
    kinds: tuple[str, ...]
    severities: tuple[int, ...]
    by_kind: dict[str, dict[str, list[Curve]]]
    reference: dict[str, Variant]

    def curve(self, dataset: str, kind: str, variant: Variant) -> Curve | None:
        """Of one variant; None unless it was tested at every severity."""
        found = next((c for c in self.by_kind[dataset].get(kind, ()) if c.variant == variant), None)
        return found if found is not None and len(found.sigmas) == len(self.severities) + 1 else None

    def variants(self, dataset: str) -> list[Variant]:
        """Those tested on every kind that any was tested on, in the suite's order."""
        found = [curve.variant for curve in self.clean.curves[dataset]]
        kinds = self.by_kind[dataset]
        return [v for v in found if kinds and all(self.curve(dataset, kind, v) is not None for kind in kinds)]

    def values(self, dataset: str, variant: Variant) -> np.ndarray:
        """DSC (seeds, 1 + K S, cases) of a variant of `variants`: of the clean images, then kind by kind its S
        severities; of the trainings that were tested on all of them."""
        curves = [self.curve(dataset, kind, variant) for kind in self.by_kind[dataset]]
        scores = [curve.by_seed("dsc") for curve in curves if curve is not None]
        table = np.concatenate([scores[0][:, :1], *(part[:, 1:] for part in scores)], axis=1)
        whole = np.isfinite(table).any(axis=2).all(axis=1)
        return table[whole] if whole.any() else table

    def groups(self, dataset: str) -> np.ndarray:
        """(cases,)."""
        return next(curve for curves in self.by_kind[dataset].values() for curve in curves).groups


def corrupted(results: Results) -> Corrupted:
    """Scores of every data set by kind and severity."""
    clean = study(results)
    suite, records = results.suite, results.records
    kinds = tuple(suite.get("corruptions") or dict.fromkeys(k for k in records["corruption"] if k))
    severities = tuple(suite.get("severities") or sorted({int(s) for s in records["severity"] if s}))
    by_kind: dict[str, dict[str, list[Curve]]] = {}
    for dataset in clean.datasets:
        part = results.records[results.records["dataset"] == dataset]
        by_kind[dataset] = {}
        for kind in kinds:
            if (part["corruption"] == kind).any():
                own = part[part["corruption"].isin(["", kind])]
                # A curve's axis is sigma: here the severity takes its place.
                there = replace(
                    results, records=own.assign(sigma=own["severity"].astype(float), corruption="", severity=0)
                )
                found = (selection.curve(there, dataset, variant) for variant in clean.names)
                by_kind[dataset][kind] = [curve for curve in found if curve is not None]
    it = Corrupted(clean, kinds, severities, by_kind, {})
    for dataset in clean.datasets:
        tested_fully = it.variants(dataset)
        wanted = [variant for variant in tested_fully if variant.method == suite.get("reference")]
        if tested_fully:
            it.reference[dataset] = (wanted or tested_fully)[0]
    return it


def errors(means: np.ndarray, kinds: int) -> np.ndarray:
    """Corruption error CE of each kind: sum_s E_s of a method over sum_s E_s of the reference.

    means: mean DSC (..., 2 (1 + K S)), a method's clean score and its K kinds of S severities, then the reference's.
    Returns (..., K); NaN where the reference errs nowhere.
    """
    own, other = _lost(means, kinds)
    return _ratio((1 - own[1]).mean(axis=-1), (1 - other[1]).mean(axis=-1))


def relative_errors(means: np.ndarray, kinds: int) -> np.ndarray:
    """Relative CE of each kind: sum_s (E_s - E_clean) of a method over that of the reference. As `errors`."""
    losses = [clean[..., None] - scores.mean(axis=-1) for clean, scores in _lost(means, kinds)]
    return _ratio(*losses)


def _lost(means: np.ndarray, kinds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of a method and the reference each: clean DSC (...) and that under corruption (..., K, S)."""
    halves = np.split(np.asarray(means, dtype=np.float64), 2, axis=-1)
    return [(half[..., 0], half[..., 1:].reshape(*half.shape[:-1], kinds, -1)) for half in halves]


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(below > 0, above / below, np.nan)


def mean_errors(it: Corrupted, dataset: str, variant: Variant) -> dict[str, Estimate]:
    """mCE of a variant with its interval under "mce" (means over kinds), relative mCE under "relative", and CE of each
    kind under its name. Relative mCE goes over the kinds of `lossy`."""
    first, second = it.values(dataset, variant), it.values(dataset, it.reference[dataset])
    if len(first) != len(second):
        first, second = (part.mean(axis=0, keepdims=True) for part in (first, second))
    both, groups = np.concatenate([first, second], axis=1), it.groups(dataset)
    names = list(it.by_kind[dataset])
    kept = [names.index(name) for name in lossy(it, dataset)]
    count = len(names)
    found = {
        "mce": statistics.smooth(lambda m: errors(m, count).mean(axis=-1), both, groups),
        "relative": statistics.statistic(_mean_of(kept, count), both, groups),
    }
    for place, name in enumerate(names):
        found[name] = statistics.smooth(partial(_error_of, place, count), both, groups)
    return {name: estimate.within(0, np.inf) if name != "relative" else estimate for name, estimate in found.items()}


def _error_of(place: int, count: int, means: np.ndarray) -> np.ndarray:
    """Of `errors`, that of the kind at `place`."""
    return errors(means, count)[..., place]


def _mean_of(kept: list[int], count: int) -> Callable[[np.ndarray], np.ndarray]:
    """Mean of the relative errors of some of the kinds; NaN for none."""
    if not kept:
        return lambda means: np.full(np.shape(means)[:-1], np.nan)
    return lambda means: relative_errors(means, count)[..., kept].mean(axis=-1)


def lossy(it: Corrupted, dataset: str) -> list[str]:
    """Kinds to which the reference loses at least LEAST DSC."""
    lost = losses(it, dataset, it.reference[dataset])
    return [kind for kind, loss in lost.items() if loss.value >= LEAST]


def losses(it: Corrupted, dataset: str, variant: Variant) -> dict[str, Estimate]:
    """DSC that a variant loses to each kind, averaged over severities, with its interval."""
    groups = it.groups(dataset)
    return {
        kind: statistics.mean(lost, groups, bounds=(-1.0, 1.0)) for kind, lost in _lost_to(it, dataset, variant).items()
    }


def _lost_to(it: Corrupted, dataset: str, variant: Variant) -> dict[str, np.ndarray]:
    """By kind, DSC (seeds, cases) of the images as they are less the mean over the severities."""
    curves = {kind: it.curve(dataset, kind, variant) for kind in it.by_kind[dataset]}
    scores = {kind: curve.by_seed("dsc") for kind, curve in curves.items() if curve is not None}
    return {kind: values[:, 0] - values[:, 1:].mean(axis=1) for kind, values in scores.items()}


def extremes(it: Corrupted, dataset: str, variant: Variant) -> tuple[list[str], list[str]]:
    """The kinds that a variant loses most to, and those it loses least to: of each the kind itself first, then every
    other that takes its place within the 95 % range of ranks (`reports.numbers.ranks`), by loss. The largest of
    several estimates has no interval of its own: that of its kind would hold the truth in 77 to 86 % of reports on ten
    kinds that cost the same."""
    lost = _lost_to(it, dataset, variant)
    placed = ranks(list(lost.values()), it.groups(dataset), same=True)
    found = {kind: rank for kind, rank in zip(lost, placed) if rank is not None}
    order = sorted(found, key=lambda kind: found[kind].place)
    most = [kind for kind in order if kind == order[0] or found[kind].low == 1]
    least = [kind for kind in order[::-1] if kind == order[-1] or found[kind].high == len(found)]
    return most, least


def robust_mean(it: Corrupted, dataset: str, variant: Variant) -> Estimate:
    """Mean DSC over kinds and severities, clean images left out."""
    return statistics.mean(it.values(dataset, variant)[:, 1:].mean(axis=1), it.groups(dataset), bounds=(0.0, 1.0))


def comparisons(it: Corrupted, dataset: str, margin: Margin) -> dict[str, list[tuple[Variant, Variant, Tested]]]:
    """The suite's first method minus each other, by what is compared: "" is the mean over kinds and severities, a
    kind's name that over its severities. Holm's families: all of "", and all of the kinds together."""
    variants = it.variants(dataset)
    if len(variants) < 2:
        return {}
    size, groups = len(it.severities), it.groups(dataset)
    values = {variant: it.values(dataset, variant)[:, 1:] for variant in variants}
    pairs = [(variants[0], other) for other in variants[1:]]

    def of(kinds: list[slice]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        return [(*(values[v][:, part].mean(axis=1) for v in pair), groups) for part in kinds for pair in pairs]

    names, curves = list(it.by_kind[dataset]), {curve.variant: curve for curve in it.clean.curves[dataset]}
    fallen = [any_collapsed([curves[variant] for variant in pair], it.clean.clean) for pair in pairs]
    overall = tested(of([slice(None)]), margin, collapsed=fallen)
    parts = of([slice(k * size, (k + 1) * size) for k in range(len(names))])
    single = tested(parts, margin, collapsed=fallen * len(names))
    found = {"": overall} | {name: single[k * len(pairs) : (k + 1) * len(pairs)] for k, name in enumerate(names)}
    return {
        name: [(*pair, result) for pair, result in zip(pairs, results, strict=True) if result is not None]
        for name, results in found.items()
    }
