"""Intermediate results that are computed twice instead of kept."""

import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from methods.blocks.recomputation import recomputed


def layer_and_input(rank):
    torch.manual_seed(0)
    layer = (nn.Conv2d, nn.Conv3d)[rank - 2](2, 3, 3, padding=1)
    return layer, torch.randn(2, 2, *[6] * rank, requires_grad=True)


@pytest.mark.parametrize("rank", [2, 3])
def test_results_and_gradients_are_bitwise_those_of_the_function(rank):
    layer, x = layer_and_input(rank)
    gradients = []
    for call in (recomputed, lambda function, y: function(y)):
        result = call(lambda y: layer(F.silu(y)), x)
        gradients.append(torch.autograd.grad(result.square().sum(), [x, layer.weight, layer.bias]))
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize(("rank", "kept"), [(2, True), (3, False)])
def test_what_precedes_the_convolution_of_volumes_is_not_kept(rank, kept):
    layer, x = layer_and_input(rank)
    seen = []

    def function(y):
        h = F.silu(y)
        seen.append(weakref.ref(h))
        return layer(h)

    result = recomputed(function, x)
    assert (seen[0]() is not None) == kept
    result.sum().backward()
    assert len(seen) == (1 if kept else 2)


def test_the_convolution_itself_is_computed_once():
    layer, x = layer_and_input(3)
    finished = []
    layer.register_forward_hook(lambda *_: finished.append(1))
    recomputed(lambda y: layer(F.silu(y)), x).sum().backward()
    assert len(finished) == 1


def test_nothing_is_recorded_where_no_gradient_is_wanted():
    layer, x = layer_and_input(3)
    with torch.no_grad():
        assert not recomputed(lambda y: layer(F.silu(y)), x).requires_grad
