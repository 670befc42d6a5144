"""The report of suite=synthetic_training: what synthetic training images are worth, tested on real images."""

from pathlib import Path

from benchmarks.store.results import Results
from reports.numbers.study import Study, study
from reports.paper import style, words
from reports.paper.document import Block, Document, Figure, Heading, Paragraph
from reports.sections import common, examples, matrix, published_synthesis, score_tables, significance, trials
from reports.suites.synthetic_training import findings, images, probe, tables


def build(results: Results, folder: Path) -> Document:
    """The document; its figures are drawn into `folder`/figures."""
    style.theme()
    it = study(results)
    # Arms differ by colour, marker and line as methods do elsewhere.
    looks = dict(zip(it.names, [*style.LOOKS.values(), *style.OTHERS] * len(it.names)))
    measured = [dataset for dataset in it.datasets if score_tables.by_score(it, it.curves[dataset])]
    document = Document(results.suite.get("title") or results.suite["name"])
    document.add(*(Paragraph(text) for text in common.opening(it)), Heading("Summary"))
    document.add(*(block for dataset in it.datasets for block in findings.summary(it, dataset)))
    document.add(Heading("Accuracy on real test images"), *(tables.arms(it, dataset) for dataset in it.datasets))
    if measured:
        document.add(*_shown(it, measured, folder))
        document.add(Heading("Per class"))
        document.add(*(f(it, dataset) for dataset in measured for f in (score_tables.by_class, tables.by_image)))
        document.add(*significance.sections(it, looks, folder))
        document.add(*(block for dataset in measured for block in matrix.table(it, dataset)))
        document.add(*probe.section(it, measured))
    document.add(*images.section(it, folder), *common.training(it, looks, folder))
    document.add(Heading("Published values"), *published_synthesis.segmentation())
    document.add(Heading("Settings"), trials.dataset_table(results, it.datasets), *trials.training_tables(results))
    document.add(trials.method_table(results), trials.trial_table(results, it.datasets))
    document.add(Heading("Environment"), trials.environment_table(results))
    document.add(*common.commands(results), *common.notes(it, findings.notes(results)))
    return document


def _shown(it: Study, measured: list[str], folder: Path) -> list[Block]:
    """The arms by their DSC, and test cases as each arm segments them."""
    style.save(tables.dots(it, measured), folder, "dsc_by_arm")
    caption = "Mean DSC on real test images with its 95 % interval; the line is that of real training images."
    alt = f"Mean DSC of every arm on {words.listing(measured)}."
    found: list[Block] = [Figure("dsc_by_arm", caption, alt, tables.dots_data(it, measured))]
    for dataset in measured:
        picture = examples.gallery(it.results, it.curves[dataset], it.names, it.clean, folder)
        found += [picture] if picture else []
    return found
