import pytest
import torch
from torch.nn import functional as F

from methods.synthesis.spade import Spade, SpadeBlock, one_hot


def layer(dims=2, kernel=3):
    torch.manual_seed(0)
    return Spade(dims, 16, 3, groups=4, hidden=8, kernel=kernel)


def maps(size, codes=3):
    return one_hot(torch.randint(0, codes, (2, *size), generator=torch.Generator().manual_seed(1)), codes)


@pytest.mark.parametrize("dims, kernel", [(2, 3), (3, 3), (3, (1, 3, 3))])
def test_without_scale_and_shift_it_is_group_normalisation_without_weights(dims, kernel):
    spade, x = layer(dims, kernel), torch.randn(2, 16, *[8] * dims)
    for part in (spade.gamma, spade.beta):
        torch.nn.init.zeros_(part.weight)
        torch.nn.init.zeros_(part.bias)
    torch.testing.assert_close(spade(x, maps([8] * dims)), F.group_norm(x, 4))


def test_a_constant_map_steers_away_from_the_borders_too():
    """What a normalisation of gamma and beta would lose."""
    spade, x = layer(), torch.randn(1, 16, 12, 12)
    ones, twos = (one_hot(torch.full((1, 12, 12), k), 3) for k in (1, 2))
    difference = (spade(x, ones) - spade(x, twos)).abs()[..., 4:8, 4:8]
    assert difference.amax((2, 3)).min() > 1e-3


def test_a_level_of_a_single_voxel_can_be_trained():
    spade = layer(3)
    spade(torch.randn(2, 16, 1, 1, 1), maps((8, 8, 8))).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in spade.parameters())


def test_the_map_is_brought_to_the_resolution_by_nearest_neighbours():
    spade, x = layer(), torch.randn(2, 16, 4, 4)
    coarse = maps((4, 4))
    fine = coarse.repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(spade(x, fine), spade(x, coarse))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("grow", [False, True])
def test_an_untrained_block_returns_its_input(dims, grow):
    block = SpadeBlock(dims, 16, 16, 3, 12, groups=4, hidden=8, grow=grow)
    x = torch.randn(2, 16, *[4] * dims)
    expected = F.interpolate(x, scale_factor=2, mode="nearest") if grow else x
    torch.testing.assert_close(block(x, maps([4] * dims), torch.randn(2, 12)), expected)
