"""The encoder of Stable Diffusion's autoencoder, from an image to a map of the latents' size."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from methods.blocks.convolution import StridedConv, conv
from methods.blocks.guided_unet import SelfAttention

EPS = 1e-6
"""Of all normalisations here, as in the authors' code."""
BLOCKS = 2
"""Residual blocks per level."""
DOUBLE = 2
"""The encoder ends in the mean and the log variance of an autoencoder; a last convolution mixes the two."""


class PlainBlock(nn.Module):
    """GN-SiLU-conv3, GN-SiLU-dropout-conv3, plus the input: (B, i, *S) -> (B, o, *S)."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, groups: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, in_channels, EPS)
        self.conv1 = conv(spatial_dims, in_channels, out_channels)
        self.norm2 = nn.GroupNorm(groups, out_channels, EPS)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = conv(spatial_dims, out_channels, out_channels)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else conv(spatial_dims, in_channels, out_channels, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, i, *S) -> (B, o, *S)."""
        h = self.conv1(F.silu(self.norm1(x)))
        return self.shortcut(x) + self.conv2(self.dropout(F.silu(self.norm2(h))))


class VisionEncoder(nn.Module):
    """Image (B, i, *S) -> (B, o, *S/f), f = 2^(levels - 1).

    stem: channels of the first convolution; widths: of the levels from fine to coarse, two blocks each, with a conv3 of
    stride 2 (padded by one voxel after the last) between them; groups: of the normalisations, a divisor of all these.
    Rombach et al. 2022 (arXiv:2112.10752) and the conditioning encoder of SDSeg's code, whose results it
    gives with equal weights.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        stem: int,
        widths: Sequence[int],
        groups: int = 32,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()

        def block(i: int, o: int) -> PlainBlock:
            return PlainBlock(spatial_dims, i, o, groups, dropout)

        self.stem = conv(spatial_dims, in_channels, stem)
        self.levels = nn.ModuleList()
        width = stem
        for level, wanted in enumerate(widths):
            layers: list[nn.Module] = []
            for _ in range(BLOCKS):
                layers.append(block(width, wanted))
                width = wanted
            if level < len(widths) - 1:
                layers.append(StridedConv(spatial_dims, width, width))
            self.levels.append(nn.Sequential(*layers))
        attention = SelfAttention(spatial_dims, width, 1, groups, EPS, start_at_zero=False)
        self.middle = nn.Sequential(block(width, width), attention, block(width, width))
        self.norm = nn.GroupNorm(groups, width, EPS)
        self.head = conv(spatial_dims, width, DOUBLE * out_channels)
        self.out = conv(spatial_dims, DOUBLE * out_channels, out_channels, kernel=1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, i, *S) -> (B, o, *S/f)."""
        h = self.stem(image)
        for level in self.levels:
            h = level(h)
        return self.out(self.head(F.silu(self.norm(self.middle(h)))))
