"""Tables of scores and of their differences, per data set."""

import math
from collections.abc import Sequence

import pandas as pd

from reports.numbers.curves import CLASS_MEAN, POOLED, Curve
from reports.numbers.hypotheses import OUTRIGHT, Margin
from reports.numbers.statistics import MIN_SEEDS, Estimate
from reports.numbers.study import Comparison, Study, comparisons
from reports.numbers.verdicts import Significance, Verdict, verdict
from reports.paper import words
from reports.paper.document import Table
from reports.sections import distances

INTERVAL = "95 % interval"

OF_TRAININGS = {
    Verdict.BETTER: "scored higher", Verdict.WORSE: "scored lower", Verdict.EQUIVALENT: "scored alike",
    Verdict.BETTER_SO_FAR: "scored higher so far", Verdict.WORSE_SO_FAR: "scored lower so far",
    Verdict.NOT_WORSE: "not lower", Verdict.NOT_BETTER: "not higher",
}  # fmt: skip
"""Verdicts that are no claims about methods."""


def by_class(it: Study, dataset: str) -> Table:
    """All metrics per class at the compared sigmas."""
    rows, data = [], []
    found = it.curves[dataset]
    for curve in found:
        for name in curve.parts:
            for sigma in it.compared:
                if curve.at(sigma) is not None:
                    row, values = _class_row(curve, name, sigma, found)
                    rows.append([it.names[curve.variant], *row])
                    data.append(keys(curve) | values)
    columns = ["method", "class", "σ", "DSC", "IoU", *distances.columns(it, dataset, found), "both empty"]
    caption = f"{dataset}: scores per class, mean over {counted(it, found)} [{INTERVAL}]. "
    caption += distances.caption(it, dataset, found)
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
                    rows.append(_difference(it, comparison, [sigma], f"DSC at σ = {sigma:g}", *tested))
                    data.append(_difference_data(comparison, [sigma], f"dsc at sigma {sigma:g}", *tested))
        for comparison in found:
            if comparison.kept is not None:
                span = f"{it.clean:g} to {it.noisy:g}"
                tested = comparison.kept, comparison.kept_test
                rows.append(_difference(it, comparison, it.compared, f"change of DSC from σ = {span}", *tested))
                data.append(_difference_data(comparison, it.compared, f"change of dsc from sigma {span}", *tested))
    if not rows:
        return None
    columns = [
        "data set", "comparison", "of", f"difference [{INTERVAL}]", "verdict", "p (Holm)", "p", "p not worse",
        "p equivalent", "found at 80 %", "rank-biserial", "d_z", "cases", "trainings",
    ]  # fmt: skip
    caption = (
        "Differences on the same cases, first method minus second: positive favours the first. p: that there is none. "
        f"With {MIN_SEEDS} trainings of both or more, the level at which the interval, which holds the variance of "
        f"training, ends at 0, or Student's where that is larger; with fewer, Wilcoxon's signed-rank test on the mean "
        f"differences by {it.unit()}, which "
        "speaks of these trainings alone. p not worse, p equivalent: that the first is not worse by more than "
        f"{it.margin.within:g} DSC, and that the two differ by less than that either way: below 0.05 where the "
        f"interval lies within the margin{held_against(it.margin, it.unit())}; after Holm, as p (Holm) is."
        f"{so_far(it.margin, it.unit())} Holm's "
        f"families: {'; '.join(_families(it))}. Found at 80 %: the smallest true difference that a "
        "repetition of this experiment finds with that probability. Effect sizes, on these differences: the "
        f"matched-pairs rank-biserial correlation (rank sum of the {it.units()} that favour the first method minus "
        "that of the others, divided by both together; from −1 to 1) and Cohen's d_z (mean divided by SD)."
    )
    return Table("differences", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def held_against(margin: Margin, unit: str) -> str:
    """What a margin has to hold against besides the interval, as the end of a clause. unit: as of `Study.unit`."""
    if not margin.failure:
        return ", failures that were not seen playing no part (`suite.unseen_failure=0`)"
    return f", and would with one more {unit} in whom a method loses {margin.failure:g} (`suite.unseen_failure`)"


def so_far(margin: Margin, unit: str) -> str:
    """What better and worse so far mean, as a sentence; nothing where failures that were not seen play no part."""
    if not margin.failure:
        return ""
    return (
        f" So far: with {OUTRIGHT} further {unit}s in whom the method that is ahead loses {margin.failure:g} no "
        "difference would be shown."
    )


def _families(it: Study) -> list[str]:
    """Over what Holm's correction goes: a family for each data set and sigma, and one of changes with sigma."""
    said = []
    for dataset in it.datasets:
        found = comparisons(it, dataset)
        sizes = {
            sigma: sum(1 for c in found if sigma in c.tests and c.tests[sigma].p is not None) for sigma in it.compared
        }
        for sigma, size in sizes.items():
            if size:
                count, name = words.plural(size, "comparison"), it.names[found[0].reference.variant]
                text = f"the {count} with {name} on {dataset} at σ = {sigma:g}"
                least = max((c.tests[sigma].attainable or 0.0 for c in found if sigma in c.tests), default=0.0)
                said.append(text + (f" (smallest p after Holm {words.p_value(least)})" if least else ""))
        changes = sum(1 for c in found if c.kept_test is not None and c.kept_test.p is not None)
        if changes:
            said.append(f"the {words.plural(changes, 'change')} with σ on {dataset}")
    return said or ["none, for want of independent cases"]


def _difference(
    it: Study, comparison: Comparison, sigmas: Sequence[float], what: str, estimate: Estimate, test: Significance
) -> list[str]:
    """A comparison of scores at these sigmas as a row of the table."""
    pair = f"{it.names[comparison.reference.variant]} \u2212 {it.names[comparison.other.variant]}"
    counts = "{} and {}".format(*trainings(comparison, *sigmas))
    return [
        comparison.reference.dataset, pair, what, words.with_interval(estimate, write=words.signed),
        judged(estimate, test), words.p_value(test.p_holm), words.p_value(test.p), words.p_value(test.not_worse),
        words.p_value(test.equivalent), words.number(test.detectable), words.signed(test.rank_biserial, 2),
        words.signed(test.d_z, 2), str(estimate.cases), counts,
    ]  # fmt: skip


def _difference_data(
    comparison: Comparison, sigmas: Sequence[float], what: str, estimate: Estimate, test: Significance
) -> dict:
    """The same for its CSV file."""
    first, second = comparison.reference, comparison.other
    counts = trainings(comparison, *sigmas)
    return {
        "dataset": first.dataset, "first": first.variant.key, "second": second.variant.key, "of": what,
        "difference": estimate.value, "low": estimate.low, "high": estimate.high, "cases": estimate.cases,
        "groups": estimate.groups, "first_seeds": counts[0], "second_seeds": counts[1],
        "error": estimate.error, "df": estimate.df,
    } | test_columns(estimate, test)  # fmt: skip


def trainings(comparison: Comparison, *sigmas: float) -> tuple[int, int]:
    """How many trainings of each of the two have a score at these sigmas."""
    first, second = (min(c.trainings(s) for s in sigmas) for c in (comparison.reference, comparison.other))
    return first, second


def judged(estimate: Estimate, test: Significance) -> str:
    """The verdict in a cell: of the methods, or of these trainings."""
    found = verdict(estimate, test)
    if found is Verdict.BARE:
        return words.NOTHING
    return str(found) if estimate.seeds > 1 else OF_TRAININGS.get(found, str(found))


TEST_CELLS = (f"difference [{INTERVAL}]", "verdict", "p (Holm)", "p", "p equivalent", "found at 80 %", "cases")
"""Headings of `test_cells`."""


def test_cells(estimate: Estimate, test: Significance) -> list[str]:
    """A difference and its tests in short, as the end of a table's row."""
    return [
        words.with_interval(estimate, write=words.signed), judged(estimate, test), words.p_value(test.p_holm),
        words.p_value(test.p), words.p_value(test.equivalent), words.number(test.detectable), str(estimate.cases),
    ]  # fmt: skip


def test_columns(estimate: Estimate, test: Significance) -> dict:
    """Everything that was tested of a difference, for CSV files."""
    return {
        "p": test.p, "p_holm": test.p_holm, "p_not_worse": test.not_worse, "p_not_better": test.not_better,
        "p_equivalent": test.equivalent, "p_lasting": test.lasting,
        "margin": test.margin.within, "unseen_failure": test.margin.failure,
        "family": test.family, "attainable": test.attainable, "detectable": test.detectable,
        "rank_biserial": test.rank_biserial, "d_z": test.d_z, "about": "methods" if estimate.seeds > 1 else "trainings",
        "collapsed": test.collapsed,
        "verdict": str(verdict(estimate, test)),
    }  # fmt: skip


def _class_row(curve: Curve, name: str, sigma: float, found: list[Curve]) -> tuple[list[str], dict]:
    """All scores of one class at a sigma: as text, and for the CSV file."""
    index = curve.at(sigma)
    scores = {metric: curve.mean(sigma, metric, name) for metric in ("dsc", "iou")}
    total = curve.by_seed("dsc", name)[:, index].size
    undefined = curve.undefined(sigma, "hd95", name)
    both = None if name == CLASS_MEAN else int((curve.by_seed("both_empty", name)[:, index] == 1).sum())
    shown = "pooled" if name == POOLED and len(curve.classes) > 1 else curve.classes[0] if name == POOLED else name
    row = [
        shown, f"{sigma:g}", words.with_interval(scores["dsc"]), words.with_interval(scores["iou"]),
        *distances.cells(curve, sigma, name, found), words.NOTHING if both is None else str(both),
    ]  # fmt: skip
    values = {"class": shown, "sigma": sigma}
    for metric, estimate in (scores | distances.means(curve, sigma, name)).items():
        values |= numbers(metric, estimate)
    return row, values | {"undefined_distances": undefined, "scores": total, "both_empty": both}


def numbers(name: str, estimate: Estimate) -> dict:
    """A value and its interval under the names NAME, NAME_low and NAME_high, for CSV files."""
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def keys(curve: Curve) -> dict:
    """What tells a variant on a data set apart, for the first columns of CSV files."""
    variant = curve.variant
    return {"dataset": curve.dataset, "method": variant.method, "steps": variant.steps, "sampler": variant.sampler}


def counted(it: Study, found: list[Curve]) -> str:
    """40 test cases of 20 patients; 40 test cases where nobody knows the patients. All curves are of one data set."""
    cases = max((len(curve.cases) for curve in found), default=0)
    groups = max((len(set(curve.groups)) for curve in found), default=0)
    text = words.plural(cases, "test case")
    unit = it.unit(found[0].dataset) if found else "image"
    return text if unit == "image" else f"{text} of {words.plural(groups, unit)}"


def under(it: Study) -> str:
    """The noise at which methods are compared first, for captions; nothing where that is none."""
    return f" at σ = {it.clean:g}" if it.clean else ""


def by_score(it: Study, found: list[Curve]) -> list[Curve]:
    """Variants tested on undisturbed images, the highest mean DSC first."""
    tested = [curve for curve in found if curve.at(it.clean) is not None]
    means = {id(curve): curve.mean(it.clean).value for curve in tested}
    # An undefined mean stands last.
    return sorted(tested, key=lambda curve: (math.isnan(means[id(curve)]), -means[id(curve)]))
