"""How a run is asked to stop: by SIGINT, SIGTERM, SIGHUP, SIGUSR1 or SIGUSR2, or because its time is up
(training.stop_after).

A training ends the step it is at, saves its checkpoint and raises Stopped; anything else is left at once.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from benchmarks.store import leases

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))
PATIENCE = 3.5
"""Seconds that a step may still take after a signal; then it is given up and the last checkpoint holds."""
OUT_OF_TIME = 3
"""Exit status of a run that was stopped by training.stop_after."""
STARTED = time.monotonic()


class Stopped(KeyboardInterrupt):
    """The run was asked to stop. status: the exit status it ends with, 128 and the signal's number as shells have it;
    whole: whether what it was raised in is at the end of a step."""

    def __init__(self, why: str, status: int, whole: bool = True) -> None:
        super().__init__(why)
        self.status, self.whole = status, whole

    def __reduce__(self) -> tuple[Any, ...]:
        """So that it comes back whole from the process that was stopped."""
        return type(self), (str(self), self.status, self.whole)


@dataclass
class _State:
    """steps: whether a signal waits for the end of a step; pending: the signal that does."""

    steps: bool = False
    pending: Stopped | None = None
    former: dict[int, Any] = field(default_factory=dict)


_state = _State()


@contextmanager
def on_signals() -> Iterator[None]:
    """Within the block the signals raise Stopped, in a training once its step is done. In the main thread only."""
    _state.former = {number: signal.signal(number, _asked) for number in (*SIGNALS, signal.SIGALRM)}
    try:
        yield
    finally:
        _rest()  # else the alarm would end the process once it has its former meaning
        for number, former in _state.former.items():
            signal.signal(number, former)


@contextmanager
def at_steps() -> Iterator[None]:
    """Within the block signals wait for `check` or for its end, but for at most PATIENCE seconds."""
    outer, _state.steps = _state.steps, True
    try:
        yield
        check(None)
    finally:
        _state.steps = outer
        _rest()


@contextmanager
def at_once() -> Iterator[None]:
    """Within the block, inside of `at_steps`, signals do not wait: a resumed run does what is done there again."""
    outer, _state.steps = _state.steps, False
    try:
        check(None)
        yield
    finally:
        _state.steps = outer


def end_with_parent() -> None:
    """To be run beside the work of a process that another one started: where that was killed, end as by SIGTERM."""
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(2 * PATIENCE)
    os._exit(1)


def check(stop_after: float | None) -> None:
    """Raises Stopped where a signal is waiting or the process is older than `stop_after` seconds, and LeaseLost where
    another run has taken over what is worked on."""
    found = _rest()
    if found is not None:
        raise found
    leases.check()
    if stop_after is not None and time.monotonic() - STARTED > stop_after:
        raise Stopped(f"stopped by training.stop_after={stop_after:g}", OUT_OF_TIME)


def _rest() -> Stopped | None:
    """The signal that was waiting, which it does no longer."""
    found, _state.pending = _state.pending, None
    if found is not None:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return found


def _asked(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGALRM:
        found = _rest()
        if found is None:  # the step has ended in the meantime
            return
        found.whole = False
        raise found
    stop = Stopped(f"stopped by {signal.Signals(number).name}", 128 + number, whole=not _state.steps)
    if _state.steps and _state.pending is None:
        _state.pending = Stopped(str(stop), stop.status)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        return
    raise stop
