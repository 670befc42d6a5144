"""Distances between surfaces once more, by erosion and distance transforms in place of neighbours and trees."""

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter

from benchmarks.testing.surfaces import distances

GRIDS = [((32, 40), None), ((32, 40), (0.5, 2.0)), ((12, 20, 16), None), ((12, 20, 16), (3.0, 0.62, 0.62))]


def blobs(random, shape):
    """A mask of smooth shapes, some of which touch the border of the image."""
    field = gaussian_filter(random.normal(size=shape), 2)
    return field > np.quantile(field, random.uniform(0.5, 0.95))


def edge(mask):
    """Voxels that erosion by a cross takes away, the outside of the image being no part of the mask."""
    return mask & ~binary_erosion(mask, border_value=0)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("shape, spacing", GRIDS)
def test_distances_are_those_of_distance_transforms(shape, spacing, seed):
    random = np.random.default_rng(seed)
    masks = blobs(random, shape), blobs(random, shape)
    edges = [edge(mask) for mask in masks]
    there, back = (distance_transform_edt(~other, sampling=spacing)[own] for own, other in (edges, edges[::-1]))
    found = distances(*masks, spacing)
    for values, expected in zip(found, (there, back), strict=True):
        assert np.sort(values) == pytest.approx(np.sort(expected))
    assert found.hd95 == pytest.approx(max(np.quantile(there, 0.95), np.quantile(back, 0.95)))
    assert found.assd == pytest.approx((there.sum() + back.sum()) / (there.size + back.size))
    for tolerance in (0.31, 1.7, 4.0):
        near = (there <= tolerance + 1e-9).sum() + (back <= tolerance + 1e-9).sum()
        assert (found.within(tolerance), found.voxels) == (near, there.size + back.size)


def test_two_squares_by_hand():
    """Sides of 3 pixels, one moved by 4 columns: columns of edges are 2 to 4 apart, both ways."""
    one, other = np.zeros((2, 9, 12), bool)
    one[3:6, 1:4] = other[3:6, 5:8] = True
    found = distances(one, other, None)
    # Three of the eight edge pixels lie in each outer column, two in the middle one.
    assert sorted(found.to_label) == [2] * 3 + [3] * 2 + [4] * 3
    assert (found.hd95, found.assd) == (4, 3) and found.within(2) == 6
