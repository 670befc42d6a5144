"""A data set as the methods see it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datasets.base import Augmentation
from datasets.crops import fitted, random_start


class Ragged(Sequence):
    """Arrays of different shapes, stored one after the other in a flat array; each is a view of it."""

    def __init__(self, flat: np.ndarray, shapes: Sequence[Sequence[int]]) -> None:
        """Raises ValueError where the shapes do not add up to the length of `flat`."""
        self.flat, self.shapes = flat, [tuple(shape) for shape in shapes]
        self.ends = np.cumsum([0, *(math.prod(shape) for shape in self.shapes)])
        if self.ends[-1] != len(flat):
            raise ValueError(f"the shapes need {self.ends[-1]} values and there are {len(flat)}.")

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, index: int) -> np.ndarray:
        index = range(len(self))[index]
        return self.flat[self.ends[index] : self.ends[index + 1]].reshape(self.shapes[index])


@dataclass(frozen=True)
class Prepared:
    """All cases of a data set as methods see them; every array is a read-only map of a file.

    images: float32 (N, C, *image_size) in [0, 1] and labels: uint8 (N, *image_size), or, with fit "pad", a `Ragged` of
    each, every case on its own grid; ids, groups, spacing: N each, spacing on the grid of `images` or None;
    split: {train, val, test} -> indices into N. own: labels uint8 and spacing on the cases' own grids; instances:
    uint16 on the same grids, for data that tell objects apart; length_unit: of every spacing.
    videos, times: which frame of which video a case is, N each, None for a case that is no frame; subsets: the part of
    the test set it belongs to, N, None where there are no parts.
    """

    name: str
    class_names: list[str]
    image_size: tuple[int, ...]
    fingerprint: str
    ids: list[str]
    groups: list[str]
    split: dict[str, np.ndarray]
    images: np.ndarray | Ragged
    labels: np.ndarray | Ragged
    spacing: list[tuple[float, ...] | None]
    augmentation: Augmentation
    fit: str = "resize"
    own: tuple[Ragged, list[tuple[float, ...] | None]] | None = None
    videos: Sequence[str | None] = ()
    times: Sequence[float | None] = ()
    subsets: Sequence[str | None] = ()
    instances: Ragged | None = None
    length_unit: str = "mm"

    def __post_init__(self) -> None:
        for name in ("videos", "times", "subsets"):
            object.__setattr__(self, name, list(getattr(self, name)) or [None] * len(self.ids))

    def truth(self, index: int) -> tuple[np.ndarray, tuple[float, ...] | None]:
        """The label uint8 (*spatial) that predictions are scored against, on the case's own grid, and its spacing in
        `length_unit` or None. A view of a mapped file: nothing is held once a case has been scored."""
        labels, spacing = self.own or (self.labels, self.spacing)
        return labels[index], spacing[index]

    def unit(self, index: int) -> str:
        """Of distances on the case's own grid: `length_unit`, or px, the pixels of that grid."""
        return "px" if self.truth(index)[1] is None else self.length_unit

    def batch(self, indices: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Images float32 (B, C, *image_size) and labels uint8 (B, *image_size), writable copies.

        With fit "pad" the middle of each case, with zeros around a smaller one.
        """
        cases = [self._fitted(index) for index in indices]
        return np.stack([image for image, _ in cases]), np.stack([label for _, label in cases])

    def training_case(self, index: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Image float32 (C, *image_size) and label uint8 (*image_size) for a training step.

        With fit "pad" larger cases are cropped at random, see datasets.crops; otherwise the stored arrays, and nothing
        is drawn from `generator`.
        """
        if self.fit == "resize":
            return self.images[index], self.labels[index]
        return self._fitted(index, random_start(self.labels[index], self.image_size, len(self.class_names), generator))

    def _fitted(self, index: int, start: Sequence[int] | None = None) -> tuple[np.ndarray, np.ndarray]:
        image, label = self.images[index], self.labels[index]
        return (image, label) if self.fit == "resize" else fitted(image, label, self.image_size, start)
