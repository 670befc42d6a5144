"""Hausdorff distances between the objects of two label maps, of which only the few that are asked for are computed."""

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt, find_objects
from scipy.spatial import cKDTree

from benchmarks.testing.surfaces import surface

Box = tuple[slice, ...]


class Objects:
    """The objects of a label map, integers (*spatial), numbered from 1 without gaps; spacing: length of a voxel along
    each axis, None for 1. Objects are named by their place, the number less 1."""

    def __init__(self, numbered: np.ndarray, spacing: Sequence[float] | None) -> None:
        self.numbered = numbered
        self.scale = np.ones(numbered.ndim) if spacing is None else np.asarray(spacing, dtype=float)
        self.boxes: list[Box] = find_objects(numbered)
        # Centres of the outermost voxels along each axis (objects, ndim).
        self.low = np.array([[side.start for side in box] for box in self.boxes]) * self.scale
        self.high = np.array([[side.stop - 1 for side in box] for box in self.boxes]) * self.scale
        self._edges: dict[int, tuple[np.ndarray, cKDTree]] = {}

    def within(self, place: int, box: Box) -> np.ndarray:
        """The object as a mask of that part of the grid."""
        return self.numbered[box] == place + 1

    def edge(self, place: int) -> tuple[np.ndarray, cKDTree]:
        """Positions of its surface voxels (n, ndim), and a tree over them."""
        if place not in self._edges:
            box = self.boxes[place]
            corner = np.array([side.start for side in box])
            points = (surface(self.within(place, box)) + corner) * self.scale
            self._edges[place] = points, cKDTree(points)
        return self._edges[place]


class Pairs:
    """Hausdorff distances max(sup_a inf_b |a - b|, sup_b inf_a |a - b|) between the voxels of predicted objects and
    those of true ones, each computed once."""

    def __init__(self, predicted: Objects, true: Objects) -> None:
        self.predicted, self.true = predicted, true
        self._known: dict[tuple[int, int], float] = {}

    def distance(self, predicted: int, true: int) -> float:
        """Between two objects."""
        pair = predicted, true
        if pair not in self._known:
            boxes = self.predicted.boxes[predicted], self.true.boxes[true]
            apart = any(a.stop <= b.start or b.stop <= a.start for a, b in zip(*boxes, strict=True))
            self._known[pair] = self._apart(*pair) if apart else self._mixed(*pair)
        return self._known[pair]

    def nearest_true(self, predicted: int) -> float:
        """Distance of a predicted object from the true one that is nearest by it."""
        bounds = _bounds(self.predicted, predicted, self.true)
        return _least(bounds, (self.distance(predicted, true) for true in np.argsort(bounds, kind="stable").tolist()))

    def nearest_predicted(self, true: int) -> float:
        """Distance of a true object from the predicted one that is nearest by it."""
        bounds = _bounds(self.true, true, self.predicted)
        return _least(bounds, (self.distance(place, true) for place in np.argsort(bounds, kind="stable").tolist()))

    def _apart(self, predicted: int, true: int) -> float:
        """Where the boxes around the objects do not meet: a step away from the other one's box is a step away from all
        of its voxels, so that the farthest voxel is on the surface."""
        (p, near_p), (y, near_y) = self.predicted.edge(predicted), self.true.edge(true)
        return float(max(near_y.query(p)[0].max(), near_p.query(y)[0].max()))

    def _mixed(self, predicted: int, true: int) -> float:
        """Where they do, the farthest voxel may be inside: the distance of every voxel in the boxes is needed."""
        boxes = zip(self.predicted.boxes[predicted], self.true.boxes[true], strict=True)
        both = tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in boxes)
        p, y = self.predicted.within(predicted, both), self.true.within(true, both)
        scale = self.true.scale
        return float(max(_farthest(p, y, scale), _farthest(y, p, scale)))


def _farthest(mask: np.ndarray, other: np.ndarray, scale: np.ndarray) -> float:
    """Largest distance from a voxel of the mask to the other mask."""
    alone = mask & ~other
    return distance_transform_edt(~other, sampling=scale)[alone].max() if alone.any() else 0.0


def _bounds(one: Objects, place: int, others: Objects) -> np.ndarray:
    """(others,): no Hausdorff distance to these is less, since where one box ends farther out than the other there is a
    voxel that is as far from all of the other object."""
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
