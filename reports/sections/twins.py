"""What diffusion itself contributes: each diffusion method against its twin, the same networks without diffusion."""

from typing import NamedTuple

import pandas as pd

from reports.numbers.curves import Curve, paired_values
from reports.numbers.statistics import Estimate
from reports.numbers.study import Significance, Study, tested
from reports.paper import words
from reports.paper.document import Block, Heading, Table
from reports.sections.score_tables import INTERVAL, keys, numbers, p_value


class Contribution(NamedTuple):
    """A method minus its twin at one noise level: the difference with its interval over patients, and its test, Holm's
    correction being over the pairs of one data set at one noise level."""

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
    for sigma in it.compared:
        results = tested([paired_values(method, twin, sigma) for method, twin in pairs])
        for (method, twin), result in zip(pairs, results, strict=True):
            if result is not None:
                found.append(Contribution(method, twin, sigma, *result))
    return found


def sentences(it: Study, dataset: str) -> list[str]:
    """One sentence for each pair at the lowest noise level."""
    said = []
    for one in contributions(it, dataset):
        if one.sigma != it.clean:
            continue
        p = ""
        if one.test.p_holm is not None:
            text = p_value(one.test.p_holm)
            p = f" (p {text if text.startswith('<') else f'= {text}'} after Holm)"
        said.append(
            f"Diffusion itself contributes {words.with_interval(one.difference, write=words.signed)} DSC to "
            f"{it.names[one.method.variant]}: with the same networks and no diffusion, {it.names[one.twin.variant]} "
            f"has {words.number(one.twin.mean(it.clean).value)}{p}."
        )
    return said


def section(it: Study) -> list[Block]:
    """A table of all pairs; nothing where no method was tested beside its twin."""
    rows, data = [], []
    for dataset in it.datasets:
        for one in contributions(it, dataset):
            names = [it.names[one.method.variant], it.names[one.twin.variant]]
            difference = words.with_interval(one.difference, write=words.signed)
            rows.append([dataset, *names, f"{one.sigma:g}", difference, p_value(one.test.p_holm)])
            data.append(
                {"dataset": dataset} | keys(one.method) | {"twin": one.twin.variant.method, "sigma": one.sigma}
                | numbers("difference", one.difference) | {"p": one.test.p, "p_holm": one.test.p_holm}
            )  # fmt: skip
    if not rows:
        return []
    columns = ["data set", "method", "its twin without diffusion", "σ", f"difference of DSC [{INTERVAL}]", "p (Holm)"]
    caption = (
        "What diffusion itself contributes: mean DSC of a method minus that of its twin, which has the same networks, "
        "data and budget and segments in one evaluation. p: Wilcoxon's test over patients, Holm's correction over "
        "the pairs of a data set at one σ."
    )
    table = Table("twins", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))
    return [Heading("What diffusion contributes"), table]
