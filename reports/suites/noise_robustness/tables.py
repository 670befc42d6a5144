"""Tables over noise levels."""

import pandas as pd

from reports.numbers import statistics
from reports.numbers.curves import Curve
from reports.numbers.statistics import Estimate
from reports.numbers.study import LOSS, Study
from reports.paper import words
from reports.paper.document import Table
from reports.sections import cost
from reports.sections.score_tables import INTERVAL, counted, keys, numbers
from reports.sections.trials import absences


def by_sigma(it: Study, dataset: str) -> Table:
    """Mean DSC of every variant at every sigma, the interval below it."""
    found = it.curves[dataset]
    sigmas = sorted({float(sigma) for curve in found for sigma in curve.sigmas})
    rows, data = [], []
    for curve in found:
        by_level = dict(zip(curve.sigmas.tolist(), curve.means()))
        name = it.names[curve.variant]
        rows.append([name, *(words.number(by_level[s].value) if s in by_level else words.NOTHING for s in sigmas)])
        if any(estimate.has_interval for estimate in by_level.values()):
            rows.append([INTERVAL, *(_range(by_level[s]) if s in by_level else "" for s in sigmas)])
        if len(curve.seeds) > 1:
            spread = [words.number(curve.seed_sd(s)) if s in by_level else "" for s in sigmas]
            rows.append([f"SD over {len(curve.seeds)} seeds", *spread])
        data += [row | {"note": ""} for row in means(curve)]
    for absence in absences(it.results, dataset):
        rows.append([f"{absence.title}: {absence.words}", *[words.NOTHING] * len(sigmas)])
        data.append({"dataset": dataset, "method": absence.title, "note": absence.words})
    columns = ["method", *(f"σ = {sigma:g}" for sigma in sigmas)]
    caption = (
        f"{dataset}: mean DSC over {counted(it, found)}, foreground classes pooled, by noise standard deviation σ."
    )
    if found and not any(e.has_interval for curve in found for e in curve.means()):
        caption += f" No interval is given below {statistics.MIN_GROUPS} independent groups."
    return Table(f"dsc_by_sigma_{dataset}", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def means(curve: Curve) -> list[dict]:
    """The curve's points as rows for CSV files."""
    return [
        keys(curve) | {"sigma": sigma, "dsc": estimate.value, "low": estimate.low, "high": estimate.high,
                       "cases": estimate.cases, "groups": estimate.groups, "seeds": curve.trainings(sigma),
                       "seed_sd": curve.seed_sd(sigma)}
        for sigma, estimate in zip(curve.sigmas.tolist(), curve.means())
    ]  # fmt: skip


def robustness(it: Study) -> Table:
    """One number for the whole curve, and where 0.05 DSC is lost."""
    rows, data = [], []
    for dataset in it.datasets:
        for curve in it.curves[dataset]:
            area, relative, at_loss = curve.area(), curve.relative_area(), curve.sigma_at_loss(LOSS)
            largest, spent = float(curve.sigmas[-1]), cost.cost(it.results, curve)
            rows.append(
                [
                    dataset,
                    it.names[curve.variant],
                    words.with_interval(area),
                    words.with_interval(relative),
                    words.threshold(at_loss, largest),
                    *cost.cells(spent),
                ]  # fmt: skip
            )
            data.append(
                keys(curve) | {"sigma_from": float(curve.sigmas[0]), "sigma_to": largest}
                | numbers("area", area) | numbers("relative_area", relative) | numbers("sigma_at_loss", at_loss)
                | cost.values(spent) | {"note": ""}
            )  # fmt: skip
        for absence in absences(it.results, dataset):
            rows.append([dataset, f"{absence.title}: {absence.words}", *[words.NOTHING] * (3 + len(cost.COLUMNS))])
            data.append({"dataset": dataset, "method": absence.title, "note": absence.words})
    columns = ["data set", "method", "area under the curve", "relative area", f"σ at which {LOSS:g} DSC is lost",
               *cost.COLUMNS]  # fmt: skip
    caption = (
        f"Robustness over all tested σ [{INTERVAL}]. Area under the curve: of DSC over σ, divided by the range of σ, "
        "that is the mean DSC. Relative area: divided by the DSC at the smallest σ; 1 means that nothing was lost. The "
        f"loss of {LOSS:g} is counted from the smallest σ and interpolated between neighbours; “>”: not reached within "
        f"the range. {cost.EXPLAINED}"
    )
    return Table("robustness", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def _range(estimate: Estimate) -> str:
    return f"{words.number(estimate.low)}\u2013{words.number(estimate.high)}" if estimate.has_interval else ""
