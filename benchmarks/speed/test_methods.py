"""What the parts of LDSeg and the Res-UNet cost. pytest benchmarks/speed --benchmark-only

Inference: networks of the paper's size, one 512x512 colour image, two classes. A training step: networks of size small,
a batch of eight such images of 128x128, loss, gradient and Adam step, without loading and augmentation.
"""

import pytest
import torch

from methods.base import Sampling
from methods.ldseg import LDSeg
from methods.resunet import ResUNet

INFERENCE, TRAINING = 512, 128
BATCH = 8


def build(method, side, size, device):
    torch.manual_seed(0)
    model = method(spatial_dims=2, in_channels=3, classes=2, image_size=(side, side), size=size)
    return model.to(device).eval()


def image(count, side, device):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)


@pytest.fixture(scope="module")
def ldseg(device):
    return build(LDSeg, INFERENCE, "paper", device)


@pytest.fixture(scope="module")
def resunet(device):
    return build(ResUNet, INFERENCE, "paper", device)


@torch.inference_mode()
def test_ldseg_image_encoder_512(ldseg, device, timed):
    x = image(1, INFERENCE, device)
    timed(lambda: ldseg.embed(x), rounds=7)


@torch.inference_mode()
def test_ldseg_denoiser_step_512(ldseg, device, timed):
    z_i = ldseg.embed(image(1, INFERENCE, device))
    z, t = torch.randn_like(z_i), torch.full((1,), 999.0, dtype=torch.float64, device=device)
    timed(lambda: ldseg.denoiser(z, z_i, t), rounds=30)


@torch.inference_mode()
def test_ldseg_label_decoder_512(ldseg, device, timed):
    z = torch.randn(1, 1, *ldseg.latent_size, device=device)
    timed(lambda: ldseg.decode(z), rounds=7)


@torch.inference_mode()
def test_ldseg_two_step_segmentation_512(ldseg, device, timed):
    x = image(1, INFERENCE, device)
    timed(lambda: ldseg.segment(x, Sampling(steps=2), [torch.Generator().manual_seed(0)]), rounds=7)


@torch.inference_mode()
def test_resunet_segmentation_512(resunet, device, timed):
    x = image(1, INFERENCE, device)
    timed(lambda: resunet.segment(x, Sampling(), []), rounds=7)


@pytest.mark.parametrize("method", [LDSeg, ResUNet])
def test_training_step_128(method, device, timed):
    model = build(method, TRAINING, "small", device).train()
    x = image(BATCH, TRAINING, device)
    y = (x.mean(1) > 0.5).long()
    stage = model.stages[0]
    optimizer, generator = model.optimizer(stage, 1e-4), torch.Generator().manual_seed(0)

    def step():
        optimizer.zero_grad(set_to_none=True)
        model.loss(x, y, stage, generator)["total"].backward()
        optimizer.step()

    timed(step, rounds=7)
