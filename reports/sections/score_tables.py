"""Tables of scores and of their differences, per data set."""

import math

import pandas as pd

from reports.numbers.curves import CLASS_MEAN, POOLED, Curve
from reports.numbers.statistics import Estimate
from reports.numbers.study import Comparison, Significance, Study, comparisons
from reports.paper import words
from reports.paper.document import Table
from reports.sections.trials import of_dataset

INTERVAL = "95 % interval"


def by_class(it: Study, dataset: str) -> Table:
    """All metrics per class at the compared sigmas."""
    rows, data = [], []
    found = it.curves[dataset]
    patients = any(len(set(curve.groups)) < len(curve.cases) for curve in found)
    for curve in found:
        parts = [*curve.classes, POOLED, CLASS_MEAN] if len(curve.classes) > 1 else [POOLED]
        for name in parts:
            for sigma in it.compared:
                if curve.at(sigma) is not None:
                    row, values = _class_row(curve, name, sigma)
                    group = words.with_interval(curve.by_group(sigma, "dsc", name))
                    rows.append([it.names[curve.variant], *row, *([group] if patients else [])])
                    data.append(keys(curve) | values)
    suffix = unit(it, dataset)
    columns = [
        "method", "class", "σ", "DSC", "IoU", f"HD95{suffix}", f"ASSD{suffix}", "undefined distances", "both empty",
        *(["DSC, mean over patients"] if patients else []),
    ]  # fmt: skip
    caption = (
        f"{dataset}: scores per class, mean over {counted(found)} [{INTERVAL}]. A distance is undefined where exactly "
        "one of label and prediction is empty; such scores are counted here and left out of the mean. Where both are "
        "empty, DSC is 1 and the distance 0."
    )
    if not suffix:
        caption += " Distances are in mm where the spacing is known, else in pixels."
    if patients:
        caption += " Mean over patients: every patient counts once, however many images it has."
    return Table(f"classes_{dataset}", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def differences(it: Study) -> Table | None:
    """The reference against every other variant, case by case; None where there is nothing to compare."""
    rows, data = [], []
    for dataset in it.datasets:
        found = comparisons(it, dataset)
        for sigma in it.compared:
            for comparison in found:
                if sigma in comparison.at:
                    tested = comparison.at[sigma], comparison.tests[sigma]
                    rows.append(_difference(it, comparison, f"DSC at σ = {sigma:g}", *tested))
                    data.append(_difference_data(comparison, f"dsc at sigma {sigma:g}", *tested))
        for comparison in found:
            if comparison.kept is not None:
                span = f"{it.clean:g} to {it.noisy:g}"
                tested = comparison.kept, comparison.kept_test
                rows.append(_difference(it, comparison, f"change of DSC from σ = {span}", *tested))
                data.append(_difference_data(comparison, f"change of dsc from sigma {span}", *tested))
    if not rows:
        return None
    columns = [
        "data set", "comparison", "of", f"difference [{INTERVAL}]", "cases", "p", "p (Holm)", "rank-biserial", "d_z",
    ]  # fmt: skip
    caption = (
        "Differences case by case, first method minus second: positive favours the first. p: two-sided Wilcoxon "
        "signed-rank test on the patients' mean differences, Holm-corrected over the comparisons of one data set at "
        "one σ. Effect sizes, on the same differences: the matched-pairs rank-biserial correlation (rank sum of the "
        "patients that favour the first method minus that of the others, divided by both together; from −1 to 1) and "
        "Cohen's d_z (mean divided by SD)."
    )
    return Table("differences", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def _difference(it: Study, comparison: Comparison, what: str, estimate: Estimate, test: Significance) -> list[str]:
    """A comparison as a row of the table."""
    pair = f"{it.names[comparison.reference.variant]} \u2212 {it.names[comparison.other.variant]}"
    return [
        comparison.reference.dataset, pair, what, words.with_interval(estimate, write=words.signed),
        str(estimate.cases), p_value(test.p), p_value(test.p_holm), words.signed(test.rank_biserial, 2),
        words.signed(test.d_z, 2),
    ]  # fmt: skip


def _difference_data(comparison: Comparison, what: str, estimate: Estimate, test: Significance) -> dict:
    """The same for its CSV file."""
    first, second = comparison.reference, comparison.other
    return {
        "dataset": first.dataset, "first": first.variant.key, "second": second.variant.key, "of": what,
        "difference": estimate.value, "low": estimate.low, "high": estimate.high, "cases": estimate.cases,
        "groups": estimate.groups, "p": test.p, "p_holm": test.p_holm, "rank_biserial": test.rank_biserial,
        "d_z": test.d_z,
    }  # fmt: skip


def p_value(p: float | None) -> str:
    """Three decimals; < 0.001; a dash where there is none."""
    return words.NOTHING if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _class_row(curve: Curve, name: str, sigma: float) -> tuple[list[str], dict]:
    """All scores of one class at a sigma: as text, and for the CSV file."""
    index = curve.at(sigma)
    scores = {metric: curve.mean(sigma, metric, name) for metric in ("dsc", "iou", "hd95", "assd")}
    total = curve.by_seed("dsc", name)[:, index].size
    undefined = curve.undefined(sigma, "hd95", name)
    both = None if name == CLASS_MEAN else int((curve.by_seed("both_empty", name)[:, index] == 1).sum())
    shown = "pooled" if name == POOLED and len(curve.classes) > 1 else curve.classes[0] if name == POOLED else name
    row = [
        shown, f"{sigma:g}", words.with_interval(scores["dsc"]), words.with_interval(scores["iou"]),
        words.with_interval(scores["hd95"], 2), words.with_interval(scores["assd"], 2), f"{undefined} of {total}",
        words.NOTHING if both is None else str(both),
    ]  # fmt: skip
    values = {"class": shown, "sigma": sigma}
    for metric, estimate in scores.items():
        values |= numbers(metric, estimate)
    return row, values | {"undefined_distances": undefined, "scores": total, "both_empty": both}


def numbers(name: str, estimate: Estimate) -> dict:
    """A value and its interval under the names NAME, NAME_low and NAME_high, for CSV files."""
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def keys(curve: Curve) -> dict:
    """What tells a variant on a data set apart, for the first columns of CSV files."""
    variant = curve.variant
    return {"dataset": curve.dataset, "method": variant.method, "steps": variant.steps, "sampler": variant.sampler}


def unit(it: Study, dataset: str) -> str:
    """Of distances on a data set, in brackets; nothing where trials differ in it."""
    units = {trial.config.dataset.distance_unit for trial in of_dataset(it.results, dataset)}
    known = sorted(units - {None})
    return f" ({known[0]})" if len(known) == 1 else ""


def counted(found: list[Curve]) -> str:
    """40 test cases of 20 groups."""
    cases = max((len(curve.cases) for curve in found), default=0)
    groups = max((len(set(curve.groups)) for curve in found), default=0)
    text = words.plural(cases, "test case")
    return text if groups == cases else f"{text} of {words.plural(groups, 'patient')}"


def under(it: Study) -> str:
    """The noise at which methods are compared first, for captions; nothing where that is none."""
    return f" at σ = {it.clean:g}" if it.clean else ""


def by_score(it: Study, found: list[Curve]) -> list[Curve]:
    """Variants tested on undisturbed images, the highest mean DSC first."""
    tested = [curve for curve in found if curve.at(it.clean) is not None]
    means = {id(curve): curve.mean(it.clean).value for curve in tested}
    # An undefined mean stands last.
    return sorted(tested, key=lambda curve: (math.isnan(means[id(curve)]), -means[id(curve)]))
