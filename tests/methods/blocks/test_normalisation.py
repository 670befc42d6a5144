"""Running statistics of batch normalisations, measured over given batches."""

import pytest
import torch
from torch import nn

from methods.blocks.normalisation import measured_statistics


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Dropout(0.5), nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3, momentum=0.01), nn.Dropout(0.5))


def test_statistics_are_the_averages_over_the_batches_without_dropout():
    model, batches = network().train(), torch.randn(4, 5, 2, 6, 6) + 3
    with measured_statistics(model), torch.no_grad():
        for x in batches:
            model(x)
    conv, norm = model[1], model[2]
    with torch.no_grad():
        features = torch.stack([conv(x) for x in batches])
    torch.testing.assert_close(norm.running_mean, features.mean((0, 1, 3, 4)))
    torch.testing.assert_close(norm.running_var, features.var((1, 3, 4)).mean(0))


def test_what_had_accumulated_is_forgotten_and_weights_and_momentum_stay():
    model = network()
    model[2].running_mean.fill_(100)
    before = {name: value.clone() for name, value in model.named_parameters()}
    with measured_statistics(model), torch.no_grad():
        model(torch.zeros(2, 2, 4, 4))
    assert model[2].running_mean.abs().max() < 2 and model[2].momentum == 0.01
    assert not any(part.training for part in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())


def test_an_interruption_leaves_momentum_and_mode_in_order():
    model = network().train()
    with pytest.raises(RuntimeError, match="stop"), measured_statistics(model):
        raise RuntimeError("stop")
    assert model[2].momentum == 0.01 and not model[2].training
