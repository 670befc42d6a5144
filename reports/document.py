"""What a report consists of, whatever it is rendered to.

Text may hold two kinds of markup, `code` and **strong**; everything else is literal, and renderers escape it.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class Heading:
    """A section title; the document's own title is level 1, so sections start at 2."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Bullets:
    items: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    text: str
    language: str = ""


@dataclass(frozen=True)
class Table:
    """A table as readers see it and as programs read it.

    name:    file name without ending; unique in the document.
    caption: what it shows, with units.
    frame:   the cells as text, columns in display order.
    data:    the same numbers unrounded, one value a cell, for tables/NAME.csv; None writes `frame`.
    """

    name: str
    caption: str
    frame: pd.DataFrame
    data: pd.DataFrame | None = None


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
        return f"figures/{self.name}.png"

    @property
    def svg(self) -> str:
        return f"figures/{self.name}.svg"


@dataclass(frozen=True)
class Animation:
    """A moving picture already drawn into the report's folder as figures/NAME.gif. alt: as of a figure."""

    name: str
    caption: str
    alt: str

    @property
    def gif(self) -> str:
        return f"figures/{self.name}.gif"


Block = Heading | Paragraph | Bullets | Code | Table | Figure | Animation


@dataclass
class Document:
    title: str
    blocks: list[Block] = field(default_factory=list)

    def add(self, *blocks: Block) -> None:
        self.blocks.extend(blocks)

    @property
    def tables(self) -> list[Table]:
        return [block for block in self.blocks if isinstance(block, Table)]

    @property
    def figures(self) -> list[Figure]:
        return [block for block in self.blocks if isinstance(block, Figure)]


def write_numbers(document: Document, folder: Path) -> None:
    """Every table as tables/NAME.csv, the numbers behind every figure as figures/NAME.csv. Raises ValueError when two
    tables share a name."""
    names = [table.name for table in document.tables]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"tables named {', '.join(twice)} occur more than once, expected unique names.")
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    for table in document.tables:
        data = table.frame.map(_bare) if table.data is None else table.data
        data.to_csv(folder / "tables" / f"{table.name}.csv", index=False)
    for figure in document.figures:
        if figure.data is not None:
            figure.data.to_csv(folder / "figures" / f"{figure.name}.csv", index=False)


def _bare(cell):
    return re.sub(r"`|\*\*", "", cell) if isinstance(cell, str) else cell
