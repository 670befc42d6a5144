"""Layers of MedSegDiff's networks against direct formulas in float64."""

import math

import pytest
import torch
import torch.nn.functional as F

from methods.blocks.ff_parser import ChannelNorm
from methods.blocks.medsegdiff_network import LinearAttention, SoftmaxAttention, halving
from tests.methods.tensors import normal, shaken


@pytest.mark.parametrize("spatial", [(4, 3), (2, 3, 2)])
@pytest.mark.parametrize("memory_format", ["first", "last"])
@pytest.mark.parametrize("kind", [LinearAttention, SoftmaxAttention])
def test_attention_equals_its_formula(kind, spatial, memory_format):
    heads, d, channels = 2, 3, 5
    layer = shaken(kind(channels, heads, d).double(), 0.5)
    x = normal(2, channels, *spatial)
    if memory_format == "last":
        x = x.movedim(1, -1).contiguous().movedim(-1, 1)
    expected = torch.empty(2, channels, math.prod(spatial), dtype=torch.float64)
    for b in range(2):
        tokens = layer.norm(x)[b].flatten(1).T  # (N, C)
        query, key, value = (tokens @ w.T for w in layer.qkv.weight.chunk(3))
        mixed = []
        for h in range(heads):
            q, k, v = (part[:, h * d : (h + 1) * d] for part in (query, key, value))
            if kind is SoftmaxAttention:
                mixed.append((q @ k.T / d**0.5).softmax(1) @ v)
            else:
                mixed.append(q.softmax(1) / d**0.5 @ (k.softmax(0).T @ v))
        out = torch.cat(mixed, 1) @ layer.proj.weight.T + layer.proj.bias
        if kind is LinearAttention:
            out = layer.out_norm(out.T[None])[0].T
        expected[b] = x[b].flatten(1) + out.T
    torch.testing.assert_close(layer(x).flatten(2), expected, atol=1e-12, rtol=1e-12)


def test_halving_is_space_to_depth_and_a_linear_map():
    layer = halving(2, 3, 5).double()
    x = normal(2, 3, 8, 6)
    expected = F.conv2d(F.pixel_unshuffle(x, 2), layer.weight.reshape(5, 12, 1, 1), layer.bias)
    torch.testing.assert_close(layer(x), expected, atol=1e-13, rtol=1e-13)


@pytest.mark.parametrize("bias", [False, True])
def test_channel_norm_standardises_the_channels_of_each_voxel(bias):
    layer = shaken(ChannelNorm(6, bias).double())
    x = normal(2, 6, 3, 4)
    normed = (x - x.mean(1, keepdim=True)) / (x.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    expected = normed * layer.scale[:, None, None] + (layer.shift[:, None, None] if bias else 0)
    torch.testing.assert_close(layer(x), expected)
    assert len(list(layer.parameters())) == 1 + bias
