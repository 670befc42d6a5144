"""What the store holds of one trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.errors import BadInput
from benchmarks.store import sums
from benchmarks.store.config import DatasetConfig, TrialConfig
from benchmarks.store.files import read_arrays, read_frame, read_json, read_table, there, write_json
from benchmarks.store.kept import Parts, Slices, slices_of, unstacked

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

PREDICTIONS = "predictions"
"""Folder of a trial with a folder for each condition, and in that the segmentation of every test case."""


@dataclass
class TrialView:
    """What the store holds of one trial; everything is read on first use."""

    path: Path
    config: TrialConfig
    done: dict = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> TrialView | None:
        """The trial in a folder, None where there is none. Raises BadInput naming a file that cannot be read."""
        content = read_json(path / "config.json")
        if content is None:
            return None
        try:
            config = TrialConfig.from_json(content)
        except (KeyError, TypeError, AttributeError) as error:
            raise BadInput(
                f"{path / 'config.json'}: is not what a trial was stored with ({type(error).__name__}: {error}). "
                "Delete its folder to compute this trial again."
            ) from error
        return cls(path, config, read_json(path / "done.json") or {})

    @property
    def key(self) -> str:
        """Name of its folder."""
        return self.path.name

    @property
    def label(self) -> str:
        """The method's name in tables and figures."""
        return self.config.method.label

    @property
    def status(self) -> str:
        """ok, failed, declined, stopped (its training goes on where it was), or unfinished."""
        return self.done.get("status", "unfinished")

    @property
    def reason(self) -> str | None:
        """Why it failed, was declined or was stopped."""
        return self.done.get("reason")

    @property
    def trained(self) -> bool:
        """Whether all that its training leaves is there; the weights are written first, the cost last."""
        return all((self.path / name).exists() for name in ("weights.safetensors", "history.parquet", "cost.json"))

    @property
    def history(self) -> pd.DataFrame:
        """Long table: stage, step, epoch, seconds, split, metric, value (empty where training never began)."""
        import pandas as pd

        columns = ["stage", "step", "epoch", "seconds", "split", "metric", "value"]
        found = read_frame(self.path / "history.parquet")
        return pd.DataFrame(columns=columns) if found is None else found

    @property
    def cost(self) -> dict | None:
        """What it took: parameters, training_seconds, training_steps, seconds_per_step, best_step, best_val_dsc, and
        `inference`, a list of timings (machine.measure.inference), each with the `comparison` it was part of; None
        where it is not trained."""
        return read_json(self.path / "cost.json")

    @property
    def selected_by(self) -> pd.DataFrame | None:
        """DSC of the validation cases by whose mean the weights were selected: case, group, dsc; None of trials stored
        before they were kept, and of methods that make images."""
        return read_frame(self.path / "validation.parquet")

    @property
    def environment(self) -> dict:
        """Machine and versions it was trained with; empty where it never began."""
        return read_json(self.path / "environment.json") or {}

    @property
    def in_use(self) -> dict | None:
        """The values in use of arguments that its configuration leaves to the method (plan.in_use.chosen); None of
        trials stored before they were kept."""
        return read_json(self.path / "settings.json")

    def elsewhere(self, asked: Sequence[DatasetConfig]) -> list[DatasetConfig]:
        """Of other data sets, in words that need no data, those that it was tested on, with the content they had at
        its last test there."""
        contents = (read_json(self.path / "elsewhere" / f"{one.name}.json") for one in asked)
        known = [DatasetConfig.from_json(content) for content in contents if content is not None]
        return [found for found in known if any(found.asked() == one.asked() for one in asked)]

    def has(self, condition: str) -> bool:
        """Whether the records of a condition (its key) are stored, and the pictures that were stored with them."""
        pictures = self.path / "samples" / f"{condition}.npz"
        records = there(self.path / "records" / f"{condition}.parquet")
        return (there(pictures) or not sums.lost(pictures)) and records

    def has_predictions(self, condition: str) -> bool:
        """Whether the predictions of all test cases under a condition (its key) are stored, none lost or damaged."""
        folder = self.path / PREDICTIONS / condition
        names = sums.read(folder).now
        return bool(names) and all(there(folder / name) for name in names)

    def records(self, condition: str) -> pd.DataFrame | None:
        """A row per test case and class at a condition (its key); None where none are stored."""
        found = self.record_table(condition)
        return None if found is None else found.to_pandas()

    def record_table(self, condition: str) -> pa.Table | None:
        """The same as Arrow holds it."""
        return read_table(self.path / "records" / f"{condition}.parquet")

    def has_validation(self, condition: str) -> bool:
        """Whether the validation records of a condition (its key) are stored."""
        return there(self.path / "validation" / f"{condition}.parquet")

    def validation(self, condition: str) -> pd.DataFrame:
        """A row per validation case and class, as of test cases, for a condition (its key) that is stored. Raises
        BadInput where it is not."""
        path = self.path / "validation" / f"{condition}.parquet"
        found = read_frame(path)
        if found is None:
            raise BadInput(f"{path}: is not there any more. Run the same command without action first.")
        return found

    def samples(self, condition: str) -> dict[str, Parts] | None:
        """Example cases at a condition (its key): ids (n,), and n arrays of each part: image uint8 (C, h, w) as the
        method saw it, label and prediction uint8 (h, w), of a volume one slice; None where none are stored."""
        content = read_arrays(self.path / "samples" / f"{condition}.npz")
        return None if content is None else unstacked(content)

    def slices(self, condition: str) -> list[Slices | None]:
        """Of each of the example cases at a condition (its key) the slices that are kept of a volume."""
        content = read_arrays(self.path / "samples" / f"{condition}.npz")
        return [] if content is None else slices_of(content)


def mark(folder: Path, status: str, reason: str | None = None, **more: object) -> None:
    """Write a trial's marker, done.json: status is ok, failed, declined or stopped."""
    finished = datetime.now(timezone.utc).isoformat(timespec="seconds")
    write_json(folder / "done.json", {"status": status, "reason": reason, "finished": finished, **more})
