"""Errors a run can end with, told apart because the command's exit status and the report depend on it."""

import difflib
from collections.abc import Iterable


class BadInput(Exception):
    """The user's command, configuration or files cannot be used. Raised before any long work; exit status 2.

    The message names the config key or file, what was found, what was expected and what to do.
    """


class TrialFailed(Exception):
    """One trial cannot go on; the suite does. `retry` says whether another attempt could end differently."""

    def __init__(self, reason: str, retry: bool = True):
        super().__init__(reason)
        self.retry = retry


def unknown(kind: str, name: str, known: Iterable[str]) -> BadInput:
    """The error for a name that is not registered, with the nearest one that is."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return BadInput(f"{kind}: {name!r} is not known.{hint} Known: {', '.join(known)}.")
