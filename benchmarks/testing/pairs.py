"""Hausdorff distances between the objects of two label maps, of which only the few that are asked for are computed."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import find_objects
from scipy.spatial import cKDTree

from benchmarks.testing.surfaces import surface

BLOCK = 8
"""Side in voxels of the blocks by which the farthest voxel is looked for."""


class Voxels(NamedTuple):
    """Of an object: places of its voxels on the grid (n, ndim), their positions likewise, counted from 1 as those of
    `surface` are, the block of each (n,), and for every block the place in these arrays of one of its voxels."""

    places: np.ndarray
    positions: np.ndarray
    block: np.ndarray
    first: np.ndarray


class Objects:
    """The objects of a label map, integers (*spatial), numbered from 1 without gaps; spacing: length of a voxel along
    each axis, None for 1. Objects are named by their place, the number less 1."""

    def __init__(self, numbered: np.ndarray, spacing: Sequence[float] | None) -> None:
        self.numbered = numbered
        self.scale = np.ones(numbered.ndim) if spacing is None else np.asarray(spacing, dtype=float)
        self.boxes: list[tuple[slice, ...]] = find_objects(numbered)
        # Centres of the outermost voxels along each axis (objects, ndim).
        self.low = np.array([[side.start for side in box] for box in self.boxes]) * self.scale
        self.high = np.array([[side.stop - 1 for side in box] for box in self.boxes]) * self.scale
        self._trees: dict[int, cKDTree] = {}
        self._voxels: dict[int, Voxels] = {}

    def tree(self, place: int) -> cKDTree:
        """Over the surface voxels of an object, their places counted from 1 as `surface` does."""
        if place not in self._trees:
            box = self.boxes[place]
            corner = [side.start for side in box]
            self._trees[place] = cKDTree((surface(self.numbered[box] == place + 1) + corner) * self.scale)
        return self._trees[place]

    def voxels(self, place: int) -> Voxels:
        """All voxels of an object."""
        if place not in self._voxels:
            box = self.boxes[place]
            corner = [side.start for side in box]
            found = np.argwhere(self.numbered[box] == place + 1)
            blocks = np.ravel_multi_index(tuple((found // BLOCK).T), [side.stop // BLOCK + 1 for side in box])
            _, first, block = np.unique(blocks, return_index=True, return_inverse=True)
            self._voxels[place] = Voxels(found + corner, (found + corner + 1) * self.scale, block, first)
        return self._voxels[place]


class Pairs:
    """Hausdorff distances max(sup_a inf_b |a - b|, sup_b inf_a |a - b|) between the voxels of predicted objects and
    those of true ones, each computed once. common: voxels that each two share (predicted, true)."""

    def __init__(self, predicted: Objects, true: Objects, common: np.ndarray) -> None:
        self.predicted, self.true, self.common = predicted, true, common
        self._known: dict[tuple[int, int], float] = {}

    def distance(self, predicted: int, true: int) -> float:
        """Between two objects."""
        pair = predicted, true
        if pair not in self._known:
            apart = self.common[pair] == 0
            there = _farthest(self.predicted, predicted, self.true, true, apart)
            self._known[pair] = max(there, _farthest(self.true, true, self.predicted, predicted, apart))
        return self._known[pair]

    def nearest_true(self, predicted: int) -> float:
        """Distance of a predicted object from the true one that is nearest by it."""
        bounds = _bounds(self.predicted, predicted, self.true)
        return _least(bounds, (self.distance(predicted, true) for true in np.argsort(bounds, kind="stable").tolist()))

    def nearest_predicted(self, true: int) -> float:
        """Distance of a true object from the predicted one that is nearest by it."""
        bounds = _bounds(self.true, true, self.predicted)
        return _least(bounds, (self.distance(place, true) for place in np.argsort(bounds, kind="stable").tolist()))


def _farthest(one: Objects, place: int, others: Objects, other: int, apart: bool) -> float:
    """Largest distance from a voxel of one object to the nearest voxel of another; apart: they share none. It may be
    inside: the middle of a disc is the farthest from a ring around it."""
    voxels, tree = one.voxels(place), others.tree(other)
    # The nearest voxel of an object is on its surface, for those that are outside of it.
    outside = None if apart else others.numbered[tuple(voxels.places.T)] != other + 1
    if outside is not None and not outside.any():
        return 0.0
    # Within a block the distance differs by no more than its diagonal, so only few blocks can hold the farthest voxel.
    coarse = tree.query(voxels.positions[voxels.first])[0]
    least = coarse.max() if outside is None else coarse[outside[voxels.first]].max(initial=0)
    candidates = (coarse + (BLOCK - 1) * np.linalg.norm(one.scale) >= least)[voxels.block]
    if outside is not None:
        candidates &= outside
    return float(tree.query(voxels.positions[candidates])[0].max())


def _bounds(one: Objects, place: int, others: Objects) -> np.ndarray:
    """(others,): no Hausdorff distance to these is less, since where one box ends farther out than the other there is
    a voxel that is as far from all of the other object."""
    low, high = np.abs(others.low - one.low[place]), np.abs(others.high - one.high[place])
    return np.maximum(low, high).max(axis=1)


def _least(bounds: np.ndarray, distances: Iterable[float]) -> float:
    """Least of the distances, which are asked for in the order of their bounds and only while one can be less."""
    best = np.inf
    for bound, distance in zip(np.sort(bounds, kind="stable"), distances):
        if bound >= best:
            break
        best = min(best, distance)
    return best
