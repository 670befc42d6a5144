"""The augmentation of training cases: the same policy for every method."""

import numpy as np

from datasets.base import Augmentation


def augment(
    image: np.ndarray, label: np.ndarray, policy: Augmentation, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One augmented case, as new contiguous arrays. All that is random comes from `generator`.

    image: float32 (C, *spatial) in [0, 1]; label: (*spatial), moved along with the image and never interpolated.
    Each axis in policy.flips is mirrored with probability 1/2; policy.rotations turns by 0, 90, 180 or 270 degrees
    where the last two axes are equally long, else by 0 or 180; policy.intensity s draws a gain 1 + N(0, s) and an
    offset N(0, s), and clips to [0, 1].
    """
    for axis in policy.flips:
        if generator.random() < 0.5:
            image, label = np.flip(image, axis + 1), np.flip(label, axis)
    if policy.rotations:
        turns = int(generator.integers(4)) if label.shape[-1] == label.shape[-2] else 2 * int(generator.integers(2))
        image, label = np.rot90(image, turns, (-2, -1)), np.rot90(label, turns, (-2, -1))
    if policy.intensity > 0:
        gain, offset = generator.normal(0.0, policy.intensity, 2).astype(np.float32)
        image = np.clip(image * (1 + gain) + offset, 0, 1)
    return np.array(image, np.float32, order="C"), np.array(label, order="C")
