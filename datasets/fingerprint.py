"""The hash that says which data a trial was trained on."""

import hashlib
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from datasets.base import DataError, Entry, Source
from datasets.formats import file_size

SUM, HASHES = "sha256", "files"
SETTLED = 2.0
"""Seconds a file must have been left alone before its hash is remembered: a later write within the clock's tick of the
same size would otherwise go unnoticed."""

BLOCK = 2**22
"""Bytes of a file that are held at once."""


def fingerprint(source: Source, cache: Path | None = None, entries: list[Entry] | None = None) -> str:
    """sha256 (64 hex digits) over what the cases are made of: entries in use, file contents and settings.

    Moving or renaming the data folder changes nothing; adding, editing or re-splitting cases does.
    cache: folder where the hash of each file is remembered by path, size and time of last change. Without it every byte
    is read. entries: the entries in use, when already listed. Raises DataError when a file is missing.
    """
    entries = source.selected() if entries is None else entries
    content = source.content()
    hashes = {} if content is not None else _file_hashes([path for entry in entries for path in entry.files], cache)
    description = {
        "version": source.version,
        "spatial_dims": source.spatial_dims,
        "channels": source.channels,
        "class_names": list(source.class_names),
        "settings": dict(source.settings()),
        "content": hashlib.sha256(content).hexdigest() if content is not None else None,
        "entries": [
            (entry.id, entry.group, entry.split, [hashes[path] for path in entry.files] if content is None else [])
            for entry in sorted(entries, key=lambda entry: entry.id)
        ],
    }
    if source.fit != "resize":  # left out otherwise, so that trials on resized data keep their names
        description["fit"] = source.fit
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()


def _file_hashes(paths: list[Path], cache: Path | None) -> dict[Path, str]:
    """sha256 of each file, from the cache where path, size and time of change are the same."""
    store = cache / "file_hashes.json" if cache is not None else None
    known = _load(store)
    keys = {path: _key(path) for path in paths}
    hashes = {path: known[key] for path, key in keys.items() if key in known}
    missing = [path for path in keys if path not in hashes]
    # hashlib lets go of the interpreter lock for large blocks, so threads do run side by side.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        hashes.update(zip(missing, pool.map(_hash, missing)))
    now = time.time()
    fresh = {keys[path]: hashes[path] for path in missing if now - path.stat().st_mtime > SETTLED}
    if store is not None and fresh:
        _save(store, _load(store) | fresh)
    return hashes


def _key(path: Path) -> str:
    file_size(path)  # names what is no file
    status = path.stat()
    return f"{path.absolute()}|{status.st_size}|{status.st_mtime_ns}"


def _hash(path: Path) -> str:
    hashed = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                hashed.update(block)
        return hashed.hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}. Check the file and its permissions.") from error


def _load(store: Path | None) -> dict[str, str]:
    try:
        found = json.loads(store.read_text()) if store is not None else {}
    except (OSError, ValueError):
        return {}  # no cache yet, or one that was damaged: everything is hashed again
    if SUM not in found:
        return found  # of a version that kept no sum
    return found[HASHES] if found[SUM] == _sum(found.get(HASHES)) else {}


def _sum(hashes: dict[str, str] | None) -> str:
    """By which a flipped bit is noticed, that would else make other data of the same files."""
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def _save(store: Path, hashes: dict[str, str]) -> None:
    store.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=store.parent, prefix=".file_hashes-")
    with os.fdopen(handle, "w") as file:
        json.dump({SUM: _sum(hashes), HASHES: hashes}, file)
    os.replace(temporary, store)
