"""What a training step sees, and the noise that `training.noise` adds to it."""

import threading

import numpy as np
import pytest
import torch
from scipy import stats

from benchmarks.training.batches import Ahead, load_batch
from datasets.base import Augmentation
from datasets.prepare import Prepared

LARGEST = 0.2
SIDE = 24
ALL = np.arange(4)


@pytest.fixture
def halves() -> Prepared:
    """Cases of a dark and a bright half that are not moved: how noisy they are can be measured after any scaling."""
    label = np.zeros((4, SIDE, SIDE), np.uint8)
    label[:, :, SIDE // 2 :] = 1
    names = [f"case{i}" for i in ALL]
    split = {"train": ALL, "val": ALL[:0], "test": ALL[:0]}
    return Prepared(
        "halves", ["bright"], (SIDE, SIDE), "0", names, names, split, label[:, None].astype(np.float32), label,
        [None] * 4, Augmentation(flips=(), rotations=False, intensity=0),
    )  # fmt: skip


def levels(image: torch.Tensor) -> np.ndarray:
    """Standard deviation of the noise of each image, in units of the step between its halves."""
    dark, bright = (part.double() for part in image[:, 0].chunk(2, dim=2))
    spread = torch.stack([part.var((1, 2)) for part in (dark, bright)]).mean(0).sqrt()
    return (spread / (bright.mean((1, 2)) - dark.mean((1, 2)))).numpy()


def test_each_image_has_noise_of_its_own_standard_deviation_drawn_evenly_up_to_the_largest(halves):
    found = np.concatenate([levels(load_batch(halves, ALL, 0, step, LARGEST)[0]) for step in range(60)])
    assert found.max() < 1.1 * LARGEST and len(np.unique(found)) == len(found)
    assert stats.kstest(found, "uniform", (0, LARGEST)).pvalue > 0.05


def test_noisy_images_are_scaled_back_and_labels_are_as_without(halves):
    clean, label = load_batch(halves, ALL, 0, 3)
    noisy, same = load_batch(halves, ALL, 0, 3, LARGEST)
    assert torch.equal(label, same) and not torch.equal(clean, noisy)
    assert all(image.min() == 0 and image.max() == 1 for image in noisy)


def test_case_seed_step_and_place_decide_the_noise(halves):
    first = load_batch(halves, ALL, 0, 3, LARGEST)[0]
    assert torch.equal(first, load_batch(halves, ALL, 0, 3, LARGEST)[0])
    assert torch.equal(first[2:3], load_batch(halves, ALL, 0, 3, LARGEST, places=[2])[0])
    for other in (load_batch(halves, ALL, 1, 3, LARGEST), load_batch(halves, ALL, 0, 4, LARGEST)):
        assert not (other[0] == first).flatten(1).all(1).any()
    twice = load_batch(halves, np.array([1, 1]), 0, 3, LARGEST)[0]
    assert not torch.equal(*twice)


def test_batches_are_made_ahead_in_order_and_none_after_the_last():
    made = []

    def make(step):
        made.append((step, threading.current_thread() is threading.main_thread()))
        return torch.tensor(step), torch.tensor(-step)

    with Ahead(make, 5) as batches:
        taken = [batches.take(step) for step in range(2, 5)]
    assert [(int(image), int(label)) for image, label in taken] == [(2, -2), (3, -3), (4, -4)]
    assert made == [(2, True), (3, False), (4, False)]


def test_a_batch_that_cannot_be_made_fails_where_it_is_taken():
    def make(step):
        if step == 1:
            raise ValueError("no such case")
        return torch.tensor(step), torch.tensor(step)

    with Ahead(make, None) as batches:
        batches.take(0)
        with pytest.raises(ValueError, match="no such case"):
            batches.take(1)
    assert not any(thread.name.startswith("batches") for thread in threading.enumerate())
