"""U-Net: the encoder-decoder with concatenated skips of Ronneberger et al. 2015."""

from collections.abc import Sequence
from itertools import pairwise

from monai.networks.nets.basic_unet import Down, TwoConv, UpCat
from torch import Tensor, nn

from methods.blocks.convolution import CONV
from methods.blocks.intensity import min_max
from methods.deterministic import Deterministic, check_image_size, he_initialise, layout_of

# Channels from full resolution down; max pooling halves the grid between two entries.
WIDTHS = {
    "tiny": (8, 16, 32, 64),
    "small": (16, 32, 64, 128, 256),
    "paper": (64, 128, 256, 512, 1024),
}
BLOCK = {"act": "relu", "norm": "batch", "bias": False}
DROPOUT = 0.5


class UNet(Deterministic):
    """Two 3x3 convolutions with ReLU per level, 2x2 max pooling, 2x2 up-convolutions that halve the channels, a skip
    from every encoder level and a 1x1 convolution to the classes (Ronneberger, Fischer, Brox, MICCAI 2015, figure 1).

    Layers from MONAI, put together here because none of its networks is this one: `BasicUNet` keeps 128 channels in
    the last up-convolution, as the authors' released network does but their figure does not, and has other
    activations and normalisation. Size "paper" holds the published widths. Differences from the paper: convolutions
    are padded, so that the output is as large as the input and nothing is cropped; every 3x3 convolution is followed
    by batch normalisation in place of a bias; the loss has no weight map. As in the paper, weights start from
    N(0, 2 / fan-in) and dropout ends the contracting path: rate 0.5 on its two deepest levels, the skip of the
    upper one included, as released (phseg_v5). Without batch normalisation, and for one image channel and two
    classes, the network has the published 31,030,658 parameters.

    spatial_dims: 2 or 3; in_channels: channels of the image; classes: background included; image_size: one entry per
    spatial axis, each a multiple of 8 (tiny) or 16. size: "tiny" (0.12 M parameters in 2D), "small" (1.9 M) or
    "paper" (31.0 M).
    Raises ValueError for an unknown size or an image size that the network cannot halve often enough.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, classes: int, image_size: Sequence[int], size: str = "small"
    ):
        super().__init__()
        widths = layout_of(size, WIDTHS)
        check_image_size(image_size, spatial_dims, 2 ** (len(widths) - 1), f"U-Net of size {size!r}")
        levels = list(pairwise(widths))
        self.stem = TwoConv(spatial_dims, in_channels, widths[0], **BLOCK)
        self.down = nn.ModuleList(Down(spatial_dims, fine, coarse, **BLOCK) for fine, coarse in levels)
        self.dropout = nn.Dropout(DROPOUT)
        self.up = nn.ModuleList(UpCat(spatial_dims, coarse, fine, fine, **BLOCK) for fine, coarse in levels[::-1])
        self.head = CONV[spatial_dims](widths[0], classes, 1)
        self.apply(he_initialise)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, classes, *spatial) of an image (B, C, *spatial)."""
        features = [self.stem(min_max(image))]
        for level, down in enumerate(self.down, start=1):
            h = down(features[-1])
            features.append(self.dropout(h) if level >= len(self.down) - 1 else h)
        h = features.pop()
        for up in self.up:
            h = up(h, features.pop())
        return self.head(h)
