"""V-Net: residual stages of 5x5 convolutions, strided convolutions down and transposed ones up."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from methods.blocks.convolution import BATCH_NORM, CONV, CONV_TRANSPOSE
from methods.blocks.intensity import min_max
from methods.deterministic import Deterministic, check_image_size, he_initialise, layout_of


class Layout(NamedTuple):
    """Channels of the left stages from full resolution down, and convolutions per stage, left and right.

    Both are listed from full resolution down; the deepest stage has no counterpart on the right.
    """

    widths: tuple[int, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]


LAYOUTS = {
    "tiny": Layout((4, 8, 16, 32), (1, 2, 3, 3), (1, 2, 3)),
    "small": Layout((8, 16, 32, 64, 128), (1, 2, 3, 3, 3), (1, 2, 3, 3)),
    "paper": Layout((16, 32, 64, 128, 256), (1, 2, 3, 3, 3), (1, 2, 3, 3)),
}
# "small" is half as wide in 3D, where a kernel has five times as many weights and an image far more voxels.
LAYOUTS_3D = LAYOUTS | {"small": Layout((4, 8, 16, 32, 64), (1, 2, 3, 3, 3), (1, 2, 3, 3))}


class VNet(Deterministic):
    """V-Net with the widths and stages of Milletari, Navab, Ahmadi, 3DV 2016 (figure 2), in 2D or 3D.

    Five stages down, four up; each adds its input to the result of its one to three 5x5 convolutions. Convolutions of
    kernel and stride 2 change the resolution; a right stage works on the up-sampled features and the skip together.
    PReLU per channel throughout, weights from N(0, 2 / fan-in), a 1x1 convolution to the classes.

    Written here because MONAI's `VNet` is another network: 1, 1, 2, 3, 2 convolutions down and 2, 2, 1, 1 up instead
    of 1, 2, 3, 3, 3 and 3, 3, 2, 1, dropout, a further 5x5 convolution at the end, fixed widths, and image channels
    that must divide 16. The authors' released network has 1, 1, 2, 3, 3 and 3, 2, 1, 1. Differences from the paper:
    2D where the data are 2D; batch normalisation in place of a bias after every convolution but the last; cross
    entropy + 2 Dice instead of Dice with squared denominators; the single image channel that the first stage copies
    16 times to add it becomes several channels repeated in turn.

    spatial_dims: 2 or 3; in_channels: channels of the image; classes: background included; image_size: one entry per
    spatial axis, each a multiple of 8 (tiny) or 16. size: "tiny" (0.20 M parameters in 2D, 0.97 M in 3D),
    "small" (3.3 M; 4.1 M) or "paper" (13.3 M; 65.2 M).
    Raises ValueError for an unknown size or an image size that the network cannot halve often enough.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, classes: int, image_size: Sequence[int], size: str = "small"
    ) -> None:
        super().__init__()
        widths, left, right = layout_of(size, LAYOUTS if spatial_dims == 2 else LAYOUTS_3D)
        check_image_size(image_size, spatial_dims, 2 ** (len(widths) - 1), f"V-Net of size {size!r}")
        self.left = nn.ModuleList([Stage(spatial_dims, in_channels, widths[0], left[0])])
        self.down = nn.ModuleList()
        for (fine, coarse), depth in zip(pairwise(widths), left[1:], strict=True):
            self.down.append(_normalised(CONV[spatial_dims](fine, coarse, 2, stride=2, bias=False)))
            self.left.append(Stage(spatial_dims, coarse, coarse, depth))
        self.up, self.right = nn.ModuleList(), nn.ModuleList()
        channels = widths[-1]
        for width, depth in zip(widths[-2::-1], right[::-1], strict=True):
            self.up.append(_normalised(CONV_TRANSPOSE[spatial_dims](channels, width, 2, stride=2, bias=False)))
            channels = 2 * width
            self.right.append(Stage(spatial_dims, channels, channels, depth))
        self.head = CONV[spatial_dims](channels, classes, 1)
        self.apply(he_initialise)
        if spatial_dims == 3:
            # Kernels and feature maps stored channel last: a training step on a CPU takes less time.
            self.to(memory_format=torch.channels_last_3d)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, classes, *spatial) of an image (B, C, *spatial)."""
        # Every stage on the left leaves a skip but the deepest, with whose result the way up begins.
        features = [self.left[0](min_max(image))]
        for down, stage in zip(self.down, self.left[1:], strict=True):
            features.append(stage(down(features[-1])))
        h = features.pop()
        for up, stage in zip(self.up, self.right, strict=True):
            h = stage(torch.cat([up(h), features.pop()], dim=1))
        return self.head(h)


class Stage(nn.Module):
    """`depth` 5x5 convolutions, plus the input, then PReLU: (B, i, *S) -> (B, o, *S).

    Where i differs from o the input's channels are repeated in turn until there are o.
    """

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, depth: int) -> None:
        super().__init__()
        inputs = (in_channels, *[out_channels] * (depth - 1))
        layers = [_normalised(CONV[spatial_dims](i, out_channels, 5, padding=2, bias=False)) for i in inputs]
        # The last activation follows the addition.
        self.activation = layers[-1].pop(-1)
        self.convolutions = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(B, i, *S) -> (B, o, *S)."""
        h = self.convolutions(x)
        # Stages that widen add each channel of the input to several of the output.
        channel = torch.arange(h.shape[1], device=x.device) % x.shape[1]
        return self.activation(h + (x if x.shape[1] == h.shape[1] else x[:, channel]))


def _normalised(convolution: nn.Module) -> nn.Sequential:
    """The convolution, batch normalisation and PReLU with a slope per channel."""
    channels = convolution.out_channels
    batch_norm = BATCH_NORM[convolution.weight.ndim - 2](channels)
    return nn.Sequential(convolution, batch_norm, nn.PReLU(channels))
