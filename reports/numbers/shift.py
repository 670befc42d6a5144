"""What a shift of the data costs: scores on the data set trained on and on another, and the drop between them."""

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.store.results import Results
from reports.numbers import curves as selection
from reports.numbers import statistics
from reports.numbers.collapse import any_collapsed
from reports.numbers.components import TAIL, combined, standard_error
from reports.numbers.curves import Curve, Variant
from reports.numbers.limits import ROUNDING
from reports.numbers.statistics import MIN_GROUPS, MIN_SEEDS, Estimate
from reports.numbers.study import Study, study
from reports.numbers.verdicts import OF_SCORES, Tested, tested


@dataclass(frozen=True)
class Shifted:
    """A variant trained on one data set and tested on another. own: tests on the data set trained on; there: on the
    other; native: of the same variant trained there, None where there is none."""

    trained: str
    tested_on: str
    variant: Variant
    own: Curve
    there: Curve
    native: Curve | None


@dataclass(frozen=True)
class Shifts:
    """home: the study of tests on the data sets trained on. found: by (trained, tested_on), in the suite's order, every
    variant tested on both."""

    home: Study
    found: dict[tuple[str, str], list[Shifted]]


def shifts(results: Results) -> Shifts:
    """All pairs of data sets in the records and in the suite."""
    home = study(results)
    records = results.records
    abroad = records[records["tested_on"] != ""]
    asked = [(str(first), str(second)) for first, second in results.suite.get("pairs") or ()]
    held = abroad[["dataset", "tested_on"]].drop_duplicates().itertuples(index=False)
    pairs = [pair for pair in dict.fromkeys([*asked, *map(tuple, held)]) if pair[0] in home.datasets]
    own = {(c.dataset, c.variant): c for found in home.curves.values() for c in found}
    found: dict[tuple[str, str], list[Shifted]] = {}
    for trained, there in pairs:
        part = abroad[(abroad["dataset"] == trained) & (abroad["tested_on"] == there)]
        moved = replace(results, records=part.assign(tested_on=""))
        curves = {v: selection.curve(moved, trained, v) for v in home.names}
        found[trained, there] = [
            Shifted(trained, there, v, own[trained, v], curve, own.get((there, v)))
            for v, curve in curves.items()
            if curve is not None and (trained, v) in own
        ]
    return Shifts(home, found)


def drop(it: Shifted) -> Estimate:
    """Mean DSC on the data set trained on minus that on the other, over patients, with its interval.

    The patients of the two are not the same, so that the variances of both means add up (Welch, Biometrika 34:28-35,
    1947), with the degrees of freedom of `combined`. From MIN_SEEDS trainings on that of their drops is added, which
    are taken training by training, since one that is good here may be good there; it holds some of the variance of
    patients once more, so that the interval is rather too wide. None where nothing scatters.
    """
    own, there = (_by_group(curve) for curve in (it.own, it.there))
    value = float(own.mean() - there.mean())
    cases, groups = len(it.there.cases), min(own.shape[1], there.shape[1])
    if groups < MIN_GROUPS:
        return Estimate(value, None, None, cases, groups)
    parts = [(standard_error(table.mean(axis=0)).patients, table.shape[1] - 1) for table in (own, there)]
    seeds = len(own) if len(own) == len(there) >= MIN_SEEDS else 1
    trainings = []
    if seeds > 1:
        trainings.append((float(np.var(own.mean(axis=1) - there.mean(axis=1), ddof=1)) / seeds, seeds - 1))
    off = combined(parts, trainings)
    if off.error <= ROUNDING:
        return Estimate(value, None, None, cases, groups, 0, seeds)
    half = off.reach(TAIL)
    found = Estimate(value, value - half, value + half, cases, groups, 0, seeds, off.error, off.df)
    return found.within(*OF_SCORES)


def _by_group(curve: Curve) -> np.ndarray:
    """Mean DSC (seeds, groups) on undisturbed images, of the trainings that have one."""
    rows = [statistics.group_means(row, curve.groups) for row in curve.by_seed("dsc")[:, 0]]
    return np.stack([row for row in rows if len(row)])


def gaps(it: Shifts, pair: tuple[str, str]) -> dict[Variant, Tested]:
    """Trained elsewhere minus trained there, on the same cases, of every variant that has both; one family."""
    found = [one for one in it.found[pair] if one.native is not None]
    sides = [
        selection.paired_values(one.there, replace(one.native, variant=_other(one.variant)), it.home.clean)
        for one in found
        if one.native is not None
    ]
    fallen = [any_collapsed([one.own, one.native], it.home.clean) for one in found if one.native is not None]
    results = tested(sides, it.home.margin, collapsed=fallen)
    return {one.variant: result for one, result in zip(found, results, strict=True) if result is not None}


def _other(variant: Variant) -> Variant:
    """The variant under a name of its own: trained on other data, it is no second sampling of the same training."""
    return replace(variant, method=f"{variant.method} trained there")


def contests(it: Shifts, pair: tuple[str, str]) -> list[tuple[Shifted, Shifted, Tested]]:
    """The suite's first method minus each other on the data set that neither was trained on; one family."""
    if not it.found[pair]:
        return []
    first, *others = it.found[pair]
    results = tested(
        [selection.paired_values(first.there, other.there, it.home.clean) for other in others],
        it.home.margin,
        collapsed=[any_collapsed([first.own, other.own], it.home.clean) for other in others],
    )
    return [(first, other, result) for other, result in zip(others, results, strict=True) if result is not None]
