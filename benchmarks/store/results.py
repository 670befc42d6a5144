"""The result store: one folder per trial, named by content, written atomically, read by reports and tracking.

runs/trials/<dataset>-<method>-s<seed>-<hash>/
    config.json          what was trained, on what, how (the hash is taken over it)
    environment.json     where
    settings.json        values in use of arguments that the configuration leaves to the method
    checkpoint.pt        only while training
    weights.safetensors  the selected weights
    history.parquet      losses, learning rate and validation scores by step
    validation.parquet   DSC of each validation case with the selected weights, by whose mean they were selected
    cost.json            parameters, training time, inference time and memory
    elsewhere/*.json     other data sets that it was tested on
    records/*.parquet    one file per condition: a row per test case and class
    validation/*.parquet the same of validation cases, a file per number of sampling steps to choose from
    samples/*.npz        one file per condition: a few test cases with their predictions, for pictures
    trajectories/*       a few test cases while they are noised and sampled, see benchmarks/kinds/trajectories.py
    done.json            written last: ok, failed or declined, with the reason
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.errors import BadInput
from benchmarks.store.kept import Overview, Sampled, Watched
from benchmarks.store.records import RECORD_COLUMNS, RECORD_ORDER, completed, tested
from benchmarks.store.selection import Selection
from benchmarks.store.syntheses import Judged
from benchmarks.store.trial import TrialView

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Results:
    """Everything a report may use: the resolved suite, its trials, and their records in a fixed order; of a suite that
    shows data instead of comparing methods, their overviews."""

    suite: dict[str, Any]
    trials: list[TrialView]
    records: pd.DataFrame
    overviews: list[Overview] = field(default_factory=list)
    conditions: dict[tuple, str] = field(default_factory=dict)
    """Key of the condition that a trial was tested under, by `tested` of one of its records."""
    selection: dict[tuple[str, str], Selection] = field(default_factory=dict)
    """How many sampling steps validation cases chose, by data set and method; empty where a suite gives the numbers."""
    uncertainty: dict[tuple, Sampled] = field(default_factory=dict)
    """Maps of the cases that were sampled many times, by `tested` of one of their records."""
    trajectories: list[Watched] = field(default_factory=list)
    syntheses: list[Judged] = field(default_factory=list)
    """Images that trials made from label maps, with what they scored."""
    unwritten: list[str] = field(default_factory=list)
    """A line for each job whose failure could not be written into the store."""
    missing: list[str] = field(default_factory=list)
    """A line for each trial that was asked for and is not there, and for each that lacks records it should have."""


class Store:
    """The folder `paths.runs`."""

    def __init__(self, runs: Path) -> None:
        self.runs = Path(runs)

    def open(self) -> None:
        """Create the folders. Raises BadInput where they cannot be written."""
        try:
            (self.runs / "trials").mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.runs / "trials"):
                pass
        except OSError as error:
            raise BadInput(
                f"paths.runs={self.runs}: cannot be written ({error.strerror}). Give a writable folder: paths.runs=DIR."
            ) from error

    def folder(self, trial: str) -> Path:
        """Where a trial (its key) lies."""
        return self.runs / "trials" / trial

    def report_folder(self, name: str) -> Path:
        """Where the report of this name lies; under the name of a suite the latest of its reports."""
        return self.runs / "reports" / name

    def trial(self, key: str) -> TrialView | None:
        """What the store holds of a trial (its key); None where that is nothing. Raises BadInput for a damaged file."""
        return TrialView.load(self.folder(key))

    def newest(self, request: str) -> TrialView | None:
        """The last finished trial that was asked for in these words (`request`), whatever data or code it used."""
        found = []
        for path in sorted((self.runs / "trials").glob("*/done.json")):
            view = TrialView.load(path.parent)
            if view and view.config.request == request:
                found.append((view.done.get("finished", ""), view.key, view))
        return max(found, key=lambda item: item[:2])[2] if found else None

    def results(self, suite: dict[str, Any], trials: list[tuple[str, list[str]]]) -> Results:
        """Records of the given (trial key, condition keys), sorted so that equal runs give equal tables."""
        import pandas as pd
        import pyarrow as pa

        views, tables, missing = [], [], []
        found: dict[tuple, str] = {}
        for key, conditions in trials:
            view = self.trial(key)
            if view is None:
                continue
            views.append(view)
            lacking = []
            for condition in conditions:
                table = view.record_table(condition)
                if table is not None and len(table):
                    found[tested(table.slice(0, 1).to_pylist()[0])] = condition
                    tables.append(table)
                else:
                    lacking.append(condition)
            if lacking and view.status not in ("declined", "failed"):
                missing.append(f"{view.config.name}: {len(lacking)} of {len(conditions)} tests ({', '.join(lacking)})")
        # Columns that only some files have, or that hold nothing in some, take the type that they have in the others.
        joined = pa.concat_tables(tables, promote_options="permissive") if tables else None
        records = pd.DataFrame(columns=RECORD_COLUMNS) if joined is None else joined.to_pandas(split_blocks=True)
        records = completed(records).sort_values(RECORD_ORDER, kind="stable", ignore_index=True)
        return Results(suite, views, records, conditions=found, missing=missing)
