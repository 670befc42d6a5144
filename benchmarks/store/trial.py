"""What the store holds of one trial."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.store.files import read_json
from benchmarks.store.kept import unstacked


@dataclass
class TrialView:
    """What the store holds of one trial; everything is read on first use."""

    path: Path
    config: dict
    done: dict = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "TrialView | None":
        config = read_json(path / "config.json")
        return None if config is None else cls(path, config, read_json(path / "done.json") or {})

    @property
    def key(self) -> str:
        return self.path.name

    @property
    def label(self) -> str:
        return self.config["method"].get("title") or self.config["method"]["name"]

    @property
    def status(self) -> str:
        """ok, failed, declined, or unfinished."""
        return self.done.get("status", "unfinished")

    @property
    def reason(self) -> str | None:
        return self.done.get("reason")

    @property
    def history(self) -> pd.DataFrame:
        """Long table: stage, step, epoch, seconds, split, metric, value (empty where training never began)."""
        path = self.path / "history.parquet"
        columns = ["stage", "step", "epoch", "seconds", "split", "metric", "value"]
        return pd.read_parquet(path) if path.exists() else pd.DataFrame(columns=columns)

    @property
    def cost(self) -> dict | None:
        return read_json(self.path / "cost.json")

    @property
    def environment(self) -> dict:
        return read_json(self.path / "environment.json") or {}

    def has(self, condition: str) -> bool:
        """Whether the records of a condition (its key) are stored."""
        return (self.path / "records" / f"{condition}.parquet").exists()

    def records(self, condition: str) -> pd.DataFrame | None:
        path = self.path / "records" / f"{condition}.parquet"
        return pd.read_parquet(path) if path.exists() else None

    def samples(self, condition: str) -> dict[str, Sequence[np.ndarray]] | None:
        """Example cases at a condition (its key): ids (n,), and n arrays of each part: image uint8 (C, h, w) as the
        method saw it, label and prediction uint8 (h, w), of a volume one slice; None where none are stored."""
        path = self.path / "samples" / f"{condition}.npz"
        if not path.exists():
            return None
        with np.load(path) as content:
            return unstacked(content)
