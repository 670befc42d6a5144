"""What is kept of a test case for pictures: of a volume the slice that shows most of its label, and some before and
behind it."""

import numpy as np
import torch
from torch.nn import functional

from benchmarks.store.kept import Picture, Slices

MOST_SLICES = 12
"""Slices kept of a volume."""


def picture(name: str, image: np.ndarray, label: np.ndarray, prediction: np.ndarray) -> Picture:
    """The picture of a case: image float (C, *S) in [0, 1] or beyond (clipped), on the label's grid or on another;
    label and prediction (*S)."""
    if image.shape[1:] != label.shape:
        mode = "bilinear" if label.ndim == 2 else "trilinear"
        image = functional.interpolate(torch.from_numpy(np.array(image))[None], label.shape, mode=mode)[0].numpy()
    where = plane(label)
    parts = _cut(image, label, prediction, where)
    return Picture(name, *parts, _through(image, label, prediction, where) if where else None)


def _cut(
    image: np.ndarray, label: np.ndarray, prediction: np.ndarray, where: tuple[int, int] | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, label and prediction of a slice as they are stored."""
    grey = (np.clip(cut(image, where), 0, 1) * 255).round().astype(np.uint8)
    return grey, cut(label, where).astype(np.uint8), cut(prediction, where).astype(np.uint8)


def _through(image: np.ndarray, label: np.ndarray, prediction: np.ndarray, where: tuple[int, int]) -> Slices:
    """At most `MOST_SLICES` slices along the axis of `where`, that one among them, the others evenly spread over the
    label and a quarter of its extent beyond either end. The label alone decides, so that the slices of all methods are
    the same."""
    axis, position = where
    count = label.shape[axis]
    others = tuple(other for other in range(3) if other != axis)
    inside = np.flatnonzero((label > 0).any(axis=others)) if label.any() else np.arange(count)
    beyond = max(1, (inside[-1] - inside[0] + 1) // 4)
    first, last = max(inside[0] - beyond, 0), min(inside[-1] + beyond, count - 1)
    spread = np.linspace(first, last, min(MOST_SLICES, last - first + 1)).round().astype(int)
    spread[np.abs(spread - position).argmin()] = position
    parts = [_cut(image, label, prediction, (axis, int(at))) for at in spread]
    return Slices(*(np.stack(part) for part in zip(*parts)), spread, count)


def plane(label: np.ndarray) -> tuple[int, int] | None:
    """Axis and position of the slice that shows most of a volume's label; None for a 2D label."""
    if label.ndim == 2:
        return None
    best = None
    for axis in range(3):
        areas = np.count_nonzero(label, axis=tuple(other for other in range(3) if other != axis))
        position = int(areas.argmax()) if areas.any() else label.shape[axis] // 2
        if best is None or areas.max() > best[0]:
            best = (areas.max(), axis, position)
    return best[1:]


def cut(array: np.ndarray, where: tuple[int, int] | None) -> np.ndarray:
    """The slice `where` (from `plane`) of an array whose last axes are spatial, turned so that the later of its two
    axes points up: with the axes of a NIfTI file (right, anterior, superior), as volumes are looked at."""
    if where is None:
        return array
    axis, position = where
    return np.flip(np.take(array, position, axis=axis - 3).swapaxes(-1, -2), -2)
