"""Tables of scores and of their differences, per data set."""

import pandas as pd

from benchmarks import statistics
from reports import curves as selection
from reports import words
from reports.curves import CLASS_MEAN, POOLED, Curve
from reports.document import Table
from reports.study import Study, comparisons
from reports.trials import of_dataset

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
            pairs = [selection.paired_values(c.reference, c.other, sigma) for c in found]
            corrected = statistics.holm([None if pair is None else statistics.signed_rank(*pair) for pair in pairs])
            for comparison, p in zip(found, corrected):
                if sigma in comparison.at:
                    rows.append(_difference(it, dataset, comparison, f"DSC at σ = {sigma:g}", comparison.at[sigma], p))
                    data.append(_difference_data(comparison, f"dsc at sigma {sigma:g}", comparison.at[sigma], p))
        for comparison in found:
            if comparison.kept is not None:
                what = f"change of DSC from σ = {it.clean:g} to {it.noisy:g}"
                rows.append(_difference(it, dataset, comparison, what, comparison.kept, None))
                what = f"change of dsc from sigma {it.clean:g} to {it.noisy:g}"
                data.append(_difference_data(comparison, what, comparison.kept, None))
    if not rows:
        return None
    columns = ["data set", "comparison", "of", f"difference [{INTERVAL}]", "cases", "p (Holm)"]
    caption = (
        "Differences case by case, first method minus second: positive favours the first. p: two-sided Wilcoxon "
        "signed-rank test on the patients' mean differences, Holm-corrected over the comparisons of one data set at "
        "one σ."
    )
    return Table("differences", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def _difference(it: Study, dataset, comparison, what, estimate, p) -> list[str]:
    pair = f"{it.names[comparison.reference.variant]} \u2212 {it.names[comparison.other.variant]}"
    p_text = words.NOTHING if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"
    return [dataset, pair, what, words.with_interval(estimate, write=words.signed), str(estimate.cases), p_text]


def _difference_data(comparison, what, estimate, p) -> dict:
    first, second = comparison.reference, comparison.other
    return {
        "dataset": first.dataset, "first": first.variant.key, "second": second.variant.key, "of": what,
        "difference": estimate.value, "low": estimate.low, "high": estimate.high, "cases": estimate.cases,
        "groups": estimate.groups, "p_holm": p,
    }  # fmt: skip


def _class_row(curve: Curve, name: str, sigma: float) -> tuple[list[str], dict]:
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


def numbers(name: str, estimate) -> dict:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def keys(curve: Curve) -> dict:
    variant = curve.variant
    return {"dataset": curve.dataset, "method": variant.method, "steps": variant.steps, "sampler": variant.sampler}


def unit(it: Study, dataset: str) -> str:
    units = {trial.config["dataset"].get("distance_unit") for trial in of_dataset(it.results, dataset)}
    known = sorted(units - {None})
    return f" ({known[0]})" if len(known) == 1 else ""


def counted(found: list[Curve]) -> str:
    """40 test cases of 20 groups."""
    cases = max((len(curve.cases) for curve in found), default=0)
    groups = max((len(set(curve.groups)) for curve in found), default=0)
    text = words.plural(cases, "test case")
    return text if groups == cases else f"{text} of {words.plural(groups, 'patient')}"


def by_score(it: Study, found: list[Curve]) -> list[Curve]:
    """Variants tested on undisturbed images, the highest mean DSC first."""
    tested = [curve for curve in found if curve.at(it.clean) is not None]
    return sorted(tested, key=lambda curve: -curve.mean(it.clean).value)
