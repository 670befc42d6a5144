"""Attention of narrow heads is that of the formula, gradients included."""

import pytest
import torch

from methods.blocks.attention import weighed


@pytest.mark.parametrize("channels", [1, 8, 16, 20])
def test_heads_of_any_width_are_weighed_by_the_formula(channels):
    parts = [torch.randn(2, 3, 7, channels, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    query, key, value = parts
    expected = (query @ key.mT / channels**0.5).softmax(3) @ value
    found = weighed(query, key, value)
    torch.testing.assert_close(found, expected)
    draw = torch.randn_like(expected)
    for one, other in zip(torch.autograd.grad(found, parts, draw), torch.autograd.grad(expected, parts, draw)):
        torch.testing.assert_close(one, other)
