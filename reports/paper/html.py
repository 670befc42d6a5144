"""A document as one page that needs no network: tables that sort, figures that enlarge, cases to leaf through."""

import base64
import hashlib
import io
import re
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape
from PIL import Image

from reports.paper import overlays, sort_keys
from reports.paper.document import (
    Animation,
    Block,
    Browser,
    Case,
    Document,
    Figure,
    Heading,
    Table,
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
    environment.filters |= {f.__name__: f for f in (inline, plain, cells, content, by_dataset)}
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


def cells(table: Table) -> list[list[dict]]:
    """Rows of cells: text as markup, right (whether it stands there), key (what it is sorted by; None: its text)."""
    right, keys = numeric(table.frame), sort_keys.columns(table)

    def cell(row: int, k: int, value: object) -> dict:
        key = None if keys[k] is None else "" if keys[k][row] is None else f"{keys[k][row]:.17g}"
        return {"text": inline(text_of(value)), "right": right[k], "key": key}

    rows = table.frame.astype(object).to_numpy()
    return [[cell(n, k, value) for k, value in enumerate(row)] for n, row in enumerate(rows)]


def content(browser: Browser) -> dict:
    """What the page's script needs of the cases; pictures in base64."""
    return {
        "axis": browser.axis,
        "positions": browser.positions,
        "cases": [
            {
                "dataset": case.dataset,
                "name": case.name,
                "label": _base64(case.label),
                "legend": overlays.legend(list(case.classes)),
                "inputs": [picture and _base64(picture) for picture in case.inputs],
                "rows": [
                    [name, [cell and [_base64(cell.picture), cell.dsc] for cell in row]]
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


def _picture(block: Figure | Animation, folder: Path) -> Picture:
    """Raises FileNotFoundError where the figure was not drawn."""
    moving = isinstance(block, Animation)
    path = folder / (block.gif if moving else block.png)
    with Image.open(path) as image:
        dpi = image.info.get("dpi", (CSS_INCH, CSS_INCH))[0]
        width, height = (round(side * CSS_INCH / dpi) for side in image.size)
        if moving:
            return Picture(_uri("gif", path.read_bytes()), width, height, _webp(image))
        # Pictures of cases are photographs, of which a PNG would be several times as large.
        return Picture(_uri("png", path.read_bytes()) if block.data is not None else _webp(image), width, height)


def _webp(image: Image.Image) -> str:
    file = io.BytesIO()
    image.convert("RGB").save(file, "WEBP", quality=QUALITY)
    return _uri("webp", file.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{_base64(data)}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
