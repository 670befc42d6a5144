"""nnU-Net-style: a plain U-Net configured by nnU-Net's rules and trained by its recipe, inside this harness."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.base import Sampling
from methods.blocks.intensity import min_max
from methods.blocks.plain_unet import PlainUNet
from methods.deterministic import Deterministic, layout_of

# Channels at full resolution; they double with every stage up to a multiple of them (512 in 2D, 320 in 3D for "paper").
BASE_WIDTHS = {"tiny": 8, "small": 16, "paper": 32}
MOST_WIDTH = {2: 16, 3: 10}
SHORTEST_EDGE = 4
"""No feature map is made shorter than this."""
DICE_SMOOTH = 1e-5


class Topology(NamedTuple):
    """poolings: how often each axis is halved; strides: of each stage along each axis, the first all 1."""

    poolings: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]


def topology(image_size: Sequence[int]) -> Topology:
    """How nnU-Net builds its network for patches of `image_size` and isotropic voxels (Isensee et al. 2021).

    Axes are halved together as long as every one of them keeps `SHORTEST_EDGE`. An axis that has become twice as
    coarse as another one waits for it, and an axis left alone goes on only while it is three times as long as the
    shortest edge. There is no bound on the number of stages.
    """
    size, spacing = list(image_size), [1] * len(image_size)
    strides = [(1,) * len(size)]
    while True:
        # The axes that the next stage halves: still long enough, and not coarser already than another such axis.
        long_enough = [axis for axis, edge in enumerate(size) if edge >= 2 * SHORTEST_EDGE]
        finest = min((spacing[axis] for axis in long_enough), default=0)
        halved = [axis for axis in long_enough if spacing[axis] < 2 * finest]
        if not halved or (len(halved) == 1 and size[halved[0]] < 3 * SHORTEST_EDGE):
            break
        strides.append(tuple(2 if axis in halved else 1 for axis in range(len(size))))
        for axis in halved:
            size[axis], spacing[axis] = -(-size[axis] // 2), 2 * spacing[axis]
    poolings = tuple(sum(stride[axis] == 2 for stride in strides) for axis in range(len(size)))
    return Topology(poolings, tuple(strides))


class NNUNet(Deterministic):
    """nnU-Net's own method (Isensee et al., Nature Methods 18, 2021), as far as it applies to images of one size.

    Taken over: the topology follows from the image size, instance normalisation, deep supervision, cross entropy +
    Dice, z-scored channels, mirroring in training and at test time. SGD with Nesterov momentum, polynomial decay and
    gradients of a norm of at most 12 are in the method's configuration. The patch is the whole image, which is what
    nnU-Net plans for 8 GB at sizes up to 512x768 and beyond. What differs from the package: docs/nnunetv2.md.

    spatial_dims: 2 or 3; in_channels: channels of the image; classes: background included; image_size: one entry per
    spatial axis, a multiple of 2 to the number of its poolings.
    size: channels at full resolution, 8 ("tiny"), 16 ("small") or nnU-Net's 32 ("paper"); the depth is nnU-Net's.
    mirroring: show mirrored images in training, and average the logits over all mirror images at test time, which
    takes four evaluations of the network in 2D and eight in 3D.
    Raises ValueError for an unknown size and for an image size the topology does not divide.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        classes: int,
        image_size: Sequence[int],
        size: str = "small",
        mirroring: bool = True,
    ) -> None:
        super().__init__()
        base = layout_of(size, BASE_WIDTHS)
        self.mirroring = mirroring
        self.topology = topology(image_size)
        _check(tuple(image_size), spatial_dims, self.topology)
        stages = len(self.topology.strides)
        self.widths = tuple(base * min(2**stage, MOST_WIDTH[spatial_dims]) for stage in range(stages))
        self.network = PlainUNet(spatial_dims, in_channels, classes, self.widths, self.topology.strides)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, classes, *spatial) of an image (B, C, *spatial): with mirroring, the mean over its mirror images.

        Each is mirrored back before averaging.
        """
        image = z_score(image)
        axes = range(2, image.ndim) if self.mirroring else ()
        flips = [flip for count in range(len(axes) + 1) for flip in combinations(axes, count)]
        return sum(self.network(image.flip(flip))[0].flip(flip) for flip in flips) / len(flips)

    def loss(self, image: Tensor, label: Tensor, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross entropy + Dice loss, averaged over the resolutions with weights 1, 1/2, 1/4 and so on.

        A lower resolution is compared with the label at that resolution (nearest voxel). `generator` decides which
        samples are mirrored along which axes. Keys: total, ce, dice.
        """
        if self.mirroring:
            image, label = mirrored(image, label, generator)
        logits = self.network(z_score(image))
        weights = [0.5**level for level in range(len(logits))]
        ce = dice = 0.0
        for weight, at_level in zip(weights, logits):
            target = F.interpolate(label[:, None].float(), at_level.shape[2:], mode="nearest-exact")[:, 0].long()
            # A one-hot target takes cross entropy along a path that has a deterministic gradient on every device.
            target = F.one_hot(target, at_level.shape[1]).movedim(-1, 1).to(at_level.dtype)
            ce = ce + weight / sum(weights) * F.cross_entropy(at_level, target)
            dice = dice + weight / sum(weights) * dice_loss(at_level.softmax(1), target)
        return {"total": ce + dice, "ce": ce, "dice": dice}

    def network_evaluations(self, sampling: Sampling) -> int:
        """One for each mirror image, the image itself included. See `Segmenter`."""
        return 2 ** len(self.topology.poolings) if self.mirroring else 1


def z_score(image: Tensor) -> Tensor:
    """Each channel of each image of (B, C, *spatial) with mean 0 and standard deviation 1; a constant one becomes 0.

    Taken after `min_max`, which a z-score does not notice but for the bound on the standard deviation.
    """
    image = min_max(image)
    axes = tuple(range(2, image.ndim))
    std, mean = torch.std_mean(image, dim=axes, correction=0, keepdim=True)
    return torch.where(std > 1e-6, (image - mean) / std.clamp(min=1e-6), 0)


def mirrored(image: Tensor, label: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """image (B, C, *spatial) and label (B, *spatial), each sample mirrored along each axis with probability 1/2."""
    dims = label.ndim - 1
    flip = (torch.rand(len(image), dims, generator=generator) < 0.5).to(image.device)
    for axis in range(dims):
        chosen = flip[:, axis].reshape(-1, *[1] * dims)
        image = torch.where(chosen[:, None], image.flip(axis + 2), image)
        label = torch.where(chosen, label.flip(axis + 1), label)
    return image, label


def dice_loss(probability: Tensor, target: Tensor) -> Tensor:
    """1 - soft Dice, mean over the foreground classes; probability and one-hot target (B, classes, *spatial).

    As nnU-Net's, the sums run over the batch in 2D ("batch Dice"), over each sample on its own in 3D.
    """
    axes = (0, 2, 3) if target.ndim == 4 else (2, 3, 4)
    p, y = probability[:, 1:], target[:, 1:]
    common, volume = (p * y).sum(axes), p.sum(axes) + y.sum(axes)
    return 1 - ((2 * common + DICE_SMOOTH) / (volume + DICE_SMOOTH)).mean()


def _check(image_size: tuple[int, ...], spatial_dims: int, found: Topology) -> None:
    divisors = tuple(2**count for count in found.poolings)
    if len(image_size) != spatial_dims or len(found.strides) < 3:
        raise ValueError(
            f"image_size is {image_size}, but nnU-Net-style in {spatial_dims}D needs {spatial_dims} entries, and one "
            "that can be halved twice without falling below 4: give an image_size of 16 or more."
        )
    if any(edge % divisor for edge, divisor in zip(image_size, divisors)):
        nearest = tuple(-(-edge // divisor) * divisor for edge, divisor in zip(image_size, divisors))
        raise ValueError(
            f"image_size is {image_size}, but nnU-Net-style halves such images {found.poolings} times along the axes "
            f"and needs multiples of {divisors}: round image_size to such values, for example {nearest}."
        )
