"""Tables of the noise-robustness report."""

import pandas as pd

from benchmarks import statistics
from reports import curves as selection
from reports import words
from reports.curves import CLASS_MEAN, POOLED, Curve
from reports.document import Table
from reports.noise_study import LOSS, Study, comparisons
from reports.trials import absences, of_dataset

INTERVAL = "95 % interval"


def by_sigma(it: Study, dataset: str) -> Table:
    """Mean DSC of every variant at every sigma, the interval below it."""
    found = it.curves[dataset]
    sigmas = sorted({float(sigma) for curve in found for sigma in curve.sigmas})
    rows, data = [], []
    for curve in found:
        means = dict(zip(curve.sigmas.tolist(), curve.means()))
        name = it.names[curve.variant]
        rows.append([name, *(words.number(means[s].value) if s in means else words.NOTHING for s in sigmas)])
        if any(estimate.has_interval for estimate in means.values()):
            rows.append([INTERVAL, *(_range(means[s]) if s in means else "" for s in sigmas)])
        if len(curve.seeds) > 1:
            spread = [words.number(curve.seed_sd(s)) if s in means else "" for s in sigmas]
            rows.append([f"SD over {len(curve.seeds)} seeds", *spread])
        for sigma, estimate in means.items():
            data.append(
                _keys(curve) | {"sigma": sigma, "dsc": estimate.value, "low": estimate.low, "high": estimate.high,
                                "cases": estimate.cases, "groups": estimate.groups, "seeds": len(curve.seeds),
                                "seed_sd": curve.seed_sd(sigma), "note": ""}
            )  # fmt: skip
    for absence in absences(it.results, dataset):
        rows.append([f"{absence.title}: {absence.words}", *[words.NOTHING] * len(sigmas)])
        data.append({"dataset": dataset, "method": absence.title, "note": absence.words})
    columns = ["method", *(f"σ = {sigma:g}" for sigma in sigmas)]
    caption = f"{dataset}: mean DSC over {_counted(found)}, foreground classes pooled, by noise standard deviation σ."
    if found and not any(e.has_interval for curve in found for e in curve.means()):
        caption += f" No interval is given below {statistics.MIN_GROUPS} independent groups."
    return Table(f"dsc_by_sigma_{dataset}", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


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
                    row, numbers = _class_row(curve, name, sigma)
                    group = words.with_interval(curve.by_group(sigma, "dsc", name))
                    rows.append([it.names[curve.variant], *row, *([group] if patients else [])])
                    data.append(_keys(curve) | numbers)
    unit = _unit(it, dataset)
    columns = [
        "method", "class", "σ", "DSC", "IoU", f"HD95{unit}", f"ASSD{unit}", "undefined distances", "both empty",
        *(["DSC, mean over patients"] if patients else []),
    ]  # fmt: skip
    caption = (
        f"{dataset}: scores per class, mean over {_counted(found)} [{INTERVAL}]. A distance is undefined where exactly "
        "one of label and prediction is empty; such scores are counted here and left out of the mean. Where both are "
        "empty, DSC is 1 and the distance 0."
    )
    if not unit:
        caption += " Distances are in mm where the spacing is known, else in pixels."
    if patients:
        caption += " Mean over patients: every patient counts once, however many images it has."
    return Table(f"classes_{dataset}", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def robustness(it: Study) -> Table:
    """One number for the whole curve, and where 0.05 DSC is lost."""
    rows, data = [], []
    for dataset in it.datasets:
        for curve in it.curves[dataset]:
            area, relative, at_loss = curve.area(), curve.relative_area(), curve.sigma_at_loss(LOSS)
            largest = float(curve.sigmas[-1])
            rows.append(
                [
                    dataset,
                    it.names[curve.variant],
                    words.with_interval(area),
                    words.with_interval(relative),
                    words.threshold(at_loss, largest),
                ]  # fmt: skip
            )
            data.append(
                _keys(curve) | {"sigma_from": float(curve.sigmas[0]), "sigma_to": largest}
                | _numbers("area", area) | _numbers("relative_area", relative) | _numbers("sigma_at_loss", at_loss)
                | {"note": ""}
            )  # fmt: skip
        for absence in absences(it.results, dataset):
            rows.append([dataset, f"{absence.title}: {absence.words}", *[words.NOTHING] * 3])
            data.append({"dataset": dataset, "method": absence.title, "note": absence.words})
    columns = ["data set", "method", "area under the curve", "relative area", f"σ at which {LOSS:g} DSC is lost"]
    caption = (
        f"Robustness over all tested σ [{INTERVAL}]. Area under the curve: of DSC over σ, divided by the range of "
        f"σ, that is the mean DSC. Relative area: divided by the DSC at the smallest σ; 1 means that nothing was lost. "
        f"The loss of {LOSS:g} is counted from the smallest σ and interpolated between neighbours; “>”: not "
        "reached within the range."
    )
    return Table("robustness", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


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
    numbers = {"class": shown, "sigma": sigma}
    for metric, estimate in scores.items():
        numbers |= _numbers(metric, estimate)
    return row, numbers | {"undefined_distances": undefined, "scores": total, "both_empty": both}


def _numbers(name: str, estimate) -> dict:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _keys(curve: Curve) -> dict:
    variant = curve.variant
    return {"dataset": curve.dataset, "method": variant.method, "steps": variant.steps, "sampler": variant.sampler}


def _range(estimate) -> str:
    return f"{words.number(estimate.low)}\u2013{words.number(estimate.high)}" if estimate.has_interval else ""


def _unit(it: Study, dataset: str) -> str:
    units = {trial.config["dataset"].get("distance_unit") for trial in of_dataset(it.results, dataset)}
    known = sorted(units - {None})
    return f" ({known[0]})" if len(known) == 1 else ""


def _counted(found: list[Curve]) -> str:
    """40 test cases of 20 groups."""
    cases = max((len(curve.cases) for curve in found), default=0)
    groups = max((len(set(curve.groups)) for curve in found), default=0)
    text = words.plural(cases, "test case")
    return text if groups == cases else f"{text} of {words.plural(groups, 'patient')}"
