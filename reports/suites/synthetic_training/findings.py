"""The report on synthetic training images in words."""

from itertools import product

from benchmarks.store.results import Results
from reports.numbers import curves as selection
from reports.numbers import statistics
from reports.numbers.study import Study
from reports.paper import words
from reports.paper.document import Block, Bullets, Heading, Paragraph
from reports.sections import score_tables, significance
from reports.sections.trials import absences
from reports.suites.synthetic_training import probe, tables

SYNTHETIC = "synthetic-"
"""What the names of arms with synthetic images alone begin with (benchmarks.plan.arms)."""


def summary(it: Study, dataset: str) -> list[Block]:
    """What a reader would quote of a data set."""
    found = [curve for curve in it.curves[dataset] if curve.at(it.clean) is not None]
    problems = [f"**{a.title}** has no result here ({words.sentence(a.words)})" for a in absences(it.results, dataset)]
    if not found:
        return [Heading(dataset, 3), Bullets(tuple(problems or ["Nothing was measured."]))]
    seeds = words.plural(max(curve.trainings(it.clean) for curve in found), "training seed")
    segmenter = it.results.suite.get("segmenter")
    lead = f"**{dataset}** ({score_tables.counted(it, found)}, {seeds}; segmenter {segmenter})."
    if (real := tables.real_of(it, dataset)) is not None:
        lead += f" Trained on real images it reaches a DSC of {words.with_interval(real.mean(it.clean))}."
    items = [*_shares(it, dataset), *_against_controls(it, dataset), *significance.sentences(it, dataset)]
    items += [*_probed(it, dataset), *problems]
    return [Heading(dataset, 3), Paragraph(lead), Bullets(tuple(items))]


def _shares(it: Study, dataset: str) -> list[str]:
    """What share of real training images' DSC every other arm reaches."""
    real = tables.real_of(it, dataset)
    if real is None:
        return []
    return [
        f"**{it.names[curve.variant]}** reaches {words.with_interval(curve.mean(it.clean))}, a share of "
        f"{words.with_interval(tables.share(it, curve, real), 2)} of what real training images reach."
        for curve in it.curves[dataset]
        if curve is not real and curve.at(it.clean) is not None
    ]


def _against_controls(it: Study, dataset: str) -> list[str]:
    """What the images of each method that is no control taught beyond those of the controls, on the same cases."""
    arms = [curve for curve in it.curves[dataset] if curve.variant.method.startswith(SYNTHETIC)]
    controls = {f"{SYNTHETIC}{name}" for name in it.results.suite.get("controls") or ()}
    said = []
    for own, other in product(arms, arms):
        if own.variant.method in controls or other.variant.method not in controls:
            continue
        pair = selection.paired_values(own, other, it.clean)
        if pair is not None:
            apart = words.with_interval(statistics.paired_difference(*pair), write=words.signed)
            names = " minus ".join(f"**{it.names[curve.variant]}**" for curve in (own, other))
            said.append(f"{names}, a control without diffusion: {apart} DSC; the table of all pairs has the verdict.")
    return said


def _probed(it: Study, dataset: str) -> list[str]:
    said = []
    for maker, title in probe.makers(it, dataset).items():
        made, real, apart = probe.compared(it, dataset, maker)
        said.append(
            f"The segmenter of real images scores {words.with_interval(made)} on images by {title} and "
            f"{words.with_interval(real)} on the real images of the same maps: "
            f"{words.with_interval(apart, write=words.signed)}."
        )
    return said


def notes(results: Results) -> list[str]:
    """How things were measured, before what is said of every suite."""
    copies = results.suite.get("copies")
    return [
        "Makers learn from training patients alone. Training images are made of warped maps of training cases, "
        f"{words.plural(copies, 'image')} of each: rotation up to 5\u00b0, shift along the first axis up to 5 %, "
        "scale 0.8 to 1.05, shear up to 5\u00b0, bent by control points that move by up to "
        f"{results.suite.get('bend'):g} of the side (`suite.bend`); structures stay within the field of view.",
        "Arms have the same segmenter, settings, augmentation, optimiser steps and initial weights; weights are "
        "selected on real validation images. Maker and segmenter are trained anew for each seed, so what is said of "
        "methods holds the variance of both.",
        "In all arms real images are scaled each by its own extremes, as synthetic ones are: arms do not differ by "
        "gain and offset. A segmenter of suite=accuracy, which takes images as they are, is another one.",
        "Shuffled maps: the same synthetic images, each with the map of another. What a segmenter still learns from "
        "them is where structures lie on average.",
    ]
