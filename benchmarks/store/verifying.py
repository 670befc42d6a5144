"""Every file of a store and of its cache against its SHA-256: action=verify."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.errors import BadInput
from benchmarks.store import sums
from benchmarks.store.files import REFUSED

ROOMS = ("trials", "uncertainty", "syntheses", "timings", "overviews", "tuning", "reports")
"""Folders of a store whose files have sums."""
AGAIN = "The next run sets it aside and makes it again."
BARE = "Files without a sum, of an older store or by hand, are read as they are; verify.add=true writes their sums."
RETURNS = "The next run makes it."
PREPARED = "The next run that needs this data set prepares it again."
REDRAWN = "The command of the report with action=report draws it again."


class Finding(NamedTuple):
    """A file of which there is something to say. state: damaged, no sum or missing; advice: what to do."""

    path: Path
    state: str
    advice: str


def verify(runs: Path, cache: Path) -> Iterator[tuple[int, list[Finding]]]:
    """(number of files, findings) of each folder of a store and of the prepared data in its cache."""
    for folder in folders(runs, cache):
        yield _of_folder(folder, _advice_in(folder, runs, cache))


def folders(runs: Path, cache: Path) -> Iterator[Path]:
    """The folders whose files have sums."""
    for top in [*(runs / room for room in ROOMS), cache]:
        for folder in sorted({path.parent for path in top.rglob("*") if path.is_file()}):
            inside = folder.relative_to(top).parts
            # Markers of data that passed their checks are empty; the work folders of nnU-Net v2 are its own.
            if not inside or any(part == "damaged" or part.startswith(".") for part in inside):
                continue
            if top == cache and inside[0] in ("checked", "nnunetv2"):
                continue
            yield folder


def add(runs: Path, cache: Path) -> int:
    """Write the sum of every file that has none and can be read; returns their number. Raises BadInput where the sums
    of a folder are damaged themselves."""
    added = 0
    for folder in folders(runs, cache):
        known = sums.read(folder).now
        fresh = {path.name: sums.sha256(path) for path in _files(folder) if path.name not in known and not flaw(path)}
        if fresh:
            sums.add(folder, fresh)
        added += len(fresh)
    return added


def flaw(path: Path) -> str | None:
    """Why a file cannot be read as what its name says; None where it can."""
    try:
        content = path.read_bytes()
        if path.suffix == ".parquet":
            pd.read_parquet(io.BytesIO(content))
        elif path.suffix == ".json":
            json.loads(content)
        elif path.suffix == ".npz":
            with np.load(io.BytesIO(content)) as arrays:
                for name in arrays:
                    arrays[name]
        elif path.suffix == ".safetensors":
            length = int.from_bytes(content[:8], "little")
            tensors = json.loads(content[8 : 8 + length])
            ends = [one["data_offsets"][1] for name, one in tensors.items() if name != "__metadata__"]
            if 8 + length + max(ends, default=0) != len(content):
                return f"its tensors need {8 + length + max(ends, default=0)} bytes and it has {len(content)}"
    except Exception as error:  # a damaged file can make a reader raise anything
        return " ".join(str(error).split())[:120] or type(error).__name__
    return None


def _advice_in(folder: Path, runs: Path, cache: Path) -> str | None:
    """What to do about anything damaged in a folder; None where that depends on the file."""
    if folder.is_relative_to(runs / "reports"):
        return REDRAWN
    answers = ("memory", "methods")
    return PREPARED if folder.parent == cache and folder.name not in answers else None


def _of_folder(folder: Path, always: str | None) -> tuple[int, list[Finding]]:
    files, found = _files(folder), []
    try:
        known = sums.read(folder).now
    except BadInput as error:
        return len(files), [Finding(folder / sums.NAME, sums.DAMAGED, str(error).partition(": ")[2])]
    for path in sorted({*files, *(folder / name for name in known)}):
        try:
            state = sums.state(path)
        except BadInput as error:
            found.append(Finding(path, sums.DAMAGED, str(error).partition(": ")[2]))
            continue
        if state == sums.NO_SUM and (why := flaw(path)):
            state = f"{sums.DAMAGED}, has no sum: {why}"
        if state != sums.SOUND:
            found.append(Finding(path, state, BARE if state == sums.NO_SUM else always or _advice(path, state)))
    return len(files), found


def _advice(path: Path, state: str) -> str:
    if state == sums.MISSING:
        return REFUSED[path.name] if path.name == "weights.safetensors" else RETURNS
    return REFUSED.get(path.name, AGAIN)


def _files(folder: Path) -> list[Path]:
    """Files of a folder that have sums: all but hidden ones and the sums themselves."""
    return sorted(p for p in folder.iterdir() if p.is_file() and p.name != sums.NAME and not p.name.startswith("."))
