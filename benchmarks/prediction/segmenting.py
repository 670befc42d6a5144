"""One new image through a trained method: classes, and how certain they are, on the image's own grid."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from benchmarks.prediction.trained import Trained
from benchmarks.seeding import generator_for
from benchmarks.testing.evaluate import ANY, on_grid, windowed
from benchmarks.testing.spread import Runs
from datasets.base import Case
from datasets.prepare import resized


@dataclass(frozen=True)
class Segmented:
    """mask: uint8 (*S), class numbers, 0 the background. entropy: float32 (*S), that of the mean class probabilities as
    a share of the largest one, ln K, so from 0 (certain) to 1. sd: float32 (*S), half the sum over the classes of the
    SD of a class's probability over the samples (0 to 0.5 with one foreground class); None of a single sample."""

    mask: np.ndarray
    entropy: np.ndarray
    sd: np.ndarray | None


@torch.inference_mode()
def segmented(it: Trained, name: str, image: np.ndarray) -> Segmented:
    """Of an image float32 (C, *S) in [0, 1]. Sample k of a name draws from the generator that a test case of this name
    would have under Sampling.seed k: neither the other files nor their order play a part, and images go through the
    network one by one, since sums over a batch are rounded in another order."""
    dataset, shape = it.config.dataset, image.shape[1:]
    array = image if dataset.fit == "pad" else _resized(image, dataset.image_size)
    tensor = torch.from_numpy(np.ascontiguousarray(array))[None].to(it.device)
    whole = tuple(array.shape[1:]) == tuple(dataset.image_size) or it.model.any_size
    embedding = it.model.embed(tensor) if whole else None
    known = {} if embedding is None else {"embedding": embedding}
    runs, base = Runs(), it.sampling or ANY
    for seed in range(base.seed, base.seed + it.samples):
        how = replace(base, seed=seed)
        generators = [generator_for("sampling", dataset.name, name, it.config.seed, seed)]
        if whole:
            probability = it.model.segment(tensor, how, generators, **known)
        else:
            probability = windowed(it.model, tensor, tuple(dataset.image_size), how, generators)
        runs.add(on_grid(probability[0], shape).cpu().numpy())
    mean = runs.mean
    return Segmented(
        mean.argmax(0).astype(np.uint8), entropy(mean), runs.sd.astype(np.float32) if it.samples > 1 else None
    )


def entropy(mean: np.ndarray) -> np.ndarray:
    """float32 (*S) in [0, 1] of class probabilities (K, *S): -sum_k p_k ln p_k / ln K."""
    safe = np.clip(mean, 1e-12, 1)
    found = -(safe * np.log(safe)).sum(axis=0) / np.log(len(mean))
    return np.clip(found, 0, 1).astype(np.float32)


def _resized(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """As cases of the data set were brought to the size that the method works on."""
    return resized(Case("", "", image, np.zeros(image.shape[1:], np.int64)), tuple(size)).image
