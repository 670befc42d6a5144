"""What a store holds (action=store): its trials by state, size and age."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pandas as pd

from benchmarks.errors import BadInput, unknown
from benchmarks.store import leases
from benchmarks.store.results import Store
from benchmarks.store.trial import TrialView

UNREADABLE = "unreadable"
COLUMNS = ["trial", "method", "dataset", "seed", "profile", "state", "mib", "age_days", "reason"]


@dataclass(frozen=True)
class Held:
    """A trial's folder. view: None where it cannot be read as a trial; state: as TrialView.status, "running" where a
    run works on it, or "unreadable"; size: bytes of all its files; changed: time of the last change, in UTC; reason:
    why it failed, was declined, or cannot be read."""

    path: Path
    view: TrialView | None
    state: str
    size: int
    changed: datetime
    reason: str

    @property
    def age(self) -> float:
        """Days since its last change."""
        return (datetime.now(timezone.utc) - self.changed).total_seconds() / 86400


def named(store: Store, name: str, key: str) -> Path:
    """The folder of the trial that a command names by its key, or by as much of its beginning as no other has. Raises
    BadInput, naming the command's key, where there is none or several."""
    known = [path.parent for path in sorted((store.runs / "trials").glob("[!.]*/config.json"))]
    found = [path for path in known if path.name == name] or [path for path in known if path.name.startswith(name)]
    if len(found) > 1:
        raise BadInput(f"{key}={name}: begins the names of {', '.join(path.name for path in found)}. Name one of them.")
    if not found:
        raise unknown(f"{key}, in {store.runs}", name, [path.name for path in known])
    return found[0]


def held(store: Store) -> Iterator[Held]:
    """Every folder in trials/, by name, damaged ones too."""
    for path in sorted((store.runs / "trials").glob("[!.]*")):
        if not path.is_dir():
            continue
        reason, view = "", None
        try:
            view = TrialView.load(path)
            reason = (view.reason or "") if view else "has no config.json"
        except BadInput as error:
            reason = str(error)
        running = leases.holder(path)
        state = "running" if running else view.status if view else UNREADABLE
        files = [file.lstat() for file in path.rglob("*") if file.is_file()]
        latest = max((status.st_mtime for status in files), default=path.stat().st_mtime)
        changed = datetime.fromtimestamp(latest, timezone.utc)
        yield Held(path, view, state, sum(status.st_size for status in files), changed, running or reason)


def table(found: list[Held]) -> pd.DataFrame:
    """A row for each trial, with the columns `COLUMNS`."""
    rows = []
    for one in found:
        config = one.view.config if one.view else None
        what = (config.method.name, config.dataset.name, config.seed, config.profile) if config else ("", "", None, "")
        rows.append([one.path.name, *what, one.state, one.size / 2**20, one.age, one.reason])
    return pd.DataFrame(rows, columns=COLUMNS).astype({"seed": "Int64"})
