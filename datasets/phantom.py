"""What generated data sets share: names, splits, seeds and random fields."""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import ndimage

from datasets.base import SPLITS, Augmentation, Case, DataError, Entry, Source


class Phantom(Source):
    """A generated data set. A subclass defines `draw`, which makes one image and its label.

    Every subject has its own random generator, seeded by data set, seed, split and number, and every frame has one
    more. A case is therefore the same whatever is generated before it and however many others there are.
    """

    version = 1

    def __init__(
        self,
        cases: Mapping[str, int],
        size: int = 128,
        seed: int = 0,
        frames: int = 1,
        limit: Mapping[str, int | None] | None = None,
        augmentation: Augmentation | Mapping[str, Any] | None = None,
        name: str | None = None,
        fit: str = "resize",
    ) -> None:
        """cases: number of subjects in each split; size: pixels along each side; frames: images of each subject."""
        super().__init__(limit, augmentation, name, fit)
        self.cases = {split: int(cases.get(split, 0)) for split in SPLITS}
        if set(cases) - set(SPLITS) or min(self.cases.values()) < 1:
            raise DataError(
                f"dataset.{self.name}.cases is {dict(cases)}, expected a number above 0 for train, val and test each."
            )
        if size < 32 or frames < 1:
            raise DataError(
                f"dataset.{self.name} has size {size} and frames {frames}, expected a size of 32 or more and 1 or more "
                "frames."
            )
        self.size, self.seed, self.frames = int(size), int(seed), int(frames)

    def draw(
        self, subject: np.random.Generator, frame: np.random.Generator, time: float
    ) -> tuple[np.ndarray, np.ndarray, tuple[float, ...] | None]:
        """One image float32 (C, *spatial) in [0, 1], its label int64 (*spatial) and the spacing in mm or None.

        Each spatial axis is `size` long.

        subject: the same stream of random numbers for all frames of a subject; frame: another one for each frame;
        time: the place of the frame among those of its subject, from 0 to 1 (exclusive).
        """
        raise NotImplementedError

    def entries(self) -> list[Entry]:
        """Every frame of every subject, sorted by id: SPLIT_NNN, or SPLIT_NNN_frameN where subjects have several."""
        found = []
        for split, count in self.cases.items():
            for number in range(count):
                group = f"{split}_{number:03d}"
                if self.frames == 1:
                    found.append(Entry(group, group, split))
                for frame in range(self.frames if self.frames > 1 else 0):
                    found.append(Entry(f"{group}_frame{frame}", group, split, video=group, time=float(frame)))
        return sorted(found, key=lambda entry: entry.id)

    def read(self, entry: Entry) -> Case:
        """The frame as `draw` makes it."""
        # The colon keeps the two streams apart where a subject has one frame and the two names are the same.
        subject, own = self._generator(entry.group), self._generator(entry.id + ":")
        image, label, spacing = self.draw(subject, own, (entry.time or 0) / self.frames)
        return Case(entry.id, entry.group, image, label, spacing, entry.video, entry.time)

    def _generator(self, name: str) -> np.random.Generator:
        """The stream of random numbers that belongs to a name, whatever was drawn before."""
        digest = hashlib.sha256(f"{type(self).__name__}:{self.seed}:{name}".encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:16], "big"))

    def content(self) -> bytes:
        """Class, version, size, seed and frames as JSON. Not the number of cases: the entries in use say that."""
        settings = [type(self).__name__, self.version, self.size, self.seed, self.frames]
        return json.dumps(settings).encode()


def grid(size: int, axes: int = 2) -> tuple[np.ndarray, ...]:
    """Coordinates of the pixel centres along each of the axes (rows y, then columns x in 2D), (size, ..., size) each.

    In units of the side length, from 0 to 1.
    """
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    return np.meshgrid(*[centres] * axes, indexing="ij")


def noise(generator: np.random.Generator, size: int, features: int, axes: int = 2) -> np.ndarray:
    """A smooth random field (size, ..., size), mean 0 and variance about 1, with `features` bumps along each side."""
    weights = _spline_weights(size, features)
    field = generator.standard_normal((features + 3,) * axes).astype(np.float32)
    for _ in range(axes):  # each round interpolates along the first axis and moves it to the end
        field = np.einsum("f...,sf->...s", field, weights)  # without BLAS, which rounds by its number of threads
    return 2.1 ** (axes / 2) * field


@lru_cache
def _spline_weights(size: int, features: int) -> np.ndarray:
    """Cubic B-spline weights (size, features + 3) of the lattice points at each pixel centre."""
    position = (np.arange(size) + 0.5) / size * features + 1
    t = np.abs(position[:, None] - np.arange(features + 3))
    near, far = 2 / 3 - t**2 + t**3 / 2, (2 - t) ** 3 / 6
    return np.where(t < 1, near, np.where(t < 2, far, 0)).astype(np.float32)


def warped_noise(generator: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A smooth random field of zero mean and about unit variance, with features of about one unit of u and of v.

    u, v: coordinates of any shape (both the same) at which the field is wanted.
    """
    low = np.floor([u.min(), v.min()]).astype(int) - 1
    high = np.ceil([u.max(), v.max()]).astype(int) + 2
    lattice = generator.standard_normal(high - low).astype(np.float32)
    return 2.1 * ndimage.map_coordinates(lattice, [u - low[0], v - low[1]], order=3, mode="reflect", prefilter=False)


def step(distance: np.ndarray, width: float) -> np.ndarray:
    """A smooth step from 0 (distance well below zero) to 1 (well above), `width` wide."""
    t = np.clip(distance / width + 0.5, 0, 1)
    return t * t * (3 - 2 * t)
