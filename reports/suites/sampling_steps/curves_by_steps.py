"""Accuracy as a function of the number of sampling steps: one curve per data set and method."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reports.numbers import statistics, steps
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
        shared = _shared(self.parts, self.sigma)
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
        """As `steps.best`."""
        return steps.best(self.steps, self.by_seed, self.groups)

    def enough(self) -> Estimate:
        """As `steps.enough`."""
        return steps.enough(self.steps, self.by_seed, self.groups)

    def given_up(self) -> Estimate:
        """As `steps.gain`."""
        return steps.gain(self.best, self.by_seed, self.groups)


def _shared(parts: Sequence[Curve], sigma: float) -> list[int]:
    """Seeds that have a DSC with every one of these numbers of steps."""
    scored = (
        {seed for seed, row in zip(part.seeds, part.by_seed("dsc")[:, part.at(sigma)]) if np.isfinite(row).any()}
        for part in parts
    )
    return sorted(set.intersection(*scored))


def step_curves(it: Study, dataset: str) -> list[StepCurve]:
    """A curve per method (and sampler, where a suite asks for several), in the suite's order of methods; of numbers of
    steps that some training has a score for, and of trainings that have one for all of them."""
    alike: dict[tuple, list[Curve]] = {}
    for curve in it.curves[dataset]:
        v = curve.variant
        if v.steps and curve.trainings(it.clean):
            alike.setdefault((v.method, v.sampler, v.eta, v.ensemble), []).append(curve)
    samplers = {key[0]: {other[1:] for other in alike if other[0] == key[0]} for key in alike}
    found = []
    for (method, sampler, *_), parts in alike.items():
        shared = sorted(set.intersection(*(set(part.cases) for part in parts)))
        # A condition whose cases differ would be another mean: only what was tested on all of them is a curve.
        parts = sorted((p for p in parts if list(p.cases) == shared), key=lambda p: p.variant.steps)
        while parts and not _shared(parts, it.clean):
            parts.pop()
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
