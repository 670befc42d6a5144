"""Gradient checkpointing: less memory and the same step."""

import copy

import pytest
import torch

from benchmarks.machine.measure import peak_memory
from benchmarks.training.recomputation import checkpoint_gradients
from methods.ldseg import LDSeg
from methods.resunet import ResUNet
from methods.unet import UNet

METHODS = {"ldseg": LDSeg, "resunet": ResUNet, "unet": UNet}


def step(model):
    """Losses of one step whose gradients stay in the parameters; dropout and draws are the same every time."""
    random = torch.Generator().manual_seed(0)
    image = torch.rand((2, 1, 64, 64), generator=random)
    label = torch.randint(3, (2, 64, 64), generator=random)
    torch.manual_seed(1)
    losses = model.loss(image, label, model.stages[0], random)
    losses["total"].backward()
    return losses


@pytest.mark.parametrize("name", METHODS)
def test_losses_gradients_and_running_statistics_stay_the_same(name):
    torch.manual_seed(0)
    plain = METHODS[name](spatial_dims=2, in_channels=1, classes=3, image_size=(64, 64), size="tiny")
    checkpointed = copy.deepcopy(plain)
    assert checkpoint_gradients(checkpointed) >= 3
    assert list(checkpointed.state_dict()) == list(plain.state_dict())
    for key, value in step(plain).items():
        assert value == step(copy.deepcopy(checkpointed))[key]
    step(checkpointed)
    gradients = zip(plain.parameters(), checkpointed.parameters(), strict=True)
    assert all(torch.allclose(a.grad, b.grad, rtol=1e-4, atol=1e-6) for a, b in gradients)
    for name, value in plain.state_dict().items():
        assert torch.equal(value, checkpointed.state_dict()[name]), name


@pytest.mark.parametrize("name", METHODS)
def test_a_step_takes_less_memory(name):
    model = METHODS[name](spatial_dims=2, in_channels=1, classes=3, image_size=(64, 64), size="tiny")
    before = peak_memory(lambda: step(model), torch.device("cpu"))
    checkpoint_gradients(model)
    assert peak_memory(lambda: step(model), torch.device("cpu")) < 0.8 * before
