"""The report of action=compare: what the same suite gave in two stores, before and after a change."""

from pathlib import Path

import pandas as pd

from benchmarks.store.results import Results
from benchmarks.store.trial import TrialView
from reports.numbers import curves as selection
from reports.numbers import statistics
from reports.numbers.collapse import COLLAPSE
from reports.numbers.curves import Variant
from reports.numbers.hypotheses import OUTRIGHT
from reports.numbers.study import Study, study
from reports.numbers.verdicts import AHEAD, BEHIND, SO_FAR, Verdict, verdict
from reports.paper import style, words
from reports.paper.document import Block, Bullets, Code, Document, Figure, Heading, Paragraph
from reports.sections import common, verdict_words
from reports.sections.score_tables import keys, so_far
from reports.suites.compare import change_figure, changes, tables
from reports.suites.compare.changes import AFTER, BEFORE, Change, Pair


def build(results: Results, folder: Path) -> Document:
    """The document; its figure is drawn into `folder`/figures."""
    style.theme()
    before, after = (changes.side(results, store) for store in (BEFORE, AFTER))
    found = changes.pairs(before, after)
    earlier, later = changes.shared(before, found), changes.shared(after, found)
    names = _names(earlier, later)
    datasets = selection.dataset_order(results)
    changed = {dataset: changes.changes(earlier, later, dataset) for dataset in datasets}
    every = [change for part in changed.values() for change in part]
    settings = tables.changed_settings(found)
    it = study(later)
    document = Document(results.suite["title"])
    document.add(
        Paragraph(results.suite["question"]),
        Paragraph(f"Before: `{results.suite[BEFORE]}`. After: `{results.suite[AFTER]}`."),
        Heading("Summary"),
        *(block for dataset in datasets for block in _summary(dataset, changed[dataset], found, names)),
    )
    if every:
        document.add(Heading("Accuracy"), tables.scores(it, every, names), *_figure(changed, names, folder))
        document.add(tables.by_class(it, every, names), Heading("Cost"))
        document.add(tables.costs(earlier, later, every, names))
    document.add(Heading("What changed"))
    document.add(settings or Paragraph("Nothing: settings, code, data and environment of all trials are the same."))
    apart = tables.one_sided(before, after, found)
    document.add(
        Heading("In one store only"), apart or Paragraph("Nothing: both hold the same trials, tests and cases.")
    )
    document.add(Heading("Command"), Code(str(results.suite["command"]), "sh"), *_notes(it))
    return document


def _names(before: Results, after: Results) -> dict[Variant, str]:
    """Of the variants both sides have, as the later one calls them."""
    earlier = {changes.untitled(variant) for variant in selection.variants(before)}
    return selection.labels([v for v in selection.variants(after) if changes.untitled(v) in earlier])


def _summary(dataset: str, changed: list[Change], found: list[Pair], names: dict[Variant, str]) -> list[Block]:
    items = []
    same = [change for change in changed if change.same]
    if same and len(same) == len(changed):
        count = words.plural(max(len(change.after.cases) for change in changed), "case")
        items.append(f"Every DSC is the same to the last digit ({count}, {words.plural(len(changed), 'comparison')}).")
    else:
        items += [_sentence(change, changed, names) for change in changed if not change.same]
        kept = words.listing([names[change.after.variant] + _where(change, changed) for change in same])
        items += [f"The same to the last digit in every case: {kept}."] if kept else []
    if not changed:
        items.append("The stores have no test in common.")
    datas = [p for p in found if p.before and p.after and p.trial.config.dataset.name == dataset]
    if any(_fingerprint(pair.before) != _fingerprint(pair.after) for pair in datas):
        items.append(
            "The **data set itself differs** between the stores (`dataset.fingerprint`): cases of one name need not be "
            "the same images, and the differences are not those of the methods alone."
        )
    for pair in found:
        ended = [trial.status if trial else "not there" for trial in (pair.before, pair.after)]
        if pair.trial.config.dataset.name == dataset and ended != ["ok", "ok"]:
            items.append(f"Trial {pair.name}: {ended[0]} before, {ended[1]} after.")
    groups = min((change.estimate.groups for change in changed), default=statistics.MIN_GROUPS)
    if groups < statistics.MIN_GROUPS:
        items.append(f"No interval is given: {words.plural(groups, 'independent group')} cannot carry one.")
    return [Heading(dataset, 3), Bullets(tuple(items))]


def _sentence(change: Change, changed: list[Change], names: dict[Variant, str]) -> str:
    name = names[change.after.variant]
    where = _where(change, changed)
    estimate, test = change.estimate, change.test
    judged = verdict(estimate, test)
    if test.collapsed:
        p = verdict_words.p_words(test)
        return (
            f"Nothing is decided about {name}{where}, as a training ended more than {COLLAPSE:g} DSC below the best of "
            "its side or answered alike whatever it was shown: "
            f"{verdict_words.amount(estimate, words.signed)}, {p} for these trainings."
        )
    if judged in (*AHEAD, *BEHIND):
        size = estimate if judged in AHEAD else verdict_words.negated(estimate)
        scored = f"scored {'higher' if judged in AHEAD else 'lower'} in these trainings"
        became = f"became {judged}" if estimate.seeds > 1 else scored + " so far" * (judged in SO_FAR)
        more = f"; {OUTRIGHT} further failures of {test.margin.failure:g} would leave that open"
        said = f"**{name}** {became}{where} by {verdict_words.amount(size)}, {verdict_words.p_words(test)}"
        return f"{said}{more * (judged in SO_FAR)}."
    signed = verdict_words.amount(estimate, words.signed)
    if judged is Verdict.BARE:
        return f"{name}{where}: {signed} in {words.plural(estimate.cases, 'case')}, too few for an interval or a test."
    if judged is Verdict.EQUIVALENT:
        same = "is the same" if estimate.seeds > 1 else "scored alike in these trainings"
        return (
            f"{name} {same}{where} within {test.margin.within:g} DSC: {signed}, "
            f"{verdict_words.p_of(test.equivalent)} after Holm."
        )
    p = verdict_words.p_words(test)
    return f"No change shown for {name}{where}: {signed}, {p}; {verdict_words.power_words(test)}."


def _where(change: Change, changed: list[Change]) -> str:
    return f" at σ = {change.sigma:g}" if len({c.sigma for c in changed}) > 1 else ""


def _fingerprint(trial: TrialView) -> str | None:
    return trial.config.dataset.fingerprint


def _figure(changed: dict[str, list[Change]], names: dict[Variant, str], folder: Path) -> list[Block]:
    panels = {dataset: part for dataset, part in changed.items() if part}
    looks = style.looks(list(names))
    style.save(change_figure.draw(panels, names, looks), folder, "dsc_change")
    data = pd.DataFrame(
        keys(change.after) | {"sigma": change.sigma, "difference": change.estimate.value, "low": change.estimate.low,
                              "high": change.estimate.high}
        for part in panels.values() for change in part
    )  # fmt: skip
    caption = "Mean DSC after minus before with its 95 % interval; right of the line is better."
    alt = f"Change of mean DSC of every method on {words.listing(list(panels))}."
    return [Figure("dsc_change", caption, alt, data)]


def _notes(it: Study) -> list[Block]:
    return [
        Heading("How it was compared"),
        Bullets(
            (
                "A trial of one store is set beside that of the other with the same data set, method and seed: the "
                "newest that the command above asks for or, where settings changed, the newest of the same profile.",
                f"Scores are compared case by case over the seeds both stores have, and averaged within {it.units()}. "
                + common.intervals(it.units()),
                f"A method is said to have become better when it was trained with {statistics.MIN_SEEDS} seeds or more "
                "before and after, the interval of the difference does not contain 0 and the test, after Holm's "
                f"correction, agrees at 0.05.{so_far(it.margin, it.unit())} Two trainings that differ by their seed "
                "alone may differ by as much: one or two before and after cannot tell a change of code from chance of "
                "training, and the sentence is about these trainings.",
            )
        ),
    ]
