"""Swin-UNet: a U-shaped network of Swin transformer blocks alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from methods.blocks.intensity import min_max
from methods.blocks.window_attention import INIT_STD, PatchExpanding, PatchMerging, SwinBlock
from methods.deterministic import Deterministic, check_image_size, layout_of

PATCH = 4
DROP_PATH = 0.2


@dataclass(frozen=True)
class Layout:
    """Width of the first level (each further one is twice as wide), heads and blocks per level, side of a window."""

    width: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    window: int


# "small" keeps the published number of windows along an image (8 at full resolution) at 128 x 128.
LAYOUTS = {
    "tiny": Layout(24, (2, 2, 2), (2, 4, 8), 4),
    "small": Layout(48, (2, 2, 2, 2), (3, 6, 12, 24), 4),
    "paper": Layout(96, (2, 2, 2, 2), (3, 6, 12, 24), 7),
}


class SwinUNet(Deterministic):
    """Pure-transformer U-Net of Cao et al., "Swin-Unet" (arXiv:2105.05537), after the authors' code.

    Patches of 4 x 4 pixels become tokens; every level is two Swin blocks, the second with shifted windows; patch
    merging halves the grid on the way down, patch expanding doubles it on the way up, where a linear layer joins the
    skip connection. A last expansion by 4 and a linear layer give the logits of every pixel. The skip connections
    leave before the blocks of their level and the decoder has as many blocks as the encoder, as in the code.
    Weights start at random: the authors start from a network trained on ImageNet.

    The window keeps its side at every image size: a level that does not consist of whole windows is padded, and
    padding is masked out of the attention. Where a level is no longer than a window, the window is the level.

    spatial_dims: 2; in_channels: channels of the image; classes: background included; image_size: two entries, each a
    multiple of 32 (small, paper) or 16 (tiny). size: "tiny" (0.4 M parameters), "small" (6.8 M) or "paper" (27.2 M).
    Raises ValueError for an unknown size, for 3D and for an image size that cannot be halved often enough.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, classes: int, image_size: Sequence[int], size: str = "small"
    ) -> None:
        super().__init__()
        reason = self.supports(spatial_dims, classes)
        if reason:
            raise ValueError(reason)
        layout = layout_of(size, LAYOUTS)
        levels = len(layout.depths)
        check_image_size(image_size, spatial_dims, PATCH * 2 ** (levels - 1), f"Swin-UNet of size {size!r}")
        widths = [layout.width * 2**level for level in range(levels)]
        # Stochastic depth grows linearly over the encoder's blocks; a decoder level has the rates of its encoder level.
        rates = iter(torch.linspace(0, DROP_PATH, sum(layout.depths)).tolist())
        rates = [[next(rates) for _ in range(depth)] for depth in layout.depths]

        def blocks(level: int) -> nn.Sequential:
            resolution = tuple(n // (PATCH * 2**level) for n in image_size)
            return nn.Sequential(
                *(
                    SwinBlock(widths[level], layout.heads[level], resolution, layout.window, bool(i % 2), rate)
                    for i, rate in enumerate(rates[level])
                )
            )

        self.embedding = nn.Conv2d(in_channels, layout.width, PATCH, stride=PATCH)
        self.embedding_norm = nn.LayerNorm(layout.width)
        self.encoder = nn.ModuleList(blocks(level) for level in range(levels))
        self.merge = nn.ModuleList(PatchMerging(width) for width in widths[:-1])
        self.bottleneck_norm = nn.LayerNorm(widths[-1])
        upwards = range(levels - 2, -1, -1)
        self.expand = nn.ModuleList(PatchExpanding(widths[level + 1], widths[level], 2) for level in upwards)
        self.join = nn.ModuleList(nn.Linear(2 * widths[level], widths[level]) for level in upwards)
        self.decoder = nn.ModuleList(blocks(level) for level in upwards)
        self.decoder_norm = nn.LayerNorm(layout.width)
        self.final_expand = PatchExpanding(layout.width, layout.width, PATCH)
        self.head = nn.Linear(layout.width, classes, bias=False)
        self.apply(initialise)

    @classmethod
    def supports(cls, spatial_dims: int, classes: int, **arguments: Any) -> str | None:
        """None in 2D. See `Segmenter`."""
        if spatial_dims != 2:
            return (
                f"Swin-UNet is published for 2D images; the data are {spatial_dims}D. "
                "Its published relative for volumes is Swin UNETR, method swinunetr."
            )
        return None

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, classes, H, W) of an image (B, C, H, W)."""
        x = self.embedding_norm(self.embedding(min_max(image)).movedim(1, 3))
        # Down: skips leave before the blocks of their level, as in the authors' code.
        skips = []
        for blocks, merge in zip(self.encoder, self.merge):
            skips.append(x)
            x = merge(blocks(x))
        x = self.bottleneck_norm(self.encoder[-1](x))
        # Up: twice as fine, beside the skip, back to the level's width, then the level's blocks.
        for expand, join, blocks, skip in zip(self.expand, self.join, self.decoder, reversed(skips), strict=True):
            x = blocks(join(torch.cat([expand(x), skip], dim=3)))
        return self.head(self.final_expand(self.decoder_norm(x))).movedim(3, 1)


def initialise(module: nn.Module) -> None:
    """Truncated normal weights and zero biases of the linear layers, as in Swin transformers."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=INIT_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
