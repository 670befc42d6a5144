"""The bars for a GPU: one colour image of 512x512, LDSeg at the paper's width.
pytest benchmarks/speed --benchmark-only -k gpu

Inference and training in float32 are timed beside those in bf16, which the bars are of. Skipped where there is no GPU.
"""

import pytest
import torch

from methods.base import Sampling
from methods.ldseg import LDSeg

SIDE, BATCH = 512, 8
SAMPLING_BARS = {1000: 1.0, 2: 0.005}
"""By number of sampling steps, the most seconds of one image."""
TRAINING_BAR = 0.060
"""The most seconds of a training step of eight images: loss, gradient and Adam."""

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
precisions = pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=["f32", "bf16"])


def build(device):
    torch.manual_seed(0)
    return LDSeg(spatial_dims=2, in_channels=3, classes=2, image_size=(SIDE, SIDE), size="paper").to(device)


def autocast(device, precision):
    return torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32)


def images(count, device):
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).to(device)


@precisions
@pytest.mark.parametrize("steps", SAMPLING_BARS)
@torch.inference_mode()
def test_gpu_segmentation_512(steps, precision, device, timed):
    model, image = build(device).eval(), images(1, device)

    def segment():
        with autocast(device, precision):
            model.segment(image, Sampling(steps=steps), [torch.Generator().manual_seed(0)])

    seconds = timed(segment, rounds=5 if steps > 2 else 30)
    assert precision == torch.float32 or seconds < SAMPLING_BARS[steps]


@precisions
def test_gpu_training_step_512(precision, device, timed):
    model, image = build(device).train(), images(BATCH, device)
    label = (image.mean(1) > 0.5).long()
    stage = model.stages[0]
    optimizer, generator = model.optimizer(stage, 1e-4), torch.Generator().manual_seed(0)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with autocast(device, precision):
            loss = model.loss(image, label, stage, generator)["total"]
        loss.backward()
        optimizer.step()

    seconds = timed(step, rounds=10)
    assert precision == torch.float32 or seconds < TRAINING_BAR
