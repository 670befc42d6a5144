"""What other stores hold taken into a store: all of it or, where any of it contradicts what is there, nothing.

Two folders of one key are the same trial where their weights are bit for bit equal (as far as both have them) and their
records of the same condition are equal but for the time they took. What tells of when and where stays as it is here.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from filelock import Timeout

from benchmarks.errors import BadInput, cannot_write
from benchmarks.store import leases, sums
from benchmarks.store.files import read_frame, write_json
from benchmarks.store.results import Store
from benchmarks.store.trial import TrialView

TRIALS = "trials"
WEIGHTS, COST = "weights.safetensors", "cost.json"
COMPARED = ("records", "validation")
"""Folders of a trial whose files have to be equal where both have them."""
TIMED = ("seconds",)
"""Columns that differ from run to run."""
FINISHED = ("ok", "declined")
SKIPPED = ("damaged", "model_card.md")


@dataclass
class Plan:
    """What is taken in, by path below paths.runs. new: folders that are not here yet; more: files that folders here
    lack; timed: of trials, by key, the comparisons with others that they were timed in elsewhere, rows of `inference`
    in cost.json; same: folders of which nothing is new; left: a line for each that is not passed on; conflicts: a line
    for each that contradicts what is here."""

    new: dict[str, Path] = field(default_factory=dict)
    more: dict[str, Path] = field(default_factory=dict)
    timed: dict[str, list[dict]] = field(default_factory=dict)
    same: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raises BadInput naming everything that contradicts what is there."""
        if self.conflicts:
            raise BadInput(
                f"{len(self.conflicts)} thing(s) contradict what is there, so nothing was taken:"
                + "".join(f"\n  - {line}" for line in self.conflicts)
                + "\nThe same key stands for the same method, data, recipe and seed: one of the two was made on "
                "another machine or with other threads. Keep one: leave the other out, or in a store of its own."
            )

    def complete(self, name: str, base: Path, other: Path) -> None:
        """Take from a folder `other` what the same one here, `base`, lacks; name: its path below paths.runs."""
        files = {f"{name}/{part}": path for part, path in files_of(other).items() if not (base / part).exists()}
        lacking = {part: path for part, path in files.items() if part not in self.more}
        self.more |= lacking
        if not lacking:
            self.same.append(name)


def offered(folders: Iterable[Path]) -> Iterator[TrialView]:
    """The trials in these folders. Raises BadInput naming a file that cannot be read."""
    for folder in folders:
        view = TrialView.load(folder)
        if view is not None:
            yield view


def plan(store: Store, views: Iterable[TrialView]) -> Plan:
    """What trials of elsewhere add to a store, and which of them contradict one here, or another of these. Raises
    BadInput for a damaged file."""
    found = Plan()
    for view in views:
        name = f"{TRIALS}/{view.key}"
        if view.status not in FINISHED:
            found.left.append(f"{view.path}: {view.status}{f' ({view.reason})' if view.reason else ''}")
            continue
        refuse_damage(view.path)
        here = store.trial(view.key)
        base = here or (TrialView.load(found.new[name]) if name in found.new else None)
        if base is None:
            found.new[name] = view.path
        elif base.status != view.status:
            _choose(found, name, base, view, base is here)
        elif why := contradiction(base.path, view.path):
            found.conflicts.append(f"{view.key}: {why} in {view.path} than in {base.path}.")
        else:
            _add_timings(found, base, view)
            found.complete(name, base.path, view.path)
    return found


def _choose(found: Plan, name: str, base: TrialView, view: TrialView, kept: bool) -> None:
    """Of two folders of one trial that ended otherwise, such as one that a smaller machine declined: the trained one,
    unless it would have to replace what is in the store."""
    if base.status == "ok":
        found.left.append(f"{view.path}: {view.status} ({view.reason}), and trained in {base.path}")
    elif kept:
        found.conflicts.append(
            f"{view.key}: is {base.status} in {base.path} and {view.status} in {view.path}; finish it there, or delete "
            "that folder to take the other."
        )
    else:
        found.left.append(f"{base.path}: {base.status} ({base.reason}), and trained in {view.path}")
        found.new[name] = view.path
        found.more = {part: path for part, path in found.more.items() if not part.startswith(f"{name}/")}


def _add_timings(found: Plan, base: TrialView, view: TrialView) -> None:
    """Times of a comparison stand beside each other in reports, and each is of one machine: those of comparisons that
    are not known here are passed on whole."""
    known = [row.get("comparison") for row in (base.cost or {}).get("inference") or []]
    known += [row.get("comparison") for row in found.timed.get(view.key, [])]
    rows = [row for row in (view.cost or {}).get("inference") or [] if row.get("comparison") not in (None, *known)]
    if rows:
        found.timed.setdefault(view.key, []).extend(rows)


def contradiction(one: Path, other: Path) -> str | None:
    """In which respect two folders of one key are not the same trial, in words; None where they are."""
    weights = [folder / WEIGHTS for folder in (one, other)]
    if all(path.exists() for path in weights) and sums.sha256(weights[0]) != sums.sha256(weights[1]):
        return "has other weights"
    for folder in COMPARED:
        for path in sorted((other / folder).glob("*.parquet")):
            mine = one / folder / path.name
            if mine.exists() and not equal_frames(mine, path):
                return f"has other {folder} ({path.name})"
    return None


def equal_frames(one: Path, other: Path) -> bool:
    """Whether two tables hold the same but for the time it took."""
    if sums.sha256(one) == sums.sha256(other):
        return True
    frames = [read_frame(path) for path in (one, other)]
    if any(frame is None for frame in frames):
        return False
    first, second = (_untimed(frame) for frame in frames if frame is not None)
    return first.equals(second)


def _untimed(frame: pd.DataFrame) -> pd.DataFrame:
    left = frame.drop(columns=[name for name in TIMED if name in frame])
    return left[sorted(left)].sort_values([name for name in ("case", "class") if name in left]).reset_index(drop=True)


def refuse_damage(folder: Path) -> None:
    """Raises BadInput naming a file of a stored folder that is not what was written."""
    for path in files_of(folder).values():
        if sums.state(path) == sums.DAMAGED:
            raise BadInput(
                f"{path}: was damaged since it was written, so nothing was taken. `python run_bench.py action=verify "
                f"paths.runs={folder.parent.parent}` says what to do."
            )


def files_of(folder: Path) -> dict[str, Path]:
    """Files of a stored folder by their path in it, without sums, locks, temporary files and what was damaged."""
    found = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part in SKIPPED for part in parts)
        if path.is_file() and not path.is_symlink() and not hidden and path.name != sums.NAME:
            found["/".join(parts)] = path
    return found


def take(store: Store, found: Plan) -> None:
    """Do what a plan says. All is copied into the store, beside what is there, where a full disk does no harm, and then
    moved into place. Raises BadInput where something contradicts what is there or a run is working on it, and
    CannotWrite; nothing was taken then."""
    found.check()
    store.open()
    places: dict[str, list[str]] = {name: [] for name in found.new}
    for name in found.more:
        places.setdefault("/".join(name.split("/")[:2]), []).append(name)
    for place in places:
        if who := leases.holder(store.runs / place):
            raise _busy(store.runs / place, who)
    staged = Path(tempfile.mkdtemp(dir=store.runs, prefix=".taking-"))
    try:
        for name, folder in found.new.items():
            _copy(files_of(folder), staged / "new" / name)
        _copy(found.more, staged / "more")
        _place(store.runs, staged, places, found)
        for key, rows in found.timed.items():
            path = store.folder(key) / COST
            with _lease(store.folder(key)):
                cost = TrialView.load(path.parent).cost or {}  # type: ignore[union-attr]
                # Before those of here: of equals a report shows the last.
                write_json(path, cost | {"inference": rows + (cost.get("inference") or [])})
    except OSError as error:
        raise cannot_write(error.filename or store.runs, error) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _place(runs: Path, staged: Path, places: Mapping[str, Sequence[str]], found: Plan) -> None:
    """Move what was copied into place, by folder with the files it lacks; all of it or, where that fails or is
    interrupted, nothing."""
    folders: list[Path] = []
    files: list[Path] = []
    try:
        for place, lacking in places.items():
            path = runs / place
            path.parent.mkdir(parents=True, exist_ok=True)
            with _lease(path):
                if place in found.new:
                    if path.exists():
                        raise _busy(path, "a run")
                    os.rename(staged / "new" / place, path)
                    folders.append(path)
                for name in lacking:
                    (runs / name).parent.mkdir(parents=True, exist_ok=True)
                    copied = staged / "more" / name
                    files.append(runs / name)
                    sums.put(copied, runs / name, sums.sha256(copied))
    except BaseException:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        for file in files:
            sums.forget(file)
        raise


def _copy(files: Mapping[str, Path], folder: Path) -> None:
    """Copies with their sums and times: of timings and overviews reports show the newest."""
    sums_of: dict[Path, dict[str, str]] = {}
    for name, path in files.items():
        target, status = folder / name, path.stat()
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
        sums_of.setdefault(target.parent, {})[target.name] = sums.sha256(target)
    for place, digests in sums_of.items():
        sums.add(place, digests)
        (place / f".{sums.NAME}.lock").unlink(missing_ok=True)


@contextmanager
def _lease(place: Path) -> Iterator[None]:
    """That which runs hold while they work on something."""
    try:
        with leases.held(place):
            yield
    except Timeout:
        raise _busy(place, leases.holder(place) or "a run") from None


def _busy(place: Path, who: str) -> BadInput:
    return BadInput(f"{place}: {who} is working on this. Nothing was taken; wait until it has ended.")
