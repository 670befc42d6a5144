"""A U-Net of plain convolutions whose depth, widths and strides are given, with logits at several resolutions."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from methods.blocks.convolution import CONV, CONV_TRANSPOSE

INSTANCE_NORM = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
SLOPE = 0.01


class PlainUNet(nn.Module):
    """The network of nnU-Net (Isensee et al. 2021, "Blueprint parameters").

    Every stage has two convolutions of kernel 3, each followed by instance normalisation with scale and shift and a
    leaky ReLU; the first one has the stage's stride. The decoder goes back up by transposed convolutions whose kernel
    is their stride, and joins the encoder's features of the same resolution. A convolution of kernel 1 gives the
    logits of each resolution but the two lowest: nnU-Net gives the lowest of its decoder no weight in the loss.

    The convolutions before a normalisation have no bias, since the normalisation would remove it.

    widths: channels of each stage, three stages or more; strides: of each stage, one number per axis, the first all 1.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        classes: int,
        widths: Sequence[int],
        strides: Sequence[Sequence[int]],
    ) -> None:
        super().__init__()
        stages = zip([in_channels, *widths], widths, strides)
        self.encoder = nn.ModuleList(_stage(spatial_dims, i, o, tuple(stride)) for i, o, stride in stages)
        self.up, self.decoder = nn.ModuleList(), nn.ModuleList()
        for (high, low), stride in zip(pairwise(widths), strides[1:]):
            self.up.append(CONV_TRANSPOSE[spatial_dims](low, high, tuple(stride), tuple(stride)))
            self.decoder.append(_stage(spatial_dims, 2 * high, high))
        self.heads = nn.ModuleList(CONV[spatial_dims](width, classes, 1) for width in widths[:-2])
        self.apply(_initialise)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Logits (B, classes, *S) of an input (B, C, *S), then those of the next lower resolutions."""
        skips = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        # From the second lowest stage up to full resolution, whose logits come first in the list.
        logits = []
        for level in reversed(range(len(self.decoder))):
            x = self.decoder[level](torch.cat([self.up[level](x), skips[level]], dim=1))
            if level < len(self.heads):
                logits.insert(0, self.heads[level](x))
        return logits


def _stage(spatial_dims: int, in_channels: int, out_channels: int, stride: int | tuple[int, ...] = 1) -> nn.Module:
    layers = []
    for channels, step in ((in_channels, stride), (out_channels, 1)):
        layers += [
            CONV[spatial_dims](channels, out_channels, 3, stride=step, padding=1, bias=False),
            INSTANCE_NORM[spatial_dims](out_channels, affine=True),
            nn.LeakyReLU(SLOPE, inplace=True),
        ]
    return nn.Sequential(*layers)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (*CONV.values(), *CONV_TRANSPOSE.values())):
        nn.init.kaiming_normal_(module.weight, a=SLOPE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
