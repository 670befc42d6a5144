"""The result store: one folder per trial, named by content, written atomically, read by reports and tracking.

runs/trials/<dataset>-<method>-s<seed>-<hash>/
    config.json          what was trained, on what, how (the hash is taken over it)
    environment.json     where
    checkpoint.pt        only while training
    weights.safetensors  the selected weights
    history.parquet      losses, learning rate and validation scores by step
    cost.json            parameters, training time, inference time and memory
    records/*.parquet    one file per condition: a row per test case and class
    samples/*.npz        one file per condition: a few test cases with their predictions, for pictures
    trajectories/*       a few test cases while they are noised and sampled, see benchmarks/trajectories.py
    done.json            written last: ok, failed or declined, with the reason
"""

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.errors import BadInput
from benchmarks.pictures import unstacked

RECORD_COLUMNS = [
    "method", "dataset", "seed", "case", "group", "class", "steps", "sampler", "sigma", "image_size",
    "dsc", "iou", "hd95", "assd", "seconds", "nfe", "eta", "ensemble", "empty", "trial",
    "video", "time", "temporal_dsc", "temporal_dsc_label",
]  # fmt: skip
RECORD_ORDER = ["dataset", "method", "seed", "sampler", "steps", "ensemble", "image_size", "sigma", "case", "class"]


def write_atomic(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk and rename it: never half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: dict) -> None:
    write_atomic(path, lambda file: file.write_text(json.dumps(content, indent=1, default=str) + "\n"))


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    write_atomic(path, lambda file: frame.to_parquet(file, index=False))


def read_json(path: Path) -> dict | None:
    """The content of a JSON file, or None where there is none. Raises BadInput naming an unreadable one."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read ({error}). Delete its folder to compute this trial again.") from error


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


class Shown(NamedTuple):
    """A whole case: image float32 (C, *S) in [0, 1], in 256 steps; label uint8 (*S); spacing in mm or None."""

    id: str
    image: np.ndarray
    label: np.ndarray
    spacing: tuple[float, ...] | None


@dataclass(frozen=True)
class Overview:
    """What the store holds of a data set itself (runs/overviews/): counts of every case, and a few whole cases."""

    path: Path

    @cached_property
    def about(self) -> dict:
        """name, title, class_names, spatial_dims, channels, fingerprint."""
        return json.loads((self.path / "about.json").read_text())

    @cached_property
    def cases(self) -> pd.DataFrame:
        """A row per case: case, group, split, video, time, shape (text), spacing_0, ... in mm or NaN, and for each
        class `voxels CLASS`."""
        return pd.read_parquet(self.path / "cases.parquet")

    def pictures(self) -> list[Shown]:
        """The cases kept."""
        with np.load(self.path / "pictures.npz") as content:
            return [
                Shown(
                    str(name), content[f"image_{n}"].astype(np.float32) / 255, content[f"label_{n}"],
                    tuple(content[f"spacing_{n}"].tolist()) or None,
                )
                for n, name in enumerate(content["ids"])
            ]  # fmt: skip


class Watched(NamedTuple):
    """A test case while a trial's method diffuses it, by process: (direction, steps), direction being "forward" (true
    label to noise, steps 0) or "reverse" (noise to segmentation).

    image uint8 (C, h, w); label uint8 (h, w); states: of each process float32 (n, h', w'), the states at its n times
    in the order of the process; decoded: the segmentations uint8 (n, h, w) read off them; latent: whether states are
    latents instead of pictures of a segmentation. Of a volume one slice; of several channels one.
    """

    trial: str
    case: str
    latent: bool
    image: np.ndarray
    label: np.ndarray
    states: dict[tuple[str, int], np.ndarray]
    decoded: dict[tuple[str, int], np.ndarray]

    @classmethod
    def load(cls, trial: str, path: Path) -> "list[Watched]":
        """The cases in a file of trajectories/."""
        with np.load(path) as content:
            found = []
            for n, case in enumerate(content["ids"].astype(str).tolist()):
                parts = [name.split("_") for name in content if name.startswith((f"states_{n}_", f"decoded_{n}_"))]
                processes: dict[str, dict] = {"states": {}, "decoded": {}}
                for part, _, direction, steps in parts:
                    processes[part][direction, int(steps)] = content[f"{part}_{n}_{direction}_{steps}"]
                image, label = content[f"image_{n}"], content[f"label_{n}"]
                found.append(cls(trial, case, bool(content["latent"]), image, label, **processes))
            return found


class Maps(NamedTuple):
    """A test case sampled many times, of a volume one slice: image uint8 (C, h, w) as the method saw it; label and
    prediction (of the mean) uint8 (h, w); mean foreground probability and SD over the runs, float32 (h, w)."""

    id: str
    image: np.ndarray
    label: np.ndarray
    prediction: np.ndarray
    mean: np.ndarray
    sd: np.ndarray


@dataclass(frozen=True)
class Sampled:
    """What the store holds of one trial sampled many times in one way (runs/uncertainty/), but for its records."""

    path: Path

    def pictures(self) -> list[Maps]:
        """The cases kept, in the order of the test set."""
        found = []
        for path in sorted(self.path.glob("maps*.npz")):
            with np.load(path) as content:
                for n, name in enumerate(content["ids"]):
                    found.append(Maps(str(name), *(content[f"{part}_{n}"] for part in Maps._fields[1:])))
        return found


@dataclass
class Results:
    """Everything a report may use: the resolved suite, its trials, and their records in a fixed order; of a suite that
    shows data instead of comparing methods, their overviews."""

    suite: dict
    trials: list[TrialView]
    records: pd.DataFrame
    overviews: list[Overview] = field(default_factory=list)
    conditions: dict[tuple, str] = field(default_factory=dict)
    """Key of the condition that a trial was tested under, by `tested` of one of its records."""
    uncertainty: dict[tuple, "Sampled"] = field(default_factory=dict)
    """Maps of the cases that were sampled many times, by `tested` of one of their records."""
    trajectories: list[Watched] = field(default_factory=list)


TESTED = ["trial", "steps", "sampler", "eta", "ensemble", "sigma"]


def tested(record: Mapping) -> tuple:
    """What tells the conditions of a store apart, from a record (a row of the records, or anything with its names)."""
    return tuple(record[name] for name in TESTED)


class Store:
    """The folder `paths.runs`."""

    def __init__(self, runs: Path):
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
        return self.runs / "trials" / trial

    def report_folder(self, suite: str) -> Path:
        return self.runs / "reports" / suite

    def trial(self, key: str) -> TrialView | None:
        return TrialView.load(self.folder(key))

    def newest(self, request: str) -> TrialView | None:
        """The last finished trial that was asked for in these words (`request`), whatever data or code it used."""
        found = []
        for path in sorted((self.runs / "trials").glob("*/done.json")):
            view = TrialView.load(path.parent)
            if view and view.config.get("request") == request:
                found.append((view.done.get("finished", ""), view.key, view))
        return max(found, key=lambda item: item[:2])[2] if found else None

    def results(self, suite: dict, trials: list[tuple[str, list[str]]]) -> Results:
        """Records of the given (trial key, condition keys), sorted so that equal runs give equal tables."""
        views, frames, found = [], [], {}
        for key, conditions in trials:
            view = self.trial(key)
            if view is None:
                continue
            views.append(view)
            for condition in conditions:
                frame = view.records(condition)
                if frame is not None and len(frame):
                    found[tested(frame.iloc[0])] = condition
                    frames.append(frame)
        records = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=RECORD_COLUMNS)
        records = records.reindex(columns=RECORD_COLUMNS).sort_values(RECORD_ORDER, kind="stable", ignore_index=True)
        return Results(suite, views, records, conditions=found)
