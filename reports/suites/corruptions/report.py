"""The report of suite=corruptions: DSC by kind and severity, mean corruption error, tests, and the corrupted images."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.store.records import tested
from benchmarks.store.results import Results
from reports.numbers.corruption import (
    Corrupted,
    comparisons,
    corrupted,
    extremes,
    losses,
    mean_errors,
    robust_mean,
)
from reports.numbers.curves import Curve, Variant
from reports.paper import style, words
from reports.paper.document import Block, Bullets, Document, Figure, Heading, Paragraph
from reports.paper.style import Look
from reports.sections import common, examples, trainings, trials
from reports.sections.verdict_words import cautions, sentence, subjects
from reports.suites.corruptions import figures, tables


def build(results: Results, folder: Path) -> Document:
    """The document; its figures are drawn into `folder`/figures."""
    style.theme()
    it = corrupted(results)
    looks = style.looks(list(it.clean.names))
    document = Document(results.suite.get("title") or results.suite["name"])
    document.add(*(Paragraph(text) for text in common.opening(it.clean)))
    document.add(Heading("Summary"))
    for dataset in it.clean.datasets:
        document.add(Heading(dataset, 3), Bullets(tuple(_summary(it, dataset))))
    for dataset in it.clean.datasets:
        document.add(Heading(f"Accuracy by severity on {dataset}"), *_accuracy(it, dataset, looks, folder))
    compared = tables.differences(it)
    document.add(*([Heading("Differences"), compared] if compared else []))
    shown = [_gallery(it, dataset, folder) for dataset in it.clean.datasets]
    document.add(*([Heading("Examples"), *filter(None, shown)] if any(shown) else []))
    document.add(Heading("Severities"), tables.severities(it))
    document.add(*common.training(it.clean, looks, folder))
    document.add(Heading("Settings"), trials.dataset_table(results, it.clean.datasets), trials.method_table(results))
    document.add(*trials.training_tables(results), trials.trial_table(results, it.clean.datasets))
    document.add(*common.commands(results), *common.notes(it.clean, _notes()))
    return document


def _summary(it: Corrupted, dataset: str) -> list[str]:
    """What a reader would quote of one data set."""
    named, variants = tables.titles(it), it.variants(dataset)
    said = [text for variant in variants for text in [_of_variant(it, dataset, variant)]]
    found = comparisons(it, dataset, it.clean.margin).get("", [])
    curves = {curve.variant: curve for curve in it.clean.curves[dataset]}
    for first, second, (estimate, test) in found:
        names = subjects(it.clean.names, curves[first], curves[second], it.clean.clean, estimate)
        where = f" under corruption{trainings.on_fewer(estimate, it.clean.curves[dataset])}"
        said.append(sentence(*names, estimate, test, where))
    said += cautions([result for *_, result in found], it.clean.unit(dataset))
    said += trainings.sentences(it.clean, dataset)
    for kind, parts in it.by_kind[dataset].items():
        said += trainings.incomplete(it.clean, parts, f" under {named[kind]}")
    wanted = it.clean.results.suite.get("reference")
    if variants and it.reference[dataset].method != wanted:
        instead = it.clean.names[it.reference[dataset]]
        said.append(
            f"{wanted}, the reference of the suite, has no result here: errors are divided by those of {instead}."
        )
    for kind, reason in tables.left_out(it, dataset).items():
        said.append(f"{named[kind][:1].upper()}{named[kind][1:]} does not apply: {reason}.")
    for absence in trials.absences(it.clean.results, dataset):
        said.append(f"**{absence.title}** has no result here ({words.sentence(absence.words)})")
    return said or ["Nothing was measured."]


def _of_variant(it: Corrupted, dataset: str, variant: Variant) -> str:
    """One method: what it scores, to what it loses most, and its mCE."""
    named, lost = tables.titles(it), losses(it, dataset, variant)
    curve = next(curve for curve in it.clean.curves[dataset] if curve.variant == variant)
    text = (
        f"**{it.clean.names[variant]}**: DSC {words.with_interval(curve.mean(it.clean.clean))} on the images as they "
        f"are, {words.with_interval(robust_mean(it, dataset, variant))} over all corruptions"
    )
    if len(lost) > 1:
        most, least = (
            f"{named[kinds[0]]} ({words.number(lost[kinds[0]].value)}"
            + (f"; within chance of it {words.listing([named[kind] for kind in kinds[1:]])})" if kinds[1:] else ")")
            for kinds in extremes(it, dataset, variant)
        )
        text += f"; over the severities it loses most to {most} and least to {least}"
    if variant != it.reference[dataset]:
        error = mean_errors(it, dataset, variant)["mce"]
        text += f"; mCE {words.with_interval(error, 2)} against {it.clean.names[it.reference[dataset]]}"
    return f"{text}."


def _accuracy(it: Corrupted, dataset: str, looks: dict[Variant, Look], folder: Path) -> list[Block]:
    """Small multiples, heat map, and the tables of one data set."""
    blocks: list[Block] = []
    named, panels = tables.titles(it), it.by_kind[dataset]
    if panels:
        name = f"dsc_by_severity_{dataset}"
        style.save(figures.by_severity(it, dataset, named, looks), folder, name)
        band = "" if tables.bare(it, dataset) else ", band: 95 % interval"
        caption = f"{dataset}: mean DSC by severity, a panel for each kind of corruption{band}."
        data = pd.DataFrame(row for kind, curves in panels.items() for row in tables.points(curves, kind))
        kinds = words.listing([named[kind] for kind in panels])
        blocks.append(Figure(name, caption, f"Lines of mean DSC against severity on {dataset} for {kinds}.", data))
    if it.variants(dataset):
        name = f"dsc_map_{dataset}"
        style.save(figures.heat_map(it, dataset, named), folder, name)
        caption = f"{dataset}: mean DSC by kind and severity, a panel for each method."
        listed = words.listing([it.clean.names[variant] for variant in it.variants(dataset)])
        blocks.append(
            Figure(name, caption, f"Heat maps of mean DSC by kind and severity on {dataset} for {listed}.", data)
        )
    errors = tables.corruption_errors(it, dataset)
    return [*blocks, *([errors] if errors else []), tables.by_severity(it, dataset)]


def _gallery(it: Corrupted, dataset: str, folder: Path) -> Figure | None:
    """The typical case under every kind at every severity; None where no pictures are stored."""
    results, curves = it.clean.results, it.clean.curves[dataset]
    stored = examples.stored_samples(results, curves, [it.clean.clean])
    if not stored or not it.by_kind[dataset]:
        return None
    case, (variant, _) = examples.typical_case(curves, stored), next(iter(stored))
    named = tables.titles(it)
    rows = {
        named[kind]: [
            _shown(it, next((c for c in found if c.variant == variant), None), kind if level else "", level, case)
            for level in (0, *it.severities)
        ]
        for kind, found in it.by_kind[dataset].items()
    }
    name, title = f"samples_{dataset}_corrupted", it.clean.names[variant]
    style.save(
        figures.gallery(rows, ["as it is", *(f"severity {n}" for n in it.severities)]),
        folder,
        name,
    )
    plane = ", the slice with the largest foreground" if len(curves[0].cases) and _volumes(it, dataset) else ""
    caption = (
        f"{dataset}, test case `{case}`{plane}, as methods see it: kinds of corruption by severity. White: the outline "
        f"of the label; yellow: that of {title}, with its DSC. Of the "
        f"stored examples it is the one with the middle DSC for {title}."
    )
    kinds = words.listing([named[kind] for kind in it.by_kind[dataset]])
    return Figure(name, caption, f"A test case of {dataset} under {kinds}, each at every severity.")


def _volumes(it: Corrupted, dataset: str) -> bool:
    return any(len(trial.config.dataset.image_size) == 3 for trial in trials.of_dataset(it.clean.results, dataset))


def _shown(it: Corrupted, curve: Curve | None, kind: str, level: int, case: str) -> figures.Shown | None:
    """A stored picture of a case for a curve's first seed, with its DSC; None where there is none."""
    trial = examples.first_trial(it.clean.results, curve) if curve is not None else None
    if curve is None or trial is None:
        return None
    variant = curve.variant
    parts = {"trial": trial.key, "steps": variant.steps, "sampler": variant.sampler, "eta": variant.eta or 0.0,
             "ensemble": variant.ensemble, "sigma": 0.0, "corruption": kind, "severity": level}  # fmt: skip
    condition = it.clean.results.conditions.get(tested(parts))
    samples = trial.samples(condition) if condition else None
    index = np.flatnonzero(samples["ids"].astype(str) == case) if samples else []
    if samples is None or not len(index):
        return None
    image, label, prediction = (samples[part][index[0]] for part in ("image", "label", "prediction"))
    return image, label, prediction, examples.case_dsc(curve, float(level), case)


def _notes() -> list[str]:
    return [
        "Images are corrupted at the size that methods work on and stay in [0, 1]; labels, training and the choice of "
        "weights are untouched. Lengths are shares of the image's longest side; JPEG's blocks of 8 pixels are not, so "
        "that JPEG takes more from smaller images.",
        "The mean corruption error is that of Hendrycks and Dietterich (ICLR 2019, arXiv:1903.12261) with 1 − DSC in "
        "place of the classification error. It compares methods with the reference, not data sets with each other: "
        "each has kinds of its own.",
    ]
