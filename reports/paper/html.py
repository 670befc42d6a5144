"""A document as one page that needs no network: tables that sort and filter, figures that enlarge and say their values,
cases to leaf through, numbers to take along."""

import base64
import hashlib
import io
import json
import re
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape
from PIL import (
    Image,
    WebPImagePlugin,  # noqa: F401  (named, it is there at once; else Pillow loads fifty formats to find it)
)

from reports.paper import filters, latex, overlays, sort_keys
from reports.paper.document import (
    Animation,
    Block,
    Browser,
    Case,
    Cell,
    Document,
    Figure,
    Heading,
    Table,
    csv,
    numeric,
    spans,
    text_of,
)

PAGE = Path(__file__).with_name("page")
TIED = re.compile(r" (?=[<>=\u2265] [-+\u2212\d])|(?<=[<>=\u2265]) (?=[-+\u2212\d])|(?<=\d) (?=%)")
"""Spaces at which no line may end."""
CSS_INCH = 96
"""Pixels of a page's inch."""
QUALITY = 80
"""Of pictures of cases, as WebP."""
EFFORT = 60
"""Of 100, for the size of pictures that lose nothing."""
MANY_INTERVALS = 3
"""Columns of values with intervals from which on an interval stands below its value, or the table would be too wide."""
INTERVAL = re.compile(r"^([^\[]*\d[^\[]*?) (\[[^\]]+\])(.*)$")
WORDS = re.compile(r"^([-+\u2212\d.]+) ([^\d]+)()$")


@dataclass
class Section:
    """What stands under a heading. blocks: (kind, block, number of the table or figure or 0, anchor)."""

    heading: Heading | None
    anchor: str
    blocks: list[tuple[str, Block, int, str]]


@dataclass(frozen=True)
class Picture:
    """An image within the page: where it comes from, its size in CSS pixels, of a moving one its first picture."""

    source: str
    width: int
    height: int
    still: str = ""


def render(document: Document, folder: Path) -> str:
    """The page of a document whose figures are drawn in `folder`. Tables and figures are numbered as in markdown."""
    script, style = (PAGE / "report.js").read_text(encoding="utf-8"), (PAGE / "report.css").read_text(encoding="utf-8")
    text = _template().render(
        title=document.title,
        sections=_sections(document),
        picture=lambda block: _picture(block, folder),
        grid=lambda table: grid(table, document),
        content=lambda browser: content(browser, document),
        values=lambda block: _values(block, folder),
        methods=document.methods if len(document.methods) > 1 else (),
        classes=document.classes if len(document.classes) > 1 else (),
        style=Markup(style),
        script=Markup(script),
        # The page itself says that no script but this one may run and that nothing may be fetched.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    return text.lstrip()


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {f.__name__: f for f in (inline, plain, by_dataset, table_file, figure_file, tex_file)}
    return environment.get_template("report.html.jinja")


def _sections(document: Document) -> list[Section]:
    """Blocks under their headings; what comes before the first heading stands in a section without one."""
    sections, used = [Section(None, "top", [])], {"top", "main", "contents"}
    tables = figures = 0
    for block in document.blocks:
        if isinstance(block, Heading):
            sections.append(Section(block, _anchor(block.text, used), []))
            continue
        number = 0
        if isinstance(block, Table):
            number = tables = tables + 1
        elif isinstance(block, Figure | Animation):
            number = figures = figures + 1
        kind = type(block).__name__
        name = f"{kind}-{block.name}" if number else kind
        sections[-1].blocks.append((kind, block, number, _anchor(name, used)))
    return [section for section in sections if section.heading or section.blocks]


def _anchor(text: str, used: set[str]) -> str:
    """A name for links that no other place of the page has; it is added to `used`."""
    base = re.sub(r"\W+", "-", plain(text).lower()).strip("-") or "section"
    anchor, further = base, 1
    while anchor in used:
        further += 1
        anchor = f"{base}-{further}"
    used.add(anchor)
    return anchor


def inline(text: str) -> Markup:
    """Escape everything but `code` and **strong**; line breaks are kept, and no line ends within "p < 0.001"."""
    write = {"text": "{}", "code": "<code>{}</code>", "strong": "<strong>{}</strong>"}
    parts = (Markup(write[kind]).format(escape(TIED.sub("\u00a0", part))) for kind, part in spans(text))
    return Markup("").join(parts).replace("\n", Markup("<br>"))


def plain(text: str) -> str:
    """Without markup, for attributes."""
    return "".join(part for _, part in spans(text))


@dataclass(frozen=True)
class Grid:
    """A table as the page shows it: heads and rows of cells, each a dictionary of what the template needs."""

    heads: list[dict]
    rows: list[dict]
    stacked: bool


def grid(table: Table, document: Document) -> Grid:
    """heads: text, looks (its classes in the style sheet), what it is filtered by; rows: what they are filtered by, and
    their cells: text, looks, key (what it is sorted by; None: its text), case (index of the one that it opens).
    stacked: whether intervals stand below their values."""
    right, keys = numeric(table.frame), sort_keys.columns(table)
    names = [str(name) for name in table.frame.columns]
    cases = _places(document, table.opens)
    sticky = filters.sticky(names)

    def cell(row: int, k: int, value: object) -> dict:
        key = None if keys[k] is None else "" if keys[k][row] is None else f"{keys[k][row]:.17g}"
        tone = "" if table.tones is None else table.tones.iat[row, k]
        opened = cases.get(text_of(value)) if names[k] == "case" else None
        looks = " ".join(filter(None, ["right" * right[k], "sticky" * (k == sticky), f"tone-{tone}" if tone else ""]))
        text = _apart(text_of(value), INTERVAL if table.tones is None else WORDS)
        return {"text": text, "looks": looks, "key": key, "case": opened}

    rows = table.frame.astype(object).to_numpy()
    ranged = [any(INTERVAL.match(text_of(cell)) for cell in column) for column in rows.T]
    return Grid(
        [
            {"text": inline(name), "looks": " ".join(filter(None, ["right" * right[k], "sticky" * (k == sticky)]))}
            | filters.of_column(name, document)
            for k, name in enumerate(names)
        ],
        [
            {"cells": [cell(n, k, value) for k, value in enumerate(row)]} | filters.of_row(names, row, document)
            for n, row in enumerate(rows)
        ],
        sum(ranged) >= MANY_INTERVALS or table.tones is not None,
    )


def _apart(text: str, behind: re.Pattern) -> Markup:
    """A cell with what stands behind its value apart, so that the page can set it below."""
    match = behind.match(text)
    if match is None:
        return inline(text)
    return inline(match[1]) + Markup(' <span class="interval">{}</span>').format(inline(match[2])) + inline(match[3])


def _places(document: Document, dataset: str) -> dict[str, int]:
    """Index of the cases of a data set in the document's browser, by their names."""
    browsers = [block for block in document.blocks if isinstance(block, Browser)]
    cases = enumerate(browsers[0].cases) if browsers and dataset else ()
    return {case.name: place for place, case in cases if case.dataset == dataset}


def content(browser: Browser, document: Document) -> dict:
    """What the page's script needs of the cases; pictures in base64."""

    def shown(cell: Cell | None) -> list | None:
        return cell and [[_base64(picture) for picture in cell.pictures], cell.dsc]

    return {
        "axis": browser.axis,
        "images": browser.images,
        "positions": browser.positions,
        "cases": [
            {
                "dataset": case.dataset,
                "name": case.name,
                "label": [_base64(picture) for picture in case.label],
                "legend": case.legend or overlays.legend(list(case.classes)),
                "slices": case.slices,
                "first": case.first,
                "inputs": [pictures and [_base64(picture) for picture in pictures] for pictures in case.inputs],
                "rows": [
                    [name, list(map(shown, row)), *filters.methods_in(name, document.methods)[:1]]
                    for name, row in case.cells.items()
                ],
            }
            for case in browser.cases
        ],
    }


def by_dataset(browser: Browser) -> list[tuple[str, list[tuple[int, Case]]]]:
    """Cases with their index, under the name of their data set."""
    grouped = groupby(enumerate(browser.cases), key=lambda item: item[1].dataset)
    return [(dataset, list(cases)) for dataset, cases in grouped]


def table_file(table: Table) -> str:
    """What tables/NAME.csv holds, as a link that needs no file."""
    return _uri("text/csv;charset=utf-8", csv(table).encode())


def tex_file(table: Table) -> str:
    """What tables/NAME.tex holds, likewise."""
    return _uri("text/x-tex;charset=utf-8", latex.render(table).encode())


def figure_file(figure: Figure) -> str:
    """What figures/NAME.csv holds, likewise."""
    return _uri("text/csv;charset=utf-8", figure.data.to_csv(index=False).encode())


def _values(block: Figure | Animation, folder: Path) -> dict | None:
    """What the points of a figure stand for; None where nothing is known of it."""
    path = folder / block.values if isinstance(block, Figure) else None
    return json.loads(path.read_text(encoding="utf-8")) if path is not None and path.exists() else None


def _picture(block: Figure | Animation, folder: Path) -> Picture:
    """Raises FileNotFoundError where the figure was not drawn."""
    moving = isinstance(block, Animation)
    path = folder / (block.gif if moving else block.png)
    with Image.open(path) as image:
        dpi = image.info.get("dpi", (CSS_INCH, CSS_INCH))[0]
        width, height = (round(side * CSS_INCH / dpi) for side in image.size)
        if moving:
            return Picture(_uri("image/gif", path.read_bytes()), width, height, _webp(image))
        # Pictures of cases are photographs; of curves every pixel is kept. A PNG would be three times as large.
        return Picture(_webp(image, block.data is not None), width, height)


def _webp(image: Image.Image, lossless: bool = False) -> str:
    file = io.BytesIO()
    image.convert("RGB").save(file, "WEBP", quality=EFFORT if lossless else QUALITY, lossless=lossless)
    return _uri("image/webp", file.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{_base64(data)}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
