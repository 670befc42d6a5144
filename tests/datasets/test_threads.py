"""Pixels are the same with any number of threads, so that a store filled by several executors is one store."""

from dataclasses import replace

import numpy as np
import pytest
from omegaconf import OmegaConf
from threadpoolctl import threadpool_limits

from datasets.augment import augment
from datasets.base import Augmentation
from datasets.phantom_echo import PhantomEcho
from datasets.phantom_glands import PhantomGlands
from datasets.phantom_knee import PhantomKnee

SPLITS = {"train": 1, "val": 1, "test": 1}


def by_threads(make) -> list[np.ndarray]:
    """What `make` gives where BLAS has one, two and four threads."""
    made = []
    for threads in (1, 2, 4):
        with threadpool_limits(threads, user_api="blas"):
            made.append(make())
    return made


@pytest.mark.parametrize("kind, size", [(PhantomGlands, 256), (PhantomEcho, 256), (PhantomKnee, 64)])
def test_phantoms(kind, size):
    source = kind(SPLITS, size=size)
    one, *others = by_threads(lambda: source.read(source.entries()[0]).image)
    assert all(np.array_equal(one, other) for other in others)


@pytest.mark.parametrize("name, shape", [("glas", (3, 512, 512)), ("decathlon", (1, 48, 64, 48))])
def test_augmentation(name, shape):
    settings = OmegaConf.load(f"conf/dataset/{name}.yaml").augmentation
    policy = replace(Augmentation.of(OmegaConf.to_container(settings)), probability=1.0)
    image = np.random.default_rng(0).random(shape, np.float32)
    label = (image[0] > 0.5).astype(np.int64)
    one, *others = by_threads(lambda: augment(image.copy(), label.copy(), policy, np.random.default_rng(1))[0])
    assert all(np.array_equal(one, other) for other in others)
