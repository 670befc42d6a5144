"""Which methods and which class a row or a column of a table is about, so that a page can leave out the others."""

from collections.abc import Sequence

from reports.paper.document import Document, spans, text_of

BEHIND = (" (", ":", ",")
"""What may follow a method's name in a cell: how it was sampled, or why it has no result."""
MINUS = " \u2212 "
"""Between the two methods of a comparison."""


def of_row(names: Sequence[str], cells: Sequence[object], document: Document) -> dict:
    """methods: indices of all that the row's cells name; klass: index of its class, None where it is of none.
    names: the columns' heads."""
    texts = [_bare(cell) for cell in cells]
    methods = sorted({found for text in texts for found in methods_in(text, document.methods)})
    named = [text for name, text in zip(names, texts) if name == "class" and text in document.classes]
    return {"methods": methods, "klass": document.classes.index(named[0]) if named else None}


def of_column(name: str, document: Document) -> dict:
    """methods: indices of those in a column's head; klass: index of the class whose DSC it is, None where of none."""
    last = name.removeprefix("DSC ")
    known = last != name and last in document.classes
    return {"methods": methods_in(name, document.methods), "klass": document.classes.index(last) if known else None}


def methods_in(text: str, methods: Sequence[str]) -> list[int]:
    """Indices of the methods that a text consists of: one, or several joined by a minus sign; of names that begin alike
    the longest that fits."""
    found = []
    for part in text.split(MINUS):
        fitting = [name for name in methods if part == name or part.startswith(tuple(name + end for end in BEHIND))]
        found += [methods.index(max(fitting, key=len))] if fitting else []
    return found


def sticky(names: Sequence[str]) -> int | None:
    """The column that stays in view while a table is moved sideways: that of the methods, or of the cases."""
    return next((k for k, name in enumerate(names) if name in ("method", "case")), None)


def _bare(cell: object) -> str:
    return "".join(part for _, part in spans(text_of(cell)))
