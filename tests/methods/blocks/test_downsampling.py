"""Nearest-neighbour downsampling: which voxel is taken, and how the result is scaled."""

import pytest
import torch

from methods.blocks.downsampling import NearestDownsampling


def test_the_voxel_at_the_centre_of_every_block_is_taken():
    x = torch.arange(64.0).reshape(1, 1, 8, 8)
    taken = x[..., 2::4, 2::4]
    expected = (taken - taken.mean()) / taken.std(correction=0)
    torch.testing.assert_close(NearestDownsampling((2, 2))(x), expected)


def test_channels_are_averaged_to_grey():
    x = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(NearestDownsampling((4, 4))(x), NearestDownsampling((4, 4))(x.mean(1, keepdim=True)))


@pytest.mark.parametrize("spatial", [(16, 16), (8, 8, 8)])
def test_every_map_is_standardised_by_itself_and_a_constant_one_becomes_zero(spatial):
    x = torch.rand(3, 2, *spatial)
    x[1] = 0.1
    z = NearestDownsampling([n // 4 for n in spatial])(x)
    axes = tuple(range(1, z.ndim))
    assert torch.equal(z[1], torch.zeros_like(z[1]))
    torch.testing.assert_close(z.mean(axes), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(z.std(axes, correction=0), torch.tensor([1.0, 0.0, 1.0]))
    assert torch.equal(z[2:], NearestDownsampling([n // 4 for n in spatial])(x[2:]))
