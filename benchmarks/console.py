"""What a run says while it works: a live bar with an estimate on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

PLAIN_LINE_EVERY_SECONDS = 30.0

Report = Callable[[int, int, str], None]
"""Called with (how much is done, how much there is, a few words)."""

# Where output is no terminal its width is unknown; tables then get room enough not to wrap.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """Print a line as it is."""
    out.print(message, markup=False)


@contextmanager
def task(title: str) -> Iterator[Report]:
    """Yields report(done, total, words): shows how far the task is and how long it will still take."""
    if sys.stdout.isatty():
        columns = [
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=False), TextColumn("{task.fields[words]}"),
        ]  # fmt: skip
        with Progress(*columns, console=out, transient=True) as bars:
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
