"""SHA-256 sums of a folder of prepared arrays: what was damaged since it was written is found before it is used."""

import hashlib
import os
import time
from pathlib import Path

NAME = "SHA256SUMS"
SETTLED = 2.0
"""Seconds a file must have been left alone before its hash is remembered, see datasets.fingerprint."""
BLOCK = 2**20

_hashes: dict[Path, tuple[tuple[int, int, int], str]] = {}


def write(folder: Path) -> None:
    """Write the sums of all files of a folder as sha256sum does, and in the last line that of the lines above."""
    text = "".join(f"{sha256(folder / name)}  {name}\n" for name in sorted(_names(folder)))
    (folder / NAME).write_text(f"{text}#sums {hashlib.sha256(text.encode()).hexdigest()}\n")


def damaged(folder: Path) -> list[str] | None:
    """Names of the files that are not what was written, lost ones among them; None where the folder has no sums, as
    those prepared before there were any."""
    try:
        text, _, own = (folder / NAME).read_bytes().rpartition(b"#sums ")
    except FileNotFoundError:
        return None
    if own != f"{hashlib.sha256(text).hexdigest()}\n".encode():
        return [NAME]
    known = {name: digest for digest, _, name in (line.partition("  ") for line in text.decode().splitlines())}
    there = _names(folder)
    return sorted(name for name in there | set(known) if name not in there or sha256(folder / name) != known.get(name))


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != NAME and not path.name.startswith(".")}


def sha256(path: Path) -> str:
    """Of a file's content, 64 hex digits; taken once in a process while size, time of change and inode stay."""
    status = os.stat(path)
    stamp = status.st_size, status.st_mtime_ns, status.st_ino
    if path in _hashes and _hashes[path][0] == stamp:
        return _hashes[path][1]
    found = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(BLOCK):
            found.update(block)
    if time.time() - status.st_mtime > SETTLED:
        _hashes[path] = stamp, found.hexdigest()
    return found.hexdigest()
