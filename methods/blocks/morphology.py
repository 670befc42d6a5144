"""Clean-up of segmentations by binary morphology."""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

SMALLEST_SHARE = 1e-3
"""Connected components below this share of the image's voxels are dropped."""


def clean(probability: Tensor) -> Tensor:
    """Class probabilities (B, classes, *spatial) of which the most probable class forms compact regions.

    Each foreground class of the argmax is closed, opened, relieved of holes and of components smaller than 0.1 % of
    the image (all with the cross of radius 1). A voxel that several classes claim then goes to the most probable of
    them, one that none claims to class 0, the background. There the probabilities of the old and of the new class
    change places, so that they still sum to 1 (a tie is broken by the next larger number).
    """
    old = probability.argmax(1)
    masks = (torch.stack([old == k for k in range(1, probability.shape[1])], dim=1)).cpu().numpy()
    claimed = torch.from_numpy(np.stack([[clean_mask(mask) for mask in case] for case in masks])).to(old.device)
    foremost = probability[:, 1:].masked_fill(~claimed, -1).argmax(1) + 1
    new = torch.where(claimed.any(1), foremost, 0)
    changed, old, new = (x[:, None] for x in (new != old, old, new))
    top, low = probability.gather(1, old), probability.gather(1, new)
    winner = top.nextafter(torch.full_like(top, torch.inf)).clamp(max=1)
    return torch.where(changed, probability.scatter(1, old, low).scatter(1, new, winner), probability)


def clean_mask(mask: np.ndarray) -> np.ndarray:
    """Closing, opening, hole filling and removal of small components of a boolean mask of any rank.

    The voxels beyond the image's edge count as background for dilations and as foreground for erosions, so that an
    object cut by the edge is not eaten away from there.
    """
    mask = ndimage.binary_erosion(ndimage.binary_dilation(mask), border_value=1)
    mask = ndimage.binary_dilation(ndimage.binary_erosion(mask, border_value=1))
    components, count = ndimage.label(ndimage.binary_fill_holes(mask))
    large = np.bincount(components.ravel(), minlength=count + 1) >= SMALLEST_SHARE * mask.size
    large[0] = False
    return large[components]
