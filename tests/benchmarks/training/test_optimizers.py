"""Optimisers by name, and the gradients they see."""

import pytest
import torch
from lightning_fabric import Fabric

from benchmarks.store.config import TrainingConfig
from benchmarks.training.loop import lr_factor
from benchmarks.training.optimizers import clip_gradients, optimizer_of
from methods.base import Segmenter


class Two(Segmenter):
    """Two groups of parameters, the second at a tenth of the rate, and an optimiser of its own."""

    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(3, 1, bias=False), torch.nn.Linear(5, 1, bias=False)

    def parameter_groups(self, stage):
        return [
            {"params": list(self.first.parameters())},
            {"params": list(self.second.parameters()), "lr_factor": 0.1},
        ]

    def optimizer(self, stage, learning_rate):
        return torch.optim.RMSprop(self.parameters(), lr=learning_rate)


@pytest.mark.parametrize(
    "settings, kind, values",
    [
        (dict(optimizer="adam"), torch.optim.Adam, dict(weight_decay=0)),
        (dict(optimizer="adamw", weight_decay=0.01), torch.optim.AdamW, dict(weight_decay=0.01)),
        (dict(optimizer="sgd", momentum=0.9), torch.optim.SGD, dict(momentum=0.9, nesterov=False, weight_decay=0)),
        (
            dict(optimizer="nesterov", momentum=0.99, weight_decay=3e-5),
            torch.optim.SGD,
            dict(momentum=0.99, nesterov=True, weight_decay=3e-5),
        ),
    ],
)
def test_the_named_optimiser_has_the_settings_and_each_group_its_rate(settings, kind, values):
    optimizer = optimizer_of(Two(), "train", TrainingConfig(learning_rate=0.5, **settings))
    assert type(optimizer) is kind
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.5, 0.05])
    for group in optimizer.param_groups:
        assert {name: group[name] for name in values} == values


def test_without_a_name_the_methods_own_is_taken():
    assert type(optimizer_of(Two(), "train", TrainingConfig(learning_rate=0.5))) is torch.optim.RMSprop


@pytest.mark.parametrize(
    "settings, factor",
    [
        (dict(), 1.0),
        (dict(clip=12.0), 12 / 13),
        (dict(clip=14.0), 1.0),
        (dict(clip=6.0, clip_by="max"), 0.5),
        (dict(clip=13.0, clip_by="max"), 1.0),
    ],
)
def test_gradients_above_the_bound_are_shortened_all_together(settings, factor):
    fabric, model = Fabric(accelerator="cpu", devices=1), Two()
    how = TrainingConfig(optimizer="sgd", **settings)
    wrapped = fabric.setup_module(model)
    optimizer = fabric.setup_optimizers(optimizer_of(model, "train", how))
    # Of norm 13, the largest entry 12.
    gradients = [torch.tensor([[3.0, 4.0, 0.0]]), torch.tensor([[12.0, 0.0, 0.0, 0.0, 0.0]])]
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        parameter.grad = gradient.clone()
    clip_gradients(fabric, wrapped, optimizer, how)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, factor * gradient, rtol=1e-5, atol=0)


def test_cosine_falls_from_one_to_zero_and_step_by_tenths():
    assert [lr_factor(done, "cosine", 1.0) for done in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0])
    falls = [lr_factor(done, "step", 1.0, drops=(0.4, 0.8)) for done in (0, 0.39, 0.4, 0.79, 0.8, 1)]
    assert falls == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_warm_up_rises_to_where_the_schedule_is_by_then():
    assert [lr_factor(done, "step", 1.0, 0.2, (0.1,)) for done in (0, 0.1, 0.2)] == pytest.approx([0, 0.05, 0.1])
