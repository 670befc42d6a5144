"""What diffusion itself contributes: each diffusion method against its twin, the same networks without diffusion."""

from typing import NamedTuple

import pandas as pd

from reports.numbers.collapse import any_collapsed
from reports.numbers.curves import Curve, paired_values
from reports.numbers.statistics import Estimate
from reports.numbers.study import Study, comparisons
from reports.numbers.verdicts import Significance, Verdict, tested, verdict
from reports.paper import words
from reports.paper.document import Block, Heading, Table
from reports.sections.score_tables import INTERVAL, judged, keys, numbers, test_columns
from reports.sections.verdict_words import cautions, judgement


class Contribution(NamedTuple):
    """A method minus its twin at one noise level: the difference and its tests, Holm's correction being over the pairs
    of one data set at one noise level."""

    method: Curve
    twin: Curve
    sigma: float
    difference: Estimate
    test: Significance


def contributions(it: Study, dataset: str) -> list[Contribution]:
    """Every method that was tested beside its twin, at each of the compared noise levels."""
    twins = {trial.config.method.name: trial.config.method.twin_of for trial in it.results.trials}
    curves = it.curves[dataset]
    pairs = [
        (method, twin)
        for twin in curves
        for method in curves
        if twins.get(twin.variant.method) == method.variant.method
    ]
    found = []
    fallen = [any_collapsed(pair, it.clean) for pair in pairs]
    for sigma in it.compared:
        results = tested([paired_values(method, twin, sigma) for method, twin in pairs], it.margin, collapsed=fallen)
        for (method, twin), result in zip(pairs, results, strict=True):
            if result is not None:
                found.append(Contribution(method, twin, sigma, *result))
    return found


def sentences(it: Study, dataset: str) -> list[str]:
    """One sentence for each pair at the lowest noise level, and what they take for granted."""
    found = [one for one in contributions(it, dataset) if one.sigma == it.clean]
    said = [*(_sentence(it, one) for one in found), *_in_two_families(it, dataset, found)]
    return [*said, *cautions([(one.difference, one.test) for one in found], it.unit(dataset))]


def _in_two_families(it: Study, dataset: str, found: list[Contribution]) -> list[str]:
    """Said where the reference and its twin have one verdict among all comparisons with it and another among pairs."""
    above = {
        frozenset((one.reference.variant, one.other.variant)): (one.at[it.clean], one.tests[it.clean])
        for one in comparisons(it, dataset)
        if it.clean in one.at
    }
    for one in found:
        beside = above.get(frozenset((one.method.variant, one.twin.variant)))
        if beside is None:
            continue
        said = {verdict(one.difference, one.test), verdict(*beside)}
        if len(said) > 1 and Verdict.UNDECIDED in said:
            return [
                f"{it.names[one.method.variant]} and {it.names[one.twin.variant]} are compared in two families, with "
                f"Holm's correction over {words.plural(beside[1].family, 'comparison')} with the reference and over "
                f"{words.plural(one.test.family, 'pair')} here: the smaller one decides what the larger leaves open."
            ]
    return []


def _sentence(it: Study, one: Contribution) -> str:
    method, twin = it.names[one.method.variant], it.names[one.twin.variant]
    difference = words.with_interval(one.difference, write=words.signed)
    if one.difference.seeds > 1:
        text = f"What diffusion itself contributes to {method}: {difference} DSC"
    else:
        text = f"With diffusion, {method} scored {difference} DSC more than without, in these trainings"
    text += f"; with the same networks and no diffusion, {twin} has {words.number(one.twin.mean(it.clean).value)}"
    return f"{text}. {judgement(one.difference, one.test)}"


def section(it: Study) -> list[Block]:
    """A table of all pairs; nothing where no method was tested beside its twin."""
    rows, data = [], []
    for dataset in it.datasets:
        for one in contributions(it, dataset):
            names = [it.names[one.method.variant], it.names[one.twin.variant]]
            difference = words.with_interval(one.difference, write=words.signed)
            rows.append(
                [dataset, *names, f"{one.sigma:g}", difference, judged(one.difference, one.test),
                 words.p_value(one.test.p_holm), words.p_value(one.test.equivalent),
                 words.number(one.test.detectable)]
            )  # fmt: skip
            data.append(
                {"dataset": dataset} | keys(one.method) | {"twin": one.twin.variant.method, "sigma": one.sigma}
                | numbers("difference", one.difference) | test_columns(one.difference, one.test)
            )  # fmt: skip
    if not rows:
        return []
    columns = [
        "data set", "method", "its twin without diffusion", "σ", f"difference of DSC [{INTERVAL}]", "verdict",
        "p (Holm)", "p equivalent", "found at 80 %",
    ]  # fmt: skip
    caption = (
        "What diffusion itself contributes: mean DSC of a method minus that of its twin, which has the same networks, "
        "data and budget and segments in one evaluation; where their recipes differ, the training settings say so. "
        "Tests as in the table of differences; Holm's family: the pairs of a method and its twin on one data set at "
        "one σ."
    )
    table = Table("twins", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))
    return [Heading("What diffusion contributes"), table]
