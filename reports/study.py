"""What the noise-robustness report is made from, computed once and used by its tables, figures and words."""

from dataclasses import dataclass

from benchmarks.statistics import Estimate
from benchmarks.store import Results
from reports import curves as selection
from reports.curves import Curve, Variant

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
        return [self.clean] if self.noisy is None else [self.clean, self.noisy]


@dataclass(frozen=True)
class Comparison:
    """Reference minus other, case by case: at each compared sigma, and of what was kept between the two."""

    reference: Curve
    other: Curve
    at: dict[float, Estimate]
    kept: Estimate | None


def study(results: Results) -> Study:
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
    reference, *others = it.curves[dataset] or [None]
    found = []
    for other in others:
        at = {sigma: selection.paired(reference, other, sigma) for sigma in it.compared}
        kept = selection.paired(reference, other, it.noisy, since=it.clean) if it.noisy is not None else None
        found.append(Comparison(reference, other, {s: e for s, e in at.items() if e is not None}, kept))
    return found
