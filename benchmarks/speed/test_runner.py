"""What the runner adds to the loop one would write by hand. pytest benchmarks/speed --benchmark-only -k runner

The two are timed by the wall clock, so the limit means something on an otherwise idle machine only.
"""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from benchmarks.store.config import TrainingConfig
from benchmarks.training.loop import Subject, train
from datasets.augment import augment
from datasets.base import Augmentation
from datasets.prepare import Prepared
from methods.ldseg import LDSeg
from methods.resunet import ResUNet

SIDE, BATCH = 64, 8
"""The smallest images and batch of the profile quick, where a fixed cost per step weighs most."""
LIMIT = 1 / 0.97 - 1
"""The runner has at least 0.97 of the speed of the loop by hand."""
SETTINGS = TrainingConfig(batch_size=BATCH, learning_rate=1e-4, lr_schedule="exp", lr_final_factor=0.1)


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    images = random.random((32, 1, SIDE, SIDE), dtype=np.float32)
    labels = (images[:, 0] > 0.5).astype(np.uint8)
    names = [f"case{i}" for i in range(32)]
    split = {"train": np.arange(30), "val": np.array([30]), "test": np.array([31])}
    policy = Augmentation(flips=(0, 1), rotations=True, intensity=0.05)
    return Prepared("noise", ["bright"], (SIDE, SIDE), "0", names, names, split, images, labels, [None] * 32, policy)


def build(method):
    torch.manual_seed(0)
    return method(spatial_dims=2, in_channels=1, classes=2, image_size=(SIDE, SIDE), size="small")


def loop_by_hand(method, data):
    """A plain training loop that yields after every step: draw a batch, augment it, loss, gradient, Adam."""
    model = build(method).train()
    optimizer = model.optimizer(model.stages[0], 1e-4)
    random, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    while True:
        cases = [
            augment(np.array(data.images[i]), np.array(data.labels[i]), data.augmentation, random)
            for i in random.choice(data.split["train"], BATCH)
        ]
        image = torch.from_numpy(np.stack([image for image, _ in cases]))
        label = torch.from_numpy(np.stack([label for _, label in cases])).long()
        optimizer.zero_grad(set_to_none=True)
        model.loss(image, label, model.stages[0], generator)["total"].backward()
        optimizer.step()
        yield


def step_seconds(method, data, folder, steps):
    """Seconds of every step (runner's, by hand), the two in turns: a slow spell of the machine hits both.

    The runner reports after each step, which is when a step by hand is made; its time is taken off the runner's clock.
    Validation comes once, after the last step, and is not in the figures.
    """
    loop, hand = loop_by_hand(method, data), []

    def report(done, total, message):
        started = time.perf_counter()
        next(loop)
        hand.append(time.perf_counter() - started)

    fabric = Fabric(accelerator="cpu", devices=1)
    settings = replace(SETTINGS, steps=steps)
    progress = train(Subject(build(method), data, settings, 0, folder / "checkpoint.pt", fabric, report), "speed")
    clock = [row["seconds"] for row in progress.history if row["metric"] == "total"]
    assert len(clock) == len(hand) == steps
    return np.diff(clock) - hand[:-1], np.array(hand)


@pytest.mark.parametrize(("method", "steps"), [(LDSeg, 40), (ResUNet, 150)])
def test_runner_overhead(method, steps, data, tmp_path, benchmark):
    runner, hand = benchmark.pedantic(lambda: step_seconds(method, data, tmp_path, steps), rounds=1)
    # Each of the runner's steps against the steps by hand just before and just after it.
    overhead = float(np.median(runner / np.sqrt(hand[:-1] * hand[1:]))) - 1
    medians = {"runner": float(np.median(runner)), "by_hand": float(np.median(hand))}
    benchmark.extra_info |= {"overhead": overhead, "seconds_per_step": medians, "threads": torch.get_num_threads()}
    assert overhead <= LIMIT, medians
