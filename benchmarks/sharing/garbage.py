"""What a store can do without (action=gc), and never what a report stands on or a run works on."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from filelock import Timeout

from benchmarks.errors import BadInput, cannot_write
from benchmarks.plan import building
from benchmarks.sharing.inventory import UNREADABLE, Held, held
from benchmarks.store import leases
from benchmarks.store.files import read_json
from benchmarks.store.results import Store

PREPARED = re.compile(r".+-v\d+-([0-9a-f]{16})")
"""Folders of prepared images, which end with the beginning of their data set's fingerprint."""
HALF = (".taking-*", ".importing-*", "*/.deleting-*", "*/*/.deleting-*")
LIVELY_DAYS = 1.0
"""After which what a killed import, merge or gc left is known to be nobody's, and before which a trial may belong to
the suite that a run is at: it shows its failures, and holds a lease only on what it works on."""


@dataclass(frozen=True)
class Waste:
    """A folder that nothing needs: why, and its size in bytes."""

    path: Path
    why: str
    size: int


def waste(store: Store, cache: Path) -> list[Waste]:
    """Trials that failed, cannot go on or were superseded, what belongs to trials that are gone, prepared images of
    data that no trial was trained on, and what was set aside as damaged. Raises BadInput for a report that cannot be
    read."""
    trials = list(held(store))
    needed = linked(store)
    if any(one.state == "running" for one in trials):
        needed |= {one.path.name for one in trials if one.age < LIVELY_DAYS}
    latest = _latest(trials)
    gone = {one.path: why for one in trials if one.path.name not in needed and (why := _why(one, latest, cache))}
    kept = [one for one in trials if one.path not in gone]
    found = [Waste(path, why, _size(path)) for path, why in gone.items()]
    found += [Waste(path, "its trial is gone", _size(path)) for path in _orphans(store, kept, needed)]
    found += [Waste(path, "no trial was trained on these data", _size(path)) for path in _caches(cache, kept)]
    for one in kept:
        for path in sorted(one.path.rglob("damaged")) if one.state != "running" else ():
            found.append(Waste(path, "set aside as damaged", _size(path)))
    for pattern in HALF:
        for path in sorted(store.runs.glob(pattern)):
            if time.time() - path.stat().st_mtime > LIVELY_DAYS * 86400:
                found.append(Waste(path, "left by an import, merge or gc that was killed", _size(path)))
    return found


def linked(store: Store) -> set[str]:
    """Keys of the trials that reports of the store stand on. Raises BadInput for records that cannot be read."""
    found: set[str] = set()
    folders = {path.resolve() for path in (store.runs / "reports").glob("*") if path.is_dir()}
    for path in sorted(folder / "records.csv" for folder in folders):
        if not path.exists():
            continue
        try:
            records = pd.read_csv(path, usecols=lambda name: name == "trial", dtype=str)
        except (ValueError, OSError) as error:
            raise BadInput(
                f"{path}: cannot be read ({error}), so nobody knows what it stands on. Delete its report."
            ) from error
        found |= set(records["trial"].dropna()) if "trial" in records else set()
    return found


def _why(one: Held, latest: Mapping[str, tuple[str, str]], cache: Path) -> str | None:
    """Why a trial is not needed; None where it is."""
    if one.state == "running":
        return None
    if one.state == UNREADABLE or one.view is None:
        # A damaged file can be put back from a copy: what is deleted here has no configuration at all.
        return None if (one.path / "config.json").exists() else "orphaned: nothing says what it is"
    if one.state == "failed":
        return f"failed: {one.reason}"
    if one.state in ("unfinished", "stopped"):
        return _cannot_go_on(one, cache)
    return _superseded(one, latest)


def _cannot_go_on(one: Held, cache: Path) -> str | None:
    assert one.view is not None
    config = one.view.config
    if not (one.path / "checkpoint.pt").exists() and not one.view.trained:
        return "orphaned: it was begun and has no checkpoint"
    try:
        code = building.traits(config.method, cache).code
    except BadInput:
        return f"orphaned: there is no {config.method.target} any more"
    return "orphaned: its method's code is another one by now" if code != config.code else None


def _latest(trials: Sequence[Held]) -> dict[str, tuple[str, str]]:
    """By what was asked for, when the last trial that answers it ended, and its name."""
    found: dict[str, tuple[str, str]] = {}
    for one in trials:
        if one.view and one.view.config.request and one.state in ("ok", "declined"):
            mine = one.view.done.get("finished", ""), one.path.name
            found[one.view.config.request] = max(mine, found.get(one.view.config.request, mine))
    return found


def _superseded(one: Held, latest: Mapping[str, tuple[str, str]]) -> str | None:
    """The same words were asked again, and answered with other code or data: reports take the newer trial."""
    assert one.view is not None
    mine = one.view.done.get("finished", ""), one.path.name
    newest = latest.get(one.view.config.request, mine)
    return f"superseded by {newest[1]}" if newest > mine else None


def _orphans(store: Store, kept: Sequence[Held], needed: set[str]) -> Iterator[Path]:
    """Samples of trials that are gone, and images they made."""
    keys = {*(one.path.name for one in kept), *needed}
    for room in ("uncertainty", "syntheses"):
        for path in sorted((store.runs / room).glob("[!.]*")):
            # Its name is that of the trial and more, divided by hyphens, which the trial's own has, too.
            if path.is_dir() and not any(path.name[: end.start()] in keys for end in re.finditer("-", path.name)):
                yield path


def _caches(cache: Path, kept: Sequence[Held]) -> Iterator[Path]:
    known = {one.view.config.dataset.fingerprint for one in kept if one.view}
    for one in kept:
        known |= {(read_json(path) or {}).get("fingerprint") for path in (one.path / "elsewhere").glob("*.json")}
    if any(one.view is None for one in kept):
        return  # whose data these were, nobody can say
    for path in sorted(cache.glob("[!.]*")):
        match = PREPARED.fullmatch(path.name)
        if path.is_dir() and match and not any((one or "").startswith(match[1]) for one in known):
            yield path


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def delete(found: Sequence[Waste]) -> list[str]:
    """Delete folders, each moved aside first, so that none is seen half deleted; returns a line for each that a run has
    begun to work on, or changed since it was looked at. Raises CannotWrite."""
    busy = []
    for one in found:
        try:
            with leases.held(one.path):
                if one.path.exists() and _size(one.path) != one.size:
                    busy.append(f"{one.path}: has changed in the meantime.")
                    continue
                aside = Path(tempfile.mkdtemp(dir=one.path.parent, prefix=".deleting-"))
                os.rename(one.path, aside / one.path.name)
                shutil.rmtree(aside)
        except Timeout:
            busy.append(f"{one.path}: {leases.holder(one.path) or 'a run'} works on it by now.")
        except FileNotFoundError:  # deleted with the folder it lay in
            continue
        except OSError as error:
            raise cannot_write(one.path, error) from error
    return busy
