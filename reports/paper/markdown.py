"""A document as GitHub-flavoured markdown."""

import re

import pandas as pd

from reports.paper import words
from reports.paper.document import (
    Animation,
    Block,
    Browser,
    Bullets,
    Code,
    Document,
    Figure,
    Heading,
    Links,
    Paragraph,
    Table,
    numeric,
    spans,
    text_of,
)

PAGE = "*The same as one page, with tables that sort and figures that enlarge: [report.html](report.html).*"
BROWSER = "{} to leaf through, with what every method made of each: see [report.html](report.html)."


def render(document: Document) -> str:
    """The whole document; tables and figures are numbered in the order in which they occur."""
    parts = [f"# {inline(document.title)}", PAGE]
    tables = figures = 0
    for block in document.blocks:
        if isinstance(block, Table):
            tables += 1
            parts.append(f"**Table {tables}.** {inline(block.caption)}\n\n{table(block.frame)}")
            parts.append(f"[CSV](tables/{block.name}.csv), [LaTeX](tables/{block.name}.tex)")
        elif isinstance(block, Figure):
            figures += 1
            parts.append(f"![{inline(block.alt)}]({block.png})")
            links = f"[SVG]({block.svg})" + (f", [CSV](figures/{block.name}.csv)" if block.data is not None else "")
            parts.append(f"**Figure {figures}.** {inline(block.caption)} ({links})")
        elif isinstance(block, Animation):
            figures += 1
            parts.append(f"![{inline(block.alt)}]({block.gif})")
            parts.append(f"**Figure {figures}.** {inline(block.caption)}")
        else:
            parts.append(_plain(block))
    return "\n\n".join(parts) + "\n"


def _plain(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {inline(block.text)}"
        case Paragraph():
            return _first(inline(block.text))
        case Bullets():
            return "\n".join(f"- {_first(inline(item))}" for item in block.items)
        case Code():
            return f"```{block.language}\n{block.text.rstrip()}\n```"
        case Links():
            return ", ".join(f"[{inline(text)}]({target})" for text, target in block.items)
        case Browser():
            return BROWSER.format(words.plural(len(block.cases), "test case"))
    raise TypeError(f"a document cannot hold a {type(block).__name__}, expected one of {Block}.")


def table(frame: pd.DataFrame) -> str:
    """A pipe table. Columns of numbers stand to the right; a line break within a cell is kept."""
    cells = [[_cell(value) for value in row] for row in frame.astype(object).to_numpy()]
    header = [_cell(name) for name in frame.columns]
    right = numeric(frame)
    widths = [max(3, *(len(row[k]) for row in [header, *cells])) for k in range(len(header))]
    rule = ["-" * (width - 1) + ":" if flag else "-" * width for width, flag in zip(widths, right)]

    def line(row: list[str]) -> str:
        padded = (text.rjust(w) if flag else text.ljust(w) for text, w, flag in zip(row, widths, right))
        return "| " + " | ".join(padded) + " |"

    return "\n".join([line(header), line(rule), *map(line, cells)])


def _cell(value: object) -> str:
    return inline(text_of(value)).replace("|", "\\|").replace("\n", "<br>")


def inline(text: str) -> str:
    """Escape everything but `code` and **strong**."""
    write = {"text": _escape, "code": lambda part: f"`{part}`", "strong": lambda part: f"**{part}**"}
    return "".join(write[kind](part) for kind, part in spans(text))


def _first(text: str) -> str:
    """Escape what would make a quotation, a list or a heading of the line that it begins."""
    return re.sub(r"^([>#+-]\s)", r"\\\1", text)


def _escape(text: str) -> str:
    text = re.sub(r"([\\*`~$])", r"\\\1", text)
    text = re.sub(r"&(?=#?\w+;)", "&amp;", text).replace("](", "\\](")
    text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)
    # Underscores within a word are literal anyway; escaping those too would make names hard to read in the source.
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)
