"""Nearest-neighbour downsampling, which the ablations of LDSeg put in the place of an encoder."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NearestDownsampling(nn.Module):
    """A map (B, C, *S) -> (B, 1, *size): the mean of its channels at the voxel nearest to each of the grid's centres.

    Every result has mean 0 and standard deviation 1 over its voxels, as the encoders' latents roughly have; one that
    is constant becomes 0. There are no weights. size: of the result, one entry per spatial axis.
    """

    def __init__(self, size: Sequence[int]) -> None:
        super().__init__()
        self.size = tuple(size)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *S) -> (B, 1, *size), each sample with mean 0 and standard deviation 1, or all 0."""
        # "nearest-exact" looks from the centre of a coarse voxel; "nearest" would shift the map by half of one.
        coarse = F.interpolate(x.mean(1, keepdim=True), self.size, mode="nearest-exact")
        axes = tuple(range(1, coarse.ndim))
        std, mean = torch.std_mean(coarse, axes, correction=0, keepdim=True)
        # By the extremes, because the standard deviation of equal values may round to something above 0.
        constant = coarse.amax(axes, keepdim=True) == coarse.amin(axes, keepdim=True)
        return torch.where(constant, 0, (coarse - mean) / torch.where(constant, 1, std))
