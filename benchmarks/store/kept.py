"""What the store keeps of single cases for pictures: pictures, whole cases, states of a diffusion, maps of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from benchmarks.errors import BadInput
from benchmarks.store.files import read_arrays, read_frame, read_json, there

if TYPE_CHECKING:
    import pandas as pd

Found = TypeVar("Found")


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
        return self._there(read_json(self.path / "about.json"))

    @cached_property
    def cases(self) -> pd.DataFrame:
        """A row per case: case, group, split, video, time, shape (text), spacing_0, ... in mm or NaN, and for each
        class `voxels CLASS`."""
        return self._there(read_frame(self.path / "cases.parquet"))

    def pictures(self) -> list[Shown]:
        """The cases kept."""
        content = self._there(read_arrays(self.path / "pictures.npz"))
        return [
            Shown(
                str(name), content[f"image_{n}"].astype(np.float32) / 255, content[f"label_{n}"],
                tuple(content[f"spacing_{n}"].tolist()) or None,
            )
            for n, name in enumerate(content["ids"])
        ]  # fmt: skip

    def complete(self) -> bool:
        """Whether all of it is stored."""
        return all(there(self.path / name) for name in ("about.json", "cases.parquet", "pictures.npz"))

    def _there(self, content: Found | None) -> Found:
        """The content of a file. Raises BadInput where it is gone."""
        if content is None:
            raise BadInput(f"{self.path}: is not complete any more. Run the same command without action first.")
        return content


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
    def load(cls, trial: str, path: Path) -> list[Watched]:
        """The cases in a file of trajectories/, none where there is no such file."""
        content = read_arrays(path) or {"ids": np.array([], dtype=str)}
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
            content = read_arrays(path) or {"ids": np.array([], dtype=str)}
            for n, name in enumerate(content["ids"]):
                found.append(Maps(str(name), *(content[f"{part}_{n}"] for part in Maps._fields[1:])))
        return found


PARTS = ("image", "label", "prediction")
Parts = np.ndarray | list[np.ndarray]
"""An array each of so many cases: stacked where their sizes are equal."""


class Slices(NamedTuple):
    """Slices of a volume along one axis: image uint8 (n, C, h, w) as the method saw it, label and prediction uint8
    (n, h, w), at which positions (n,) they lie, counted from 0, and of how many the volume has."""

    image: np.ndarray
    label: np.ndarray
    prediction: np.ndarray
    at: np.ndarray
    of: int


class Picture(NamedTuple):
    """id of the case; image uint8 (C, h, w) as the method saw it; label and prediction uint8 (h, w), of a volume those
    of one slice; slices: further ones of a volume, that one among them."""

    id: str
    image: np.ndarray
    label: np.ndarray
    prediction: np.ndarray
    slices: Slices | None = None


def stacked(pictures: Sequence[Picture]) -> dict[str, np.ndarray]:
    """Arrays to be stored: ids (n,), and (n, ...) of each part, or one array a case where sizes differ; of volumes
    their slices as slices_PART_N."""
    content: dict[str, np.ndarray] = {"ids": np.array([it.id for it in pictures])}
    same = len({it.label.shape for it in pictures}) == 1
    for part in PARTS:
        arrays = [getattr(it, part) for it in pictures]
        content |= {part: np.stack(arrays)} if same else {f"{part}_{n}": array for n, array in enumerate(arrays)}
    for n, it in enumerate(pictures):
        if it.slices is not None:
            content |= {f"slices_{part}_{n}": np.asarray(value) for part, value in it.slices._asdict().items()}
    return content


def unstacked(content: Mapping[str, np.ndarray]) -> dict[str, Parts]:
    """ids (n,), and n arrays of each part, from what `stacked` gave."""
    found: dict[str, Parts] = {"ids": content["ids"]}
    for part in PARTS:
        found[part] = content[part] if part in content else [content[f"{part}_{n}"] for n in range(len(content["ids"]))]
    return found


def slices_of(content: Mapping[str, np.ndarray]) -> list[Slices | None]:
    """Of each case its slices, from what `stacked` gave; None for a case that is no volume, and for volumes stored
    before more than one slice was kept."""
    parts = [[content.get(f"slices_{part}_{n}") for part in Slices._fields] for n in range(len(content["ids"]))]
    return [None if any(p is None for p in found) else Slices(*found[:-1], int(found[-1])) for found in parts]  # type: ignore[arg-type, call-arg]
