"""What every method costs at two image sizes: a training step, a network evaluation, and the peak memory of both.

Networks of size small, colour images, two classes, batches of four in training and single images in testing. A training
step is loss, gradient and optimiser step of each stage, without loading and augmentation. The evaluation of a sampling
method is the time between two sampling steps; that of a deterministic one is the whole call.
"""

import itertools
import statistics
import time

import pytest
import torch

from benchmarks.machine import measure
from benchmarks.plan import building, choices
from benchmarks.plan.configuration import configure
from benchmarks.store.config import DatasetConfig
from methods.base import Sampling

BATCH, STEPS = 4, 6
CONFIG = configure(["suite=accuracy", "profile=quick"])
METHODS = [
    name
    for name in CONFIG.suite.methods
    if building.method_class(choices.method_config(CONFIG, name)).supports(2, 2) is None  # those for images
]


def build(name, side, device):
    torch.manual_seed(0)
    data = DatasetConfig("glas", (side, side), channels=3, class_names=("gland",))
    return building.build(choices.method_config(CONFIG, name), data).to(device)


def image(count, side, device):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)


@pytest.mark.parametrize("side", [128, 256])
@pytest.mark.parametrize("name", METHODS)
def test_training_step(name, side, device, timed, costs):
    model = build(name, side, device).train()
    x = image(BATCH, side, device)
    y = (x.mean(1) > 0.5).long()
    generator = torch.Generator().manual_seed(0)
    optimizers = {stage: model.optimizer(stage, 1e-4) for stage in model.stages}

    def step():
        for stage, optimizer in optimizers.items():
            optimizer.zero_grad(set_to_none=True)
            model.loss(x, y, stage, generator)["total"].backward()
            optimizer.step()

    seconds = timed(step, rounds=3)
    costs(name, side, "training step (s)", seconds / len(model.stages))
    costs(name, side, "training memory (MiB)", measure.peak_memory(step, device) / 2**20)


@torch.inference_mode()
@pytest.mark.parametrize("side", [128, 256])
@pytest.mark.parametrize("name", METHODS)
def test_network_evaluation(name, side, device, timed, costs):
    model = build(name, side, device).eval()
    x = image(1, side, device)
    ticks: list[float] = []

    def watch(step, t, x_t):
        if device.type == "cuda":
            torch.cuda.synchronize()
        ticks.append(time.perf_counter())

    def segment():
        ticks.clear()
        model.segment(x, Sampling(STEPS), [torch.Generator().manual_seed(0)], callback=watch)

    seconds = timed(segment, rounds=5)
    if model.generative:
        seconds = statistics.median(later - earlier for earlier, later in itertools.pairwise(ticks))
    costs(name, side, "evaluation (s)", seconds)
    costs(name, side, "testing memory (MiB)", measure.peak_memory(segment, device) / 2**20)
