"""What a data set holds: a row per case with its size and how much of each class it has, and a few whole cases."""

from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from benchmarks import console
from benchmarks.errors import BadInput
from benchmarks.plan import choices, identity, sources
from benchmarks.store.files import read_json, write_atomic, write_frame, write_json
from benchmarks.store.kept import Overview
from benchmarks.store.results import Store
from datasets.base import Case, Entry
from datasets.fingerprint import fingerprint


def collect(config: DictConfig, store: Store) -> list[Overview]:
    """Overviews of the data sets asked for, made where the store holds none of this content. Raises BadInput."""
    return [_collect(config, store, name) for name in choices.chosen(config, "datasets")]


def _collect(config: DictConfig, store: Store, name: str) -> Overview:
    source = sources.source(config, name)
    entries = sources.checked_entries(source, config)
    key = fingerprint(source, Path(config.paths.cache))
    folder = store.runs / "overviews" / f"{name}-{identity.digest([key, config.suite.pictures, config.suite.version])}"
    if (folder / "about.json").exists():
        return Overview(folder)
    test = [entry for entry in entries if entry.split == "test"]
    places = np.unique(np.linspace(0, len(test) - 1, min(config.suite.pictures, len(test))).round().astype(int))
    wanted = _with_neighbours(test, {test[place].id for place in places})
    rows, kept = [], []
    with console.task(f"{name}: reading cases") as report:
        for done, entry in enumerate(entries, 1):
            case = source.read(entry)
            rows.append(_row(case, entry, source.class_names))
            if entry.id in wanted:
                kept.append(case)
            report(done, len(entries), "cases")
    arrays = {"ids": np.array([case.id for case in kept])}
    for n, case in enumerate(kept):
        arrays[f"image_{n}"] = (np.clip(case.image, 0, 1) * 255).round().astype(np.uint8)
        arrays[f"label_{n}"] = case.label.astype(np.uint8)
        arrays[f"spacing_{n}"] = np.array(case.spacing or ())
    write_atomic(folder / "pictures.npz", lambda file: np.savez_compressed(file, **arrays))
    write_frame(folder / "cases.parquet", pd.DataFrame(rows))
    about = {
        "name": name, "title": source.title, "class_names": list(source.class_names),
        "spatial_dims": source.spatial_dims, "channels": source.channels, "fingerprint": key,
    }  # fmt: skip
    write_json(folder / "about.json", about)
    return Overview(folder)


def _with_neighbours(test: list[Entry], chosen: set[str]) -> set[str]:
    """Of a data set of videos, all frames of the videos that the chosen cases belong to."""
    videos = {entry.video for entry in test if entry.id in chosen and entry.video is not None}
    return chosen | {entry.id for entry in test if entry.video in videos}


def _row(case: Case, entry: Entry, class_names) -> dict:
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


def find(config: DictConfig, store: Store) -> list[Overview]:
    """Stored overviews, the newest of each data set, found without the data. Raises BadInput where one is missing."""
    found = []
    for name in choices.chosen(config, "datasets"):
        paths = [p for p in (store.runs / "overviews").glob(f"{name}-*/about.json") if read_json(p)["name"] == name]
        if not paths:
            raise BadInput(
                f"paths.runs={store.runs}: holds no overview of {name}; run the same command without action first."
            )
        found.append(Overview(max(paths, key=lambda path: path.stat().st_mtime).parent))
    return found
