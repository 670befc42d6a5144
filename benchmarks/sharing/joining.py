"""Trials of elsewhere taken into a store: all of them or, where one contradicts what is there, none.

Two folders of one key are the same trial where their weights are bit for bit equal (as far as both have them) and their
records of the same condition are equal but for the time they took. What tells of when and where stays as it is here.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from filelock import Timeout

from benchmarks.errors import BadInput, cannot_write
from benchmarks.store import leases, sums
from benchmarks.store.files import read_frame
from benchmarks.store.results import Store
from benchmarks.store.trial import TrialView

WEIGHTS = "weights.safetensors"
COMPARED = ("records", "validation")
"""Folders of a trial whose files have to be equal where both have them."""
TIMED = ("seconds",)
"""Columns that differ from run to run."""
FINISHED = ("ok", "declined")
SKIPPED = ("damaged", "model_card.md")


@dataclass
class Plan:
    """What is taken in. new: folders of trials that are not here yet, by key; more: files that trials here lack, by
    path below trials/; same: keys of which nothing is new; left: a line for each trial that is not passed on."""

    new: dict[str, Path] = field(default_factory=dict)
    more: dict[str, Path] = field(default_factory=dict)
    same: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def offered(folders: Iterable[Path]) -> Iterator[TrialView]:
    """The trials in these folders. Raises BadInput naming a file that cannot be read."""
    for folder in folders:
        view = TrialView.load(folder)
        if view is not None:
            yield view


def plan(store: Store, views: Iterable[TrialView]) -> Plan:
    """What trials of elsewhere add to a store. Raises BadInput naming every trial that contradicts one here, or another
    of these, and every damaged file, before anything is written."""
    found, conflicts = Plan(), []
    for view in views:
        if view.status not in FINISHED:
            found.left.append(f"{view.path}: {view.status}{f' ({view.reason})' if view.reason else ''}")
            continue
        _refuse_damage(view)
        here = store.trial(view.key)
        base = found.new.get(view.key) or (here.path if here is not None else None)
        if base is None:
            found.new[view.key] = view.path
            continue
        if here is not None and here.status not in FINISHED:
            conflicts.append(
                f"{view.key}: is {here.status} in {store.runs} and {view.status} in {view.path}; finish it there, or "
                f"delete {here.path} to take the other."
            )
            continue
        if why := contradiction(base, view.path):
            conflicts.append(f"{view.key}: {why} in {view.path} than in {base}.")
            continue
        lacking = {f"{view.key}/{name}": path for name, path in _files(view.path).items() if not (base / name).exists()}
        lacking = {name: path for name, path in lacking.items() if name not in found.more}
        found.more |= lacking
        if not lacking:
            found.same.append(view.key)
    if conflicts:
        raise BadInput(
            f"{len(conflicts)} trial(s) contradict what is there, so nothing was taken:"
            + "".join(f"\n  - {line}" for line in conflicts)
            + "\nThe same key stands for the same method, data, recipe and seed: one of the two was made on another "
            "machine or with other threads. Keep one: leave the other out, or in a store of its own."
        )
    return found


def contradiction(one: Path, other: Path) -> str | None:
    """In which respect two folders of one key are not the same trial, in words; None where they are."""
    weights = [folder / WEIGHTS for folder in (one, other)]
    if all(path.exists() for path in weights) and sums.sha256(weights[0]) != sums.sha256(weights[1]):
        return "has other weights"
    for folder in COMPARED:
        for path in sorted((other / folder).glob("*.parquet")):
            mine = one / folder / path.name
            if mine.exists() and sums.sha256(mine) != sums.sha256(path) and not _equal(mine, path):
                return f"has other {folder} ({path.name})"
    return None


def _equal(one: Path, other: Path) -> bool:
    frames = [read_frame(path) for path in (one, other)]
    if any(frame is None for frame in frames):
        return False
    first, second = (_untimed(frame) for frame in frames if frame is not None)
    return first.equals(second)


def _untimed(frame: pd.DataFrame) -> pd.DataFrame:
    left = frame.drop(columns=[name for name in TIMED if name in frame])
    return left[sorted(left)].sort_values([name for name in ("case", "class") if name in left]).reset_index(drop=True)


def _refuse_damage(view: TrialView) -> None:
    for path in _files(view.path).values():
        if sums.state(path) == sums.DAMAGED:
            raise BadInput(
                f"{path}: was damaged since it was written, so nothing was taken. `python run_bench.py action=verify "
                f"paths.runs={view.path.parent.parent}` says what to do."
            )


def _files(folder: Path) -> dict[str, Path]:
    """Files of a trial by their path in it, without sums, locks, temporary files and what was damaged."""
    found = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part in SKIPPED for part in parts)
        if path.is_file() and not path.is_symlink() and not hidden and path.name != sums.NAME:
            found["/".join(parts)] = path
    return found


def take(store: Store, found: Plan) -> None:
    """Do what a plan says. All is copied beside the store's trials first, where a full disk does no harm, and then
    moved into place. Raises CannotWrite, and BadInput where a run is working on one of the trials."""
    store.open()
    trials = store.runs / "trials"
    staged = Path(tempfile.mkdtemp(dir=store.runs, prefix=".taking-"))
    try:
        with _leases(trials, {*found.new, *(name.partition("/")[0] for name in found.more)}):
            for key, folder in found.new.items():
                _copy(_files(folder), staged / "new" / key)
            _copy(found.more, staged / "more")
            placed: list[Path] = []
            try:
                for key in found.new:
                    os.rename(staged / "new" / key, trials / key)
                    placed.append(trials / key)
                for name in found.more:
                    path = trials / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    sums.put(staged / "more" / name, path, sums.sha256(staged / "more" / name))
            except OSError:
                for folder in placed:
                    shutil.rmtree(folder, ignore_errors=True)
                raise
    except OSError as error:
        raise cannot_write(error.filename or store.runs, error) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _copy(files: Mapping[str, Path], folder: Path) -> None:
    """Copies with their sums."""
    sums_of: dict[Path, dict[str, str]] = {}
    for name, path in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        sums_of.setdefault(target.parent, {})[target.name] = sums.sha256(target)
    for place, digests in sums_of.items():
        sums.add(place, digests)
        (place / f".{sums.NAME}.lock").unlink(missing_ok=True)


@contextmanager
def _leases(trials: Path, keys: Iterable[str]) -> Iterator[None]:
    """Those that runs hold while they work on a trial."""
    with ExitStack() as held:
        for key in sorted(keys):
            try:
                held.enter_context(leases.held(trials / key))
            except Timeout:
                who = leases.holder(trials / key) or "a run"
                raise BadInput(f"{trials / key}: {who} is working on this trial. Wait until it has ended.") from None
        yield
