"""The report of suite=sampling_steps: figures 5, 6a and 7 of the LDSeg paper, with what each step costs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.store.results import Results
from benchmarks.store.selection import TOLERANCE
from reports.numbers.curves import Curve, Variant
from reports.numbers.limits import ROUNDING
from reports.numbers.statistics import Estimate
from reports.numbers.study import Study, study
from reports.paper import overlays, style, words
from reports.paper.document import Block, Bullets, Document, Figure, Heading, Paragraph, Table
from reports.paper.style import Look
from reports.sections import common, cost, examples, published, trainings, trials
from reports.sections.score_tables import INTERVAL, counted, under
from reports.sections.trials import absences
from reports.suites.sampling_steps import fewest_against_most, steps_figure
from reports.suites.sampling_steps.curves_by_steps import StepCurve, step_curves

PAPER = (2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Numbers of steps in the figures of the LDSeg paper, roughly."""


def build(results: Results, folder: Path) -> Document:
    """The document; its figures are drawn into `folder`/figures."""
    style.theme()
    it = study(results)
    found = {dataset: curves for dataset in it.datasets if (curves := step_curves(it, dataset))}
    document = Document(results.suite.get("title") or results.suite["name"])
    document.add(*(Paragraph(text) for text in common.opening(it)), *_summary(it, found))
    document.add(
        Heading("Accuracy by steps"), *(_table(it, dataset, found.get(dataset, [])) for dataset in it.datasets)
    )
    if found:
        compared = fewest_against_most.table(it, found)
        document.add(_enough(it, found), *([compared] if compared else []), *_curves(it, found, folder))
        shown = [_gallery(it, curves, folder) for curves in found.values()]
        document.add(*([Heading("Examples"), *filter(None, shown)] if any(shown) else []))
        document.add(Heading("Cost"), cost.cost_table(results, it.curves, it.names))
    document.add(*common.training(it, style.looks(list(it.names)), folder))
    document.add(Heading("Published values"), *_published(found))
    document.add(Heading("Settings"), trials.dataset_table(results, it.datasets), trials.method_table(results))
    document.add(*trials.training_tables(results), trials.trial_table(results, it.datasets))
    document.add(Heading("Environment"), trials.environment_table(results))
    document.add(*common.commands(results), *common.notes(it, _notes(results, found)))
    return document


def _summary(it: Study, found: dict[str, list[StepCurve]]) -> list[Block]:
    blocks: list[Block] = [Heading("Summary")]
    for dataset in it.datasets:
        items = [sentence(curve) for curve in found.get(dataset, [])]
        items += fewest_against_most.sentences(it, found.get(dataset, []))
        items += trainings.sentences(it, dataset)
        items += [
            f"**{a.title}** has no result here ({words.sentence(a.words)})" for a in absences(it.results, dataset)
        ]
        steps = any(curve.variant.steps for curve in it.curves[dataset])
        nothing = "No method measured here takes sampling steps." if it.curves[dataset] else "Nothing was measured."
        nothing = "No test case has a score." if steps else nothing
        blocks += [Heading(dataset, 3), Bullets(tuple(items or [nothing]))]
    return blocks


def sentence(curve: StepCurve) -> str:
    """How many steps a method needs, as a reader would quote it."""
    means, best, enough = curve.means(), curve.best, curve.enough()
    if len(curve.steps) == 1:
        return f"{curve.name}: {words.with_interval(means[0])} DSC at {curve.steps[0]} steps, the only number tested."
    text = (
        f"**{curve.name}** first comes within {TOLERANCE:g} DSC of its best with {enough.value:g} steps"
        f"{_range(enough)}; its best is {words.with_interval(means[best])} at {curve.steps[best]} steps"
        f"{_range(curve.best_steps())}{', the fewest tested' if best == 0 else ''}"
    )
    lost = [f"{k}" for k, mean in zip(curve.steps, means) if k > enough.value and _short(mean, means[best])]
    if lost:
        text += f"; with {words.listing(lost)} steps it falls short of that again"
    if best == 0:
        return text + "."
    gained = words.with_interval(curve.given_up(), write=words.signed)
    return text + (
        f". Over {curve.steps[0]} steps, which have {words.number(means[0].value)}, the best number gains {gained} DSC "
        "on cases that it was not chosen on."
    )


def _short(mean: Estimate, best: Estimate) -> bool:
    """Whether a mean is further than TOLERANCE below the best."""
    return mean.value < best.value - TOLERANCE - ROUNDING


def _range(estimate: Estimate) -> str:
    """The interval of a number of steps, nothing where there is none."""
    return f" [{estimate.low:g}, {estimate.high:g}]" if estimate.has_interval else ""


def _table(it: Study, dataset: str, curves: list[StepCurve]) -> Table:
    steps = sorted({int(k) for curve in curves for k in curve.steps})
    rows = []
    for curve in curves:
        cells = dict(zip(curve.steps.tolist(), map(words.with_interval, curve.means())))
        rows.append([curve.name, *(cells.get(k, words.NOTHING) for k in steps)])
    for absence in absences(it.results, dataset):
        rows.append([f"{absence.title}: {absence.words}", *[words.NOTHING] * len(steps)])
    caption = f"{dataset}: mean DSC by number of sampling steps{under(it)}"
    if curves:
        caption += f", {counted(it, [part for curve in curves for part in curve.parts])} [{INTERVAL}]"
    data = steps_figure.numbers(curves)
    frame = pd.DataFrame(rows, columns=["method", *(f"{k} steps" for k in steps)])
    return Table(f"dsc_by_steps_{dataset}", f"{caption}.", frame, data if len(data) else None)


def _enough(it: Study, found: dict[str, list[StepCurve]]) -> Table:
    rows, data = [], []
    for dataset, curves in found.items():
        for curve in curves:
            enough, lost, best = curve.enough(), curve.given_up(), curve.best
            place = int(np.flatnonzero(curve.steps == enough.value)[0])
            highest = curve.best_steps()
            spent = replace(cost.cost(it.results, curve.parts[place]), nfe=float(curve.nfe[place]))
            rows.append(
                [dataset, curve.name, f"{enough.value:g}{_range(enough)}", f"{curve.steps[best]}{_range(highest)}",
                 words.with_interval(curve.means()[best]), words.with_interval(lost, write=words.signed),
                 *cost.cells(spent)]
            )  # fmt: skip
            data.append(
                {"dataset": dataset, "method": curve.method, "enough": int(enough.value), "enough_low": enough.low,
                 "enough_high": enough.high, **cost.values(spent), "nfe": curve.nfe[place],
                 "best_steps": int(curve.steps[best]), "best_low": highest.low, "best_high": highest.high,
                 "best_dsc": curve.means()[best].value, "best_minus_fewest": lost.value, "low": lost.low,
                 "high": lost.high}
            )  # fmt: skip
    columns = ["data set", "method", "steps needed", "best at", "DSC there", "best minus fewest steps", *cost.COLUMNS]
    caption = (
        f"Steps needed: the smallest number whose mean DSC lies within {TOLERANCE:g} of the method's best among those "
        f"tested [{INTERVAL}]; the cost is that of this number. It and the best one are chosen anew in every "
        "bootstrap sample. Last column: DSC at the best number minus that at the smallest, case by case, the best "
        f"chosen on the {it.units()} of a bootstrap sample and judged on those left out of it [{INTERVAL}]; where it "
        "contains 0, no gain from more steps was shown. The DSC at the best number is of the cases it was chosen on, "
        f"which flatters it. {cost.EXPLAINED}"
    )
    return Table("steps_needed", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def _curves(it: Study, found: dict[str, list[StepCurve]], folder: Path) -> list[Block]:
    every = [curve for curves in found.values() for curve in curves]
    without = {dataset: [c for c in it.curves[dataset] if not c.variant.steps and c.trainings(it.clean)]
               for dataset in found}  # fmt: skip
    variants = [curve.variant for curve in every] + [c.variant for curves in without.values() for c in curves]
    looks = style.looks(list(dict.fromkeys(variants)))
    panels = {dataset: [(c.name, c, looks[c.variant]) for c in curves] for dataset, curves in found.items()}
    data = steps_figure.numbers(every)
    style.save(steps_figure.by_steps(panels), folder, "dsc_by_steps")
    band = ", band: 95 % interval" if data["low"].notna().any() else ""
    caption = f"Mean DSC by number of sampling steps{band}."
    alt = f"Lines of mean DSC against sampling steps on {words.listing(list(found))}."
    blocks: list[Block] = [Figure("dsc_by_steps", caption, alt, data)]
    if len(found) > 1:
        lines = {dataset: style.Look(color, marker, style.SOLID)
                 for dataset, (color, marker) in zip(found, DATASET_LOOKS * len(found))}  # fmt: skip
        names = list(dict.fromkeys(curve.name for curve in every))
        by_method = {name: [(c.dataset, c, lines[c.dataset]) for c in every if c.name == name] for name in names}
        style.save(steps_figure.by_steps(by_method), folder, "dsc_by_steps_method")
        caption = f"The same by method, a line per data set{band}."
        alt = f"Lines of mean DSC against sampling steps of {words.listing(names)}, a panel each."
        blocks.append(Figure("dsc_by_steps_method", caption, alt, data))
    blocks += _against_time(it, panels, without, looks, folder)
    return blocks


def _against_time(
    it: Study, panels: steps_figure.Panels, without: dict[str, list[Curve]], looks: dict[Variant, Look], folder: Path
) -> list[Block]:
    """DSC against time, of methods that take no steps, too; nothing where no time was measured."""
    timed = {dataset: [line for line in lines if None not in line[1].seconds] for dataset, lines in panels.items()}
    timed = {dataset: lines for dataset, lines in timed.items() if lines}
    if not timed:
        return []
    single = {
        dataset: [(it.names[c.variant], c, spent, looks[c.variant]) for c in without[dataset]
                  if (spent := cost.cost(it.results, c)).seconds]
        for dataset in timed
    }  # fmt: skip
    shown = pd.concat([steps_figure.times(lines, single[dataset]) for dataset, lines in timed.items()])
    style.save(steps_figure.by_time(timed, single), folder, "dsc_by_time")
    band = ", band or bar: 95 % interval" if shown["low"].notna().any() else ""
    caption = (
        f"Mean DSC against the time one image takes with as many steps; up and to the left is better{band}. Numbers: "
        "sampling steps. Grey line: what nothing else here beats in both, by its mean."
    )
    alt = f"Mean DSC against seconds per image on {words.listing(list(timed))}."
    return [Figure("dsc_by_time", caption, alt, shown)]


DATASET_LOOKS = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "v"), ("#000000", "D"))


def _gallery(it: Study, curves: list[StepCurve], folder: Path) -> Figure | None:
    """One typical case by steps: a row per method."""
    stored = {}
    for curve in curves:
        for part in curve.parts:
            trial = examples.first_trial(it.results, part)
            samples = trial and examples.samples_of(it.results, trial, part.variant, it.clean)
            if samples is not None and len(samples["ids"]):
                stored[part.variant] = samples
    if not stored:
        return None
    dataset = curves[0].dataset
    scores = dict(zip(curves[0].parts[-1].cases.tolist(), curves[0].dsc[-1].tolist()))
    ids = next(iter(stored.values()))["ids"].astype(str).tolist()
    case = sorted(ids, key=lambda name: (scores.get(name, -1.0), name))[len(ids) // 2]
    steps = sorted({int(k) for curve in curves for k in curve.steps})
    images: list = [None] * len(steps)
    rows: dict[str, list] = {curve.name: [None] * len(steps) for curve in curves}
    for curve in curves:
        for part in curve.parts:
            samples = stored.get(part.variant)
            index = np.flatnonzero(samples["ids"].astype(str) == case) if samples else []
            if len(index):
                column = steps.index(part.variant.steps)
                images[column] = samples["image"][index[0]]
                dsc = examples.case_dsc(part, it.clean, case)
                rows[curve.name][column] = (samples["label"][index[0]], samples["prediction"][index[0]], dsc)
    name = f"samples_{dataset}"
    classes = list(curves[0].parts[0].classes)
    style.save(overlays.draw([f"{k} steps" for k in steps], images, rows, classes), folder, name)
    caption = (
        f"{dataset}, test case `{case}` by number of sampling steps. Of the stored examples it is the one whose DSC is "
        f"the middle one for {curves[0].name} at its most steps. Dark red: missed, light red: added; the number is the "
        "DSC of the case, classes pooled."
    )
    return Figure(name, caption, f"Example segmentations on {dataset} at {words.listing(list(map(str, steps)))} steps.")


def _published(found: dict[str, list[StepCurve]]) -> list[Block]:
    blocks: list[Block] = [Paragraph(published.quoted("sampling_steps"))]
    known = published.best_steps()
    tables = [table for dataset in found if dataset in known and (table := _beside(found[dataset], known[dataset]))]
    if not tables:
        only = words.listing(list(known))
        blocks.append(Paragraph(f"Numbers of steps are published on {only} only, which is not part of this report."))
    return blocks + tables


def _beside(curves: list[StepCurve], known: dict[str, int]) -> Table | None:
    """Ours beside the published numbers of one data set, by method; None where none of these methods has one."""
    rows, data = [], []
    for curve in curves:
        if curve.method in known:
            best, enough = known[curve.method], curve.enough()
            rows.append([curve.name, str(best), f"{enough.value:g}", str(curve.steps[curve.best])])
            data.append({"method": curve.method, "published_best": best, "enough": int(enough.value),
                         "best": int(curve.steps[curve.best])})  # fmt: skip
    if not rows:
        return None
    # One table needs no name of its own.
    name = "published_steps" if len(published.best_steps()) == 1 else f"published_steps_{curves[0].dataset}"
    columns = ["method", "published: best at", "ours: steps needed", "ours: best at"]
    caption = (
        f"{curves[0].dataset}: the number of steps with the highest published DSC beside ours; image sizes and "
        "training differ."
    )
    return Table(name, caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def _notes(results: Results, found: dict[str, list[StepCurve]]) -> list[str]:
    notes = [
        "Every number of steps starts from the same noise for a case, and one sample is drawn, so that steps are all "
        "that differs."
    ]
    tested = {int(k) for curves in found.values() for curve in curves for k in curve.steps}
    missing = [str(k) for k in PAPER if k not in tested]
    if found and missing:
        notes.append(
            f"Not run here: {words.listing(missing)} steps. The profile sets how far the numbers go "
            "(`profile.sampling.sweep`); `suite.steps=[...]` gives others."
        )
    return notes
