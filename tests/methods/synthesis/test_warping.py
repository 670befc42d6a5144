import numpy as np
import pytest
import torch

from methods.synthesis.warping import NONE, Warp, warped

CLASSES = 4
BEND = NONE._replace(points=(10, 4), bend=30 / 256)


def fan(side=64):
    """A sector with two structures near its border, outside it the code CLASSES."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    label_map = torch.full((side, side), CLASSES)
    label_map[((x - side / 2).abs() < 0.6 * y) & (y < side - 4)] = 0
    label_map[20:44, 28:40] = 1
    label_map[48:58, 20:34] = 3
    return label_map


def drawn(label_map, warp, seed=0):
    return warped(label_map, CLASSES, torch.Generator().manual_seed(seed), warp)


@pytest.mark.parametrize("shape", [(64, 64), (12, 16, 10)])
def test_a_warp_of_nothing_returns_the_map(shape):
    label_map = torch.randint(0, CLASSES + 1, shape, generator=torch.Generator().manual_seed(1))
    assert torch.equal(drawn(label_map, NONE), label_map)


@pytest.mark.parametrize("seed", range(20))
def test_structures_never_leave_the_field_which_stays(seed):
    label_map = fan()
    found = drawn(label_map, Warp(), seed)
    assert torch.equal(found == CLASSES, label_map == CLASSES)
    assert set(found.unique().tolist()) <= {0, 1, 3, CLASSES}
    assert (found == 1).any() and not torch.equal(found, label_map)


def test_maps_without_a_field_have_none_afterwards():
    assert drawn(torch.where(fan() == CLASSES, 0, fan()), Warp()).max() < CLASSES


def test_scale_shift_and_rotation_do_what_they_say():
    plain = torch.zeros(65, 65, dtype=torch.int64)
    plain[27:38, 17:48] = 1  # centred, 11 x 31
    half = drawn(plain, NONE._replace(scale=(0.5, 0.5)))
    assert (half == 1).sum() == 5 * 15
    rows = torch.stack(
        [drawn(plain, NONE._replace(shift=(0.2,)), seed).nonzero().float().mean(0) for seed in range(30)]
    )
    assert (rows[:, 1] == 32).all()  # no shift along the second axis
    assert 8 < (rows[:, 0] - 32).abs().max() <= 13.5
    angles = []
    for seed in range(20):
        y, x = (drawn(plain, NONE._replace(rotation=30.0), seed) == 1).nonzero().float().T
        angles.append(np.rad2deg(np.arctan(np.polyfit(x, y, 1)[0])))
    assert 15 < np.abs(angles).max() <= 31 and np.sign(angles).min() < 0 < np.sign(angles).max()


def test_the_border_of_the_map_is_not_bent_and_its_inside_by_no_more_than_asked():
    side = 64
    stripes = (torch.arange(side) // 4 % 2 + 1).expand(side, side).clone()
    found = drawn(stripes, BEND)
    border = torch.ones(side, side, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    assert torch.equal(found[border], stripes[border]) and not torch.equal(found, stripes)
    ramp = torch.arange(side).expand(side, side).clone()
    moved = (warped(ramp, side, torch.Generator().manual_seed(0), BEND) - ramp).abs()
    assert 2 < moved.max() <= 1.6 * BEND.bend * side  # a spline may pass its control points


def test_the_generator_alone_decides():
    np.random.seed(0)
    one = drawn(fan(), Warp(), 3)
    np.random.seed(1)
    assert torch.equal(one, drawn(fan(), Warp(), 3)) and not torch.equal(one, drawn(fan(), Warp(), 4))
