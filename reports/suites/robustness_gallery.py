"""The report of suite=robustness_gallery: each data set's typical case as noise is added to it, as an animation."""

from pathlib import Path

import numpy as np

from benchmarks.store.results import Results
from reports.numbers.curves import Curve, Variant
from reports.numbers.study import Study, study
from reports.paper import animation, overlays, style, words
from reports.paper.animation import Frame
from reports.paper.document import Animation, Block, Bullets, Document, Heading, Paragraph
from reports.sections import common, examples, noise, trials

SHOWS = "trials"
"""The kind of suite that this report can show."""

EXPLAINED = (
    "The heading gives σ, the standard deviation of the noise added to the image, the number in a picture the DSC of "
    "the case, classes pooled. Dark red: missed; light red: added; "
)


def build(results: Results, folder: Path) -> Document:
    """The document; its figures are drawn into `folder`/figures."""
    style.theme()
    it = study(results)
    document = Document(results.suite.get("title") or results.suite["name"])
    document.add(*(Paragraph(text) for text in common.opening(it)))
    for dataset in it.datasets:
        document.add(Heading(dataset), *_of_dataset(it, dataset, folder))
    document.add(Heading("Settings"), trials.dataset_table(results, it.datasets), trials.method_table(results))
    document.add(*trials.training_tables(results), trials.trial_table(results, it.datasets))
    document.add(*common.commands(results), *noise.notes(it))
    return document


def _of_dataset(it: Study, dataset: str, folder: Path) -> list[Block]:
    curves = it.curves[dataset]
    problems = [
        f"**{absence.title}** has no result here ({words.sentence(absence.words)})"
        for absence in trials.absences(it.results, dataset)
    ]
    blocks: list[Block] = [Bullets(tuple(problems))] if problems else []
    if not curves:
        return blocks or [Paragraph("Nothing was measured.")]
    moving = _animation(it.results, curves, it.names, folder)
    if moving is None:
        return [*blocks, Paragraph("The store holds no pictures of this data set.")]
    still = examples.figure(it.results, curves, it.names, folder)
    return [*blocks, Paragraph(_told(it, curves, moving[1])), moving[0], *([still] if still else [])]


def _animation(
    results: Results, curves: list[Curve], names: dict[Variant, str], folder: Path
) -> tuple[Animation, str] | None:
    """The animation of one data set's typical case and the case's id; None where no pictures are stored."""
    sigmas = sorted({float(sigma) for curve in curves for sigma in curve.sigmas})
    stored = examples.stored_samples(results, curves, sigmas)
    if not stored:
        return None
    case = examples.typical_case(curves, stored)
    shown = [curve for curve in curves if any((curve.variant, sigma) in stored for sigma in sigmas)]
    frames = [frame for sigma in sigmas if (frame := _frame(shown, stored, sigma, case)) is not None]
    # The label lies over the image with the least noise in all frames.
    frames = [
        frame._replace(pictures=[frame.pictures[0], frames[0].pictures[1], *frame.pictures[2:]]) for frame in frames
    ]
    classes, dataset = list(curves[0].classes), curves[0].dataset
    titles = [names[curve.variant] for curve in shown]
    handles = overlays.handles_of(classes, outline=False)
    name = f"noise_{dataset}"
    animation.write(frames, ["image with noise", "label", *titles], handles, folder, name)
    correct = "other colours: correct, one per class" if len(classes) > 1 else "green: correct"
    caption = f"{dataset}, test case `{case}`, as noise is added to it, and what the methods make of it. " + EXPLAINED
    caption += ("violet: wrong class; " if len(classes) > 1 else "") + correct + "."
    alt = (
        f"Animation: noise on the image of test case {case} of {dataset} grows from σ = {sigmas[0]:g} to "
        f"{sigmas[-1]:g}, beside the label and the segmentations by {words.listing(titles)} with their DSC."
    )
    return Animation(name, caption, alt), case


def _frame(curves: list[Curve], stored: dict, sigma: float, case: str) -> Frame | None:
    """The case at a sigma; None where no method's picture of it is stored."""
    found = {}
    for curve in curves:
        samples = stored.get((curve.variant, sigma))
        index = np.flatnonzero(samples["ids"].astype(str) == case) if samples else []
        if len(index):
            found[curve.variant] = [samples[part][index[0]] for part in ("image", "label", "prediction")]
    if not found:
        return None
    image, label, _ = next(iter(found.values()))
    pictures, notes = [overlays.rgb(image), overlays.overlay(image, label, label)], ["", ""]
    for curve in curves:
        if curve.variant in found:
            pictures.append(overlays.overlay(*found[curve.variant]))
            notes.append(f"DSC {examples.case_dsc(curve, sigma, case)}")
        else:
            pictures.append(np.full((*label.shape, 3), 0.9))
            notes.append("not stored")
    return Frame(f"σ = {sigma:g}", pictures, notes)


def _told(it: Study, curves: list[Curve], case: str) -> str:
    """What happens to the case that is shown, beside the mean over all cases."""
    parts = []
    for curve in curves:
        first, last = float(curve.sigmas[0]), float(curve.sigmas[-1])
        if case not in curve.cases:
            continue
        ends = [f"{examples.case_dsc(curve, sigma, case)} at σ = {sigma:g}" for sigma in dict.fromkeys((first, last))]
        means = [words.number(curve.mean(sigma).value, 2) for sigma in dict.fromkeys((first, last))]
        over = f"{words.plural(len(curve.cases), 'test case')}"
        parts.append(f"**{it.names[curve.variant]}** has a DSC of {words.listing(ends)} on this case "
                     f"(mean over {over}: {words.listing(means)})")  # fmt: skip
    return f"Shown is `{case}`. {'; '.join(parts)}."
