"""New label maps from those there are: moved as one and bent, as Echo from Noise does before it samples."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor


class Warp(NamedTuple):
    """Limits within which a warp is drawn evenly, by default those of Echo from Noise's code.

    rotation: degrees either way, in each plane of two axes. shift: most that a map moves either way along each axis,
    as a share of its length; axes without an entry stay. scale: least and largest factor of size. shear: degrees either
    way, of the last axis against the first. points: control points along each axis, the last entry for further ones;
    the outermost stay in place. bend: most that one moves along each axis, as a share of its length.
    """

    rotation: float = 5.0
    shift: tuple[float, ...] = (0.05,)
    scale: tuple[float, float] = (0.8, 1.05)
    shear: float = 5.0
    points: tuple[int, ...] = (10, 4)
    bend: float = 30 / 256


NONE = Warp(0.0, (), (1.0, 1.0), 0.0, (2,), 0.0)


def warped(label_map: Tensor, classes: int, generator: torch.Generator, warp: Warp = Warp()) -> Tensor:  # noqa: B008
    """A map (*spatial) of codes as `Synthesizer.condition` gives them, its structures (1..classes-1) moved and bent.

    The field of view stays where it is: structures end at its border, and what they leave is background (0) inside
    and the code `classes` outside. Voxels are looked up at the nearest one, once; from beyond the map comes background.
    generator: the only source of randomness.
    """
    codes = label_map.cpu().numpy()
    random = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    looked_up = ndimage.map_coordinates(codes, _places(codes.shape, warp, random), order=0, cval=0)
    outside = codes == classes
    structures = np.where((looked_up > 0) & (looked_up < classes), looked_up, 0)
    return torch.from_numpy(np.where(outside, classes, structures)).to(label_map)


def _places(shape: tuple[int, ...], warp: Warp, random: np.random.Generator) -> np.ndarray:
    """Where each voxel of the new map is looked up in the old one: (axes, *shape), in voxels."""
    grid = np.stack(np.meshgrid(*[np.arange(n, dtype=float) for n in shape], indexing="ij"))
    centre = (np.array(shape) - 1).reshape(-1, *[1] * len(shape)) / 2
    # Bent first, then moved: looking up goes against the order in which the map is changed.
    bent = grid + _bending(shape, warp, random)
    shift = np.zeros(len(shape))
    shift[: len(warp.shift)] = [n * random.uniform(-s, s) for n, s in zip(shape, warp.shift)]
    moved = np.tensordot(np.linalg.inv(_matrix(len(shape), warp, random)), bent - centre, axes=1)
    return moved + centre - shift.reshape(centre.shape)


def _matrix(axes: int, warp: Warp, random: np.random.Generator) -> np.ndarray:
    """Rotations in all planes, then the shear, then the size."""
    matrix = np.eye(axes) * random.uniform(*warp.scale)
    matrix[-1, 0] += matrix[0, 0] * np.tan(np.deg2rad(random.uniform(-warp.shear, warp.shear)))
    for a, b in combinations(range(axes), 2):
        angle = np.deg2rad(random.uniform(-warp.rotation, warp.rotation))
        turn = np.eye(axes)
        turn[[a, a, b, b], [a, b, a, b]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        matrix = matrix @ turn
    return matrix


def _bending(shape: tuple[int, ...], warp: Warp, random: np.random.Generator) -> np.ndarray:
    """Displacements (axes, *shape) in voxels, smooth between control points of which the outermost stay."""
    points = [warp.points[min(axis, len(warp.points) - 1)] for axis in range(len(shape))]
    inner = random.uniform(-warp.bend, warp.bend, (len(shape), *[max(count - 2, 0) for count in points]))
    coarse = np.pad(inner, [(0, 0), *[((count - size) // 2,) * 2 for count, size in zip(points, inner.shape[1:])]])
    places = np.stack(np.meshgrid(*[np.linspace(0, c - 1, n) for c, n in zip(points, shape)], indexing="ij"))
    fields = [n * ndimage.map_coordinates(one, places, order=3, mode="nearest") for n, one in zip(shape, coarse)]
    return np.stack(fields)
