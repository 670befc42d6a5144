"""Accuracy as a function of the number of sampling steps: one curve per data set and method."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.store.selection import fewest_enough
from reports.numbers import statistics
from reports.numbers.curves import Curve, Variant
from reports.numbers.statistics import Estimate
from reports.numbers.study import Study
from reports.sections.cost import cost


@dataclass(frozen=True)
class StepCurve:
    """DSC of one method on one data set by number of steps, all else alike.

    parts: a curve per number of steps, ascending, over the same cases; sigma: where they are read.
    """

    dataset: str
    method: str
    name: str
    parts: tuple[Curve, ...]
    sigma: float
    seconds: tuple[float | None, ...]
    nfe: tuple[int, ...]

    @property
    def variant(self) -> Variant:
        """The one with the fewest steps, by which the method is drawn."""
        return self.parts[0].variant

    @cached_property
    def steps(self) -> np.ndarray:
        """(steps,) ascending."""
        return np.array([part.variant.steps for part in self.parts])

    @cached_property
    def by_seed(self) -> np.ndarray:
        """DSC (seeds, steps, cases) of the trainings that every number of steps was tested with."""
        shared = sorted(set.intersection(*(set(part.seeds) for part in self.parts)))
        rows = [part.by_seed("dsc")[[part.seeds.index(seed) for seed in shared], part.at(self.sigma)]
                for part in self.parts]  # fmt: skip
        return np.stack(rows, axis=1)

    @cached_property
    def dsc(self) -> np.ndarray:
        """(steps, cases), averaged over seeds."""
        return self.by_seed.mean(axis=0)

    @property
    def groups(self) -> np.ndarray:
        """(cases,): what each case belongs to."""
        return self.parts[0].groups

    def means(self) -> list[Estimate]:
        """Mean DSC at each number of steps."""
        return [statistics.mean(rows, self.groups, bounds=(0.0, 1.0)) for rows in np.moveaxis(self.by_seed, 1, 0)]

    @property
    def best(self) -> int:
        """Index of the number of steps with the highest mean DSC; of equals the smallest."""
        return int(np.argmax([mean.value for mean in self.means()]))

    def best_steps(self) -> Estimate:
        """The number of steps with the highest mean DSC, with the range of what bootstrap samples choose."""

        def highest(means: np.ndarray) -> np.ndarray:
            """(..., steps) mean DSC -> (...,) number of steps."""
            return self.steps[np.argmax(means, axis=-1)].astype(float)

        return statistics.statistic(highest, self.by_seed, self.groups)

    def enough(self) -> Estimate:
        """Smallest number of steps whose mean DSC lies within TOLERANCE of the best, with its bootstrap interval."""

        def smallest(means: np.ndarray) -> np.ndarray:
            """(..., steps) mean DSC -> (...,) number of steps."""
            return fewest_enough(self.steps, means).astype(float)

        return statistics.statistic(smallest, self.by_seed, self.groups)

    def given_up(self) -> Estimate:
        """DSC at the best number of steps minus DSC at the smallest, each paired by case.

        The best is chosen anew in every bootstrap sample, from the patients drawn, and judged on the patients that were
        not drawn: value and interval are mean and percentiles of what it gains there (the out-of-bag estimate; Efron,
        J. Am. Statist. Assoc. 78:316-331, 1983). Judged on the cases it was chosen on, the highest of several means
        lies above the first even where steps change nothing. Without an interval where there are too few patients, and
        the value is then that of the cases it was chosen on.
        """
        at_best = statistics.paired_difference(self.dsc[self.best], self.dsc[0], self.groups, bounds=(-1.0, 1.0))
        if not at_best.has_interval:
            return at_best
        gain = np.stack([[statistics.group_means(row, self.groups) for row in rows - rows[0]] for rows in self.by_seed])
        seeds, _, count = gain.shape
        drawn = statistics.resample(np.eye(count), np.arange(count))
        trainings = statistics.seed_draws(seeds, len(drawn), 0)
        # k_b = argmax_k sum_sg v_bs w_bg d_skg; of d_k_b the mean over the groups with w_bg = 0.
        chosen = np.argmax(np.einsum("bs,bg,skg->bk", trainings, drawn, gain, optimize=True), axis=1)
        left_out = (drawn == 0).astype(float)
        with np.errstate(invalid="ignore"):
            left_out /= left_out.sum(axis=1, keepdims=True)
        everywhere = np.einsum("bs,bg,skg->bk", trainings, left_out, gain, optimize=True)
        judged = everywhere[np.arange(len(drawn)), chosen]
        low, high = statistics.interval(judged)
        spoken_for = seeds if seeds >= statistics.MIN_SEEDS else 1
        return Estimate(float(np.nanmean(judged)), float(low), float(high), at_best.cases, count, seeds=spoken_for)


def step_curves(it: Study, dataset: str) -> list[StepCurve]:
    """A curve per method (and sampler, where a suite asks for several), in the suite's order of methods."""
    alike: dict[tuple, list[Curve]] = {}
    for curve in it.curves[dataset]:
        v = curve.variant
        if v.steps and curve.at(it.clean) is not None:
            alike.setdefault((v.method, v.sampler, v.eta, v.ensemble), []).append(curve)
    samplers = {key[0]: {other[1:] for other in alike if other[0] == key[0]} for key in alike}
    found = []
    for (method, sampler, *_), parts in alike.items():
        shared = sorted(set.intersection(*(set(part.cases) for part in parts)))
        # A condition whose cases differ would be another mean: only what was tested on all of them is a curve.
        parts = sorted((p for p in parts if list(p.cases) == shared), key=lambda p: p.variant.steps)
        if not parts:
            continue
        title = parts[0].variant.title
        name = f"{title} ({sampler})" if len(samplers[method]) > 1 else title
        seconds = tuple(cost(it.results, part).seconds for part in parts)
        found.append(StepCurve(dataset, method, name, tuple(parts), it.clean, seconds, _evaluations(it, parts)))
    return found


def _evaluations(it: Study, parts: list[Curve]) -> tuple[int, ...]:
    """Network evaluations per image of each part, from the records."""
    records = it.results.records
    found = []
    for part in parts:
        own = records[
            (records["dataset"] == part.dataset)
            & (records["method"] == part.variant.method)
            & (records["steps"] == part.variant.steps)
            & (records["ensemble"] == part.variant.ensemble)
            & (records["sampler"] == part.variant.sampler)
        ]
        found.append(int(own["nfe"].iloc[0]))
    return tuple(found)
