"""Errors a run can end with, told apart because the command's exit status and the report depend on it."""

import difflib
import errno
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


class BadInput(Exception):
    """The user's command, configuration or files cannot be used. Raised before any long work; exit status 2.

    The message names the config key or file, what was found, what was expected and what to do.
    """


class TrialFailed(Exception):
    """One trial cannot go on; the suite does. `retry` says whether another attempt could end differently."""

    def __init__(self, reason: str, retry: bool = True) -> None:
        super().__init__(reason)
        self.retry = retry


class CannotWrite(Exception):
    """A file of the store cannot be written: the disk is full or the folder is not writable. The job it belongs to
    fails, what was stored before stays; exit status 1."""


def cannot_write(path: Path | str, error: OSError) -> Exception:
    """The error to raise where writing `path` raised this one: CannotWrite where that is for want of room or of
    permission, else the error itself."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return CannotWrite(f"disk full: {path} cannot be written ({error.strerror}). Free space and run again.")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return CannotWrite(f"not writable: {path} ({error.strerror}). Make its folder writable and run again.")
    return error


@dataclass(frozen=True)
class Failure:
    """Why a job could not go on.

    line: the first of what its error says; kind: name of the error's class, empty where it was raised to end just this
    job (`TrialFailed`); retry: whether another attempt could end differently; memory: whether the machine's was too
    small.
    """

    line: str
    kind: str = ""
    retry: bool = True
    memory: bool = False

    @property
    def error(self) -> str:
        """The error as Python prints it, in one line."""
        return f"{self.kind}: {self.line}" if self.kind else self.line

    @property
    def reason(self) -> str:
        """In one line for the report: a lack of memory is named as such, whichever library noticed it."""
        return f"out of memory: {self.line or self.kind}" if self.memory else self.error


def failure_of(error: Exception) -> Failure:
    """What an exception says."""
    if isinstance(error, TrialFailed):
        return Failure(str(error), retry=error.retry)
    if isinstance(error, OSError):
        error = cannot_write(error.filename or "a file of this job", error)
    if isinstance(error, CannotWrite):
        return Failure(str(error))
    line = (str(error).strip().splitlines() or [""])[0][:300]
    kind = type(error).__name__
    # PyTorch's own class is known by its name, so that reading a store needs no PyTorch.
    refused = isinstance(error, MemoryError) or kind == "OutOfMemoryError"
    return Failure(line, kind, memory=refused or "DefaultCPUAllocator: can't allocate memory" in str(error))


def unknown(kind: str, name: str, known: Iterable[str]) -> BadInput:
    """The error for a name that is not registered, with the nearest one that is."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return BadInput(f"{kind}: {name!r} is not known.{hint} Known: {', '.join(known)}.")
