"""Test cases to leaf through: the stored pictures of every method, by sigma or by sampling steps."""

import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from benchmarks.store.results import Results
from benchmarks.store.trial import TrialView
from reports.numbers import curves as selection
from reports.numbers.curves import Curve, Variant
from reports.numbers.study import Study, study
from reports.paper import overlays
from reports.paper.document import Browser, Case, Cell, Document, Heading
from reports.sections import case_table
from reports.sections.examples import case_dsc, condition_of, first_trials

INPUT_QUALITY = 85
"""Of JPEG with all of its colours, which keeps coloured noise, other than WebP, at half of a PNG's size."""

MOST_INPUTS = 240
"""Pictures of what methods were given, over all cases of volumes, positions and slices: of more, fewer slices are
shown, or the page would be too large to be sent round."""

Position = float | int | None
"""A sigma, a number of sampling steps, or nothing."""


class Stored(NamedTuple):
    """What is stored of a case, an entry each slice: image uint8 (C, h, w), label and prediction uint8 (h, w), where
    the slice lies, from 0, of how many (0 of 0 for an image), and which entry is shown first."""

    name: str
    images: list[np.ndarray]
    labels: list[np.ndarray]
    predictions: list[np.ndarray]
    at: tuple[int, ...]
    of: int
    first: int


def add(document: Document, results: Results) -> None:
    """Add a section with the stored test cases; nothing where the store holds none."""
    if not results.conditions:
        return
    found = build(results, study(results))
    if found is not None:
        place = _place(document)
        document.blocks[place:place] = [Heading("Test cases"), found]


def _place(document: Document) -> int:
    """Behind the examples, else before the commands, else at the end."""
    headings = {block.text: k for k, block in enumerate(document.blocks) if isinstance(block, Heading)}
    after = [k for k in headings.values() if k > headings.get("Examples", len(document.blocks))]
    return min(after, default=headings.get("Commands", len(document.blocks)))


def build(results: Results, it: Study) -> Browser | None:
    """All stored test cases of all data sets; None where the store holds none.

    The slider goes over the sigmas where several were tested, else over the steps of generative methods where several
    were, and then methods without steps look the same at every position.
    """
    axis, positions = _axis(it)
    cases = [case for dataset in it.datasets for case in _cases(results, it, dataset, axis, positions)]
    if not cases:
        return None
    tables = [table for dataset in it.datasets if (table := case_table.table(it, dataset, cases)) is not None]
    shown = tuple("" if value is None else f"{value:g}" for value in positions)
    return Browser(axis, shown, tuple(cases), tuple(tables))


def _axis(it: Study) -> tuple[str, list[Position]]:
    curves = [curve for found in it.curves.values() for curve in found]
    sigmas = sorted({float(sigma) for curve in curves for sigma in curve.sigmas})
    if len(sigmas) > 1:
        return "\u03c3", sigmas
    steps = {curve.variant.steps for curve in curves if curve.variant.steps}
    by_method = {(curve.dataset, curve.variant.method, curve.variant.steps) for curve in curves}
    if len(by_method) > len({found[:2] for found in by_method}):
        return "steps", sorted(steps)
    return "", [None]


def _cases(results: Results, it: Study, dataset: str, axis: str, positions: list[Position]) -> list[Case]:
    """Every stored case of one data set."""
    found: dict[str, dict] = {}
    inputs: dict[str, list[tuple[bytes, ...] | None]] = {}
    labels: dict[str, Stored] = {}
    rows = _rows(it, it.curves[dataset], axis)
    for name, curves in rows.items():
        for place, position in enumerate(positions):
            picked = _picked(curves, axis, position)
            stored = (
                (_stored(results, trial, *picked, len(positions)) for trial in first_trials(results, picked[0]))
                if picked
                else ()
            )
            for one, dsc in chain.from_iterable(stored):
                row = found.setdefault(one.name, {other: [None] * len(positions) for other in rows})
                row[name][place] = Cell(tuple(map(_png, one.labels, one.predictions)), dsc)
                shown = inputs.setdefault(one.name, [None] * len(positions))
                shown[place] = shown[place] or tuple(map(_jpeg, one.images))
                labels.setdefault(one.name, one)
    classes = it.curves[dataset][0].classes if found else ()
    return [
        Case(
            dataset, name, classes, tuple(inputs[name]), tuple(map(_png, one.labels, one.labels)),
            {method: tuple(row) for method, row in found[name].items()},
            tuple(f"slice {at + 1} of {one.of}" if one.of else "" for at in one.at), one.first,
        )
        for name, one in labels.items()
    ]  # fmt: skip


def _rows(it: Study, curves: list[Curve], axis: str) -> dict[str, list[Curve]]:
    """The curves behind each row of pictures: one, or one for every number of steps where the slider varies those."""
    if axis != "steps":
        return {it.names[curve.variant]: [curve] for curve in curves}
    names = selection.labels(list(dict.fromkeys(_without_steps(curve.variant) for curve in curves)))
    rows: dict[str, list[Curve]] = {name: [] for name in names.values()}
    for curve in curves:
        rows[names[_without_steps(curve.variant)]].append(curve)
    return rows


def _without_steps(variant: Variant) -> Variant:
    return replace(variant, steps=0)


def _picked(curves: list[Curve], axis: str, position: Position) -> tuple[Curve, float] | None:
    """The curve and the sigma that belong to a position; None where that was not tested."""
    if axis == "steps":
        fitting = [curve for curve in curves if curve.variant.steps in (0, position)]
    else:
        fitting = [curve for curve in curves if position is None or curve.at(position) is not None]
    if not fitting:
        return None
    return fitting[0], position if axis == "\u03c3" else float(fitting[0].sigmas[0])


def _stored(
    results: Results, trial: TrialView, curve: Curve, sigma: float, positions: int
) -> Iterator[tuple[Stored, str]]:
    """Every stored case with its DSC."""
    condition = condition_of(results, trial, curve.variant, sigma)
    samples = trial.samples(condition) if condition else None
    if condition is None or samples is None:
        return
    slices = trial.slices(condition)
    most = max(1, MOST_INPUTS // (positions * max(1, len(slices))))
    for k, case in enumerate(samples["ids"].astype(str)):
        image, label, prediction = (samples[part][k] for part in ("image", "label", "prediction"))
        one = Stored(case, [image], [label], [prediction], (0,), 0, 0)
        through = slices[k]
        if through is not None:
            # That with most of the label is among those stored, and stays.
            largest = int((through.label > 0).sum(axis=(1, 2)).argmax())
            kept = _spread(len(through.at), largest, most)
            one = Stored(
                case, *([part[n] for n in kept] for part in through[:3]), tuple(int(through.at[n]) for n in kept),
                through.of, kept.index(largest),
            )  # fmt: skip
        yield one, case_dsc(curve, sigma, case)


def _spread(count: int, always: int, most: int) -> list[int]:
    """Of so many places at most `most`, evenly spread, `always` among them."""
    if count <= most:
        return list(range(count))
    found = np.linspace(0, count - 1, most).astype(int)
    found[np.abs(found - always).argmin()] = always
    return found.tolist()


def _png(label: np.ndarray, prediction: np.ndarray) -> bytes:
    """Errors and correct foreground in colour, transparent elsewhere: label and prediction (h, w), class indices."""
    index = np.zeros(label.shape, np.uint8)
    palette, opacity = [(0, 0, 0)], [0]
    for k, (mask, color, alpha) in enumerate(overlays.kinds(label, prediction), start=1):
        index[mask] = k
        palette.append(tuple(round(255 * part) for part in to_rgb(color)))
        opacity.append(round(255 * alpha))
    picture = Image.fromarray(index)
    picture.putpalette([part for color in palette for part in color])
    file = io.BytesIO()
    picture.save(file, "PNG", transparency=bytes(opacity))
    return file.getvalue()


def _jpeg(image: np.ndarray) -> bytes:
    """image: (C, h, w) uint8."""
    file = io.BytesIO()
    pixels = (overlays.rgb(image) * 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=INPUT_QUALITY, subsampling=0)
    return file.getvalue()
