"""The index of suite=all: what every suite came to, in a few sentences and one picture, with links to its report."""

import shutil
from pathlib import Path

import pandas as pd

from benchmarks.store.results import Results
from reports.paper import outline, words
from reports.paper.document import Animation, Block, Bullets, Document, Figure, Heading, Links, Paragraph, Table
from reports.sections import claims, common

SHOWS = "all"
"""The kind of suite that this report can show."""

COUNTED = ("ok", "declined", "failed")


def build(results: Results, folder: Path) -> Document:
    """The document; the first picture of every report is copied into `folder`/figures."""
    parts = results.suite["parts"]
    outlines = {part["name"]: outline.read(Path(part["folder"])) for part in parts}
    document = Document(results.suite.get("title") or results.suite["name"])
    document.add(Paragraph(str(results.suite["question"])), Heading("Summary"), Bullets(tuple(_summary(parts))))
    claimed = claims.table({part["name"]: [Path(part["folder"])] for part in parts if not part["reason"]})
    document.add(_table(parts), *([Heading("The paper's claims"), claimed] if claimed else []))
    for part in parts:
        document.add(*_part(part, outlines[part["name"]], folder))
    document.add(*common.commands(results))
    return document


def _summary(parts: list[dict]) -> list[str]:
    ended = [part for part in parts if part["code"] == 0]
    sentences = [f"{len(ended)} of {words.plural(len(parts), 'suite')} ended well."]
    for part in parts:
        if part["code"]:
            reason = part["reason"] or f"{words.plural(part['failed'], 'trial')} failed; its report names them"
            what = "could not begin" if part["code"] == 2 else "failed"
            sentences.append(f"**{part['title']}** (`{part['name']}`) {what}: {words.sentence(words.one_line(reason))}")
    return sentences


def _status(part: dict) -> str:
    return {0: "ok", 1: "failed", 2: "could not begin"}[part["code"]]


def _table(parts: list[dict]) -> Table:
    rows = [
        [f"`{part['name']}`", part["title"], _status(part), *(part[name] for name in COUNTED),
         words.duration(part["seconds"])]
        for part in parts
    ]  # fmt: skip
    data = [
        {"suite": part["name"], "status": _status(part)}
        | {name: part[name] for name in COUNTED}
        | {"seconds": part["seconds"], "reason": part["reason"] or ""}
        for part in parts
    ]
    caption = (
        "Suites in the order in which they ran. Ok, declined, failed: trials (of suites that time networks: network, "
        "image size and steps; of the overview: data sets). Time: of the call that wrote this report, which repeats "
        "nothing that the store held."
    )
    columns = ["suite", "title", "status", *COUNTED, "time"]
    return Table("suites", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def _part(part: dict, found: dict | None, folder: Path) -> list[Block]:
    blocks: list[Block] = [Heading(part["title"]), Paragraph(str(part["question"]))]
    if part["reason"]:
        blocks.append(Paragraph(f"**{_status(part).capitalize()}**: {words.sentence(words.one_line(part['reason']))}"))
    if part["left_out"]:
        named = words.listing([f"`{word}`" for word in part["left_out"]])
        blocks.append(Paragraph(f"Of the command, {named} was left out: this suite does not take it from suite=all."))
    if found is None:
        return [*blocks, Paragraph("There is no report of it.")]
    # What stands there after a suite broke off is of an earlier run.
    if part["reason"]:
        blocks.append(Paragraph("What follows is the report of an earlier run."))
    blocks += [Bullets(tuple(found["headline"]))] if found["headline"] else []
    blocks += _picture(part, found["picture"], folder) if found["picture"] else []
    place = f"../{Path(part['folder']).name}"
    return [*blocks, Links((("Report as a page", f"{place}/report.html"), ("Report as text", f"{place}/report.md"),
                            ("Records", f"{place}/records.csv")))]  # fmt: skip


def _picture(part: dict, picture: dict, folder: Path) -> list[Block]:
    name = f"{part['name']}_{picture['name']}"
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for ending in picture["endings"]:
        source = Path(part["folder"]) / "figures" / f"{picture['name']}.{ending}"
        if not source.exists():
            return []
        shutil.copyfile(source, folder / "figures" / f"{name}.{ending}")
    if picture["endings"] == ["gif"]:
        return [Animation(name, picture["caption"], picture["alt"])]
    numbers = Path(part["folder"]) / "figures" / f"{picture['name']}.csv"
    data = pd.read_csv(numbers) if numbers.exists() else None
    return [Figure(name, picture["caption"], picture["alt"], data)]
