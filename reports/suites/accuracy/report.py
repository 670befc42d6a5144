"""The report of suite=accuracy: tables I to III and figure 4 of the LDSeg paper with intervals, ranks and costs."""

from pathlib import Path

import pandas as pd

from benchmarks.store.results import Results
from reports.numbers.curves import Variant
from reports.numbers.study import Study, study
from reports.paper import style, words
from reports.paper.document import Block, Document, Figure, Heading, Paragraph
from reports.paper.style import Look
from reports.sections import (
    accuracy_table,
    chosen_steps,
    common,
    examples,
    object_table,
    published,
    recipes,
    score_tables,
    significance,
    trials,
    twins,
)  # fmt: skip
from reports.sections.cost import cost, cost_table
from reports.sections.score_tables import numbers
from reports.suites.accuracy import findings, ranking, training_time, video
from reports.suites.accuracy.ranking import Point, Score


def build(results: Results, folder: Path) -> Document:
    """The document; its figures are drawn into `folder`/figures."""
    style.theme()
    it = study(results)
    looks = style.looks(list(it.names))
    measured = [dataset for dataset in it.datasets if score_tables.by_score(it, it.curves[dataset])]
    document = Document(results.suite.get("title") or results.suite["name"])
    document.add(*(Paragraph(text) for text in common.opening(it)), *findings.summary(it))
    document.add(Heading("Accuracy"), *(accuracy_table.table(it, dataset) for dataset in it.datasets))
    document.add(*chosen_steps.section(it))
    if measured:
        document.add(*_overview(it, measured, looks, folder))
        shown = [examples.gallery(results, it.curves[dataset], it.names, it.clean, folder) for dataset in measured]
        document.add(*([Heading("Examples"), *filter(None, shown)] if any(shown) else []))
        document.add(Heading("Per class"), *(score_tables.by_class(it, dataset) for dataset in measured))
        objects = [table for dataset in measured if (table := object_table.table(it, dataset)) is not None]
        document.add(*([Heading("Objects"), *objects] if objects else []))
        videos = [table for dataset in measured if (table := video.by_video(it, dataset)) is not None]
        document.add(*([Heading("By video"), *videos] if videos else []))
        document.add(*significance.sections(it, looks, folder), *twins.section(it))
        document.add(Heading("Cost"), cost_table(results, it.curves, it.names))
    document.add(*common.training(it, looks, folder), *training_time.section(it, looks, folder))
    document.add(Heading("Published values"), *_published(it))
    document.add(Heading("Settings"), trials.dataset_table(results, it.datasets), trials.method_table(results))
    document.add(*recipes.table(results), *trials.training_tables(results), trials.trial_table(results, it.datasets))
    document.add(Heading("Environment"), trials.environment_table(results))
    document.add(*common.commands(results), *common.notes(it, _sampling(it)))
    return document


def _overview(it: Study, measured: list[str], looks: dict[Variant, Look], folder: Path) -> list[Block]:
    """Mean DSC of every method, and against what an image costs."""
    scores, points = {}, {}
    for dataset in measured:
        ordered = score_tables.by_score(it, it.curves[dataset])
        scores[dataset] = [(c.variant, c.mean(it.clean), published.dsc(it.results, c)) for c in ordered]
        timed = [(c.variant, c.mean(it.clean), cost(it.results, c).seconds) for c in it.curves[dataset]]
        points[dataset] = [point for point in timed if point[2]]
    style.save(ranking.dots(scores, it.names, looks), folder, "dsc_by_method")
    alt = f"Mean DSC of every method on {words.listing(measured)}, highest first."
    blocks: list[Block] = [
        Figure("dsc_by_method", "Mean DSC with its 95 % interval, highest first.", alt, _scores(scores))
    ]
    points = {dataset: found for dataset, found in points.items() if found}
    if points:
        style.save(ranking.against_cost(points, it.names, looks), folder, "dsc_by_time")
        caption = "Mean DSC (bar: 95 % interval) against the time one image takes; up and to the left is better."
        alt = f"Mean DSC against seconds per image on {words.listing(list(points))}."
        blocks.append(Figure("dsc_by_time", caption, alt, _points(points)))
    return blocks


def _scores(panels: dict[str, list[Score]]) -> pd.DataFrame:
    """What dsc_by_method draws."""
    return pd.DataFrame(
        {"dataset": dataset, "method": variant.method, "steps": variant.steps} | numbers("dsc", estimate)
        | {"published": value}
        for dataset, scores in panels.items() for variant, estimate, value in scores
    )  # fmt: skip


def _points(panels: dict[str, list[Point]]) -> pd.DataFrame:
    """What dsc_by_time draws."""
    return pd.DataFrame(
        {"dataset": dataset, "method": variant.method, "steps": variant.steps, "seconds": seconds}
        | numbers("dsc", estimate)
        for dataset, points in panels.items() for variant, estimate, seconds in points
    )  # fmt: skip


def _published(it: Study) -> list[Block]:
    without = [dataset for dataset in it.datasets if published.beside(it.results, dataset) is None]
    said = [Paragraph(f"Nothing is published on {words.listing(without)}.")] if without else []
    return [*said, *published.accuracy(it.results, it.curves, it.names, it.clean)]


def _sampling(it: Study) -> list[str]:
    """How the generative methods were sampled, in one sentence."""
    parts = []
    for variant in it.names:
        if variant.steps:
            text = f"{variant.title} {variant.steps} steps of {variant.sampler.replace('_', '-')}"
            parts.append(text + (f", mean of {variant.ensemble} samples" if variant.ensemble > 1 else ""))
    if not parts:
        return []
    if it.results.selection:
        return [
            f"Generative methods were sampled with the steps that validation cases chose: {'; '.join(parts)}. Sampler "
            "and samples are each method's own, as far as the profile admits; it also lists the numbers there were to "
            "choose from (`profile.sampling`)."
        ]
    return [
        f"Generative methods were sampled each in its own way, as far as the profile admits: {'; '.join(parts)}. "
        "The profile's limits on steps and samples are `profile.sampling`."
    ]
