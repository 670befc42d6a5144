"""U-Net: the encoder-decoder with concatenated skips of Ronneberger et al. 2015, in 3D of Cicek et al. 2016."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from methods.blocks.convolution import CONV, MAX_POOL
from methods.blocks.intensity import min_max
from methods.deterministic import Deterministic, check_image_size, he_initialise, layout_of

# Channels from full resolution down; max pooling halves the grid between two entries.
WIDTHS = {
    2: {"tiny": (8, 16, 32, 64), "small": (16, 32, 64, 128, 256), "paper": (64, 128, 256, 512, 1024)},
    3: {"tiny": (8, 16, 32), "small": (16, 32, 64, 128), "paper": (64, 128, 256, 512)},
}
BLOCK = {"act": "relu", "norm": "batch", "bias": False}
DROPOUT = 0.5


class UNet(Deterministic):
    """Two convolutions of kernel 3 with ReLU per level, max pooling by 2, up-convolutions of kernel and stride 2, a
    skip from every encoder level and a convolution of kernel 1 to the classes.

    2D: Ronneberger, Fischer, Brox, MICCAI 2015, figure 1. Layers from MONAI, put together here because none of its
    networks is this one: `BasicUNet` keeps 128 channels in the last up-convolution, as the authors' released network
    does but their figure does not, and has other activations and normalisation. Differences from the paper:
    convolutions are padded, so that the output is as large as the input and nothing is cropped; every 3x3 convolution
    is followed by batch normalisation in place of a bias; the loss has no weight map. As in the paper, weights start
    from N(0, 2 / fan-in) and dropout ends the contracting path: rate 0.5 on its two deepest levels, the skip of the
    upper one included, as released (phseg_v5). Without batch normalisation, and for one image channel and two classes,
    size "paper" has the published 31,030,658 parameters.

    3D: Cicek, Abdulkadir, Lienkamp, Brox, Ronneberger, MICCAI 2016, figure 2. One level fewer; the first convolution
    of an encoder level has half of its channels, so that they double before the pooling; up-convolutions keep the
    channels; no dropout. Differences: padded convolutions, a bias in the up-convolutions but none before batch
    normalisation. Without batch normalisation and those biases, and for three image channels and three classes, size
    "paper" has the published 19,069,955 parameters.

    spatial_dims: 2 or 3; in_channels: channels of the image; classes: background included; image_size: one entry per
    spatial axis, each a multiple of 8 (tiny) or 16 in 2D, 4 (tiny) or 8 in 3D. size: "tiny" (0.12 M parameters in 2D,
    0.07 M in 3D), "small" (1.9 M; 1.2 M) or "paper" (31.0 M; 19.1 M).
    Raises ValueError for an unknown size or an image size that the network cannot halve often enough.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, classes: int, image_size: Sequence[int], size: str = "small"
    ) -> None:
        from monai.networks.nets.basic_unet import Down, TwoConv, UpCat  # see resunet.py

        super().__init__()
        widths = layout_of(size, WIDTHS[spatial_dims])
        check_image_size(image_size, spatial_dims, 2 ** (len(widths) - 1), f"U-Net of size {size!r}")
        levels = list(pairwise(widths))
        flat = spatial_dims == 2
        if flat:
            self.stem = TwoConv(spatial_dims, in_channels, widths[0], **BLOCK)
            self.down = nn.ModuleList(Down(spatial_dims, fine, coarse, **BLOCK) for fine, coarse in levels)
        else:
            self.stem = widening(in_channels, widths[0])
            self.down = nn.ModuleList(nn.Sequential(MAX_POOL[3](2), widening(fine, coarse)) for fine, coarse in levels)
        self.dropout = nn.Dropout(DROPOUT if flat else 0.0)
        self.up = nn.ModuleList(
            UpCat(spatial_dims, coarse, fine, fine, halves=flat, **BLOCK) for fine, coarse in levels[::-1]
        )
        self.head = CONV[spatial_dims](widths[0], classes, 1)
        self.apply(he_initialise)
        if not flat:
            # Kernels and feature maps stored channel last: a training step on a CPU takes less time.
            self.to(memory_format=torch.channels_last_3d)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, classes, *spatial) of an image (B, C, *spatial)."""
        features = [self.stem(min_max(image))]
        # Down, with dropout on the two deepest levels (2D), whose upper one is a skip as well.
        for level, down in enumerate(self.down, start=1):
            h = down(features[-1])
            features.append(self.dropout(h) if level >= len(self.down) - 1 else h)
        h = features.pop()
        for up in self.up:
            h = up(h, features.pop())
        return self.head(h)


def widening(in_channels: int, out_channels: int) -> nn.Sequential:
    """Two convolutions (B, i, X, Y, Z) -> (B, o, X, Y, Z), the first to half of o."""
    from monai.networks.blocks import Convolution

    half = out_channels // 2
    return nn.Sequential(*(Convolution(3, i, o, **BLOCK) for i, o in ((in_channels, half), (half, out_channels))))
