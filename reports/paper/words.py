"""Numbers in words: how values, intervals, times and counts are written in every report."""

import math
import re
from collections.abc import Callable, Iterable

from reports.numbers.statistics import Estimate

NOTHING = "\u2013"
MINUS = "\u2212"
Write = Callable[..., str]
"""Writes a value, with a number of decimals: `number` or `signed`."""


def number(value: float | None, digits: int = 3) -> str:
    """A fixed number of decimals; infinity and undefined are a dash."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text.lstrip("-")


def signed(value: float | None, digits: int = 3) -> str:
    """With its sign, which a value that rounds to 0 keeps: an interval that ends at \u22120.000 does not contain 0."""
    if value is None or not math.isfinite(value) or value == 0:
        return number(value, digits)
    return f"{value:+.{digits}f}".replace("-", MINUS)


def bounds(estimate: Estimate, digits: int = 3, write: Write = number) -> str:
    """[low, high], or nothing where there is no interval."""
    if not estimate.has_interval or math.isnan(estimate.value):
        return ""
    return f"[{write(estimate.low, digits)}, {write(estimate.high, digits)}]"


def with_interval(estimate: Estimate, digits: int = 3, write: Write = number) -> str:
    """0.912 [0.901, 0.923]; the value alone where there is no interval."""
    return f"{write(estimate.value, digits)} {bounds(estimate, digits, write)}".strip()


def p_value(p: float | None) -> str:
    """Three decimals; < 0.001; a dash where there is none."""
    return NOTHING if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def share(part: float | None) -> str:
    """A share in [0, 1] in per cent; what rounds to never or always, but is not, says so."""
    if part is None:
        return NOTHING
    bound = "< 1 %" if 0 < part < 0.01 else "> 99 %" if 0.99 < part < 1 else None
    return bound or f"{100 * part:.0f} %"


def threshold(estimate: Estimate, largest: float, digits: int = 3) -> str:
    """A threshold with its interval, where infinity means that it lies beyond the largest value tested."""
    if estimate.has_interval and math.isinf(estimate.low):
        return f"> {largest:g}"

    def write(value: float, digits: int) -> str:
        return f"> {largest:g}" if math.isinf(value) else number(value, digits)

    return with_interval(estimate, digits, write)


def duration(seconds: float | None) -> str:
    """12 ms, 3.4 s, 3 min 20 s, 2 h 05 min."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 0.1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"


def memory(mib: float | None) -> str:
    """0.8 MiB, 41 MiB, 12,345 MiB."""
    if mib is None or not math.isfinite(mib):
        return NOTHING
    return f"{mib:.2g} MiB" if mib < 10 else f"{mib:,.0f} MiB"


def quantity(value: float | None) -> str:
    """Counts of parameters: 812, 34.1 k, 1.62 M."""
    if value is None or not math.isfinite(value):
        return NOTHING
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value:g}"


def plural(count: int, noun: str) -> str:
    """1 case; 2 cases."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listing(items: Iterable[str]) -> str:
    """a; a and b; a, b and c."""
    items = list(items)
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def one_line(text: str | None, limit: int = 300) -> str:
    """A reason or message on one line, cut where it runs on."""
    text = re.sub(r"\s+", " ", text or "").strip()
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "\u2026"


def sentence(text: str) -> str:
    """The text with a full stop where it has none."""
    return text if not text or text[-1] in ".!?\u2026" else text + "."
