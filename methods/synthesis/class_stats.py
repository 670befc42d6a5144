"""Control: every class its mean intensity, and noise as coarse as the data's. What a map's shapes alone can teach."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from methods.diffusion.sampler import draw_normal
from methods.synthesis.base import Synthesizer, scaled


class ClassStats(Synthesizer):
    """Images with the mean intensity of each class, plus Gaussian noise with the class's standard deviation that is as
    smooth as the training images are within their classes.

    Nothing is learnt. `prepare_stage` measures over the training images, scaled to [-1, 1]: `mean` and `std` (codes, C)
    of each class, and `smoothness`, the standard deviation in voxels of the Gaussian by which white noise is filtered.
    A class that does not occur has mean 0 and no noise. See `Synthesizer` for the arguments.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, classes: int, image_size: Sequence[int], field: bool = True
    ) -> None:
        super().__init__(spatial_dims, in_channels, classes, image_size, field)
        self.register_buffer("mean", torch.zeros(self.codes, in_channels))
        self.register_buffer("std", torch.zeros(self.codes, in_channels))
        self.register_buffer("smoothness", torch.zeros(()))

    @torch.no_grad()
    def prepare_stage(self, stage: str, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Measure all that there is to it. See `Segmenter.prepare_stage`."""
        count = torch.zeros(self.codes, 1, dtype=torch.float64)
        total, squares = (torch.zeros(self.codes, self.in_channels, dtype=torch.float64) for _ in range(2))
        likeness = torch.zeros(2, dtype=torch.float64)
        for image, label in batches:
            condition = self.condition(image, label).cpu()
            values = scaled(image).double().cpu()
            voxels, which = values.movedim(1, -1).flatten(0, -2), condition.flatten()
            count += torch.bincount(which, minlength=self.codes)[:, None]
            total.index_add_(0, which, voxels)
            squares.index_add_(0, which, voxels.square())
            likeness += _likeness(values, condition)
        mean = total / count.clamp(min=1)
        self.mean.copy_(mean)
        self.std.copy_((squares / count.clamp(min=1) - mean.square()).clamp(min=0).sqrt())
        # White noise behind a Gaussian filter of deviation s correlates by exp(-1 / (4 s^2)) from voxel to voxel.
        correlation = float(likeness[0] / likeness[1].clamp(min=1e-12))
        self.smoothness.fill_(math.sqrt(-1 / (4 * math.log(correlation))) if 0 < correlation < 1 else 0.0)

    def sample(self, label_map: Tensor, generators: Sequence[torch.Generator], steps: int) -> Tensor:
        """Means of the classes with smooth noise; `steps` mean nothing. See `Synthesizer`."""
        noise = draw_normal((self.in_channels, *self.image_size), generators)
        sigma = (0, 0, *[self.smoothness.item()] * self.spatial_dims)
        smooth = torch.from_numpy(ndimage.gaussian_filter(noise.numpy(), sigma, mode="wrap")).to(self.mean)
        # Filtering takes variance away; what it leaves is known from the filter's answer to a single voxel.
        impulse = np.zeros(self.image_size)
        impulse[(0,) * self.spatial_dims] = 1.0
        smooth = smooth / math.sqrt(np.square(ndimage.gaussian_filter(impulse, sigma[2:], mode="wrap")).sum())
        return (self.mean[label_map] + self.std[label_map] * smooth.movedim(1, -1)).movedim(-1, 1)


def _likeness(image: Tensor, condition: Tensor) -> Tensor:
    """Sums over neighbours of one class along all axes of one image: of the products of how far both are from the mean
    of the class in that image, and of the mean of the two squares. image: (B, C, *S); condition: (B, *S)."""
    found = torch.zeros(2, dtype=torch.float64)
    for one, codes in zip(image, condition, strict=True):
        rest = torch.empty_like(one)
        for code in codes.unique():
            inside = codes == code
            rest[:, inside] = one[:, inside] - one[:, inside].mean(1, keepdim=True)
        for axis in range(codes.ndim):
            size = codes.shape[axis] - 1
            same = codes.narrow(axis, 0, size) == codes.narrow(axis, 1, size)
            a, b = (rest.narrow(axis + 1, start, size)[:, same] for start in (0, 1))
            found += torch.stack([(a * b).sum(), (a.square() + b.square()).sum() / 2])
    return found
