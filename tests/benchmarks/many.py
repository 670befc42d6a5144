"""Runs on one image, made by hand."""

import numpy as np

from benchmarks.testing import spread


def collected(probabilities) -> spread.Runs:
    runs = spread.Runs()
    for probability in probabilities:
        runs.add(probability)
    return runs


def random_runs(count=7, classes=3, size=(5, 6), seed=0) -> np.ndarray:
    raw = np.random.default_rng(seed).random((count, classes, *size)).astype(np.float32)
    return raw / raw.sum(1, keepdims=True)
