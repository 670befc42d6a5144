"""Labels as truncated signed distances, and signed distances as class probabilities."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

MARGIN = 1e-6
"""What the background yields at a distance of exactly 0: far above float32 rounding at 1/2, far below any meaning."""


def signed_distance(mask: Tensor, truncation: float, spacing: Sequence[float] | None = None) -> Tensor:
    """Truncated, normalised signed distance to the boundary of one mask: (*S) of any type -> (*S) float32 in [-1, 1].

    The boundary are the foreground voxels with a background voxel beside them along an axis; beyond the image's edge
    there is none. Exact Euclidean distances to it, negative inside, are clipped to +-truncation and divided by it.
    A voxel is foreground exactly where the result is <= 0 (boundary: 0). Without a boundary the result is constant:
    1 for an empty mask, -1 for a full one.

    truncation and distances are in voxels or, where `spacing` (one value per axis) is given, in its units.
    Bogensperger et al., arXiv:2303.05966; truncation at 15 pixels there.
    """
    inside = mask.detach().cpu().numpy().astype(bool)
    boundary = inside & ~ndimage.binary_erosion(inside, border_value=1)
    if not boundary.any():
        return torch.full(mask.shape, -1.0 if inside.all() and inside.size else 1.0, device=mask.device)
    distance = ndimage.distance_transform_edt(~boundary, sampling=spacing)
    signed = np.where(inside, -distance, distance) / truncation
    return torch.from_numpy(signed.clip(-1, 1).astype(np.float32)).to(mask.device)


def signed_distances(label: Tensor, classes: int, truncation: float) -> Tensor:
    """One signed distance per foreground class, in voxels: (B, *S) int64 -> (B, classes - 1, *S) float32 in [-1, 1]."""
    label = label.cpu() if label.device.type != "cpu" else label
    rows = [torch.stack([signed_distance(row == k, truncation) for k in range(1, classes)]) for row in label]
    return torch.stack(rows)


def probabilities(distance: Tensor, threshold: float = 0.0) -> Tensor:
    """Signed distances (B, classes - 1, *S) -> class probabilities (B, classes, *S) float32, summing to 1.

    argmax is the class with the least distance where that is <= threshold, else the background. A foreground class
    has (1 - d) / 2, d its distance less the threshold and clipped to [-1, 1]; the background has (1 + d) / 2 of the
    least d; with several foreground classes all are then divided by their sum. Linear, so that averaging samples
    before or after makes no difference for a single class within [-1, 1].
    """
    d = (distance.double() - threshold).clamp(-1, 1)
    least = d.amin(1, keepdim=True)
    background = (1 + least) / 2
    # The threshold itself belongs to the foreground, which argmax would give to the first of two equal classes.
    background = torch.where(least <= 0, background.clamp(max=0.5 - MARGIN), background)
    found = torch.cat([background, (1 - d) / 2], dim=1)
    return (found / found.sum(1, keepdim=True)).float()
