"""The report of suite=noise_robustness: figure 8 of the LDSeg paper with intervals, costs and context."""

from pathlib import Path

import pandas as pd

from benchmarks.store.results import Results
from reports.numbers.curves import Variant
from reports.numbers.study import Study, study
from reports.paper import style, words
from reports.paper.document import Block, Document, Figure, Heading, Paragraph
from reports.paper.style import Look
from reports.sections import common, examples, noise, published, score_tables, significance, trials, twins
from reports.sections.cost import cost_table
from reports.suites.noise_robustness import curves_figure, findings, tables


def build(results: Results, folder: Path) -> Document:
    """The document; its figures are drawn into `folder`/figures."""
    style.theme()
    it = study(results)
    looks = style.looks(list(it.names))
    document = Document(results.suite.get("title") or results.suite["name"])
    document.add(*(Paragraph(text) for text in common.opening(it)))
    document.add(*findings.summary(it))
    document.add(Heading("Accuracy by noise level"))
    document.add(*(tables.by_sigma(it, dataset) for dataset in it.datasets))
    document.add(*_curves(it, looks, folder))
    measured = [dataset for dataset in it.datasets if it.curves[dataset]]
    if measured:
        at = words.listing([f"σ = {sigma:g}" for sigma in it.compared])
        document.add(Heading(f"Per class at {at}"), *(score_tables.by_class(it, dataset) for dataset in measured))
        document.add(Heading("Robustness"), tables.robustness(it))
        document.add(*significance.sections(it, looks, folder), *twins.section(it))
        shown = [examples.figure(results, it.curves[dataset], it.names, folder) for dataset in measured]
        document.add(*([Heading("Examples"), *filter(None, shown)] if any(shown) else []))
        document.add(Heading("Cost"), cost_table(results, it.curves, it.names))
    document.add(*common.training(it, looks, folder))
    document.add(Heading("Published values"), *_published(it))
    document.add(Heading("Settings"), trials.dataset_table(results, it.datasets), trials.method_table(results))
    document.add(*trials.training_tables(results), trials.trial_table(results, it.datasets))
    document.add(Heading("Environment"), trials.environment_table(results))
    document.add(*common.commands(results), *noise.notes(it))
    return document


def _curves(it: Study, looks: dict[Variant, Look], folder: Path) -> list[Block]:
    panels = {dataset: curves for dataset, curves in it.curves.items() if curves}
    if not panels:
        return []
    style.save(curves_figure.draw(panels, it.names, looks), folder, "dsc_by_sigma")
    caption = "Mean DSC by noise standard deviation σ"
    if any(e.has_interval for curves in panels.values() for c in curves for e in c.means()):
        caption += ", band: 95 % interval"
    if max(c.sigmas[-1] for curves in panels.values() for c in curves) > curves_figure.PUBLISHED_LIMIT:
        caption += "; the dashed vertical line marks the end of the published range, σ = 0.2"
    alt = f"Lines of mean DSC against noise standard deviation on {words.listing(list(panels))}."
    data = pd.DataFrame(row for curves in panels.values() for curve in curves for row in tables.means(curve))
    return [Figure("dsc_by_sigma", f"{caption}.", alt, data)]


def _published(it: Study) -> list[Block]:
    said = published.statement("noise_robustness")
    blocks: list[Block] = [Paragraph(f"On robustness to noise: {said}; there are no numbers to set beside ours.")]
    without = [dataset for dataset in it.datasets if published.beside(it.results, dataset) is None]
    if without:
        blocks.append(Paragraph(f"Nothing is published on {words.listing(without)}."))
    return blocks + published.accuracy(it.results, it.curves, it.names, it.clean)
