"""What a report consists of, whatever it is rendered to.

Text may hold two kinds of markup, `code` and **strong**; everything else is literal, and renderers escape it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd


@dataclass(frozen=True)
class Heading:
    """A section title; the document's own title is level 1, so sections start at 2."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of sentences, each a point."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """Lines to be copied as they are; language: for colours, such as sh."""

    text: str
    language: str = ""


TONES = ("better", "worse", "alike")


@dataclass(frozen=True)
class Table:
    """A table as readers see it and as programs read it.

    name:    file name without ending; unique in the document.
    caption: what it shows, with units.
    frame:   the cells as text, columns in display order.
    data:    the same numbers unrounded, one value a cell, for tables/NAME.csv; None writes `frame`.
    tones:   in the shape of `frame`, what a page colours a cell by: one of `TONES`, or nothing.
    opens:   the data set whose test cases the rows are, by their column `case`: a page opens its browser there.
    """

    name: str
    caption: str
    frame: pd.DataFrame
    data: pd.DataFrame | None = None
    tones: pd.DataFrame | None = None
    opens: str = ""


@dataclass(frozen=True)
class Figure:
    """A picture already drawn into the report's folder as figures/NAME.png and figures/NAME.svg.

    alt says in words what the picture shows, for readers who do not see it.
    data: the numbers that were drawn, one value a cell, for figures/NAME.csv; None for pictures of cases.
    """

    name: str
    caption: str
    alt: str
    data: pd.DataFrame | None = None

    @property
    def png(self) -> str:
        """Path within the report's folder."""
        return f"figures/{self.name}.png"

    @property
    def svg(self) -> str:
        """Path within the report's folder."""
        return f"figures/{self.name}.svg"

    @property
    def values(self) -> str:
        """Path of what its points stand for (reports.paper.marks), where it has any."""
        return f"figures/{self.name}.json"


@dataclass(frozen=True)
class Animation:
    """A moving picture already drawn into the report's folder as figures/NAME.gif. alt: as of a figure."""

    name: str
    caption: str
    alt: str

    @property
    def gif(self) -> str:
        """Path within the report's folder."""
        return f"figures/{self.name}.gif"


@dataclass(frozen=True)
class Links:
    """Other files to go on to. items: (text, path relative to the report's folder)."""

    items: tuple[tuple[str, str], ...]


class Cell(NamedTuple):
    """What a method made of a case. pictures: PNGs, one a slice, transparent but for errors and correct foreground in
    colour, to be laid over the image; dsc: as text."""

    pictures: tuple[bytes, ...]
    dsc: str


@dataclass(frozen=True)
class Case:
    """A test case to look at.

    slices:  of a volume where each of its slices lies, in words; a single empty one for an image.
    first:   the slice that is shown first.
    inputs:  what the methods were given, as JPEG: for each position of the slider one a slice; None where nothing is
             stored.
    label:   the ground truth, for each slice a PNG like a cell's pictures.
    cells:   method -> what it made of the case, one per position of the slider.
    legend:  (colour, what it stands for); empty: that of errors and correct foreground.
    """

    dataset: str
    name: str
    classes: tuple[str, ...]
    inputs: tuple[tuple[bytes, ...] | None, ...]
    label: tuple[bytes, ...]
    cells: dict[str, tuple[Cell | None, ...]]
    slices: tuple[str, ...] = ("",)
    first: int = 0
    legend: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Browser:
    """Test cases to leaf through, with what every method made of each; only a page can show it.

    images: whether methods made images of label maps: each cell holds pictures of their own and a remark, which are
    shown beside the map (`Case.label`) and the real image (`Case.inputs`), and nothing is laid over anything.
    axis, positions: what the slider varies, "\u03c3" or "steps", and the values it stops at; with a single position
    nothing is varied and axis is empty. tables: scores of all test cases, whose rows lead to the pictures.
    """

    axis: str
    positions: tuple[str, ...]
    cases: tuple[Case, ...]
    tables: tuple[Table, ...] = ()
    images: bool = False


Block = Heading | Paragraph | Bullets | Code | Table | Figure | Animation | Links | Browser


@dataclass
class Document:
    """A report: its title and what stands in it, from top to bottom. methods, classes: by which a page lets its readers
    filter tables and test cases."""

    title: str
    blocks: list[Block] = field(default_factory=list)
    methods: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    def add(self, *blocks: Block) -> None:
        """Append blocks."""
        self.blocks.extend(blocks)

    @property
    def tables(self) -> list[Table]:
        """Every table in the order of the report."""
        return [block for block in self.blocks if isinstance(block, Table)]

    @property
    def figures(self) -> list[Figure]:
        """Every still figure in the order of the report."""
        return [block for block in self.blocks if isinstance(block, Figure)]


NUMBER_LIKE = re.compile(r"^[-+\u2212<>\u2265~]?\s?[\d.]+.*$|^\u2013?$")


def numeric(frame: pd.DataFrame) -> list[bool]:
    """For every column, whether all of its cells begin like a number or are a dash: such columns stand to the right."""
    cells = frame.astype(object).to_numpy()
    return [bool(len(cells)) and all(NUMBER_LIKE.match(text_of(cell)) for cell in column) for column in cells.T]


def text_of(cell: object) -> str:
    """A cell as text; nothing for None."""
    return "" if cell is None else str(cell)


def spans(text: str) -> Iterator[tuple[str, str]]:
    """The parts of a text with their kind: "text", "code" or "strong", without the marks."""
    for k, part in enumerate(re.split(r"(`[^`]+`|\*\*[^*]+\*\*)", text)):
        if k % 2:
            yield ("code", part[1:-1]) if part[0] == "`" else ("strong", part[2:-2])
        elif part:
            yield "text", part


def write_numbers(document: Document, folder: Path) -> None:
    """Every table as tables/NAME.csv, the numbers behind every figure as figures/NAME.csv. Raises ValueError when two
    tables share a name."""
    names = [table.name for table in document.tables]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"tables named {', '.join(twice)} occur more than once, expected unique names.")
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    for table in document.tables:
        (folder / "tables" / f"{table.name}.csv").write_text(csv(table), encoding="utf-8")
    for figure in document.figures:
        if figure.data is not None:
            figure.data.to_csv(folder / "figures" / f"{figure.name}.csv", index=False)


def csv(table: Table) -> str:
    """What tables/NAME.csv holds."""
    data = table.frame.map(_bare) if table.data is None else table.data
    return data.to_csv(index=False)


def _bare(cell: object) -> object:
    """A cell without markup, for files that programs read."""
    return "".join(part for _, part in spans(cell)) if isinstance(cell, str) else cell
