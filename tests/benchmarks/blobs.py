"""Data sets of bright blobs, made by hand: what tests of testing and sampling share."""

import numpy as np
import torch

from benchmarks.plan.trials import Trial
from benchmarks.store.config import DatasetConfig, MethodConfig, TrainingConfig, TrialConfig
from benchmarks.testing.evaluate import Candidate
from datasets.base import Augmentation
from datasets.prepared import Prepared, Ragged

SIZE = (8, 8, 8)


def ragged(shapes, seed=0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Images that show their labels, blobs at random places."""
    random = np.random.default_rng(seed)
    labels = [np.zeros(shape, np.uint8) for shape in shapes]
    for label in labels:
        start = [int(random.integers(0, side - 2)) for side in label.shape]
        label[tuple(slice(s, s + 3) for s in start)] = 1
    return [0.2 + 0.6 * label[None].astype(np.float32) for label in labels], labels


def prepared(images, labels, **more) -> Prepared:
    count = len(labels)
    if more.get("fit") == "pad":
        images = Ragged(np.concatenate([image.ravel() for image in images]), [image.shape for image in images])
        labels = Ragged(np.concatenate([label.ravel() for label in labels]), [label.shape for label in labels])
    else:
        images, labels = np.stack(images), np.stack(labels)
    settings = {"spacing": [(1.0, 2.0, 0.5)] * count, "image_size": SIZE} | more
    return Prepared(
        name="blobs", class_names=["blob"], fingerprint="f", ids=[f"case{n}" for n in range(count)],
        groups=[f"p{n}" for n in range(count)], split={"test": np.arange(count)}, images=images, labels=labels,
        augmentation=Augmentation(), **settings,
    )  # fmt: skip


def candidate(model, data: Prepared, conditions=(), seed: int = 0) -> Candidate:
    """A method as it is tested, whatever its weights."""
    config = TrialConfig(MethodConfig("any"), DatasetConfig(data.name), TrainingConfig(), seed, code="c")
    return Candidate(Trial(config, tuple(conditions)), model, data, torch.device("cpu"))
