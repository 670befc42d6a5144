"""The trials of several stores seen together, without being joined."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.errors import BadInput
from benchmarks.sharing import joining
from benchmarks.store.records import RECORD_ORDER
from benchmarks.store.results import Results, Store
from benchmarks.store.trial import TrialView

ENDED = ("ok", "declined", "failed")


def gathered(places: Sequence[Path]) -> Results:
    """All records of the trials that have ended in these stores, a trial that several hold once. Raises BadInput where
    two of one key contradict each other, and where no trial has ended."""
    views: dict[str, TrialView] = {}
    for place in places:
        for view in joining.offered(sorted(path.parent for path in (place / "trials").glob("*/config.json"))):
            former = views.get(view.key)
            if view.status not in ENDED:
                continue
            if (
                former
                and former.status == view.status == "ok"
                and (why := joining.contradiction(former.path, view.path))
            ):
                raise BadInput(
                    f"{view.key}: {why} in {view.path} than in {former.path}, and the same key stands for the same "
                    "training. Leave one of the stores out, or delete one of the two."
                )
            if former is None or _worth(view) > _worth(former):
                views[view.key] = view
    if not views:
        raise BadInput(f"input={[str(place) for place in places]}: hold no trial that has ended.")
    held: dict[Path, list[tuple[str, list[str]]]] = {}
    for view in views.values():
        held.setdefault(view.path.parent.parent, []).append((view.key, conditions(view)))
    parts = [Store(place).results({}, trials) for place, trials in held.items()]
    frames = [part.records for part in parts if len(part.records)]
    records = pd.concat(frames, ignore_index=True) if frames else parts[0].records
    records = records.sort_values(RECORD_ORDER, kind="stable", ignore_index=True)
    suite = {
        "name": "leaderboard",
        "title": "Leaderboard",
        "report": "leaderboard",
        "stores": [str(one) for one in places],
    }
    return Results(suite, list(views.values()), records)


def conditions(view: TrialView) -> list[str]:
    """Keys of the conditions that records are stored of."""
    return sorted(path.stem for path in (view.path / "records").glob("*.parquet"))


def _worth(view: TrialView) -> tuple[bool, int]:
    """By which one of two equal trials is taken: that with more tests."""
    return view.status == "ok", len(conditions(view))
