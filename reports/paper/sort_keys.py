"""What a table's cell is sorted by: the number that its text begins with."""

import math
import re

import pandas as pd

from reports.paper.document import Table, numeric, spans, text_of

NUMBER = r"[-+\u2212]?\s?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.?\d+(?:e[-+]?\d+)?)"
SECONDS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
LARGE = {"k": 1e3, "M": 1e6, "G": 1e9, "KiB": 2.0**-10, "MiB": 1.0, "GiB": 2.0**10}
DURATION = re.compile(rf"({NUMBER})\s(ms|s|min|h)\b\s?")
AMOUNT = re.compile(rf"([<>\u2265~]?)\s?({NUMBER})(?:\s(k|M|G|KiB|MiB|GiB)\b)?")


def columns(table: Table) -> list[list[float | None] | None]:
    """For every column its keys, None for a cell without; None in place of a column of words, which sorts as words.

    Unrounded numbers where `data` has the shape of what is shown, else what the text says.
    """
    found = []
    for k, is_number in enumerate(numeric(table.frame)):
        exact = table.data.iloc[:, k] if table.data is not None and table.data.shape == table.frame.shape else None
        if not is_number:
            found.append(None)
        elif exact is not None and pd.api.types.is_numeric_dtype(exact):
            found.append([None if pd.isna(value) else float(value) for value in exact])
        else:
            found.append([key(text_of(cell)) for cell in table.frame.iloc[:, k]])
    return found


def key(text: str) -> float | None:
    """0.912 of "0.912 [0.901, 0.923]", 200 of "3 min 20 s", 1.62e6 of "1.62 M"; None of a dash or of words."""
    text = "".join(part for _, part in spans(text)).strip()
    total, place = None, 0
    while match := DURATION.match(text, place):
        total, place = (total or 0.0) + _float(match[1]) * SECONDS[match[2]], match.end()
    if total is not None:
        return total
    match = AMOUNT.match(text)
    if match is None:
        return None
    value = _float(match[2]) * LARGE.get(match[3], 1.0)
    # What lies beyond a value is sorted next to it, on the right side.
    return math.nextafter(value, {">": math.inf, "<": -math.inf}.get(match[1], value))


def _float(text: str) -> float:
    return float(text.replace("\u2212", "-").replace(",", "").replace(" ", ""))
