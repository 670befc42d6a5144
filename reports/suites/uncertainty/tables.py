"""Tables of the uncertainty report, per data set."""

import pandas as pd

from reports.numbers.collapse import any_collapsed
from reports.numbers.spread import REGIONS, Spread, records_of
from reports.numbers.study import Study
from reports.paper import words
from reports.paper.document import Table
from reports.sections import cost
from reports.sections.score_tables import INTERVAL, counted, keys, numbers
from reports.sections.trials import absences


def runs(it: Study, dataset: str, found: list[Spread]) -> Table:
    """What the runs are: their scores, their spread and what they took."""
    rows, data = [], []
    for spread in found:
        seconds, spent = spread.mean("seconds").value * spread.runs, cost.cost(it.results, spread.curve)
        shown = {name: spread.mean(name) for name in ("dsc", "run_dsc", "run_dsc_sd", "mean_sd", "energy_distance")}
        rows.append(
            [it.names[spread.curve.variant], f"{spread.runs} × {spread.nfe:g}", words.with_interval(shown["dsc"]),
             f"{words.number(shown['run_dsc'].value)} ± {words.number(shown['run_dsc_sd'].value)}",
             words.with_interval(spread.gain, write=words.signed), words.with_interval(shown["mean_sd"], 4),
             words.with_interval(shown["energy_distance"]), words.duration(seconds), words.quantity(spent.parameters),
             words.duration(spent.training_seconds), words.memory(spent.memory)]
        )  # fmt: skip
        row = keys(spread.curve) | cost.values(spent) | {"runs": spread.runs, "nfe": spread.nfe, "seconds": seconds}
        for name, estimate in (shown | {"gain": spread.gain}).items():
            row |= numbers(name, estimate)
        data.append(row)
    columns = ["method", "runs × NFE", f"DSC of the mean [{INTERVAL}]", "DSC of one run", f"gain [{INTERVAL}]",
               f"mean SD [{INTERVAL}]", f"GED² [{INTERVAL}]", "time for all runs", "parameters", "training",
               "peak memory"]  # fmt: skip
    caption = (
        f"{dataset}: the runs on one image, means over {counted(it, [s.curve for s in found])}. NFE: network "
        "evaluations of one run. DSC of the mean: of the segmentation by the mean probabilities of all runs. DSC of "
        "one run: mean over the runs ± SD over the runs, averaged over the cases. Gain: the former minus the latter, "
        "case by case. Mean SD: of the SD map, over all pixels. GED²: squared generalised energy distance to the one "
        "label there is, over pairs of different runs, 0 at best. Time: for all runs on one image. Peak memory: of one "
        "run, beyond the weights."
    )
    return _table(it, dataset, "runs", caption, columns, rows, data)


def classes(it: Study, dataset: str, found: list[Spread]) -> Table | None:
    """DSC per class; None where there is but one class."""
    if not found or len(found[0].curve.classes) < 2:
        return None
    rows, data = [], []
    for spread in found:
        curve = spread.curve
        part = records_of(it.results, curve)
        for name in curve.classes:
            own = part[part["class"] == name]
            mean, run, sd = curve.mean(it.clean, "dsc", name), own["run_dsc"].mean(), own["run_dsc_sd"].mean()
            rows.append([it.names[curve.variant], name, words.with_interval(mean),
                         f"{words.number(run)} ± {words.number(sd)}"])  # fmt: skip
            data.append(keys(curve) | {"class": name} | numbers("dsc", mean) | {"run_dsc": run, "run_dsc_sd": sd})
    columns = ["method", "class", f"DSC of the mean [{INTERVAL}]", "DSC of one run"]
    caption = (
        f"{dataset}: DSC per class of the segmentation by the mean, and of single runs: mean over the runs ± SD over "
        "the runs, averaged over the cases."
    )
    return Table(f"classes_{dataset}", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def error_prediction(it: Study, dataset: str, found: list[Spread]) -> Table:
    """Whether the spread tells where, and in which images, the error is."""
    rows, data = [], []
    for spread in found:
        estimates = {
            "auroc": spread.mean("auroc"), "auroc_confidence": spread.mean("auroc_confidence"),
            "spearman": spread.spearman, "aurc_images": spread.image_aurc, "aurc_pixels": spread.pixel_aurc,
            "error_rate": spread.error_rate,
        }  # fmt: skip
        shown: dict[str, str] = {name: words.with_interval(estimate) for name, estimate in estimates.items()}
        rows.append(
            [it.names[spread.curve.variant], shown["auroc"] + (" (no spread)" if spread.constant else ""),
             shown["auroc_confidence"], f"{spread.undefined} of {spread.scores}", shown["spearman"],
             shown["aurc_images"], shown["aurc_pixels"], words.number(estimates["error_rate"].value)]
        )  # fmt: skip
        row = keys(spread.curve) | {"undefined": spread.undefined, "scores": spread.scores, "constant": spread.constant,
                                    "collapsed": any_collapsed([spread.curve], it.clean)}  # fmt: skip
        for name, estimate in estimates.items():
            row |= numbers(name, estimate)
        data.append(row)
    columns = ["method", f"AUROC of the SD [{INTERVAL}]", f"AUROC of 1 − confidence [{INTERVAL}]", "undefined",
               f"Spearman's ρ [{INTERVAL}]", f"AURC, images [{INTERVAL}]", f"AURC, pixels [{INTERVAL}]",
               "error rate"]  # fmt: skip
    caption = (
        f"{dataset}: does the spread tell where the segmentation by the mean is wrong? AUROC: of the pixels of an "
        f"image, mean over {it.units(dataset)}; 0.5 is chance; undefined where no pixel or every pixel is wrong. "
        "Confidence: the largest mean probability of a class. ρ: over images, of the mean SD with 1 − DSC. AURC: area "
        "under the risk-coverage curve, lower is better: over images the risk is 1 − DSC; over the pixels of an image "
        "it is the share of wrong ones, which is the error rate where all are kept. What is said of all images "
        "together is taken of each training by itself, then averaged."
    )
    return _table(it, dataset, "error_prediction", caption, columns, rows, data)


def calibration(it: Study, dataset: str, found: list[Spread]) -> Table:
    """Whether confidence is what it says, over all pixels and where it matters."""
    rows, data = [], []
    for spread in found:
        errors = {f"{region}ece": spread.ece(region) for region in REGIONS}
        excess = {f"{region}overconfidence": spread.overconfidence(region) for region in REGIONS}
        brier = spread.mean("brier")
        rows.append(
            [it.names[spread.curve.variant], *(words.with_interval(estimate) for estimate in errors.values()),
             *(words.with_interval(estimate, write=words.signed) for estimate in excess.values()),
             words.with_interval(brier)]
        )  # fmt: skip
        row = keys(spread.curve)
        for name, estimate in (errors | excess | {"brier": brier}).items():
            row |= numbers(name, estimate)
        data.append(row)
    where = ("", ", foreground", ", boundary")
    columns = ["method", *(f"ECE{part} [{INTERVAL}]" for part in where),
               *(f"confidence − accuracy{part} [{INTERVAL}]" for part in where),
               f"Brier score [{INTERVAL}]"]  # fmt: skip
    caption = (
        f"{dataset}: is the confidence of the mean probabilities what it says? ECE: expected calibration error, over "
        "all pixels, over those where label or segmentation has foreground, and over those along the label's "
        "boundaries (no farther from another class than 2 % of the image's diagonal): most pixels are easy background, "
        "which hides what happens elsewhere. Confidence − accuracy: above 0 is over-confident. Brier score: squared "
        "distance of the probabilities from the label, summed over the classes, mean over pixels; 0 at best, 2 at "
        "worst. ECE is taken of each training by itself, then averaged."
    )
    return _table(it, dataset, "calibration", caption, columns, rows, data)


def _table(it: Study, dataset: str, name: str, caption: str, columns: list[str], rows: list, data: list) -> Table:
    for absence in absences(it.results, dataset):
        rows.append([f"{absence.title}: {absence.words}", *[words.NOTHING] * (len(columns) - 1)])
        data.append({"dataset": dataset, "method": absence.title, "note": absence.words})
    return Table(f"{name}_{dataset}", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))
