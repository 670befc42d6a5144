"""Scaling of intensities shared by the methods."""

import torch
from torch import Tensor


def min_max(image: Tensor) -> Tensor:
    """Every image of (B, C, *spatial) scaled to [0, 1] jointly over its channels and voxels; a constant one becomes 0.

    Per image, so that a result does not depend on its batch, and the same for all methods, so that they meet a dim or
    a noisy image on equal terms. The authors of LDSeg scale so, too.
    """
    axes = tuple(range(1, image.ndim))
    low, high = image.amin(axes, keepdim=True), image.amax(axes, keepdim=True)
    spread = high - low
    return (image - low) / torch.where(spread > 0, spread, 1)
