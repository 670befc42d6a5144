"""The report of suite=uncertainty: figure 10 of the LDSeg paper, and whether the spread of the runs tells the error."""

from pathlib import Path

import numpy as np

from benchmarks.store.kept import Maps
from benchmarks.store.records import tested
from benchmarks.store.results import Results
from reports.numbers.curves import Curve, Variant
from reports.numbers.spread import Spread, spreads
from reports.numbers.study import Study, study
from reports.paper import style, words
from reports.paper.document import Block, Document, Figure, Heading, Paragraph
from reports.paper.style import Look
from reports.sections import common, published, trials
from reports.sections.examples import first_trial
from reports.suites.uncertainty import contests, error_figure, findings, maps_figure, tables


def build(results: Results, folder: Path) -> Document:
    """The document; its figures are drawn into `folder`/figures."""
    style.theme()
    it = study(results)
    looks = style.looks(list(it.names))
    found = {dataset: spreads(it, dataset) for dataset in it.datasets}
    document = Document(results.suite.get("title") or results.suite["name"])
    document.add(*(Paragraph(text) for text in common.opening(it)), *findings.summary(it, found))
    document.add(Heading("Does the spread tell the error?"))
    document.add(*(tables.error_prediction(it, dataset, part) for dataset, part in found.items()))
    document.add(*(tables.calibration(it, dataset, part) for dataset, part in found.items()))
    compared = contests.table(it, found)
    document.add(*([compared] if compared else []))
    measured = {dataset: part for dataset, part in found.items() if part}
    if measured:
        document.add(*_curves(it, measured, looks, folder))
    document.add(Heading("The runs"))
    document.add(*(tables.runs(it, dataset, part) for dataset, part in found.items()))
    by_class = [tables.classes(it, dataset, part) for dataset, part in measured.items()]
    document.add(*filter(None, by_class))
    document.add(*_maps(it, measured, folder))
    document.add(*common.training(it, looks, folder))
    said = f"{published.pictures('uncertainty')}; there are no numbers to set beside ours."
    document.add(Heading("Published values"), Paragraph(said))
    document.add(Heading("Settings"), trials.dataset_table(results, it.datasets), trials.method_table(results))
    document.add(*trials.training_tables(results), trials.trial_table(results, it.datasets))
    document.add(Heading("Environment"), trials.environment_table(results))
    document.add(*common.commands(results), *findings.notes(it))
    return document


def _curves(it: Study, found: dict[str, list[Spread]], looks: dict[Variant, Look], folder: Path) -> list[Block]:
    where = words.listing(list(found))
    drawn = (
        (
            "risk_coverage", error_figure.risks, error_figure.risk_data,
            "Risk by coverage. Left: share of wrong pixels among those kept, from the lowest SD on, mean over "
            f"{it.units()}. "
            "Right: mean 1 − DSC of the images kept, from the lowest mean SD on. A curve that stays low to the left of "
            "its end belongs to an SD that tells the error; a flat one to an SD that does not.",
            f"Lines of risk against coverage, over pixels and over images, on {where}.",
        ),
        (
            "reliability", error_figure.reliability, error_figure.reliability_data,
            "Accuracy against confidence of the mean probabilities, over the pixels of all images and trainings, in 15 "
            "bins; larger markers hold more pixels, and bins with fewer than one pixel in 10,000 are left out. On the "
            "dashed line confidence is what it says; below it, it is too high.",
            f"Lines of accuracy against confidence on {where}.",
        ),
        (
            "sd_by_error", error_figure.images, error_figure.image_data,
            "Mean SD of an image against the error of its segmentation by the mean, a dot per image and training, with "
            "the rank correlation ρ. Every panel has its own scale of the SD.",
            f"Dots of 1 − DSC against mean SD, a panel per method, on {where}.",
        ),
    )  # fmt: skip
    blocks: list[Block] = []
    for name, draw, data, caption, alt in drawn:
        style.save(draw(found, it.names, looks), folder, name)
        blocks.append(Figure(name, caption, alt, data(found)))
    return blocks


def _maps(it: Study, found: dict[str, list[Spread]], folder: Path) -> list[Block]:
    """Figure 10: of every data set one typical case by method, and for every method all cases that are kept."""
    blocks: list[Block] = []
    for dataset, spreads_ in found.items():
        kept = {spread: maps for spread in spreads_ if (maps := _pictures(it.results, spread.curve))}
        if not kept:
            continue
        volumes = len(it.results.trials) and _dimensions(it.results, dataset) == 3
        slices = " Of a volume the slice with the largest foreground is shown." if volumes else ""
        case = _typical(kept)
        rows = [
            (f"{it.names[spread.curve.variant]}\nDSC {_dsc(spread, case)}", maps[case])
            for spread, maps in kept.items()
            if case in maps
        ]
        marked = (
            "The three most uncertain places, the highest maxima of the smoothed SD, are ringed and numbered. Dark "
            "red: missed, light red: added." + slices
        )
        if len(rows) > 1:
            caption = (
                f"{dataset}, test case `{case}`, by method: mean and SD of the runs on one scale, on which "
                f"a method whose runs are almost alike is black. {marked}"
            )
            blocks.append(_figure(f"maps_{dataset}", rows, next(iter(kept)), caption, folder))
        for spread, maps in kept.items():
            name = it.names[spread.curve.variant]
            rows = [(f"{key}\nDSC {_dsc(spread, key)}", part) for key, part in maps.items()]
            caption = f"{dataset}, {name}: mean and SD of {words.plural(spread.runs, 'run')}, the SD on a scale of its "
            caption += f"own. {marked}"
            blocks.append(_figure(f"maps_{dataset}_{_key(spread)}", rows, spread, caption, folder))
    return [Heading("Mean and SD maps"), *blocks] if blocks else []


def _figure(name: str, rows: list[tuple[str, Maps]], spread: Spread, caption: str, folder: Path) -> Figure:
    style.save(maps_figure.draw(rows, list(spread.curve.classes), spread.runs), folder, name)
    titles = words.listing([title.replace("\n", ", ") for title, _ in rows])
    return Figure(name, caption, f"Rows of image, mean map, SD map and errors: {titles}.")


def _pictures(results: Results, curve: Curve) -> dict[str, Maps]:
    """The first seed's maps by case."""
    trial, variant = first_trial(results, curve), curve.variant
    if trial is None:
        return {}
    parts = {"trial": trial.key, "steps": variant.steps, "sampler": variant.sampler, "eta": variant.eta or 0.0,
             "ensemble": variant.ensemble, "sigma": float(curve.sigmas[0])}  # fmt: skip
    stored = results.uncertainty.get(tested(parts))
    return {maps.id: maps for maps in stored.pictures()} if stored else {}


def _dimensions(results: Results, dataset: str) -> int:
    return len(trials.of_dataset(results, dataset)[0].config.dataset.image_size)


def _typical(kept: dict[Spread, dict[str, Maps]]) -> str:
    """Of the kept cases the one with the middle DSC for the first method, so that no case is picked by eye."""
    spread, maps = next(iter(kept.items()))
    scores = dict(zip(spread.curve.cases, spread.of("dsc")[0]))
    return sorted(maps, key=lambda case: (scores.get(case, -1.0), case))[len(maps) // 2]


def _dsc(spread: Spread, case: str) -> str:
    found = np.flatnonzero(spread.curve.cases == case)
    return words.number(float(spread.of("dsc")[0, found[0]]), 2) if len(found) else words.NOTHING


def _key(spread: Spread) -> str:
    variant = spread.curve.variant
    more = f"-{variant.sampler}" + (f"-eta{variant.eta:g}" if variant.eta else "")
    return variant.key + more.replace("+", "") + (f"-{variant.ensemble}" if variant.ensemble > 1 else "")
