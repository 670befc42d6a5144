"""The report of suite=image_size: figure 6b of the LDSeg paper, seconds and memory of one image against its size."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.store.results import Results
from reports.numbers import rounds
from reports.numbers.curves import labels
from reports.numbers.rounds import slope
from reports.numbers.statistics import Estimate
from reports.paper import style, words
from reports.paper.document import Block, Bullets, Document, Figure, Heading, Paragraph, Table
from reports.sections import calls, common, published, scaling_figure
from reports.sections.calls import Calls

SHOWS = "timing"
"""The kind of suite that this report can show."""


@dataclass(frozen=True)
class Scaling:
    """How one method's time grows on one data set: seconds = exp(intercept) * side ** exponent, fitted to the medians
    at all sizes by least squares of the logarithms; last: the exponent between the two largest sizes alone; memory: the
    exponent of peak memory."""

    timed: list[Calls]
    exponent: Estimate
    intercept: float
    last: Estimate
    memory: float

    @property
    def name(self) -> str:
        """The method and its sampling steps."""
        variant = self.timed[0].variant
        return f"{variant.title}, {variant.steps} steps" if variant.steps else variant.title


def build(results: Results, folder: Path) -> Document:
    """The document; its figure is drawn into `folder`/figures."""
    style.theme()
    found = calls.of(results)
    fits = scalings(found)
    document = Document(results.suite.get("title") or results.suite["name"])
    document.add(Paragraph(str(results.suite["question"])), Heading("Summary"), *_summary(found, fits))
    document.add(*_figure(found, fits, folder), *([_exponents(fits)] if fits else []))
    caption = (
        "Time and memory of one image. Repeated calls: median (IQR: interquartile range). Per evaluation: the median "
        "divided by NFE. Peak memory: beyond the weights. "
    )
    document.add(Heading("Every size"), calls.table("image_size", caption + calls.place(results), found))
    note = (
        "Exponents: straight line through the logarithms of side and median time, all sizes weighing the same. Times "
        "that follow no power law, such as a constant part plus one that grows with the pixels, show a larger exponent "
        "between the two largest sizes than over all."
    )
    document.add(*calls.notes(results, note), *common.commands(results))
    return document


def scalings(found: list[Calls]) -> list[Scaling]:
    """A power law for every method timed at two sizes or more."""
    fits = []
    timed = [one for one in found if len(one.repeated)]
    for group in dict.fromkeys((one.dataset, one.variant) for one in timed):
        ordered = sorted((one for one in timed if (one.dataset, one.variant) == group), key=lambda one: one.side)
        if len({one.side for one in ordered}) < 2:
            continue
        sides = np.log([one.side for one in ordered])
        exponent = calls.estimate(lambda medians, x=sides: slope(x, np.log(medians)), ordered)
        last = calls.estimate(lambda medians, x=sides[-2:]: slope(x, np.log(medians)), ordered[-2:])
        # Of the same rounds as the exponent, so that the line lies where it was fitted.
        height = calls.estimate(lambda medians: np.log(medians).mean(-1), ordered).value
        memory = np.log([one.memory for one in ordered])
        fits.append(
            Scaling(ordered, exponent, height - exponent.value * float(sides.mean()), last,
                    float(slope(sides, memory)))
        )  # fmt: skip
    return fits


def _summary(found: list[Calls], fits: list[Scaling]) -> list[Block]:
    blocks: list[Block] = []
    # The suite's first method is its subject, as far as the publication speaks of it.
    subject = next((fit for fit in fits if published.speaks_of("image_size", fit.timed[0].variant.method)), None)
    if subject is not None:
        blocks.append(Paragraph(_claim(subject)))
    items = [_sentence(fit) for fit in fits]
    alone = [one for one in found if len(one.repeated) and all(one not in fit.timed for fit in fits)]
    items += [
        f"**{one.variant.title}** on {one.dataset} was timed at {one.size} alone ({words.duration(one.median)}), which "
        "says nothing about how its time grows."
        for one in alone
    ]
    return [*blocks, Bullets(tuple(items + calls.failures(found)))]


def _claim(fit: Scaling) -> str:
    """The publication's statement, and what our exponent says of it."""
    small, large = fit.timed[0], fit.timed[-1]
    judged = f"{_verdict(fit)}: it goes" if fit.exponent.has_interval else "goes"
    return (
        f"{published.statement('image_size')}. Here, from {small.size} to {large.size} with {small.variant.steps} "
        f"sampling steps, the time of {small.variant.title} {judged} with the side to the power of "
        f"{words.with_interval(fit.exponent, 2)}, and of {words.with_interval(fit.last, 2)} between the two largest "
        "sizes."
        + ("" if fit.exponent.has_interval else " From so few rounds no interval can be given, and nothing is claimed.")
    )


def _verdict(fit: Scaling) -> str:
    """Of an exponent with an interval."""
    return rounds.growth(fit.exponent.low, fit.exponent.high, fit.timed[0].dimensions)


def _sentence(fit: Scaling) -> str:
    small, large = fit.timed[0], fit.timed[-1]
    more = (large.side / small.side) ** small.dimensions
    memory = f" and {words.memory(small.memory)} {words.memory(large.memory)}" if np.isfinite(small.memory) else ""
    judged = f"so it {_verdict(fit)}" if fit.exponent.has_interval else "from too few rounds to claim anything"
    return (
        f"**{fit.name}** on {small.dataset}: time ∝ side^{words.with_interval(fit.exponent, 2)}, {judged}. "
        f"From {small.size} to {large.size}, {more:.3g} times the "
        f"{'pixels' if small.dimensions == 2 else 'voxels'}, {words.duration(small.median)} become "
        f"{words.duration(large.median)} ({large.median / small.median:.3g} times){memory}."
    )


def _exponents(fits: list[Scaling]) -> Table:
    rows, data = [], []
    for fit in fits:
        small, large = fit.timed[0], fit.timed[-1]
        rows.append(
            [small.dataset, fit.name, f"{small.size} to {large.size}", len(fit.timed),
             words.with_interval(fit.exponent, 2), words.with_interval(fit.last, 2), words.number(fit.memory, 2)]
        )  # fmt: skip
        data.append(
            {"dataset": small.dataset, "method": small.variant.method, "steps": small.variant.steps,
             "smallest": small.size, "largest": large.size,
             "sizes": len(fit.timed), "exponent": fit.exponent.value, "low": fit.exponent.low,
             "high": fit.exponent.high, "rounds": fit.exponent.groups, "exponent_last": fit.last.value,
             "last_low": fit.last.low, "last_high": fit.last.high, "memory_exponent": fit.memory,
             "verdict": _verdict(fit) if fit.exponent.has_interval else ""}
        )  # fmt: skip
    columns = ["data set", "method", "image sizes", "number of sizes", "exponent of time [95 % interval]",
               "between the two largest [95 % interval]", "exponent of memory"]  # fmt: skip
    dimensions = fits[0].timed[0].dimensions
    caption = (
        f"Growth with the side of the image: 0 is constant, {dimensions} is in proportion to the number of "
        f"{'pixels' if dimensions == 2 else 'voxels'}. Methods that became too slow were fitted to fewer sizes."
    )
    return Table("scaling", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def _figure(found: list[Calls], fits: list[Scaling], folder: Path) -> list[Block]:
    shown = [one for one in found if len(one.repeated)]
    if not shown:
        return []
    variants = list(dict.fromkeys(one.variant for one in shown))
    methods = [variant.method for variant in variants]
    names = {v: v.title if methods.count(v.method) == 1 else name for v, name in labels(variants).items()}
    lines = {(fit.timed[0].dataset, fit.timed[0].variant): (fit.exponent.value, fit.intercept) for fit in fits}
    style.save(scaling_figure.by_size(shown, names, lines), folder, "cost_by_size")
    caption = (
        "Time (median; bar: quartiles; line: fitted power law) and peak memory of one image against its side, all axes "
        "logarithmic. Dotted in grey: as steep as in proportion to the number of pixels."
    )
    alt = f"Time and peak memory of {words.listing(list(names.values()))} for images of growing size."
    return [Figure("cost_by_size", caption, alt, pd.DataFrame([calls.numbers(one) for one in shown]))]
