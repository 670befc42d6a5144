"""The augmentation of training cases: the same policy for every method."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from scipy.interpolate import BSpline
from scipy.ndimage import gaussian_filter
from skimage.color import hed_from_rgb, rgb_from_hed
from torch.nn.functional import grid_sample

from datasets.base import Augmentation

DARKEST = 1 / 255
"""Least intensity that a stain is read from: black has no optical density."""
GRAIN = 0.8
"""Standard deviation in pixels of the filter that makes white noise a speckle."""


def augment(
    image: np.ndarray, label: np.ndarray, policy: Augmentation, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One augmented case, as new contiguous arrays. All that is random comes from `generator`.

    image: float32 (C, *spatial) in [0, 1]; label: (*spatial), moved along with the image and never interpolated.
    Each axis in policy.flips is mirrored with probability 1/2; policy.rotations turns by 0, 90, 180 or 270 degrees
    where the last two axes are equally long, else by 0 or 180. Then, each with policy.probability, the case is moved
    and bent in a single resampling, and the image gets another stain, gamma, blur and speckle; `Augmentation` explains
    each. Last, policy.intensity s draws a gain 1 + N(0, s) and an offset N(0, s), and clips to [0, 1].
    """
    for axis in policy.flips:
        if generator.random() < 0.5:
            image, label = np.flip(image, axis + 1), np.flip(label, axis)
    if policy.rotations:
        turns = int(generator.integers(4)) if label.shape[-1] == label.shape[-2] else 2 * int(generator.integers(2))
        image, label = np.rot90(image, turns, (-2, -1)), np.rot90(label, turns, (-2, -1))
    if policy.stronger:
        image, label = _moved(image, label, policy, generator)
        image = _recoloured(image, policy, generator)
    if policy.intensity > 0:
        gain, offset = generator.normal(0.0, policy.intensity, 2).astype(np.float32)
        image = np.clip(image * (1 + gain) + offset, 0, 1)
    return np.array(image, np.float32, order="C"), np.array(label, order="C")


def _moved(
    image: np.ndarray, label: np.ndarray, policy: Augmentation, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The case moved and bent, where the generator says so."""
    axes = free_axes(label.shape)
    moves = policy.moves and generator.random() < policy.probability
    bends = policy.elastic > 0 and generator.random() < policy.probability
    if len(axes) < 2 or not (moves or bends):
        return image, label
    matrix = drawn_matrix([label.shape[axis] for axis in axes], policy, generator) if moves else np.eye(len(axes) + 1)
    size = (len(axes), *(policy.elastic_cells + 3 if bends else 4 for _ in axes))
    bend = generator.uniform(-policy.elastic, policy.elastic, size) if bends else np.zeros(size)
    return warped(image, label, matrix, bend, policy.outside)


def warped(
    image: np.ndarray, label: np.ndarray, matrix: np.ndarray, bend: np.ndarray, outside: str
) -> tuple[np.ndarray, np.ndarray]:
    """The case under a free-form deformation of its `free_axes`; the image linearly, the label by the nearest voxel.

    image: (C, *spatial); label: (*spatial); matrix and bend as in `sampling_grid`; outside as in `Augmentation`.
    """
    axes = free_axes(label.shape)
    grid = sampling_grid([label.shape[axis] for axis in axes], matrix, bend)
    # Axes that are held are channels of the resampling, so all their slices move alike.
    order = [*(axis for axis in range(label.ndim) if axis not in axes), *axes]
    back = np.argsort(order)
    moved = _resampled(image.transpose(0, *(axis + 1 for axis in order)), grid, "bilinear", outside)
    placed = _resampled(label.transpose(order), grid, "nearest", outside)
    return moved.transpose(0, *(axis + 1 for axis in back)), placed.transpose(back).astype(label.dtype)


def free_axes(shape: Sequence[int]) -> list[int]:
    """Spatial axes along which a case of this shape is moved: in volumes not those of a few slices.

    An axis less than a third as long as the longest is held, as nnU-Net augments such volumes slice by slice (Isensee
    et al. 2021, Nature Methods 18); in pictures only an axis of one pixel.
    """
    least = max(shape) / 3 if len(shape) == 3 else 0
    return [axis for axis, length in enumerate(shape) if length > 1 and length >= least]


def drawn_matrix(shape: Sequence[int], policy: Augmentation, generator: np.random.Generator) -> np.ndarray:
    """Homogeneous (D + 1, D + 1): where in the case, in voxels from its centre, a voxel of the result is taken from.

    Things are sheared, then turned, grow by the scale and shift, so the case is read by the inverse of that.
    """
    # MONAI takes seconds to import.
    from monai.transforms.utils import create_rotate, create_scale, create_shear, create_translate

    dims = len(shape)
    limit = np.deg2rad(policy.rotation_degrees)
    turn = create_rotate(dims, generator.uniform(-limit, limit, 1 if dims == 2 else 3))
    low, high = policy.scale or (1, 1)
    growth = create_scale(dims, [drawn_factor(low, high, generator)] * dims)
    shear = create_shear(dims, generator.uniform(-policy.shear, policy.shear, dims * (dims - 1)))
    shift = create_translate(dims, generator.uniform(-policy.translation, policy.translation, dims) * shape)
    return np.linalg.inv(shift @ growth @ turn @ shear)


def drawn_factor(low: float, high: float, generator: np.random.Generator) -> float:
    """A factor from `low` to `high`, drawn evenly by its logarithm, so that 1/2 and 2 are as likely."""
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))


def sampling_grid(shape: Sequence[int], matrix: np.ndarray, bend: np.ndarray) -> torch.Tensor:
    """Where each voxel of a result of `shape` is taken from: float32 (1, *shape, D), as torch's `grid_sample` reads it.

    A free-form deformation by cubic B-splines (Rueckert et al. 1999, IEEE TMI 18). They reproduce linear functions, so
    `matrix`, (D + 1, D + 1) as `drawn_matrix` gives it, moves the control points, and that moves every voxel.
    bend: (D, *points), how far each control point moves first, as a share of the distance to the next one.
    """
    dims = len(shape)
    cells = np.array(bend.shape[1:]) - 3
    half = (np.array(shape) - 1) / 2
    column = (dims, *[1] * dims)
    points = (np.indices(bend.shape[1:]) - 1 + bend) * (2 * half / cells).reshape(column) - half.reshape(column)
    points = np.tensordot(matrix[:dims, :dims], points, 1) + matrix[:dims, dims].reshape(column)
    # grid_sample counts from -1 to 1 between the centres of the first and the last voxel, the last axis first.
    field = (points / half.reshape(column))[::-1].astype(np.float32)
    for length, count in zip(shape, cells):
        # Without BLAS, which rounds by its number of threads.
        field = np.einsum("df...,fl->d...l", field, basis(length, int(count)))
    return torch.from_numpy(field).movedim(0, -1).unsqueeze(0)


@lru_cache(maxsize=64)
def basis(length: int, cells: int) -> np.ndarray:
    """Uniform cubic B-splines over `cells` cells at `length` equidistant positions, ends included.

    float32 (cells + 3, length); each column adds up to 1.
    """
    positions = np.linspace(0, cells, length)
    return BSpline.design_matrix(positions, np.arange(-3.0, cells + 4), 3).toarray().T.astype(np.float32)


def _resampled(array: np.ndarray, grid: torch.Tensor, mode: str, outside: str) -> np.ndarray:
    """float32, as long as `array` (..., *spatial), read at the `grid` over its last axes."""
    spatial = grid.shape[1:-1]
    values = torch.from_numpy(np.array(array, np.float32, order="C").reshape(1, -1, *spatial))
    return grid_sample(values, grid, mode, outside, align_corners=True).numpy().reshape(array.shape)


def _recoloured(image: np.ndarray, policy: Augmentation, generator: np.random.Generator) -> np.ndarray:
    """The image with another stain, gamma, blur and speckle, where the generator says so; in [0, 1]."""
    free = free_axes(image.shape[1:])
    within = [axis in free for axis in range(image.ndim - 1)]
    if policy.stain and generator.random() < policy.probability:
        image = restained(image, [drawn_factor(*policy.stain, generator) for _ in range(3)])
    if policy.gamma and generator.random() < policy.probability:
        image = gamma_corrected(image, drawn_factor(*policy.gamma, generator))
    if policy.blur and generator.random() < policy.probability:
        image = _smoothed(image, generator.uniform(*policy.blur), within)
    if policy.speckle and generator.random() < policy.probability:
        strength = np.float32(generator.uniform(*policy.speckle))
        grain = _smoothed(generator.standard_normal((1, *image.shape[1:]), np.float32), GRAIN, within)
        image = image * (1 + strength * grain / max(grain.std(), 1e-6))
    return np.clip(image, 0, 1)


def restained(image: np.ndarray, factors: Sequence[float]) -> np.ndarray:
    """An H&E image, float32 (3, H, W) in [0, 1], with its three stains' optical densities multiplied by `factors`.

    Colour deconvolution by Ruifrok and Johnston (2001), the jitter of Tellez et al. (2018, IEEE TMI 37) without its
    offset: glass without tissue stays white. Unlike skimage's rgb2hed, negative densities are kept, so factors of 1
    give the image back.
    """
    mixing = hed_from_rgb @ np.diag(factors) @ rgb_from_hed
    density = np.log(np.maximum(image, DARKEST).reshape(3, -1))
    mixed = np.einsum("ij,ip->jp", mixing.astype(np.float32), density)  # as above
    return np.exp(np.minimum(mixed, 0)).reshape(image.shape)


def gamma_corrected(image: np.ndarray, gamma: float) -> np.ndarray:
    """The intensities to the power of `gamma` within the range of all channels together, which stays; float32."""
    low, high = image.min(), image.max()
    spread = high - low
    return ((image - low) / spread) ** np.float32(gamma) * spread + low if spread > 0 else image


def _smoothed(image: np.ndarray, sigma: float, within: Sequence[bool]) -> np.ndarray:
    """(C, *spatial) filtered by a Gaussian along the spatial axes that are named."""
    return gaussian_filter(image, (0, *(sigma * axis for axis in within)), mode="nearest", truncate=3)
