"""Signed distances: the direct formula, inversion, missing boundaries, and reading classes off them."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from methods.blocks.signed_distance import probabilities, signed_distance, signed_distances

SHAPES = [(12, 9), (16, 16), (5, 6, 7)]


def random_mask(shape, share=0.5, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < share


def blobs(shape, classes, seed=0):
    """Overlapping balls, a later class over an earlier one, some of them cut by the border."""
    random = torch.Generator().manual_seed(seed)
    grid = torch.stack(torch.meshgrid(*[torch.arange(float(n)) for n in shape], indexing="ij"))
    label = torch.zeros(shape, dtype=torch.int64)
    for k in range(1, classes):
        centre = torch.rand(len(shape), generator=random) * torch.tensor(shape)
        centre = centre.reshape(-1, *[1] * len(shape))
        label[(grid - centre).square().sum(0).sqrt() < min(shape) / 3] = k
    return label


def direct(mask, truncation, spacing=None):
    """The definition in float64: distance to every boundary voxel, the least of them, sign, clip, scale."""
    spacing = torch.tensor(spacing or [1.0] * mask.ndim, dtype=torch.float64)
    boundary = []
    for voxel in mask.nonzero().tolist():
        for axis, move in itertools.product(range(mask.ndim), (-1, 1)):
            beside = list(voxel)
            beside[axis] += move
            if 0 <= beside[axis] < mask.shape[axis] and not mask[tuple(beside)]:
                boundary.append(voxel)
    everywhere = torch.ones(mask.shape).nonzero().double() * spacing
    distance = torch.cdist(everywhere, torch.tensor(boundary).double() * spacing).amin(1).reshape(mask.shape)
    return (torch.where(mask, -distance, distance) / truncation).clamp(-1, 1)


@pytest.mark.parametrize("truncation", [2.5, 4.0, 15.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_direct_formula(shape, truncation):
    for mask in (random_mask(shape, 0.9), random_mask(shape, 0.1), blobs(shape, 2, seed=1) > 0):
        expected = direct(mask, truncation)
        found = signed_distance(mask, truncation)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.98])
def test_foreground_is_exactly_where_it_is_not_positive(shape, share):
    for seed in range(5):
        mask = random_mask(shape, share, seed)
        assert torch.equal(signed_distance(mask, 8.0) <= 0, mask)
    border = torch.zeros(shape, dtype=torch.bool)
    border[0] = True
    for mask in (border, ~border):
        assert torch.equal(signed_distance(mask, 8.0) <= 0, mask)


def test_beyond_the_border_there_is_no_background():
    mask = torch.zeros(6, 8, dtype=torch.bool)
    mask[:, :4] = True
    row = torch.tensor([-3.0, -2, -1, 0, 1, 2, 3, 4]) / 8
    torch.testing.assert_close(signed_distance(mask, 8.0), row.expand(6, 8))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("truncation", [3.0, 8.0])
def test_it_stays_within_one_and_changes_slowly(shape, truncation):
    for mask in (random_mask(shape), blobs(shape, 2) > 0):
        distance = signed_distance(mask, truncation)
        assert distance.abs().max() <= 1
        for axis in range(len(shape)):
            assert distance.diff(dim=axis).abs().max() <= 1 / truncation + 1e-6


@pytest.mark.parametrize("shape", SHAPES)
def test_without_a_boundary_it_is_constant(shape):
    assert torch.equal(signed_distance(torch.zeros(shape), 8.0), torch.ones(shape))
    assert torch.equal(signed_distance(torch.ones(shape), 8.0), -torch.ones(shape))


def test_spacing_gives_physical_distances():
    mask = random_mask((9, 11), 0.2)
    found = signed_distance(mask, 6.0, spacing=(0.5, 2.0))
    torch.testing.assert_close(found.double(), direct(mask, 6.0, [0.5, 2.0]), atol=1e-6, rtol=0)
    assert not torch.equal(found, signed_distance(mask, 6.0))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_labels_survive_the_round_trip(shape, classes):
    random = torch.Generator().manual_seed(3)
    rows = [blobs(shape, classes, seed) for seed in range(3)]
    rows += [torch.randint(0, classes, shape, generator=random), torch.zeros(shape).long(), torch.ones(shape).long()]
    label = torch.stack(rows)
    distances = signed_distances(label, classes, 4.0)
    assert distances.shape == (len(rows), classes - 1, *shape) and distances.dtype == torch.float32
    assert torch.equal(probabilities(distances).argmax(1), label)


def test_every_class_and_row_has_the_distance_of_its_own_mask():
    label = torch.stack([blobs((16, 12), 4, seed) for seed in range(2)])
    distances = signed_distances(label, 4, 5.0)
    for row, k in itertools.product(range(2), (1, 2, 3)):
        assert torch.equal(distances[row, k - 1], signed_distance(label[row] == k, 5.0))


@pytest.mark.parametrize("threshold", [0.0, 0.015])
@pytest.mark.parametrize("classes", [2, 4])
def test_argmax_is_the_threshold_rule(classes, threshold):
    distance = 0.4 * torch.randn(4, classes - 1, 16, 16, generator=torch.Generator().manual_seed(0)).double()
    # At the threshold itself, and as close to it as float32 can tell.
    distance[0, 0, 0], distance[0, 1:, 0] = threshold, 0.5
    distance[0, 0, 1], distance[0, 1:, 1] = threshold + 1e-9, 0.5
    distance[0, 0, 2], distance[0, 1:, 2] = threshold - 1e-9, 0.5
    distance[1] *= 5  # beyond [-1, 1], where the clipped values of several classes are equal
    distance[1, 1:] = 0.9
    least, nearest = distance.min(1)
    expected = torch.where(least <= threshold, nearest + 1, 0)
    found = probabilities(distance, threshold)
    assert found.dtype == torch.float32 and found.min() >= 0
    torch.testing.assert_close(found.sum(1), torch.ones(4, 16, 16))
    assert torch.equal(found.argmax(1), expected)
    assert (expected[0, 0] == 1).all() and (expected[0, 1] == 0).all() and (expected[0, 2] == 1).all()


def test_probability_of_one_class_is_linear_in_the_distance():
    distance = torch.tensor([-1.0, -0.5, 0.25, 1.0]).reshape(1, 1, 4)
    expected = torch.tensor([1.0, 0.75, 0.375, 0.0])
    found = probabilities(distance)[0]
    torch.testing.assert_close(found, torch.stack([1 - expected, expected]))


def test_probability_grows_with_the_depth_inside_a_class():
    label = blobs((24, 24), 3, seed=2)
    found = probabilities(signed_distances(label[None], 3, 8.0))[0]
    inside = -signed_distance(label == 2, 8.0)[label == 2]
    deep, shallow = inside.argmax(), inside.argmin()
    assert found[2][label == 2][deep] > found[2][label == 2][shallow]
    assert F.one_hot(label, 3).movedim(-1, 0).double().mul(found).sum(0).min() > 1 / 3
