"""The SHA-256 of every stored file: SHA256SUMS in each folder of the store, by which a file is verified before use.

    3f0a...  cost.json              as sha256sum writes it: `sha256sum -c SHA256SUMS` checks a folder from outside
    #before 77c1...  cost.json      what the file was before; a run killed while replacing it leaves that in place
    #sums 9e02...                   of the lines above

A sum is written before its file is put in place, so whatever is there has its sum, wherever a run was killed. Folders
of stores from before there were sums have no SHA256SUMS.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.errors import BadInput

if TYPE_CHECKING:
    from filelock import FileLock

NAME = "SHA256SUMS"
SOUND, DAMAGED, NO_SUM, MISSING = "sound", "damaged", "no sum", "missing"
FORMER = 3
"""Earlier sums of a file that are kept. One is enough unless a run is killed twice between a sum and its file."""
SETTLED = 2.0
"""Seconds a file must have been left alone before its hash is remembered: a later write within the clock's tick of the
same size would otherwise go unnoticed."""
BLOCK = 2**20

Stamp = tuple[int, int, int]
_hashes: dict[Path, tuple[Stamp, str]] = {}


@dataclass(frozen=True)
class Sums:
    """Of the files of one folder by name: the SHA-256 (64 hex digits), and those each may still have."""

    now: dict[str, str] = field(default_factory=dict)
    before: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def accepts(self, name: str, digest: str) -> bool:
        """Whether a file of this name was written with this content."""
        return digest == self.now.get(name) or digest in self.before.get(name, ())

    def text(self) -> str:
        """The content of SHA256SUMS."""
        lines = [f"{digest}  {name}" for name, digest in sorted(self.now.items())]
        lines += [f"#before {digest}  {name}" for name, found in sorted(self.before.items()) for digest in found]
        whole = "".join(f"{line}\n" for line in lines)
        return f"{whole}#sums {hashlib.sha256(whole.encode()).hexdigest()}\n"


_read: dict[Path, tuple[Stamp, Sums]] = {}


def read(folder: Path) -> Sums:
    """The sums of a folder, none where there is no SHA256SUMS. Raises BadInput where that file itself is damaged or
    cannot be read."""
    path = folder / NAME
    try:
        status = path.stat()
        stamp = _stamp(status)
        if path in _read and _read[path][0] == stamp:
            return _read[path][1]
        found = _parsed(path)
    except (FileNotFoundError, NotADirectoryError):
        return Sums()
    except OSError as error:
        raise unreadable(path, error) from error
    _remember(_read, path, status, found)
    return found


def unreadable(path: Path, error: OSError) -> BadInput:
    """The error for a file that is there and cannot be read: a folder, want of permission, a broken disk."""
    return BadInput(
        f"{path}: cannot be read ({error.strerror}), expected a file. Check the disk and the permissions, or delete it."
    )


def state(path: Path) -> str:
    """sound, damaged, no sum, or missing. Raises BadInput where the sums of its folder are damaged, and where the file
    cannot be read."""
    sums = read(path.parent)
    try:
        digest = sha256(path)
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except OSError as error:
        raise unreadable(path, error) from error
    return compared(path, digest, sums)


def compared(path: Path, digest: str, sums: Sums | None = None) -> str:
    """sound, damaged or no sum, for a file whose content was found to have this SHA-256."""
    sums = read(path.parent) if sums is None else sums
    if path.name not in sums.now:
        return NO_SUM
    if sums.accepts(path.name, digest):
        return SOUND
    # Another run may have replaced the file since the sums were read; it writes them first.
    return SOUND if read(path.parent).accepts(path.name, digest) else DAMAGED


def lost(path: Path) -> bool:
    """Whether a file was stored and is not there."""
    return path.name in read(path.parent).now and not path.exists()


def sha256(path: Path) -> str:
    """Of a file's content, 64 hex digits; taken once in a process while size, time of change and inode stay."""
    status = path.stat()
    if path in _hashes and _hashes[path][0] == _stamp(status):
        return _hashes[path][1]
    found = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(BLOCK):
            found.update(block)
    _remember(_hashes, path, status, found.hexdigest())
    return found.hexdigest()


def known(path: Path, status: os.stat_result, digest: str) -> None:
    """Remember the SHA-256 of a file that had this status before its content was read."""
    _remember(_hashes, path, status, digest)


def put(temporary: Path, path: Path, digest: str) -> None:
    """Move a complete file to its place, its sum first."""
    with lock(path.parent):
        sums = read(path.parent)
        former = dict(sums.before)
        if path.name in sums.now and path.exists():
            seen = [sums.now[path.name], *former.get(path.name, ())]
            former[path.name] = tuple(dict.fromkeys(one for one in seen if one != digest))[:FORMER]
        _write(path.parent, Sums(sums.now | {path.name: digest}, former))
        os.replace(temporary, path)


def add(folder: Path, digests: dict[str, str]) -> None:
    """Write the sums of files (by name) that have none yet."""
    with lock(folder):
        sums = read(folder)
        _write(folder, Sums(digests | sums.now, sums.before))


@contextmanager
def growing(path: Path) -> Iterator[None]:
    """A file that is appended to within the block: it has no sum there, and its sum from then on; none after a kill and
    where an error ends the block, which may be about the file."""
    with lock(path.parent):
        _drop(path)
    failed = False
    try:
        yield
    except Exception:
        failed = True
        raise
    finally:
        if not failed and path.exists():
            add(path.parent, {path.name: sha256(path)})


def forget(path: Path) -> None:
    """Delete a file and its sum; nothing where there is none."""
    if not path.parent.is_dir():
        return
    with lock(path.parent):
        path.unlink(missing_ok=True)
        _drop(path)


def _drop(path: Path) -> None:
    """Forget the sum of a file, if it has one; to be called under the folder's lock."""
    sums = read(path.parent)
    if path.name in sums.now:
        _write(path.parent, Sums(*({n: v for n, v in one.items() if n != path.name} for one in vars(sums).values())))


def aside(path: Path) -> Path | None:
    """Move a damaged file to damaged/ beside it and return where it lies; None where it has been mended since, or the
    folder cannot be written."""
    try:
        with lock(path.parent):
            if state(path) in (SOUND, MISSING):
                return None
            target = path.parent / "damaged" / path.name
            target.parent.mkdir(exist_ok=True)
            number = 1
            while target.exists():
                number += 1
                target = target.with_name(f"{path.stem}-{number}{path.suffix}")
            os.rename(path, target)
            return target
    except OSError:
        return None


def lock(folder: Path) -> FileLock:
    """Held for a moment by whoever changes a folder's sums or sweeps it."""
    from filelock import FileLock  # see benchmarks.store.leases

    return FileLock(folder / f".{NAME}.lock")


def _parsed(path: Path) -> Sums:
    text = path.read_bytes().decode("utf-8", "replace")
    lines = text.splitlines(keepends=True)
    whole = "".join(lines[:-1])
    if not lines or lines[-1] != f"#sums {hashlib.sha256(whole.encode()).hexdigest()}\n":
        raise BadInput(
            f"{path}: the sums themselves are damaged (their last line is not the SHA-256 of those above). Delete the "
            "file, then `python run_bench.py action=verify verify.add=true` looks at every file beside it and writes "
            "them again."
        )
    sums = Sums()
    for line in lines[:-1]:
        earlier, digest, name = re.fullmatch(r"(#before )?([0-9a-f]{64})  (.+)\n", line).groups()  # type: ignore[union-attr]
        if earlier:
            sums.before[name] = (*sums.before.get(name, ()), digest)
        else:
            sums.now[name] = digest
    return sums


def _write(folder: Path, sums: Sums) -> None:
    handle, name = tempfile.mkstemp(dir=folder, prefix=f".{NAME}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(sums.text())
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, folder / NAME)
    finally:
        Path(name).unlink(missing_ok=True)


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_size, status.st_mtime_ns, status.st_ino


def _remember(where: dict, path: Path, status: os.stat_result, found: object) -> None:
    if time.time() - status.st_mtime > SETTLED:
        where[path] = _stamp(status), found
