"""Cases of any size brought to one size by padding and cropping, without resampling."""

from collections.abc import Sequence

import numpy as np

FOREGROUND_SHARE = 1 / 3
"""Share of the training crops that are centred on the foreground (nnU-Net, Isensee et al. 2021, Nature Methods 18)."""


def fitted(
    image: np.ndarray, label: np.ndarray, size: Sequence[int], start: Sequence[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """New arrays of `size` cut from a case; what lies outside it is 0.

    image: (C, *spatial); label: (*spatial). start: index in the case of the first voxel along each axis, below 0 where
    padding comes first; None centres the case, the odd voxel of padding after it, as sliding-window inference pads.
    """
    start = centred(label.shape, size) if start is None else start
    case = tuple(slice(max(s, 0), max(s + want, 0)) for s, want in zip(start, size, strict=True))
    new_image, new_label = np.zeros((len(image), *size), image.dtype), np.zeros(size, label.dtype)
    part = label[case]
    place = tuple(slice(max(-s, 0), max(-s, 0) + have) for s, have in zip(start, part.shape, strict=True))
    new_image[(slice(None), *place)] = image[(slice(None), *case)]
    new_label[place] = part
    return new_image, new_label


def centred(shape: Sequence[int], size: Sequence[int]) -> tuple[int, ...]:
    """Where a window of `size` starts in the middle of `shape`; below 0 where the window is the larger one."""
    return tuple(
        (have - want) // 2 if have >= want else -((want - have) // 2) for have, want in zip(shape, size, strict=True)
    )


def random_start(label: np.ndarray, size: Sequence[int], classes: int, generator: np.random.Generator) -> list[int]:
    """Where a training crop starts: at random along axes that are longer than `size`, centred along the others.

    A third of the crops of a case that has foreground are centred, as far as its borders allow, on a random voxel of a
    random one of the foreground classes 1..classes. Nothing is drawn for a case that fits into `size`.
    """
    start = list(centred(label.shape, size))
    longer = [axis for axis, (have, want) in enumerate(zip(label.shape, size, strict=True)) if have > want]
    if not longer:
        return start
    voxel = _foreground(label, classes, generator) if generator.random() < FOREGROUND_SHARE else None
    for axis in longer:
        last = label.shape[axis] - size[axis]
        start[axis] = int(
            generator.integers(last + 1) if voxel is None else np.clip(voxel[axis] - size[axis] // 2, 0, last)
        )
    return start


def _foreground(label: np.ndarray, classes: int, generator: np.random.Generator) -> tuple[int, ...] | None:
    """A random voxel of a random class, of any class where this one is absent; None for an empty label."""
    found = np.flatnonzero(label == generator.integers(1, classes + 1))
    found = found if found.size else np.flatnonzero(label)
    return np.unravel_index(found[generator.integers(found.size)], label.shape) if found.size else None
