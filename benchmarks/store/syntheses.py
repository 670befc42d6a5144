"""What the store keeps of images made from label maps.

runs/syntheses/<trial>-<part>-<how>-<hash>/     of one trained method, sampled in one way; the hash is of what is made
    about.json            trial, part, steps, ids of the cases, cases left out because their map is empty, chunks
    images*.npz           one file per chunk: ids, images in [-1, 1], the maps they were made from, seconds an image
    quality-<hash>.json   scores of the whole set with what they were measured by
    quality-<hash>.npz    a few of the real images
    quality-<hash>.parquet  a row per image, written last
    failed.json           the reason, where it failed
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.errors import BadInput
from benchmarks.store.files import read_arrays, read_frame, read_json, there

if TYPE_CHECKING:
    import pandas as pd

CHUNK = {2: 64, 3: 8}
"""Images and volumes that are written together."""


class Made(NamedTuple):
    """Images made from maps: ids (n,); images float32 (n, C, *S) in [-1, 1]; maps uint8 (n, *S), in which the number of
    classes is the code of what lies outside the field of view; seconds (n,) an image took."""

    ids: np.ndarray
    images: np.ndarray
    maps: np.ndarray
    seconds: np.ndarray


@dataclass(frozen=True)
class Syntheses:
    """What the store holds of one method's images, in the folder `path`."""

    path: Path

    @cached_property
    def about(self) -> dict:
        """trial, part, steps, nfe, ids, left_out, chunks; empty where nothing was begun."""
        return read_json(self.path / "about.json") or {}

    @property
    def chunks(self) -> list[Path]:
        """Files of the images, in the order of the cases."""
        return [self.path / f"images{number:04d}.npz" for number in range(self.about.get("chunks", 0))]

    def complete(self) -> bool:
        """Whether all images are there."""
        return bool(self.about) and all(there(path) for path in self.chunks)

    def reason(self) -> str | None:
        """Why making them failed; None where nothing says that it did."""
        return (read_json(self.path / "failed.json") or {}).get("reason")

    def load(self) -> Made:
        """All images. Raises BadInput where one of the files is gone or nothing was made."""
        parts = [read_arrays(path) for path in self.chunks]
        if not parts or any(part is None for part in parts):
            raise BadInput(f"{self.path}: is not complete any more. Run the same command without action first.")
        found = [part for part in parts if part is not None]
        return Made(*(np.concatenate([part[name] for part in found]) for name in Made._fields))

    def quality(self, name: str) -> tuple[list[dict], pd.DataFrame] | None:
        """Scores of the set (`benchmarks.synthesis.quality.SetScore` as dictionaries) and a row per image, as judged
        under this name; None where they were not."""
        frame, content = read_frame(self.path / f"{name}.parquet"), read_json(self.path / f"{name}.json")
        return None if frame is None or content is None else (content["scores"], frame)

    def real(self, name: str) -> dict[str, np.ndarray]:
        """The real images that these are shown beside: of each case, by its id, (C, *S) in [-1, 1]."""
        content = read_arrays(self.path / f"{name}.npz") or {"ids": np.array([]), "images": np.array([])}
        return dict(zip(content["ids"].astype(str).tolist(), content["images"], strict=True))


class Judged(NamedTuple):
    """Images of a trial (its key) in so many steps (0 for methods without): of all held-out maps with the scores of the
    set and the real images of a few (by id, (C, *S) in [-1, 1]), or, `shown`, of those few without either."""

    trial: str
    steps: int
    shown: bool
    made: Syntheses
    scores: list[dict]
    real: dict[str, np.ndarray]
