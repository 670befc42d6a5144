"""Residual-in-residual dense blocks (Wang et al. 2018, "ESRGAN", sec. 3.1) as an image encoder at full resolution."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.blocks.convolution import conv

SLOPE = 0.2
RESIDUAL_SCALE = 0.2
CONVOLUTIONS, DENSE_BLOCKS = 5, 3
"""In a dense block, and dense blocks in a residual one."""


class DenseBlock(nn.Module):
    """Five conv3, each reading all that came before; 0.2 of the last plus the input: (B, C, *S) -> same."""

    def __init__(self, spatial_dims: int, width: int, growth: int) -> None:
        super().__init__()
        outputs = [growth] * (CONVOLUTIONS - 1) + [width]
        self.convs = nn.ModuleList(conv(spatial_dims, width + i * growth, o) for i, o in enumerate(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *S) -> (B, C, *S)."""
        seen = x
        for layer in self.convs[:-1]:
            seen = torch.cat([seen, F.leaky_relu(layer(seen), SLOPE)], dim=1)
        return x + RESIDUAL_SCALE * self.convs[-1](seen)


class ResidualDenseBlock(nn.Module):
    """Three dense blocks; 0.2 of what they give plus the input: (B, C, *S) -> same."""

    def __init__(self, spatial_dims: int, width: int, growth: int) -> None:
        super().__init__()
        self.dense = nn.Sequential(*(DenseBlock(spatial_dims, width, growth) for _ in range(DENSE_BLOCKS)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *S) -> (B, C, *S)."""
        return x + RESIDUAL_SCALE * self.dense(x)


class DenseEncoder(nn.Module):
    """Image (B, i, *S) -> features (B, o, *S) of the same resolution.

    width: channels between the blocks; growth: channels that each convolution of a dense block adds; blocks: how many
    `ResidualDenseBlock`. As in SegDiff (Amit et al. 2021, arXiv:2112.00390) and the code of FlowSDF.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, out_channels: int, width: int, growth: int, blocks: int
    ) -> None:
        super().__init__()
        self.first = conv(spatial_dims, in_channels, width)
        self.blocks = nn.ModuleList(ResidualDenseBlock(spatial_dims, width, growth) for _ in range(blocks))
        self.trunk = conv(spatial_dims, width, width)
        self.full = conv(spatial_dims, width, width)
        self.last = conv(spatial_dims, width, out_channels)

    def forward(self, image: Tensor) -> Tensor:
        """(B, i, *S) -> (B, o, *S)."""
        h = first = self.first(image)
        for block in self.blocks:
            h = block(h)
        return self.last(F.leaky_relu(self.full(first + self.trunk(h)), SLOPE))
