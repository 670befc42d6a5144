"""What reports show of a store beside its trials: timings of networks, samples and images of trials, overviews of data.

Where two stores hold the same folder, samples, images and overviews have to be equal but for the time they took, as the
records of a trial. Timings are times and nothing else: those of here stay, and rounds of two machines never mix.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.sharing.joining import TIMED, TRIALS, Plan, equal_frames, files_of, refuse_damage
from benchmarks.store.files import read_arrays, read_json
from benchmarks.store.kept import Overview
from benchmarks.store.results import Store
from benchmarks.store.syntheses import Syntheses

TIMINGS = "timings"


def plan(found: Plan, store: Store, place: Path) -> None:
    """Add to a plan, which knows the trials already, what the store `place` holds beside them. Raises BadInput for a
    damaged file."""
    for room, finished in ROOMS.items():
        for folder in sorted(path for path in (place / room).glob("[!.]*") if path.is_dir()):
            name = f"{room}/{folder.name}"
            if (why := _left(store, found, folder)) or not finished(folder):
                found.left.append(f"{folder}: {why or 'is not complete'}")
                continue
            refuse_damage(folder)
            here = store.runs / name
            base = here if here.exists() else found.new.get(name)
            if base is None:
                found.new[name] = folder
            elif room == TIMINGS and not finished(base):
                found.left.append(f"{folder}: was begun in {base}, and rounds of two machines do not mix")
            elif room == TIMINGS:
                found.same.append(name)
            elif why := _contradiction(base, folder):
                found.conflicts.append(f"{name}: {why} in {folder} than in {base}.")
            else:
                found.complete(name, base, folder)


def _left(store: Store, found: Plan, folder: Path) -> str | None:
    """Why the samples or images of a trial are not passed on."""
    trial = (read_json(folder / "about.json") or {}).get("trial")
    if trial is None or f"{TRIALS}/{trial}" in found.new or (store.folder(trial) / "config.json").exists():
        return None
    return f"its trial {trial} is not passed on"


def _contradiction(one: Path, other: Path) -> str | None:
    """In which respect two folders of one name differ, in words; None where they do not."""
    for part, path in files_of(other).items():
        mine = one / part
        if mine.exists() and (equal := EQUAL.get(path.suffix)) and not equal(mine, path):
            return f"has another {part}"
    return None


def _equal_arrays(one: Path, other: Path) -> bool:
    first, second = read_arrays(one), read_arrays(other)
    if first is None or second is None or set(first) != set(second):
        return False
    return all(name in TIMED or _same(first[name], second[name]) for name in first)


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f" and other.dtype.kind == "f")


EQUAL: dict[str, Callable[[Path, Path], bool]] = {".parquet": equal_frames, ".npz": _equal_arrays}
"""How files are compared; what is written as JSON tells of when and where."""


def _rounds(folder: Path) -> bool:
    return (folder / "done.json").exists() and any(folder.glob("round-*.parquet"))


def _chunks(folder: Path) -> bool:
    chunks = (read_json(folder / "about.json") or {}).get("chunks", 0)
    return chunks > 0 and all((folder / f"records{number:04d}.parquet").exists() for number in range(chunks))


ROOMS: dict[str, Callable[[Path], bool]] = {
    TIMINGS: _rounds,
    "uncertainty": _chunks,
    "syntheses": lambda folder: Syntheses(folder).complete(),
    "overviews": lambda folder: Overview(folder).complete(),
}
"""Folders of a store beside trials/ that reports read, and whether one in them is finished."""
