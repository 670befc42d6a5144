"""What a report on trials is made from, computed once and used by its tables, figures and words."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.store.results import Results
from reports.numbers import curves as selection
from reports.numbers.collapse import any_collapsed
from reports.numbers.curves import Curve, Variant
from reports.numbers.hypotheses import Margin
from reports.numbers.statistics import Estimate
from reports.numbers.verdicts import OF_CHANGES, Significance, Tested, tested

CLEAN, NOISY = 0.0, 0.2
"""Where methods are compared in words: no noise, and the end of the range in figure 8 of the LDSeg paper."""
LOSS = 0.05


@dataclass(frozen=True)
class Study:
    """clean and noisy are the tested sigmas nearest to CLEAN and NOISY; noisy is None where only one was tested."""

    results: Results
    datasets: list[str]
    curves: dict[str, list[Curve]]
    names: dict[Variant, str]
    clean: float
    noisy: float | None

    @property
    def compared(self) -> list[float]:
        """Sigmas at which methods are compared: one or two."""
        return [self.clean] if self.noisy is None else [self.clean, self.noisy]

    @property
    def margin(self) -> Margin:
        """As of `margin`."""
        return margin(self.results)

    def unit(self, *datasets: str) -> str:
        """What a group of cases is, "patient" or, where nobody knows the patients, "image"; of several data sets, all
        measured ones unless named, "patient or image" where they differ."""
        return " or ".join(self._units(datasets))

    def units(self, *datasets: str) -> str:
        """The plural of `unit`."""
        return " or ".join(f"{unit}s" for unit in self._units(datasets))

    def _units(self, datasets: Sequence[str]) -> list[str]:
        chosen = datasets or [dataset for dataset in self.datasets if self.curves[dataset]]
        found = {self._of_dataset(dataset) for dataset in chosen}
        return sorted(found, reverse=True) or ["image"]

    def _of_dataset(self, dataset: str) -> str:
        known = {trial.config.dataset.patients for trial in self.results.trials if trial.config.dataset.name == dataset}
        if known <= {None}:
            return "patient" if any(len(set(c.groups)) < len(c.cases) for c in self.curves[dataset]) else "image"
        return "image" if False in known else "patient"


@dataclass(frozen=True)
class Comparison:
    """Reference minus other, case by case: at each compared sigma, and of what was kept between the two."""

    reference: Curve
    other: Curve
    at: dict[float, Estimate]
    kept: Estimate | None
    tests: dict[float, Significance]
    kept_test: Significance | None


def margin(results: Results) -> Margin:
    """The suite's `margin` and `unseen_failure`, where it has them."""
    said = {"within": results.suite.get("margin"), "failure": results.suite.get("unseen_failure")}
    return Margin(**{name: float(value) for name, value in said.items() if value is not None})


def study(results: Results) -> Study:
    """Curves of every data set, in the order of the suite's methods, and where they are compared."""
    found = selection.variants(results)
    datasets = selection.dataset_order(results)
    curves = {
        dataset: [c for c in (selection.curve(results, dataset, variant) for variant in found) if c is not None]
        for dataset in datasets
    }
    sigmas = sorted({float(s) for parts in curves.values() for c in parts for s in c.sigmas})
    clean = sigmas[0] if sigmas else CLEAN
    noisy = min(sigmas[1:], key=lambda s: (abs(s - NOISY), s), default=None)
    return Study(results, datasets, curves, selection.labels(found), clean, noisy)


def comparisons(it: Study, dataset: str) -> list[Comparison]:
    """The first variant against each of the others: the suite's first method is its subject."""
    if not it.curves[dataset]:
        return []
    reference, *others = it.curves[dataset]
    fallen = [any_collapsed([reference, other], it.clean) for other in others]
    at = {
        sigma: tested(
            [selection.paired_values(reference, other, sigma) for other in others], it.margin, collapsed=fallen
        )
        for sigma in it.compared
    }
    kept: list[Tested | None] = [None] * len(others)
    if it.noisy is not None:
        kept = tested(
            [selection.paired_values(reference, other, it.noisy, since=it.clean) for other in others],
            it.margin,
            OF_CHANGES,
            fallen,
        )
    found = []
    for place, other in enumerate(others):
        here = {sigma: pair for sigma, pairs in at.items() if (pair := pairs[place]) is not None}
        change = kept[place]
        found.append(
            Comparison(
                reference, other, {s: e for s, (e, _) in here.items()}, change and change[0],
                {s: t for s, (_, t) in here.items()}, change and change[1],
            )
        )  # fmt: skip
    return found
