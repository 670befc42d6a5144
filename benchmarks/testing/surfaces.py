"""Distances between the surfaces of two masks.

They are those of MONAI (`compute_hausdorff_distance`, `compute_average_surface_distance`, `compute_surface_dice`), with
which the tests compare them; it needs about 12 ms for one class of a 64x64 image, this module under 1 ms, which decides
whether a noise sweep scores its tens of thousands of masks in minutes or in hours.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

ROUNDING = 1e-9
"""Relative to a distance."""


class Distances(NamedTuple):
    """From every surface voxel of the prediction to the label's surface (n,), and the other way round (m,); one is
    empty, and the other infinite, where the mask it starts from or leads to has no voxel."""

    to_label: np.ndarray
    to_prediction: np.ndarray

    @property
    def hd95(self) -> float:
        """The larger of the two directed 95th percentiles; neither mask may be empty."""
        return float(max(np.percentile(self.to_label, 95), np.percentile(self.to_prediction, 95)))

    @property
    def assd(self) -> float:
        """Mean over the surface voxels of both masks, neither of them empty."""
        return float(np.concatenate(self).mean())

    def within(self, tolerance: float) -> int:
        """Surface voxels of both masks that the other surface is no farther from than the tolerance."""
        # Some voxel lengths are no sums of powers of two: what is as far as the tolerance is not to fail by rounding.
        return sum(int(np.count_nonzero(one <= tolerance * (1 + ROUNDING))) for one in self)

    @property
    def voxels(self) -> int:
        """Surface voxels of both masks."""
        return len(self.to_label) + len(self.to_prediction)


def distances(prediction: np.ndarray, label: np.ndarray, spacing: Sequence[float] | None) -> Distances:
    """Between the surfaces of two masks, bool (*spatial); spacing: voxel lengths along each axis, None for 1."""
    scale = np.ones(label.ndim) if spacing is None else np.asarray(spacing, dtype=float)
    p, y = surface(prediction) * scale, surface(label) * scale
    if not len(p) or not len(y):
        return Distances(np.full(len(p), np.inf), np.full(len(y), np.inf))
    return Distances(cKDTree(y).query(p)[0], cKDTree(p).query(y)[0])


def surface(mask: np.ndarray) -> np.ndarray:
    """Places (n, ndim), counted from 1, of the mask's voxels with a face towards the outside; the image's border counts
    as outside. From 1, since a tree over coordinates of 0 splits at the smallest number above 0, which is 0 again where
    the processor flushes denormal numbers: the splitting never ends."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        here, there = np.moveaxis(inner, axis, 0), np.moveaxis(mask, axis, 0)
        here[1:] &= there[:-1]
        here[:-1] &= there[1:]
        here[0] = here[-1] = False
    return np.argwhere(mask & ~inner) + 1


def diagonal(shape: Sequence[int], spacing: Sequence[float] | None) -> float:
    """Of a grid, from corner to corner: no distance between voxels on it is as long."""
    steps = [1.0] * len(shape) if spacing is None else spacing
    return math.hypot(*(length * step for length, step in zip(shape, steps, strict=True)))
