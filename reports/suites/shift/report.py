"""The report of suite=shift: scores where a method was trained and elsewhere, and the drop with its interval."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.store.records import tested
from benchmarks.store.results import Results
from reports.numbers.curves import Curve, Variant
from reports.numbers.shift import Shifted, Shifts, contests, drop, gaps, shifts
from reports.numbers.statistics import MIN_SEEDS
from reports.paper import overlays, style, words
from reports.paper.document import Block, Bullets, Document, Figure, Heading, Paragraph, Table
from reports.paper.style import Look
from reports.sections import common, examples, trainings, trials
from reports.sections.score_tables import INTERVAL, TEST_CELLS, keys, numbers, test_cells, test_columns
from reports.sections.verdict_words import cautions, judgement, negated, sentence, subjects
from reports.suites.shift import figures


def build(results: Results, folder: Path) -> Document:
    """The document; its figures are drawn into `folder`/figures."""
    style.theme()
    it = shifts(results)
    looks = style.looks(list(it.home.names))
    document = Document(results.suite.get("title") or results.suite["name"])
    document.add(*(Paragraph(text) for text in common.opening(it.home)))
    document.add(Heading("Summary"))
    for pair in it.found:
        document.add(Heading(_words(pair), 3), Bullets(tuple(_summary(it, pair))))
    document.add(*_of_all(it))
    same = _gaps(it)
    document.add(Heading("Scores and drops"), _scores(it), *([same] if same else []))
    document.add(*_drops(it, looks, folder))
    compared = _contests(it)
    document.add(*([Heading("Differences between methods"), compared] if compared else []))
    shown = [_examples(it, pair, folder) for pair in it.found]
    document.add(*([Heading("Examples"), *filter(None, shown)] if any(shown) else []))
    document.add(*common.training(it.home, looks, folder))
    document.add(Heading("Settings"), trials.dataset_table(results, it.home.datasets), trials.method_table(results))
    document.add(*trials.training_tables(results), trials.trial_table(results, it.home.datasets))
    document.add(*common.commands(results), *common.notes(it.home, _notes(it)))
    return document


def _of_all(it: Shifts) -> list[Block]:
    """What holds for every pair: methods without a result, and what all comparisons take for granted."""
    found = {pair: [*gaps(it, pair).values(), *(result for *_, result in contests(it, pair))] for pair in it.found}
    said = [text for dataset in it.home.datasets for text in _absences(it, dataset)]
    said += [f"{text} ({dataset})" for dataset in it.home.datasets for text in trainings.sentences(it.home, dataset)]
    said += dict.fromkeys(text for pair, results in found.items() for text in cautions(results, _unit(it, pair)))
    return [Heading("All pairs", 3), Bullets(tuple(said))] if said else []


def _words(pair: tuple[str, str]) -> str:
    return f"Trained on {pair[0]}, tested on {pair[1]}"


def _summary(it: Shifts, pair: tuple[str, str]) -> list[str]:
    """What a reader would quote of one pair."""
    said = [_of_variant(it, one) for one in it.found[pair]]
    found = gaps(it, pair)
    for one in it.found[pair]:
        if one.variant in found and one.native is not None:
            estimate, test = found[one.variant]
            native = one.native.mean(it.home.clean)
            said.append(
                f"Trained on {pair[1]}, **{it.home.names[one.variant]}** has {words.with_interval(native)} on the same "
                f"cases; trained elsewhere the difference is {words.with_interval(estimate, write=words.signed)}. "
                f"{judgement(estimate, test)}"
            )
    for first, second, (estimate, test) in contests(it, pair):
        names = subjects(it.home.names, first.there, second.there, it.home.clean, estimate)
        where = f" on {pair[1]}{trainings.on_fewer(estimate, [one.there for one in it.found[pair]])}"
        said.append(sentence(*names, estimate, test, where))
    said += trainings.incomplete(it.home, [one.there for one in it.found[pair]], f" of {pair[1]}")
    return said or ["Nothing was measured."]


def _unit(it: Shifts, pair: tuple[str, str]) -> str:
    """What a group of the cases tested on is called."""
    if it.home.curves.get(pair[1]):
        return it.home.unit(pair[1])
    there = it.found[pair][0].there if it.found[pair] else None
    # Nothing was trained there, so no trial says it: a case whose group is called otherwise is somebody's.
    return "image" if there is None or there.groups.tolist() == there.cases.tolist() else "patient"


def _of_variant(it: Shifts, one: Shifted) -> str:
    """One method: its score on both data sets and the drop."""
    own, there, lost = one.own.mean(it.home.clean), one.there.mean(it.home.clean), drop(one)
    text = (
        f"**{it.home.names[one.variant]}**: DSC {words.with_interval(own)} on {one.trained}, "
        f"{words.with_interval(there)} on {one.tested_on}: "
    )
    text += (
        f"a gain of {words.with_interval(negated(lost))}"
        if lost.value < 0
        else f"a drop of {words.with_interval(lost)}"
    )
    if lost.has_interval and not (lost.low > 0 or lost.high < 0):
        text += ", whose interval holds 0"
    return f"{text}."


def _absences(it: Shifts, dataset: str) -> list[str]:
    return [
        f"**{absence.title}** trained on {dataset} has no result ({words.sentence(absence.words)})"
        for absence in trials.absences(it.home.results, dataset)
    ]


def _scores(it: Shifts) -> Table:
    """Scores on both data sets and the drop; its CSV file also holds what `_gaps` shows."""
    rows, data = [], []
    for pair, found in it.found.items():
        compared = gaps(it, pair)
        for one in found:
            own, there, lost = one.own.mean(it.home.clean), one.there.mean(it.home.clean), drop(one)
            native = None if one.native is None else one.native.mean(it.home.clean)
            gap, test = compared.get(one.variant, (None, None))
            rows.append([" → ".join(pair), it.home.names[one.variant], words.with_interval(own),
                         words.with_interval(there), words.with_interval(lost, write=words.signed)])  # fmt: skip
            data.append(
                keys(one.own) | {"tested_on": one.tested_on} | numbers("dsc_own", own) | numbers("dsc_there", there)
                | numbers("drop", lost) | {"cases_own": own.cases, "cases_there": there.cases,
                                           "groups_own": own.groups, "groups_there": there.groups}
                | (numbers("dsc_trained_there", native) if native is not None else {})
                | (numbers("gap", gap) | test_columns(gap, test) if gap is not None else {}) | {"note": ""}
            )  # fmt: skip
        for absence in trials.absences(it.home.results, pair[0]):
            rows.append([" → ".join(pair), f"{absence.title}: {absence.words}", *[words.NOTHING] * 3])
            data.append({"dataset": pair[0], "tested_on": pair[1], "method": absence.title, "note": absence.words})
    columns = ["trained → tested on", "method", "DSC where trained", "DSC there", "drop"]
    caption = (
        f"Mean DSC on the test part of the data set trained on and of another, foreground classes pooled [{INTERVAL}]. "
        "Drop: the first minus the second; the cases are not the same, so that it holds how hard the data sets are as "
        "well as the shift."
    )
    return Table("shift", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def _gaps(it: Shifts) -> Table | None:
    """Trained elsewhere against trained there, on the same cases; None where the suite has no pair both ways."""
    rows, data = [], []
    for pair, found in it.found.items():
        compared = gaps(it, pair)
        for one in found:
            if one.variant not in compared or one.native is None:
                continue
            there, native = one.there.mean(it.home.clean), one.native.mean(it.home.clean)
            estimate, test = compared[one.variant]
            rows.append([pair[1], it.home.names[one.variant], words.with_interval(there), words.with_interval(native),
                         *test_cells(estimate, test)[:3]])  # fmt: skip
            data.append({"tested_on": pair[1], "trained_on": pair[0], "method": one.variant.method}
                        | numbers("dsc_trained_elsewhere", there) | numbers("dsc_trained_there", native)
                        | numbers("difference", estimate) | test_columns(estimate, test))  # fmt: skip
    if not rows:
        return None
    columns = ["tested on", "method", "DSC trained elsewhere", "DSC trained there", *TEST_CELLS[:3]]
    caption = (
        f"Trained elsewhere minus trained there [{INTERVAL}]: on the same cases, which only the shift separates. p: "
        "that it is 0; Holm's correction is over the methods of a pair."
    )
    return Table("shift_gaps", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def _drops(it: Shifts, looks: dict[Variant, Look], folder: Path) -> list[Block]:
    if not any(it.found.values()):
        return [Paragraph("Nothing was measured.")]
    style.save(figures.drops(it, looks), folder, "drops")
    caption = (
        "Mean DSC with its 95 % interval where a method was trained (filled) and elsewhere (hollow); cross: on the "
        "latter's cases, when it is trained there."
    )
    data = pd.DataFrame(
        keys(one.own) | {"tested_on": one.tested_on} | numbers("dsc_own", one.own.mean(it.home.clean))
        | numbers("dsc_there", one.there.mean(it.home.clean))
        for found in it.found.values() for one in found
    )  # fmt: skip
    listed = words.listing([_words(pair).lower() for pair in it.found])
    return [Figure("drops", caption, f"Mean DSC of every method at home and elsewhere: {listed}.", data)]


def _contests(it: Shifts) -> Table | None:
    """The suite's first method against every other where neither was trained; None without a pair of methods."""
    rows, data = [], []
    for pair in it.found:
        for first, second, (estimate, test) in contests(it, pair):
            names = f"{it.home.names[first.variant]} − {it.home.names[second.variant]}"
            rows.append([" → ".join(pair), names, *test_cells(estimate, test)])
            data.append(
                {"dataset": pair[0], "tested_on": pair[1], "first": first.variant.key, "second": second.variant.key}
                | numbers("difference", estimate) | {"cases": estimate.cases, "groups": estimate.groups}
                | test_columns(estimate, test)
            )  # fmt: skip
    if not rows:
        return None
    columns = ["trained → tested on", "comparison", *TEST_CELLS]
    caption = (
        "Differences of DSC on the same cases of the data set that neither method was trained on, first minus second. "
        f"Tests as docs/statistics.md explains them, equivalence within {it.home.margin.within:g} DSC; Holm's "
        "families: the comparisons of each pair of data sets."
    )
    return Table("shift_differences", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def _examples(it: Shifts, pair: tuple[str, str], folder: Path) -> Figure | None:
    """A test case where the methods were trained and one elsewhere; None where no pictures are stored."""
    found = it.found[pair]
    images: list[np.ndarray | None] = [None, None]
    rows: dict[str, list[tuple | None]] = {it.home.names[one.variant]: [None, None] for one in found}
    cases: list[str | None] = [None, None]
    for one in found:
        for column, (curve, there) in enumerate(((one.own, ""), (one.there, pair[1]))):
            samples = _samples(it, one, there)
            if samples is None or not len(samples["ids"]):
                continue
            names = samples["ids"].astype(str).tolist()
            cases[column] = cases[column] or _typical(curve, names)
            if cases[column] not in names:
                continue
            image, label, prediction = (
                samples[part][names.index(cases[column])] for part in ("image", "label", "prediction")
            )
            images[column] = image
            text = examples.case_dsc(curve, it.home.clean, cases[column])
            rows[it.home.names[one.variant]][column] = (label, prediction, text)
    if not any(cases):
        return None
    name = f"samples_{pair[0]}_{pair[1]}"
    style.save(overlays.draw(list(pair), images, rows, list(found[0].own.classes)), folder, name)
    caption = (
        f"Trained on {pair[0]}: a test case of it (`{cases[0]}`) and one of {pair[1]} (`{cases[1]}`), of the stored "
        f"ones those with the middle DSC for {it.home.names[found[0].variant]}. Dark red: missed, light red: added; "
        "the number is the DSC of the case, classes pooled."
    )
    return Figure(name, caption, f"Example segmentations on {pair[0]} and {pair[1]}, a row per method.")


def _samples(it: Shifts, one: Shifted, there: str) -> dict | None:
    """Stored pictures of the first seed, at home or on another data set."""
    trial = examples.first_trial(it.home.results, one.own)
    if trial is None:
        return None
    variant = one.variant
    parts = {"trial": trial.key, "steps": variant.steps, "sampler": variant.sampler, "eta": variant.eta or 0.0,
             "ensemble": variant.ensemble, "sigma": it.home.clean, "tested_on": there}  # fmt: skip
    condition = it.home.results.conditions.get(tested(parts))
    return trial.samples(condition) if condition else None


def _typical(curve: Curve, names: list[str]) -> str:
    """Of the stored cases the one with the middle DSC, so that no case is picked by eye."""
    scores = dict(zip(curve.cases.tolist(), curve.by_case("dsc")[0].tolist()))
    return sorted(names, key=lambda case: (scores.get(case, -1.0), case))[len(names) // 2]


def _notes(it: Shifts) -> list[str]:
    return [
        "Weights are those trained on the first data set and selected on its validation part. Images of the second are "
        "brought to the size that the method was trained at; classes, channels and spatial axes are the same, and no "
        f"{it.home.unit()} of the test is in the training.",
        f"The interval of a drop adds the variances of the two means over {it.home.units()}, as Welch's t does, "
        f"and with {MIN_SEEDS} trainings or more that of their drops.",
    ]
