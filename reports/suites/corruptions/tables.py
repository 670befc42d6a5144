"""Tables over kinds and severities of corruption."""

import pandas as pd

from reports.numbers import statistics
from reports.numbers.corruption import LEAST, Corrupted, comparisons, losses, lossy, mean_errors, robust_mean
from reports.numbers.curves import Curve
from reports.paper import words
from reports.paper.document import Table
from reports.sections.score_tables import INTERVAL, TEST_CELLS, counted, keys, numbers, test_cells, test_columns
from reports.sections.trials import absences


def titles(it: Corrupted) -> dict[str, str]:
    """Kinds in words."""
    told = it.clean.results.suite.get("kinds") or {}
    return {kind: told.get(kind, {}).get("title", kind) for kind in it.kinds}


def left_out(it: Corrupted, dataset: str) -> dict[str, str]:
    """Kinds that are for no image of a data set, with the reason."""
    return dict((it.clean.results.suite.get("left_out") or {}).get(dataset) or {})


def by_severity(it: Corrupted, dataset: str) -> Table:
    """Mean DSC of every variant under every kind at every severity."""
    rows, data = [], []
    named = titles(it)
    single = {variant: mean_errors(it, dataset, variant) for variant in it.variants(dataset)}
    for kind in it.kinds:
        for curve in it.by_kind[dataset].get(kind, ()):
            by_level = dict(zip(curve.sigmas.tolist(), curve.means()))
            levels = [by_level.get(float(level)) for level in (0, *it.severities)]
            cells = [words.NOTHING if estimate is None else words.number(estimate.value) for estimate in levels]
            loss = losses(it, dataset, curve.variant).get(kind)
            lost = words.NOTHING if loss is None else words.with_interval(loss)
            error = single.get(curve.variant, {}).get(kind)
            ratio = words.NOTHING if error is None else words.number(error.value, 2)
            rows.append([named[kind], it.clean.names[curve.variant], *cells, lost, ratio])
            data += [
                keys(curve) | {"corruption": kind, "severity": int(level)} | numbers("dsc", estimate)
                | {"cases": estimate.cases, "groups": estimate.groups, "seeds": curve.trainings(level), "note": ""}
                for level, estimate in by_level.items()
            ]  # fmt: skip
        reason = left_out(it, dataset).get(kind)
        if reason:
            rows.append([named[kind], f"does not apply: {reason}", *[words.NOTHING] * (len(it.severities) + 3)])
            data.append({"dataset": dataset, "corruption": kind, "note": f"does not apply: {reason}"})
    for absence in absences(it.clean.results, dataset):
        rows.append(["", f"{absence.title}: {absence.words}", *[words.NOTHING] * (len(it.severities) + 3)])
        data.append({"dataset": dataset, "method": absence.title, "note": absence.words})
    columns = ["corruption", "method", "as it is", *map(str, it.severities), f"mean loss [{INTERVAL}]", "CE"]
    caption = (
        f"{dataset}: mean DSC over {counted(it.clean, it.clean.curves[dataset])}, foreground classes pooled, by kind "
        "and severity of corruption; loss: DSC of the images as they are minus the mean over the severities; CE: "
        "corruption error, the sum over severities of 1 − DSC divided by that of the reference."
    )
    return Table(f"dsc_by_severity_{dataset}", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def corruption_errors(it: Corrupted, dataset: str) -> Table | None:
    """Mean corruption error of every variant, the relative one, and CE by kind; None where nothing was tested."""
    variants = it.variants(dataset)
    if not variants:
        return None
    reference, kinds, named = it.reference[dataset], list(it.by_kind[dataset]), titles(it)
    curves = {curve.variant: curve for curve in it.clean.curves[dataset]}
    rows, data = [], []
    for variant in variants:
        found = mean_errors(it, dataset, variant)
        own = variant == reference
        mean, clean = robust_mean(it, dataset, variant), curves[variant].mean(it.clean.clean)
        mce, relative = ("1", "1") if own else (words.with_interval(found[k], 2) for k in ("mce", "relative"))
        if own and not lossy(it, dataset):
            relative = words.NOTHING
        name = it.clean.names[variant]
        rows.append([f"{name} (reference)" if own else name, words.with_interval(clean), words.with_interval(mean),
                     mce, relative])  # fmt: skip
        data.append(
            keys(curves[variant]) | {"reference": reference.key} | numbers("dsc_clean", clean)
            | numbers("dsc_corrupted", mean) | numbers("mce", found["mce"]) | numbers("relative_mce", found["relative"])
            | {f"ce_{kind}": found[kind].value for kind in kinds}
        )  # fmt: skip
    columns = ["method", "DSC as it is", "DSC corrupted", "mCE", "relative mCE"]
    few = [kind for kind in kinds if kind not in lossy(it, dataset)]
    caption = (
        f"{dataset}: mean corruption error against {it.clean.names[reference]}, lower is better [{INTERVAL}]. "
        "mCE: the mean over kinds of the corruption errors CE of the next table; relative: of what is "
        "lost against the images as they are, divided by what the reference loses. DSC corrupted: mean over all kinds "
        "and severities."
    )
    if few:
        caption += (
            f" Left out of the relative mCE: {words.listing([named[kind] for kind in few])}, to which the reference "
            f"loses less than {LEAST:g} DSC."
        )
    return Table(f"corruption_error_{dataset}", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def differences(it: Corrupted) -> Table | None:
    """The suite's first method against every other, over everything and by kind; None without a pair."""
    rows, data = [], []
    named = titles(it)
    for dataset in it.clean.datasets:
        for kind, found in comparisons(it, dataset, it.clean.margin).items():
            for first, second, (estimate, test) in found:
                pair = f"{it.clean.names[first]} − {it.clean.names[second]}"
                rows.append([dataset, pair, named[kind] if kind else "all", *test_cells(estimate, test)])
                data.append(
                    {"dataset": dataset, "first": first.key, "second": second.key, "corruption": kind or "all"}
                    | numbers("difference", estimate) | {"cases": estimate.cases, "groups": estimate.groups}
                    | test_columns(estimate, test)
                )  # fmt: skip
    if not rows:
        return None
    columns = ["data set", "comparison", "corruption", *TEST_CELLS]
    caption = (
        "Differences of DSC on the same corrupted cases, averaged over severities (all: over kinds, too), first method "
        f"minus second. Tests as docs/statistics.md explains them, equivalence within {it.clean.margin.within:g} DSC; "
        "Holm's families: of each data set the comparisons over everything, and those of all single kinds."
    )
    return Table("corruption_differences", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def severities(it: Corrupted) -> Table:
    """What each kind does at each severity, and why so much."""
    told = it.clean.results.suite.get("kinds") or {}
    levels = [int(level) for level in it.severities]
    rows = [
        [one["title"], one["unit"], *(f"{one['amounts'][level - 1]:g}" for level in levels), one["reason"]]
        for one in told.values()
    ]
    columns = ["corruption", "what the numbers are", *map(str, levels), "why these"]
    caption = (
        "What is done to a test image by severity (`benchmarks/plan/corruptions.yaml`). What is drawn at random "
        "depends on the case, the kind and the seed alone: every method gets the same image, and a higher severity is "
        "the same corruption, stronger."
    )
    return Table("severities", caption, pd.DataFrame(rows, columns=columns))


def points(curves: list[Curve], kind: str) -> list[dict]:
    """The numbers of a panel as rows for CSV files."""
    return [
        keys(curve) | {"corruption": kind, "severity": int(level)} | numbers("dsc", estimate)
        for curve in curves
        for level, estimate in zip(curve.sigmas.tolist(), curve.means())
    ]


def bare(it: Corrupted, dataset: str) -> bool:
    """Whether there are too few groups for intervals."""
    found = it.clean.curves[dataset]
    return bool(found) and len(set(found[0].groups)) < statistics.MIN_GROUPS
