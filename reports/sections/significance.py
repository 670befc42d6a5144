"""What tells methods apart: the reference against every other method in words, and Friedman's test over all of them.
For every report that compares methods on the same cases."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from reports.numbers import collapse, statistics
from reports.numbers.curves import Variant, method_order
from reports.numbers.friedman import ALPHA, MIN_METHODS, Friedman, friedman
from reports.numbers.study import Comparison, Study, comparisons
from reports.numbers.verdicts import Verdict, verdict
from reports.paper import style, words
from reports.paper.document import Block, Figure, Heading, Paragraph, Table
from reports.paper.style import Look
from reports.sections import critical_difference, rank_tables, score_tables, trainings
from reports.sections.posteriors import posteriors
from reports.sections.score_tables import keys
from reports.sections.verdict_words import cautions, p_of, sentence, subjects

MOST_METHODS = 20
"""A diagram of more methods cannot be read; the tables hold them."""

OF_TRAININGS = "This is of these trainings and no verdict on methods."
ORDER = tuple(Verdict)
"""In which sentences are said: what is better first."""


def sections(it: Study, looks: dict[Variant, Look], folder: Path) -> list[Block]:
    """Differences to the reference with their tests, the same in Bayes' terms, ranks, and Friedman's test with its
    diagram, drawn into `folder`/figures. Empty where no data set has two methods to compare."""
    compared = score_tables.differences(it)
    if compared is None:
        return []
    blocks = [Heading("Differences"), compared, *posteriors(it), Heading("Ranks"), *rank_tables.tables(it)]
    return [*blocks, *_friedman(it, looks, folder)]


def sentences(it: Study, dataset: str) -> list[str]:
    """The reference against every other variant at each compared sigma, as a reader would quote it: first what it is
    better than, then what it is worse than, then the rest; and whether this is said of methods or of trainings."""
    found = comparisons(it, dataset)
    said, tests = [], []
    for sigma in it.compared:
        for comparison in found:
            where = f" at σ = {sigma:g}" if it.noisy is not None else ""
            where += trainings.on_fewer(comparison.at.get(sigma), it.curves[dataset])
            pair = comparison.reference, comparison.other
            if sigma in comparison.at and comparison.at[sigma].cases:
                tested = comparison.at[sigma], comparison.tests[sigma]
                names = subjects(it.names, *pair, sigma, tested[0])
                said.append((sigma, ORDER.index(verdict(*tested)), sentence(*names, *tested, where)))
                tests.append(tested)
            else:
                first, second = (it.names[curve.variant] for curve in pair)
                said.append((sigma, len(ORDER), f"{first} and {second} have no score in common{where}."))
    said = [text for *_, text in sorted(said, key=lambda item: item[:2])]
    return [*_stand_in(it, found), *said, *cautions(tests, it.unit(dataset)), *trainings.sentences(it, dataset)]


def _stand_in(it: Study, found: list[Comparison]) -> list[str]:
    """Said where the suite's first method, the reference, has no result."""
    wanted = next(iter(method_order(it.results)), None)
    if not found or found[0].reference.variant.method == wanted:
        return []
    label = next((t.label for t in it.results.trials if t.config.method.name == wanted), wanted)
    instead = it.names[found[0].reference.variant]
    return [f"{label}, the suite's first method, has no result; the others are compared with {instead}."]


def friedman_sentence(it: Study, dataset: str, sigma: float) -> str | None:
    """All methods at once; None where the test cannot be made."""
    test = friedman(collapse.sound(it.curves[dataset], it.clean), sigma)
    if test is None:
        return None
    best = int(np.argmin(test.mean_ranks))
    alike = [place for place in np.argsort(test.mean_ranks, kind="stable")
             if place != best and test.nemenyi.iloc[best, place] >= ALPHA]  # fmt: skip
    told = _seed_by_seed(test.seed_ranks[:, best], "{:.2f}".format)
    text = (
        f"Friedman's test over {len(test.curves)} methods and {words.plural(test.blocks, it.unit(dataset))}, their "
        f"trainings taken as given: {p_of(test.p)}{_seed_by_seed(test.seed_p, words.p_value)}. Best mean rank: "
        f"{_name(it, test, best)} ({test.mean_ranks[best]:.2f}{told})"
    )
    if test.p >= ALPHA:
        return f"{text}; no difference is shown. {OF_TRAININGS}"
    if not alike:
        return f"{text}, told apart from every other by Nemenyi's test. {OF_TRAININGS}"
    others = words.listing([_name(it, test, k) for k in alike])
    return f"{text}; Nemenyi's test does not tell it from {others}. {OF_TRAININGS}"


def _seed_by_seed(values: np.ndarray, write: Callable[[float], str]) -> str:
    """From where to where what was said goes when each seed is taken by itself; nothing for one seed."""
    if not len(values):
        return ""
    low, high = write(float(values.min())), write(float(values.max()))
    return f", in each of {len(values)} seeds {low}" if low == high else f", seed by seed {low} to {high}"


def _range(name: str, values: np.ndarray) -> dict[str, float | None]:
    """The same for CSV files."""
    low, high = (float(values.min()), float(values.max())) if len(values) else (None, None)
    return {f"{name}_lowest_seed": low, f"{name}_highest_seed": high}


def _friedman(it: Study, looks: dict[Variant, Look], folder: Path) -> list[Block]:
    """Friedman's test on every data set at every compared sigma, with its diagram; words where it cannot be made."""
    tests = {
        (d, s): friedman(collapse.sound(it.curves[d], it.clean), s)
        for d in it.datasets
        if it.curves[d]
        for s in it.compared
    }
    missing = [_place(it, *key) for key, test in tests.items() if test is None]
    blocks: list[Block] = []
    if missing:
        blocks.append(
            Paragraph(
                f"No Friedman test on {words.listing(missing)}: it takes at least {MIN_METHODS} methods that have "
                f"every case and no training that collapsed, and {statistics.MIN_GROUPS} {it.units()}."
            )
        )
    tests = {key: test for key, test in tests.items() if test is not None}
    if not tests:
        return blocks
    blocks.append(_friedman_table(it, tests))
    panels = {_place(it, *key): test for key, test in tests.items() if len(test.curves) <= MOST_METHODS}
    if panels:
        style.save(critical_difference.draw(panels, it.names, looks), folder, "critical_difference")
        caption = (
            f"Critical-difference diagram: methods by their mean rank over the {it.units()} (1: the highest DSC in "
            f"every {it.unit()}), trainings averaged and taken as given. A bar joins methods that Nemenyi's "
            "test does not tell apart at 0.05, those whose mean ranks differ by less than the critical difference."
        )
        alt = f"Mean ranks of the methods on {words.listing(list(panels))}, bars joining those not told apart."
        data = [row for (d, s), test in tests.items() for row in _mean_ranks(d, s, test)]
        blocks.append(Figure("critical_difference", caption, alt, pd.DataFrame(data)))
    return blocks


def _friedman_table(it: Study, tests: dict[tuple[str, float], Friedman]) -> Table:
    rows, data = [], []
    for (dataset, sigma), test in tests.items():
        left_out = [it.names[c.variant] for c in it.curves[dataset] if not any(c is t for t in test.curves)]
        methods = len(test.curves)
        rows.append(
            [dataset, f"{sigma:g}", str(methods), str(test.blocks), f"{test.statistic:.1f} ({methods - 1})",
             words.p_value(test.p) + _seed_by_seed(test.seed_p, words.p_value), f"{test.concordance:.2f}",
             f"{test.critical:.2f}", words.listing(left_out)]
        )  # fmt: skip
        data.append(
            {"dataset": dataset, "sigma": sigma, "methods": methods, "groups": test.blocks,
             "chi_squared": test.statistic, "p": test.p, **_range("p", test.seed_p), "kendall_w": test.concordance,
             "critical_difference": test.critical, "left_out": "; ".join(left_out)}
        )  # fmt: skip
    columns = ["data set", "σ", "methods", it.units(), "χ² (df)", "p", "Kendall's W", "critical difference", "left out"]
    caption = (
        f"Friedman's test: do the methods' ranks within the {it.units()} differ by more than chance? It takes the "
        "trainings as given, averaged over seeds: what another training would change is not in its p, beside which "
        "stands, where all methods have several seeds, that of each seed alone. Kendall's W: 0 "
        f"no agreement between {it.units()} on the order of methods, 1 all agree. Critical difference: of mean ranks, "
        "at 0.05 (Nemenyi). Left out: methods without a score in every case, and those of which a training collapsed."
    )
    return Table("friedman", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def _mean_ranks(dataset: str, sigma: float, test: Friedman) -> list[dict]:
    """What the diagram draws, a row per method."""
    best = int(np.argmin(test.mean_ranks))
    return [
        keys(curve) | {"ensemble": curve.variant.ensemble, "sigma": sigma, "mean_rank": rank,
                       **_range("mean_rank", test.seed_ranks[:, place]), "critical_difference": test.critical,
                       "p_against_best": test.nemenyi.iloc[best, place]}
        for place, (curve, rank) in enumerate(zip(test.curves, test.mean_ranks))
    ]  # fmt: skip


def _place(it: Study, dataset: str, sigma: float) -> str:
    """A data set, and the sigma where more than one is compared."""
    return dataset if it.noisy is None else f"{dataset}, σ = {sigma:g}"


def _name(it: Study, test: Friedman, place: int) -> str:
    return it.names[test.curves[place].variant]
