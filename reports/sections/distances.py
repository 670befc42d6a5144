"""Distances between surfaces in tables: NSD, the means with and without a penalty, and how many could be measured."""

from reports.numbers.curves import Curve
from reports.numbers.statistics import Estimate
from reports.numbers.study import Study
from reports.paper import words
from reports.sections.trials import of_dataset

METRICS = ("nsd", "hd95_penalised", "assd_penalised", "hd95", "assd")
SYMBOLS = {"um": "µm"}


def unit(it: Study, dataset: str) -> str:
    """Of distances on a data set, in brackets; nothing where cases differ in it."""
    records = it.results.records
    units = set(records.loc[records["dataset"] == dataset, "unit"].dropna()) if "unit" in records else set()
    units = units or {trial.config.dataset.distance_unit for trial in of_dataset(it.results, dataset)} - {None}
    return f" ({SYMBOLS.get(only := units.pop(), only)})" if len(units) == 1 else ""


def _tolerance(it: Study, dataset: str) -> str:
    """That of NSD in words, such as " at 3 µm"; nothing where cases differ in it."""
    records = it.results.records
    found = records.loc[records["dataset"] == dataset, "tolerance"].dropna().unique() if "tolerance" in records else ()
    return f" at {found[0]:g} {unit(it, dataset).strip(' ()')}".rstrip() if len(found) == 1 else ""


def _shown(found: list[Curve]) -> list[str]:
    """Of NSD and the penalised means those that any of the variants has."""
    return [metric for metric in METRICS[:3] if any(curve.has(metric) for curve in found)]


def columns(it: Study, dataset: str, found: list[Curve]) -> list[str]:
    """Headings of the `cells` of these variants."""
    suffix = unit(it, dataset)
    headings = {
        "nsd": f"NSD{_tolerance(it, dataset)}",
        "hd95_penalised": f"HD95{suffix}",
        "assd_penalised": f"ASSD{suffix}",
    }
    return [*(headings[metric] for metric in _shown(found)), f"HD95 / ASSD where defined{suffix}"]


def cells(curve: Curve, sigma: float, name: str, found: list[Curve]) -> list[str]:
    """One variant's means at a sigma, of one class; `found` are all of the table."""
    mean = means(curve, sigma, name)
    shown = [
        words.with_interval(mean[metric], 3 if metric == "nsd" else 2) if metric in mean else words.NOTHING
        for metric in _shown(found)
    ]
    total = curve.by_seed("hd95", name)[:, curve.at(sigma)].size
    defined = total - curve.undefined(sigma, "hd95", name)
    both = " / ".join(words.number(mean[metric].value, 2) for metric in ("hd95", "assd"))
    return [*shown, f"{both} ({defined} of {total})"]


def means(curve: Curve, sigma: float, name: str) -> dict[str, Estimate]:
    """Of one class at a sigma: the mean of each of METRICS that the records have."""
    return {metric: curve.mean(sigma, metric, name) for metric in METRICS if curve.has(metric, name)}


def caption(it: Study, dataset: str, found: list[Curve]) -> str:
    """What the columns mean."""
    text = (
        "Where both label and prediction are empty, overlap is 1 and the distance 0. A distance is undefined where "
        "exactly one of them is empty"
    )
    shown = _shown(found)
    if len(shown) > ("nsd" in shown):
        text += ": HD95 and ASSD then count the diagonal of the case's grid; the last means leave such scores out"
    else:
        text += "; such scores are left out"
    text += ", and beside them is how many of the scores (cases times trainings) are defined."
    if "nsd" in shown:
        text += " NSD: share of both surfaces that lies within the tolerance of the other one."
    if not unit(it, dataset):
        text += " Distances are in the unit of the spacing where it is known, else in pixels."
    return text
