"""What tells methods apart: the reference against every other method in words, ranks and how stable they are, and
Friedman's test over all of them. For every report that compares methods on the same cases."""

from pathlib import Path

import numpy as np
import pandas as pd

from reports.numbers import statistics
from reports.numbers.curves import Curve, Variant, method_order
from reports.numbers.friedman import ALPHA, MIN_METHODS, Friedman, friedman
from reports.numbers.statistics import Estimate, Rank
from reports.numbers.study import Comparison, Significance, Study, comparisons
from reports.paper import style, words
from reports.paper.document import Block, Figure, Heading, Paragraph, Table
from reports.paper.style import Look
from reports.paper.words import Write
from reports.sections import critical_difference, score_tables
from reports.sections.score_tables import INTERVAL, keys, p_value

MOST_METHODS = 20
"""A diagram of more methods cannot be read; the tables hold them."""

VERDICTS = ("better", "worse", "open", "bare")


def sections(it: Study, looks: dict[Variant, Look], folder: Path) -> list[Block]:
    """Differences to the reference with their tests, ranks, and Friedman's test with its diagram, drawn into
    `folder`/figures. Empty where no data set has two methods to compare."""
    compared = score_tables.differences(it)
    if compared is None:
        return []
    return [Heading("Differences"), compared, Heading("Ranks"), ranks(it), *_friedman(it, looks, folder)]


def sentences(it: Study, dataset: str) -> list[str]:
    """The reference against every other variant at each compared sigma, as a reader would quote it: first what it is
    better than, then what it is worse than, then the rest."""
    found = comparisons(it, dataset)
    said = []
    for sigma in it.compared:
        for comparison in found:
            first, second = it.names[comparison.reference.variant], it.names[comparison.other.variant]
            where = f" at σ = {sigma:g}" if it.noisy is not None else ""
            if sigma in comparison.at and comparison.at[sigma].cases:
                tested = comparison.at[sigma], comparison.tests[sigma]
                said.append((sigma, VERDICTS.index(verdict(*tested)), sentence(first, second, *tested, where)))
            else:
                said.append((sigma, len(VERDICTS), f"{first} and {second} have no score in common{where}."))
    return [*_stand_in(it, found), *(text for *_, text in sorted(said, key=lambda item: item[:2]))]


def _stand_in(it: Study, found: list[Comparison]) -> list[str]:
    """Said where the suite's first method, the reference, has no result."""
    wanted = next(iter(method_order(it.results)), None)
    if not found or found[0].reference.variant.method == wanted:
        return []
    label = next((t.label for t in it.results.trials if t.config.method.name == wanted), wanted)
    instead = it.names[found[0].reference.variant]
    return [f"{label}, the suite's first method, has no result; the others are compared with {instead}."]


def sentence(first: str, second: str, estimate: Estimate, test: Significance, where: str = "") -> str:
    """One comparison of mean DSC, first minus second."""
    signed = amount(estimate, words.signed)
    judged = verdict(estimate, test)
    if judged == "bare":
        count = words.plural(estimate.cases, "case")
        return f"{first} minus {second}{where}: {signed} ({count}), too few for an interval or a test."
    if judged == "open":
        text = f"No difference shown between {first} and {second}{where}: {signed}, {p_words(test)}"
        excluded = estimate.low > 0 or estimate.high < 0
        if excluded and test.p_holm >= ALPHA:
            text += " (the interval alone would exclude 0)"
        elif test.p_holm < ALPHA:
            text += " (test and interval do not point the same way)"
        return text + "."
    size = estimate if judged == "better" else negated(estimate)
    return f"**{first}** is {judged} than **{second}**{where} by {amount(size)}, {p_words(test)}."


def verdict(estimate: Estimate, test: Significance) -> str:
    """better, worse or open, or bare where there is neither interval nor test. Better and worse take all three: an
    interval without 0, p after Holm below ALPHA, and ranks that point the same way as the mean."""
    if not estimate.has_interval or test.p_holm is None:
        return "bare"
    if test.p_holm < ALPHA and estimate.low > 0 and test.rank_biserial > 0:
        return "better"
    if test.p_holm < ALPHA and estimate.high < 0 and test.rank_biserial < 0:
        return "worse"
    return "open"


def friedman_sentence(it: Study, dataset: str, sigma: float) -> str | None:
    """All methods at once; None where the test cannot be made."""
    test = friedman(it.curves[dataset], sigma)
    if test is None:
        return None
    best = int(np.argmin(test.mean_ranks))
    alike = [place for place in np.argsort(test.mean_ranks, kind="stable")
             if place != best and test.nemenyi.iloc[best, place] >= ALPHA]  # fmt: skip
    blocks = "patients" if len(test.curves[0].cases) > test.blocks else "cases"
    text = (
        f"Friedman's test over {len(test.curves)} methods and {test.blocks} {blocks}: {_p_of(test.p)}. "
        f"Best mean rank: {_name(it, test, best)} ({test.mean_ranks[best]:.2f})"
    )
    if test.p >= ALPHA:
        return f"{text}; no difference between the methods is shown."
    if not alike:
        return f"{text}, told apart from every other by Nemenyi's test."
    return f"{text}; Nemenyi's test does not tell it from {words.listing([_name(it, test, k) for k in alike])}."


def ranking(found: list[Curve], sigma: float) -> list[Rank | None]:
    """Rank and its stability for every variant, over the cases they share; None for one not tested at sigma."""
    tested = [curve for curve in found if curve.at(sigma) is not None]
    shared = sorted(set.intersection(*(set(curve.cases) for curve in tested))) if tested else []
    if not shared:
        return [None] * len(found)
    index = [np.searchsorted(curve.cases, shared) for curve in tested]
    values = [curve.by_case("dsc")[curve.at(sigma), where] for curve, where in zip(tested, index)]
    ranked = iter(statistics.ranks(values, tested[0].groups[index[0]]))
    return [None if curve.at(sigma) is None else next(ranked) for curve in found]


def ranks(it: Study) -> Table:
    """Rank of every variant by mean DSC, its range, and how often bootstrap samples agree."""
    rows, data = [], []
    for dataset in it.datasets:
        for sigma in it.compared:
            placed = [(rank, curve) for rank, curve in zip(ranking(it.curves[dataset], sigma), it.curves[dataset])]
            for rank, curve in sorted(((r, c) for r, c in placed if r is not None), key=lambda pair: pair[0].place):
                span = words.NOTHING if rank.kept is None else f"{rank.low}\u2013{rank.high}"
                rows.append(
                    [dataset, f"{sigma:g}", str(rank.place), span, it.names[curve.variant],
                     words.with_interval(curve.mean(sigma)), _share(rank.kept), _share(rank.first)]
                )  # fmt: skip
                data.append(
                    keys(curve) | {"ensemble": curve.variant.ensemble, "sigma": sigma, "rank": rank.place,
                                   "rank_low": rank.low, "rank_high": rank.high, "kept": rank.kept,
                                   "first": rank.first, "dsc": curve.mean(sigma).value}
                )  # fmt: skip
    columns = ["data set", "σ", "rank", "95 % range", "method", f"DSC [{INTERVAL}]", "keeps its rank", "is first"]
    caption = (
        "Ranks by mean DSC over the cases that all methods share, and how stable they are: the 95 % range of the rank, "
        f"and the share of {statistics.RESAMPLES} bootstrap samples of the patients in which a method keeps its rank "
        f"or is first (methods with equal means share a rank). Not given below {statistics.MIN_GROUPS} patients."
    )
    return Table("ranks", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def _friedman(it: Study, looks: dict[Variant, Look], folder: Path) -> list[Block]:
    """Friedman's test on every data set at every compared sigma, with its diagram; words where it cannot be made."""
    tests = {(d, s): friedman(it.curves[d], s) for d in it.datasets if it.curves[d] for s in it.compared}
    missing = [_place(it, *key) for key, test in tests.items() if test is None]
    blocks: list[Block] = []
    if missing:
        blocks.append(
            Paragraph(
                f"No Friedman test on {words.listing(missing)}: it takes at least {MIN_METHODS} methods that have "
                f"every case, and {statistics.MIN_GROUPS} patients."
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
            "Critical-difference diagram: methods by their mean rank over the patients (1: the highest DSC in every "
            "patient). A bar joins methods that Nemenyi's test does not tell apart at 0.05, those whose mean ranks "
            "differ by less than the critical difference."
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
             p_value(test.p), f"{test.concordance:.2f}", f"{test.critical:.2f}", words.listing(left_out)]
        )  # fmt: skip
        data.append(
            {"dataset": dataset, "sigma": sigma, "methods": methods, "patients": test.blocks,
             "chi_squared": test.statistic, "p": test.p, "kendall_w": test.concordance,
             "critical_difference": test.critical, "left_out": "; ".join(left_out)}
        )  # fmt: skip
    columns = ["data set", "σ", "methods", "patients", "χ² (df)", "p", "Kendall's W", "critical difference", "left out"]
    caption = (
        "Friedman's test: do the methods' ranks within the patients differ by more than chance? Kendall's W: 0 no "
        "agreement between patients on the order of methods, 1 all agree. Critical difference: of mean ranks, at 0.05 "
        "(Nemenyi). Left out: methods without a score in every case."
    )
    return Table("friedman", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def _mean_ranks(dataset: str, sigma: float, test: Friedman) -> list[dict]:
    """What the diagram draws, a row per method."""
    best = int(np.argmin(test.mean_ranks))
    return [
        keys(curve) | {"ensemble": curve.variant.ensemble, "sigma": sigma, "mean_rank": rank,
                       "p_against_best": test.nemenyi.iloc[best, place], "critical_difference": test.critical}
        for place, (curve, rank) in enumerate(zip(test.curves, test.mean_ranks))
    ]  # fmt: skip


def _place(it: Study, dataset: str, sigma: float) -> str:
    """A data set, and the sigma where more than one is compared."""
    return dataset if it.noisy is None else f"{dataset}, σ = {sigma:g}"


def _name(it: Study, test: Friedman, place: int) -> str:
    return it.names[test.curves[place].variant]


def amount(estimate: Estimate, write: Write = words.number) -> str:
    """0.021 DSC [0.008, 0.034]."""
    return f"{write(estimate.value)} DSC {words.bounds(estimate, write=write)}".strip()


def negated(estimate: Estimate) -> Estimate:
    """The difference taken the other way round, of an estimate that has an interval."""
    return Estimate(-estimate.value, -estimate.high, -estimate.low, estimate.cases, estimate.groups)


def p_words(test: Significance) -> str:
    """p = 0.004 after Holm."""
    return f"{_p_of(test.p_holm)} after Holm"


def _p_of(p: float) -> str:
    text = p_value(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def _share(share: float | None) -> str:
    """A share in [0, 1] in per cent."""
    if share is None:
        return words.NOTHING
    # What rounds to never or always, but is not, says so.
    bound = "< 1 %" if 0 < share < 0.01 else "> 99 %" if 0.99 < share < 1 else None
    return bound or f"{100 * share:.0f} %"
