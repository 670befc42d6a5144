"""Suites that show data sets: a row per case with its size and how much of each class it has, and a few whole cases."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from omegaconf import DictConfig

from benchmarks import console
from benchmarks.errors import BadInput, Failure
from benchmarks.kinds.base import SAMPLED, Batch, Kind, Left, Suite
from benchmarks.plan import choices, identity
from benchmarks.plan.sources import checked_entries, source
from benchmarks.runner import Work
from benchmarks.store.files import read_json, write_arrays, write_frame, write_json
from benchmarks.store.kept import Overview
from benchmarks.store.results import Results, Store
from datasets.base import Case, Entry
from datasets.fingerprint import fingerprint


class Content(NamedTuple):
    """A data set (its name) with just the content it has now (a hash)."""

    dataset: str
    fingerprint: str


def content(config: DictConfig) -> list[Content]:
    """Every data set of the suite. Raises BadInput where one does not pass its checks."""
    found = []
    for name in choices.chosen(config, "datasets"):
        origin = source(config, name)
        checked_entries(origin, config)
        found.append(Content(name, fingerprint(origin, Path(config.paths.cache))))
    return found


class LookAt(Work[Content]):
    """Read a data set once and keep what is shown of it."""

    def name(self, job: Content) -> str:
        """The data set's name."""
        return f"{job.dataset}: reading cases"

    def place(self, job: Content) -> Path:
        """A folder named by the content of the data."""
        suite = self.config.suite
        key = identity.digest([job.fingerprint, suite.pictures, suite.version])
        return self.store.runs / "overviews" / f"{job.dataset}-{key}"

    def settled(self, job: Content) -> bool:
        """Whether it is there."""
        return Overview(self.place(job)).complete()

    def fail(self, job: Content, failure: Failure) -> bool:
        """Without its data there is nothing to show."""
        return False

    def do(self, job: Content) -> None:
        """Read all cases."""
        import pandas as pd

        place, origin = self.place(job), source(self.config, job.dataset)
        entries = checked_entries(origin, self.config)
        rows, kept = [], []
        wanted = _shown([entry for entry in entries if entry.split == "test"], self.config.suite.pictures)
        with console.task(self.name(job)) as report:
            for done, entry in enumerate(entries, 1):
                case = origin.read(entry)
                rows.append(_row(case, entry, origin.class_names))
                if entry.id in wanted:
                    kept.append(case)
                report(done, len(entries), "cases")
        write_arrays(place / "pictures.npz", _arrays(kept))
        write_frame(place / "cases.parquet", pd.DataFrame(rows))
        about = {
            "name": job.dataset, "title": origin.title, "class_names": list(origin.class_names),
            "spatial_dims": origin.spatial_dims, "channels": origin.channels,
            "fingerprint": job.fingerprint,
        }  # fmt: skip
        write_json(place / "about.json", about)


def _shown(test: list[Entry], most: int) -> set[str]:
    """Ids of the test cases that are kept, evenly spread; of a data set of videos all frames of their videos."""
    places = np.unique(np.linspace(0, len(test) - 1, min(most, len(test))).round().astype(int))
    chosen = {test[place].id for place in places}
    videos = {entry.video for entry in test if entry.id in chosen and entry.video is not None}
    return chosen | {entry.id for entry in test if entry.video in videos}


def _arrays(cases: Sequence[Case]) -> dict[str, np.ndarray]:
    """Arrays that `store.kept.Overview.pictures` reads."""
    arrays = {"ids": np.array([case.id for case in cases])}
    for n, case in enumerate(cases):
        arrays[f"image_{n}"] = (np.clip(case.image, 0, 1) * 255).round().astype(np.uint8)
        arrays[f"label_{n}"] = case.label.astype(np.uint8)
        arrays[f"spacing_{n}"] = np.array(case.spacing or ())
    return arrays


def _row(case: Case, entry: Entry, class_names: Sequence[str]) -> dict:
    counts = np.bincount(case.label.ravel(), minlength=len(class_names) + 1)
    spacing = case.spacing or (float("nan"),) * case.label.ndim
    return {
        "case": case.id,
        "group": case.group,
        "split": entry.split,
        "video": entry.video,
        "time": entry.time,
        "shape": "x".join(map(str, case.label.shape)),
        **{f"spacing_{axis}": length for axis, length in enumerate(spacing)},
        **{f"voxels {name}": int(count) for name, count in zip(class_names, counts[1:], strict=True)},
    }


class DataOverview(Kind):
    """Show what data sets hold. Nothing is trained."""

    name = "overview"
    keys = (*SAMPLED, "pictures")
    report = "data_overview"
    compares_methods = False

    def batches(self, config: DictConfig, store: Store) -> Iterator[Batch]:
        """Every data set, all of them checked first."""
        yield LookAt(config, store), content(config)

    def finish(self, config: DictConfig, store: Store, batches: Sequence[Batch], suite: Suite) -> Results:
        """Overviews of just this content."""
        results = store.results(suite, [])
        work, jobs = batches[0]
        results.overviews = [Overview(work.place(job)) for job in jobs]
        return results

    def collect(self, config: DictConfig, store: Store, suite: Suite) -> Results:
        """Stored overviews, the newest of each data set. Raises BadInput where one is missing."""
        results = store.results(suite, [])
        for name in choices.chosen(config, "datasets"):
            paths = [
                path
                for path in (store.runs / "overviews").glob(f"{name}-*/about.json")
                if (read_json(path) or {}).get("name") == name
            ]
            if not paths:
                raise BadInput(
                    f"paths.runs={store.runs}: holds no overview of {name}; run the same command without action first."
                )
            results.overviews.append(Overview(max(paths, key=lambda path: path.stat().st_mtime).parent))
        return results

    def left(self, config: DictConfig, store: Store) -> Left:
        """A row for each data set."""
        work = LookAt(config, store)
        rows = [(job.dataset, "there already" if work.settled(job) else "to be read") for job in content(config)]
        return Left(("data set", "overview"), rows)
