"""What a run says while it works: a live bar with an estimate on a terminal, plain lines elsewhere.

What draws on a terminal is imported where something is drawn there.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_LINE_EVERY_SECONDS = 30.0
KEEP_EVERY_SECONDS = 2.0

Report = Callable[[int, int, str], None]
"""Called with (how much is done, how much there is, a few words)."""


@cache
def out() -> Console:
    """Where tables and lines are printed."""
    from rich.console import Console

    # Where output is no terminal its width is unknown; tables then get room enough not to wrap.
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)


def say(message: str) -> None:
    """Print a line as it is."""
    out().print(message, markup=False)


def complain(message: str) -> None:
    """Print a line about what went wrong, as it is, where errors go."""
    print(message, file=sys.stderr, flush=True)


_kept: ContextVar[Path | None] = ContextVar("kept", default=None)
_silent = False


def be_silent() -> None:
    """Show no tasks in this process any more: the run that it works for shows them."""
    global _silent
    _silent = True


@contextmanager
def kept(path: Path) -> Iterator[None]:
    """Within the block tasks also write into `path` how far they are, for a run that waits elsewhere."""
    token = _kept.set(path)
    try:
        yield
    finally:
        _kept.reset(token)
        with suppress(OSError):
            path.unlink(missing_ok=True)


def standing(path: Path) -> str | None:
    """How far a task is that another process or machine keeps in `path`, in a line; None where none is under way."""
    try:
        return str(json.loads(path.read_text())["line"])
    except (OSError, ValueError, KeyError):
        return None


@contextmanager
def board() -> Iterator[Callable[[Sequence[str]], None]]:
    """Yields show(lines): keeps these lines on a terminal, elsewhere prints them now and then."""
    if sys.stdout.isatty():
        from rich.live import Live
        from rich.text import Text

        with Live(console=out(), transient=True, refresh_per_second=2) as live:
            yield lambda lines: live.update(Text("\n".join(lines)))
        return
    last = time.monotonic()

    def show(lines: Sequence[str]) -> None:
        nonlocal last
        if time.monotonic() - last >= PLAIN_LINE_EVERY_SECONDS:
            last = time.monotonic()
            say("\n".join(lines))

    yield show


@contextmanager
def task(title: str) -> Iterator[Report]:
    """Yields report(done, total, words): shows how far the task is and how long it will still take."""
    path = _kept.get()
    with _shown(title) as shown:
        yield shown if path is None else _also_kept(title, path, shown)


def _also_kept(title: str, path: Path, shown: Report) -> Report:
    last = -KEEP_EVERY_SECONDS

    def report(done: int, total: int, words: str) -> None:
        nonlocal last
        shown(done, total, words)
        if time.monotonic() - last < KEEP_EVERY_SECONDS:
            return
        last = time.monotonic()
        temporary = path.with_name(f"{path.name}.tmp")
        with suppress(OSError):  # nothing hangs on it
            temporary.write_text(json.dumps({"line": f"{title}: {done} of {total} ({words})"}))
            os.replace(temporary, path)

    return report


@contextmanager
def _shown(title: str) -> Iterator[Report]:
    if _silent:
        yield lambda done, total, words: None
        return
    if sys.stdout.isatty():
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )  # fmt: skip

        columns = [
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=False), TextColumn("{task.fields[words]}"),
        ]  # fmt: skip
        with Progress(*columns, console=out(), transient=True) as bars:
            bar = bars.add_task(title, total=None, words="")
            yield lambda done, total, words: bars.update(bar, completed=done, total=total, words=words)
        return
    yield _plain(title)


def _plain(title: str) -> Report:
    first: tuple[float, int] | None = None
    last = time.monotonic()

    def report(done: int, total: int, words: str) -> None:
        nonlocal first, last
        now = time.monotonic()
        if first is None:
            first = (now, done)
        if now - last < PLAIN_LINE_EVERY_SECONDS:
            return
        last = now
        speed = (done - first[1]) / (now - first[0]) if now > first[0] else 0
        left = f", about {duration((total - done) / speed)} left" if speed > 0 else ""
        say(f"  {title}: {done} of {total} ({words}){left}")

    return report


def duration(seconds: float) -> str:
    """Seconds in words a person reads: 45 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
