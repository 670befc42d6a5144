"""The report of suite=ablation: table V and figure 9 of the LDSeg paper."""

from pathlib import Path

from benchmarks.store.results import Results
from reports.numbers.curves import method_order
from reports.numbers.study import Study, study
from reports.numbers.training import Convergence, convergence
from reports.paper import style, words
from reports.paper.document import Block, Bullets, Document, Heading, Paragraph
from reports.sections import accuracy_table, common, examples, published, score_tables, significance, trials
from reports.sections.cost import cost_table
from reports.sections.trials import absences, of_dataset

SHOWS = "trials"
"""The kind of suite that this report can show."""


def build(results: Results, folder: Path) -> Document:
    """The document; its figures are drawn into `folder`/figures."""
    style.theme()
    it = study(results)
    looks = style.looks(list(it.names))
    measured = [dataset for dataset in it.datasets if score_tables.by_score(it, it.curves[dataset])]
    document = Document(results.suite.get("title") or results.suite["name"])
    document.add(*(Paragraph(text) for text in common.opening(it)), *_summary(it))
    document.add(Heading("Accuracy"), *(accuracy_table.table(it, dataset) for dataset in it.datasets))
    if measured:
        document.add(*_published(it))
        shown = [examples.gallery(results, it.curves[dataset], it.names, it.clean, folder) for dataset in measured]
        document.add(*([Heading("Examples"), *filter(None, shown)] if any(shown) else []))
        document.add(*significance.sections(it, looks, folder))
        document.add(Heading("Cost"), cost_table(results, it.curves, it.names))
    document.add(*common.training(it, looks, folder))
    document.add(Heading("Settings"), trials.dataset_table(results, it.datasets), trials.method_table(results))
    document.add(*trials.training_tables(results), trials.trial_table(results, it.datasets))
    document.add(Heading("Environment"), trials.environment_table(results))
    document.add(*common.commands(results), *common.notes(it, published.explained("ablation", method_order(results))))
    return document


def _summary(it: Study) -> list[Block]:
    blocks: list[Block] = [Heading("Summary")]
    for dataset in it.datasets:
        items = significance.sentences(it, dataset)
        items += ceilings(it, dataset)
        items += [
            f"**{a.title}** has no result here ({words.sentence(a.words)})" for a in absences(it.results, dataset)
        ]
        blocks += [Heading(dataset, 3), Bullets(tuple(items or ["Nothing was measured."]))]
    return blocks


def ceilings(it: Study, dataset: str) -> list[str]:
    """What the label's way through the latent alone gives back, training by training; it bounds a method from above
    unless the method segments better than that."""
    found: dict[str, list[Convergence]] = {}
    for trial in of_dataset(it.results, dataset):
        known = convergence(trial.history)
        if known is not None and known.ceiling is not None:
            found.setdefault(trial.label, []).append(known)
    if not found:
        return []
    told = [f"{name} {words.listing([words.number(one.ceiling) for one in own])}" for name, own in found.items()]
    said = f"Ceiling, the validation DSC of true labels encoded and decoded again: {'; '.join(told)}."
    above = [name for name, own in found.items() if any(one.best_dsc > (one.ceiling or 0.0) for one in own)]
    if above:
        said += f" It is none for {words.listing(above)}, which segments validation cases better than that."
    return [said]


def _published(it: Study) -> list[Block]:
    only = words.listing(published.measured_on("ablation"))
    return [Heading("Published values"), *(published.accuracy(it.results, it.curves, it.names, it.clean, "ablation")
                                           or [Paragraph(f"The ablation is published on {only} only.")])]  # fmt: skip
