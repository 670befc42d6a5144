"""The report of suite=runtime: table IV of the LDSeg paper, seconds for one image with many steps and with few."""

from itertools import groupby
from pathlib import Path

import pandas as pd

from benchmarks.store.results import Results
from reports.numbers.statistics import Estimate
from reports.paper import style, words
from reports.paper.document import Block, Bullets, Document, Figure, Heading, Paragraph, Table
from reports.sections import calls, common, published, scaling_figure
from reports.sections.calls import Calls

SHOWS = "timing"
"""The kind of suite that this report can show."""

Pair = tuple[Calls, Calls]
"""The same method with its most and with its fewest steps."""


def build(results: Results, folder: Path) -> Document:
    """The document; its figure is drawn into `folder`/figures."""
    style.theme()
    found = calls.of(results)
    pairs = _pairs(found)
    document = Document(results.suite.get("title") or results.suite["name"])
    document.add(Paragraph(str(results.suite["question"])), Heading("Summary"))
    sentences = [_sentence(*pair) for pair in pairs] + _single(found, pairs) + calls.failures(found)
    document.add(Bullets(tuple(sentences)), Heading("Seconds for one image"))
    caption = "Median of the repeated calls (IQR: interquartile range). Per evaluation: the median divided by NFE. "
    document.add(calls.table("runtime", caption + calls.place(results), found))
    document.add(*([_speed_up(pairs)] if pairs else []), *_figure(found, folder))
    document.add(*_published(results, found), *calls.notes(results), *common.commands(results))
    return document


def _pairs(found: list[Calls]) -> list[Pair]:
    """Most and fewest steps of every method that samples, on every data set and size."""
    timed, pairs = [one for one in found if one.variant.steps and len(one.repeated)], []
    for _, same in groupby(timed, key=lambda one: (one.dataset, one.size, one.variant.method)):
        ordered = sorted(same, key=lambda one: one.variant.steps)
        if len(ordered) > 1:
            pairs.append((ordered[-1], ordered[0]))
    return pairs


def _ratio(many: Calls, few: Calls) -> Estimate:
    return calls.estimate(lambda medians: medians[..., 0] / medians[..., 1], [many, few])


def _parts(many: Calls, few: Calls) -> tuple[float, float]:
    """Seconds of one evaluation and of everything that is done once, by the line through both."""
    each = (many.median - few.median) / (many.nfe - few.nfe)
    return each, few.median - each * few.nfe


def _sentence(many: Calls, few: Calls) -> str:
    ratio = _ratio(many, few)
    each, once = _parts(many, few)
    known = calls.estimate(lambda m: m[..., 1] - (m[..., 0] - m[..., 1]) / (many.nfe - few.nfe) * few.nfe, [many, few])
    text = (
        f"**{few.dataset}** ({few.size}): {few.variant.title} takes {words.duration(many.median)} with "
        f"{many.variant.steps} steps and {words.duration(few.median)} with {few.variant.steps}, "
        f"a ratio of {words.with_interval(ratio, 1)}. "
    )
    if known.has_interval and known.low <= 0 <= known.high:
        text += f"An evaluation takes {words.duration(each)}; whether anything is done once cannot be told."
    elif once > 0:
        share = 100 * once / few.median
        text += (
            f"An evaluation takes {words.duration(each)}, and what is done once for an image, such as encoding and "
            f"decoding, {words.duration(once)}: {share:.0f} % of the time with {few.variant.steps} steps."
        )
    return text.strip()


def _single(found: list[Calls], pairs: list[Pair]) -> list[str]:
    """Contestants without another number of steps to be compared with."""
    paired = {id(one) for pair in pairs for one in pair}
    return [
        f"**{one.dataset}** ({one.size}): {one.variant.title} takes {words.duration(one.median)}"
        + (f" with {one.variant.steps} steps." if one.variant.steps else ".")
        for one in found
        if len(one.repeated) and id(one) not in paired
    ]


def _speed_up(pairs: list[Pair]) -> Table:
    """What fewer steps save, a row per pair."""
    rows, data = [], []
    for many, few in pairs:
        ratio, (each, once) = _ratio(many, few), _parts(many, few)
        rows.append(
            [few.dataset, few.variant.title, f"{many.variant.steps} and {few.variant.steps}",
             f"{many.nfe / few.nfe:g}", words.with_interval(ratio, 1), words.duration(each), words.duration(once)]
        )  # fmt: skip
        data.append(
            {"dataset": few.dataset, "method": few.variant.method, "image_size": few.size,
             "most_steps": many.variant.steps, "fewest_steps": few.variant.steps, "nfe_ratio": many.nfe / few.nfe,
             "ratio": ratio.value, "low": ratio.low, "high": ratio.high, "seconds_per_evaluation": each,
             "seconds_once": once}
        )  # fmt: skip
    columns = ["data set", "method", "steps", "evaluations saved, times", "time saved, times [95 % interval]",
               "one evaluation", "done once"]  # fmt: skip
    caption = (
        "What fewer steps save: ratio of the medians over the rounds in which both were called. One evaluation, and "
        "what is done once for an image whatever the steps, by the straight line through both medians."
    )
    return Table("speed_up", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def _figure(found: list[Calls], folder: Path) -> list[Block]:
    shown = [one for one in found if len(one.repeated)]
    if not shown:
        return []
    beside = {
        (one.dataset, one.variant.method): place["seconds"]
        for one in shown
        if (place := published.runtime(one.dataset, one.variant.method))
    }
    style.save(scaling_figure.by_steps(shown, beside), folder, "seconds_by_steps")
    caption = (
        "Seconds for one image against sampling steps, both axes logarithmic: median of the repeated calls, every call "
        "as a small dot, the first call as a hollow marker."
    )
    if beside:
        titles = {one.variant.method: one.variant.title for one in shown}
        whose = words.listing(list(dict.fromkeys(titles[method] for _, method in beside)))
        caption += f" Stars: published times of {whose}, on another machine and at the publication's image size."
    datasets = list(dict.fromkeys(one.dataset for one in shown))
    alt = f"Seconds for one image by number of sampling steps on {words.listing(datasets)}."
    data = [calls.numbers(one) | {"source": "ours"} for one in shown]
    data += [
        {"dataset": dataset, "method": method, "steps": steps, "seconds_median": seconds, "source": "published"}
        for (dataset, method), place in beside.items()
        for steps, seconds in place.items()
    ]
    return [Figure("seconds_by_steps", caption, alt, pd.DataFrame(data))]


def _published(results: Results, found: list[Calls]) -> list[Block]:
    rows, data, named = [], [], {}
    for one in found:
        place = published.runtime(one.dataset, one.variant.method)
        if place is None or one.variant.steps not in place["seconds"]:
            continue
        theirs = place["seconds"][one.variant.steps]
        named[one.dataset] = place
        median = calls.estimate(lambda medians: medians[..., 0], [one]) if len(one.repeated) else None
        rows.append(
            [one.dataset, place["name"], place["size"], one.size, one.variant.steps, f"{theirs:g} s",
             words.duration(one.median), words.signed(one.median - theirs, 2) + " s" if median else words.NOTHING,
             _bounds(median)]
        )  # fmt: skip
        data.append(
            {"dataset": one.dataset, "published_data": place["name"], "steps": one.variant.steps, "published": theirs,
             "ours": one.median, "difference": one.median - theirs, "low": median and median.low,
             "high": median and median.high}
        )  # fmt: skip
    if not rows:
        return []
    first = next(iter(named.values()))
    columns = ["data set", "beside", "published size", "our size", "steps", "published", "ours", "difference",
               "95 % interval of ours"]  # fmt: skip
    caption = (
        f"Published seconds for one image beside ours, context only: theirs are of {first['hardware']} and of the "
        f"publication's networks and image sizes, so the difference is no measure of reproduction. Source: "
        f"{first['citation']}, {first['place']}."
    )
    few, many = min(first["seconds"]), max(first["seconds"])
    said = Paragraph(
        f"The ratio depends less on the machine: the publication says that {few} steps in place of {many} take "
        f"{first['reduction']:g} times less."
    )
    return [
        Heading("Published values"),
        Table("published", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data)),
        said,
    ]


def _bounds(estimate: Estimate | None) -> str:
    if estimate is None or not estimate.has_interval:
        return words.NOTHING
    return f"[{words.duration(estimate.low)}, {words.duration(estimate.high)}]"
