"""The field of view: where an image has content, such as the sector of an ultrasound image."""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

FAINTEST = 0.5 / 255
"""Content is brighter than an image's darkest voxel by more than this, half a grey level."""
CLOSED = 1 / 16
"""Gaps up to this share of the image's shortest side are no border of the field."""


def field_of_view(image: Tensor) -> Tensor:
    """Where images (B, C, *spatial) in [0, 1] have content: (B, *spatial) bool, the largest compact region.

    Dark voxels inside of it belong to it (black blood within the sector of an ultrasound image): the region of what is
    not the darkest is closed, its holes are filled. An image without content has it nowhere.
    """
    bright = (image - image.amin(tuple(range(1, image.ndim)), keepdim=True) > FAINTEST).any(1)
    fields = [_compact(mask) for mask in bright.cpu().numpy()]
    return torch.from_numpy(np.stack(fields)).to(image.device)


def _compact(mask: np.ndarray) -> np.ndarray:
    if mask.all() or not mask.any():
        return mask
    reach = max(1, round(min(mask.shape) * CLOSED / 2))
    # A border of background, so that closing near the image's edge is not hindered by it.
    closed = ndimage.binary_closing(np.pad(mask, reach), iterations=reach)
    inside = closed[tuple(slice(reach, -reach) for _ in mask.shape)]
    parts, count = ndimage.label(ndimage.binary_fill_holes(inside))
    largest = 1 + int(np.argmax(np.bincount(parts.ravel(), minlength=count + 1)[1:]))
    return parts == largest
