"""Which cases a training step sees, and what is done to them: decided by the step, not by what ran before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from benchmarks.seeding import Part, seed_for
from benchmarks.testing.noise import add_noise
from datasets.augment import augment
from datasets.prepare import Prepared

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def batch_indices(cases: np.ndarray, step: int, batch_size: int, shuffle: bool, *seed: Part) -> tuple[np.ndarray, int]:
    """Cases of a step and its epoch: consecutive stretches of an endless sequence of epochs, each in its own order."""
    chosen = []
    position = step * batch_size
    for position in range(step * batch_size, (step + 1) * batch_size):
        epoch, place = divmod(position, len(cases))
        chosen.append(cases[_order(len(cases), epoch, shuffle, seed)[place]])
    return np.array(chosen), position // len(cases)


@lru_cache(maxsize=4)
def _order(count: int, epoch: int, shuffle: bool, seed: tuple) -> np.ndarray:
    return np.random.default_rng(seed_for("order", *seed, epoch)).permutation(count) if shuffle else np.arange(count)


def load_batch(
    data: Prepared,
    indices: np.ndarray,
    seed: int,
    step: int,
    noise: float = 0.0,
    places: Sequence[int] | None = None,
) -> tuple[Tensor, Tensor]:
    """Augmented images float32 (B, C, *S) and labels int64 (B, *S) of a training step; of those at some places of the
    batch alone where these are given.

    noise: largest standard deviation of the noise added to an image in [0, 1]; each image has its own, drawn from
    U(0, noise), and is scaled back to [0, 1] by its own extremes, as noisy test images are.
    """
    images, labels = [], []
    for place in range(len(indices)) if places is None else places:
        index = indices[place]
        which = (data.name, data.ids[index], seed, step, place)
        image, label = data.training_case(index, np.random.default_rng(seed_for("crop", *which)))
        random = np.random.default_rng(seed_for("augment", *which))
        image, label = augment(np.array(image), np.array(label), data.augmentation, random)
        if noise:
            sigma = np.random.default_rng(seed_for("sigma", *which)).uniform(0, noise)
            image = add_noise(image, float(sigma), data.ids[index], seed_for("noise", *which))
        images.append(image)
        labels.append(label)
    # By NumPy: PyTorch would start threads of its own for the one that calls this.
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(labels).astype(np.int64))


class Ahead:
    """Batches by step, each made on a thread of its own while the step before it is computed.

    make: the batch of a step, images and labels as of `load_batch`, decided by the step alone; what it raises is raised
    where the batch is taken. steps: how many there are; None: not known. To be entered as a context, which ends the
    thread.
    """

    def __init__(self, make: Callable[[int], tuple[Tensor, Tensor]], steps: int | None) -> None:
        self.make, self.steps = make, steps
        self.thread = ThreadPoolExecutor(1, "batches")
        self.next: tuple[int, Future[tuple[Tensor, Tensor]]] | None = None

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, kind: type[BaseException] | None, *reason: object) -> None:
        # Who is told to stop does not wait for a batch that nobody wants.
        self.thread.shutdown(wait=kind is None, cancel_futures=True)

    def take(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of a step; the next one is begun."""
        known, self.next = self.next, None
        batch = known[1].result() if known and known[0] == step else self.make(step)
        if self.steps is None or step + 1 < self.steps:
            self.next = step + 1, self.thread.submit(self.make, step + 1)
        return batch


def training_images(data: Prepared, batch_size: int, fabric: Fabric) -> Iterator[tuple[Tensor, Tensor]]:
    """The training split once, in its own order and as it is: batches as `load_batch` makes them, on the device."""
    cases = data.split["train"]
    for start in range(0, len(cases), batch_size):
        indices = cases[start : start + batch_size]
        image, label = map(torch.from_numpy, data.batch(indices))
        yield fabric.to_device(image), fabric.to_device(label.long())
