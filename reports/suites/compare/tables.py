"""Tables of what differs between two stores."""

import pandas as pd

from benchmarks.store.results import Results
from reports.numbers.curves import POOLED, Variant
from reports.numbers.statistics import MIN_SEEDS
from reports.numbers.study import Study
from reports.paper import words
from reports.paper.document import Table
from reports.sections.cost import cost
from reports.sections.score_tables import INTERVAL, judged, keys, test_columns
from reports.suites.compare.changes import Change, Pair, means, paired, settings

QUANTITIES = (
    ("parameters", "parameters", words.quantity), ("training time", "training_seconds", words.duration),
    ("NFE", "nfe", lambda value: words.NOTHING if value is None else f"{value:g}"),
    ("time per image", "seconds", words.duration), ("peak memory", "memory", words.memory),
)  # fmt: skip

METRICS = {
    "dsc": "DSC", "iou": "IoU", "nsd": "NSD", "hd95_penalised": "HD95", "assd_penalised": "ASSD",
    "hd95": "HD95 where defined", "assd": "ASSD where defined",
}  # fmt: skip
"""Of the table by class, with its headings."""


def scores(it: Study, changed: list[Change], names: dict[Variant, str]) -> Table:
    """Mean pooled DSC before and after; it: the study of the later store."""
    rows, data = [], []
    for change in changed:
        before, after, estimate = means(paired(change.before, change.after, change.sigma))
        test = change.test
        rows.append(
            [change.after.dataset, names[change.after.variant], f"{change.sigma:g}",
             words.with_interval(estimate, write=words.signed), judged(estimate, test), words.p_value(test.p_holm),
             words.p_value(test.p), words.p_value(test.equivalent), words.number(before.value),
             words.number(after.value), words.number(test.detectable), words.signed(test.rank_biserial, 2),
             words.signed(test.d_z, 2), str(estimate.cases)]
        )  # fmt: skip
        data.append(
            keys(change.after) | {"ensemble": change.after.variant.ensemble, "sigma": change.sigma,
                                  "cases": estimate.cases, "groups": estimate.groups, "before": before.value,
                                  "after": after.value, "difference": estimate.value, "low": estimate.low,
                                  "high": estimate.high} | test_columns(estimate, test)
        )  # fmt: skip
    columns = [
        "data set", "method", "σ", f"after − before [{INTERVAL}]", "verdict", "p (Holm)", "p", "p equivalent", "before",
        "after", "found at 80 %", "rank-biserial", "d_z", "cases",
    ]  # fmt: skip
    caption = (
        "Mean DSC, classes pooled, over the cases that both stores have, and the difference case by case: positive is "
        f"an improvement. p: with {MIN_SEEDS} seeds or more the level at which the interval, which holds the variance "
        "of training, ends at 0, or Student's where that is larger; with fewer Wilcoxon's signed-rank test on the mean "
        f"differences by {it.unit()}, which "
        "speaks of these trainings alone; Holm's family: the rows of one data set. p equivalent: that the change is "
        "smaller than the margin. Found at 80 %: the smallest true change that a repetition finds with that "
        "probability. Effect sizes, on these differences: the matched-pairs rank-biserial correlation and Cohen's d_z "
        "(mean divided by SD)."
    )
    return Table("changes", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def by_class(it: Study, changed: list[Change], names: dict[Variant, str]) -> Table:
    """All metrics that both stores have somewhere, per class and pooled; it: the study of the later store."""
    rows, data = [], []
    shown = [metric for metric in METRICS if any(c.before.has(metric) and c.after.has(metric) for c in changed)]
    for change in changed:
        classes = change.after.classes if len(change.after.classes) > 1 else ()
        for name in [*classes, POOLED]:
            cells = []
            values = {"class": name, "sigma": change.sigma}
            for metric in shown:
                pair = paired(change.before, change.after, change.sigma, metric, name)
                before, after, difference = means(pair, metric) if pair is not None else (None, None, None)
                digits = 2 if metric.startswith(("hd95", "assd")) else 3
                cells.append(words.with_interval(difference, digits, words.signed) if difference else words.NOTHING)
                if difference:
                    values |= {f"{metric}_before": before.value, f"{metric}_after": after.value,
                               f"{metric}_difference": difference.value, f"{metric}_low": difference.low,
                               f"{metric}_high": difference.high}  # fmt: skip
            label = name if name != POOLED else "pooled" if classes else change.after.classes[0]
            rows.append([change.after.dataset, names[change.after.variant], f"{change.sigma:g}", label, *cells])
            data.append(keys(change.after) | values)
    columns = ["data set", "method", "σ", "class", *(METRICS[metric] for metric in shown)]
    caption = (
        f"After minus before per class, mean over {it.units()} [{INTERVAL}]. Of DSC, IoU and NSD more is better, of "
        "the distances less. "
    )
    if "hd95_penalised" in shown:
        caption += (
            "HD95 and ASSD count the diagonal of the case's grid where exactly one of label and prediction is empty; "
            "where defined: without such cases, before and after."
        )
    else:
        caption += "Cases in which a distance is undefined before or after are left out."
    return Table("changes_by_class", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def costs(before: Results, after: Results, changed: list[Change], names: dict[Variant, str]) -> Table:
    """What an image and the training cost."""
    rows, data = [], []
    for change in {(c.after.dataset, c.after.variant): c for c in changed}.values():
        first, second = cost(before, change.before), cost(after, change.after)
        cells = []
        for _, field, write in QUANTITIES:
            old, new = getattr(first, field), getattr(second, field)
            ratio = new / old if old and new is not None else None
            cells.append(write(new) if old == new else f"{write(old)} \u2192 {write(new)}")
            if ratio is not None and ratio != 1:
                cells[-1] += f" (×{ratio:.2f})"
            data.append(keys(change.after) | {"what": field, "before": old, "after": new, "ratio": ratio})
        rows.append([change.after.dataset, names[change.after.variant], *cells])
    columns = ["data set", "method", *(label for label, *_ in QUANTITIES)]
    caption = (
        "Cost before \u2192 after (after divided by before), means over seeds; one value where both are the same. "
        "Times compare only where both were measured on the same, equally busy machine."
    )
    return Table("changes_of_cost", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def changed_settings(found: list[Pair]) -> Table | None:
    """What differs between the trials themselves; None where nothing does."""
    differing = settings(found)
    both = sum(pair.before is not None and pair.after is not None for pair in found)
    rows = [
        [f"`{what}`", _short(before), _short(after), "all" if len(trials) == both > 1 else "; ".join(trials)]
        for (what, before, after), trials in differing.items()
    ]
    data = pd.DataFrame(
        {"what": what, "before": before, "after": after, "trial": trial}
        for (what, before, after), trials in differing.items() for trial in trials
    )  # fmt: skip
    if not rows:
        return None
    frame = pd.DataFrame(rows, columns=["what", "before", "after", "trials"])
    caption = (
        "What differs between the trials of the two stores: outcome, settings, data (`dataset.fingerprint`), code of "
        "the method (`code`, a hash) and environment."
    )
    return Table("changed_settings", caption, frame, data)


def one_sided(before: Results, after: Results, found: list[Pair]) -> Table | None:
    """Trials, conditions and cases that only one of the stores has; None where there are none."""
    rows = []
    for pair in found:
        if pair.before is None or pair.after is None:
            rows.append([f"trial {pair.name} ({pair.trial.status})", "after" if pair.before is None else "before"])
    columns = ["dataset", "method", "steps", "sampler", "eta", "ensemble", "sigma"]
    held = [_cases(results, columns) for results in (before, after)]
    titles = {trial.config.method.name: trial.label for trial in (*before.trials, *after.trials)}
    for key in dict.fromkeys([*held[0], *held[1]]):
        dataset, method, steps, sampler, _, ensemble, sigma = key
        how = f", {steps:g} steps of {sampler}" if steps else ""
        how += f", mean of {ensemble:g}" if ensemble > 1 else ""
        what = f"{titles.get(method, method)} on {dataset}{how}, σ = {sigma:g}"
        old, new = held[0].get(key, set()), held[1].get(key, set())
        for cases, others, store in ((old - new, new, "before"), (new - old, old, "after")):
            if cases and not others:
                rows.append([f"tests of {what}", store])
            elif cases:
                some = ", ".join(sorted(cases)[:3]) + (", \u2026" if len(cases) > 3 else "")
                rows.append([f"{words.plural(len(cases), 'case')} of {what}: {some}", store])
    if not rows:
        return None
    return Table("in_one_store", "What only one of the stores holds.", pd.DataFrame(rows, columns=["what", "store"]))


def _cases(results: Results, columns: list[str]) -> dict[tuple, set[str]]:
    if results.records.empty:
        return {}
    grouped = results.records.assign(case=results.records["case"].astype(str)).fillna({"sampler": "", "eta": 0.0})
    return {key: set(part) for key, part in grouped.groupby(columns, sort=False)["case"]}


def _short(value: str) -> str:
    return words.one_line(value, 80) or words.NOTHING
