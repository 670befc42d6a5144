"""Work for others that is given up when they do not get on with it."""

import threading
import time
from collections.abc import Callable
from typing import Any

STALL_SECONDS = 60.0
"""Longest time that a single call may take: a server that sends a byte now and then never runs into a time-out."""
ALL_SECONDS = 600.0
"""Longest time that everything may take; the next call goes on from there."""
LOOK_SECONDS = 0.05


class Watched:
    """An object of which it is seen when the last call of one of its methods ended."""

    def __init__(self, subject: Any) -> None:
        self._subject, self.moved = subject, time.monotonic()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._subject, name)
        if not callable(found):
            return found

        def called(*arguments: Any, **more: Any) -> Any:
            try:
                return found(*arguments, **more)
            finally:
                self.moved = time.monotonic()

        return called


def within_limits(make: Callable[[], Any], work: Callable[[Watched], None]) -> None:
    """work(make()) in a thread of its own, which is left behind where it stands still for STALL_SECONDS or takes longer
    than ALL_SECONDS: TimeoutError. What `work` raises is raised here."""
    failures: list[BaseException] = []
    subject: list[Watched] = []

    def run() -> None:
        try:
            subject.append(Watched(make()))
            work(subject[0])
        except BaseException as error:  # the caller's to deal with
            failures.append(error)

    # A daemon does not keep the process from ending.
    thread = threading.Thread(target=run, daemon=True, name="tracking")
    started = time.monotonic()
    thread.start()
    while thread.is_alive():
        thread.join(LOOK_SECONDS)
        now = time.monotonic()
        moved = subject[0].moved if subject else now
        if now - started > ALL_SECONDS:
            raise TimeoutError(f"stopped after {ALL_SECONDS:g} s with something left to write")
        if now - moved > STALL_SECONDS:
            raise TimeoutError(f"no answer was complete within {STALL_SECONDS:g} s")
    if failures:
        raise failures[0]
