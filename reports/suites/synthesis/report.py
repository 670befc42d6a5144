"""The report of suite=synthesis: how close images from label maps are to real ones, how they look, what one costs."""

from pathlib import Path

from benchmarks.store.results import Results
from reports.numbers.study import Study, study
from reports.paper import style, words
from reports.paper.document import Block, Bullets, Document, Heading, Paragraph
from reports.sections import common, published_synthesis, recipes, trials
from reports.sections.cost import cost_table
from reports.suites.synthesis import figures, findings, leafing, scores, tables


def build(results: Results, folder: Path) -> Document:
    """The document; its figures are drawn into `folder`/figures."""
    style.theme()
    it = study(results)
    looks = style.looks(list(it.names))
    measured = [dataset for dataset in it.datasets if scores.measured(results, dataset)]
    document = Document(results.suite.get("title") or results.suite["name"])
    document.add(*(Paragraph(text) for text in common.opening(it)), Heading("Summary"))
    document.add(*(block for dataset in it.datasets for block in findings.summary(it, dataset)))
    if measured:
        document.add(Heading("Quality"), *(tables.quality(it, dataset) for dataset in measured))
        document.add(Heading("Memorisation"), *(tables.memorisation(it, dataset) for dataset in measured))
        document.add(Heading("Examples"), *_pictures(it, measured, folder))
        if found := leafing.browser(it, measured):
            document.add(Heading("Test cases"), found)
        document.add(Heading("Cost"), cost_table(results, it.curves, it.names))
    document.add(*common.training(it, looks, folder))
    document.add(Heading("Published values"), *published_synthesis.quality())
    document.add(Heading("Settings"), trials.dataset_table(results, it.datasets), trials.method_table(results))
    document.add(*recipes.table(results), *trials.training_tables(results), trials.trial_table(results, it.datasets))
    document.add(Heading("Environment"), trials.environment_table(results))
    document.add(*common.commands(results))
    document.add(Heading("How it was measured"), Bullets(findings.notes(it)))
    return document


def _pictures(it: Study, measured: list[str], folder: Path) -> list[Block]:
    found: list[Block] = []
    for dataset in measured:
        found += [*figures.by_method(it, dataset, folder), *figures.by_steps(it, dataset, folder)]
    return found or [Paragraph(f"No pictures are stored of {words.listing(measured)}.")]
