"""The network of SDF-DDPM: a U-Net with attention at every level over image features and noisy signed distances."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.blocks.convolution import CONV, CONV_TRANSPOSE, conv
from methods.blocks.embedding import sinusoid

GROUPS = 2
HEADS = 4
STEM = 10
"""Channels of each of the two stems, whatever the width of the rest."""


class ResidualBlock(nn.Module):
    """Twice conv3-GN(2)-SiLU, the projected time between them, plus the input: (B, i, *S), (B, T) -> (B, o, *S).

    time_dim None: the block takes no time.
    """

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, time_dim: int | None = None) -> None:
        super().__init__()
        self.time = None if time_dim is None else nn.Linear(time_dim, out_channels)
        self.conv1 = conv(spatial_dims, in_channels, out_channels)
        self.norm1 = nn.GroupNorm(GROUPS, out_channels)
        self.conv2 = conv(spatial_dims, out_channels, out_channels)
        self.norm2 = nn.GroupNorm(GROUPS, out_channels)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else conv(spatial_dims, in_channels, out_channels, kernel=1)

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        """(B, i, *S), and (B, T) where the block takes the time -> (B, o, *S)."""
        h = F.silu(self.norm1(self.conv1(x)))
        if self.time is not None:
            shift = self.time(F.silu(time))
            h = h + shift.reshape(*shift.shape, *[1] * (x.ndim - 2))
        return F.silu(self.norm2(self.conv2(h))) + self.shortcut(x)


class Attention(nn.Module):
    """GN(1), multi-head attention over all voxels, plus the input: (B, C, *S) -> same.

    linear: softmax of queries over a head's channels and of keys over voxels, whose cost grows with the number of
    voxels only (Shen et al. 2021), and GN(1) after the output; otherwise the usual softmax of the scores.
    head: channels per head; there are four heads.
    """

    def __init__(self, spatial_dims: int, channels: int, head: int, linear: bool) -> None:
        super().__init__()
        self.head, self.linear = head, linear
        self.norm = nn.GroupNorm(1, channels)
        self.qkv = CONV[spatial_dims](channels, 3 * HEADS * head, 1, bias=False)
        self.out = conv(spatial_dims, HEADS * head, channels, kernel=1)
        self.out_norm = nn.GroupNorm(1, channels) if linear else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *S) -> (B, C, *S)."""
        # (B, heads, channels per head, voxels)
        q, k, v = (h.unflatten(1, (HEADS, -1)).flatten(3) for h in self.qkv(self.norm(x)).chunk(3, dim=1))
        if self.linear:
            # Keys meet values first: a head's channels by channels, however many voxels there are.
            context = k.softmax(3) @ v.transpose(2, 3)
            mixed = context.transpose(2, 3) @ (q.softmax(2) * self.head**-0.5)
        else:
            q, k, v = (h.transpose(2, 3) for h in (q, k, v))
            mixed = F.scaled_dot_product_attention(q, k, v).transpose(2, 3)
        mixed = mixed.reshape(len(x), -1, *x.shape[2:])
        return x + self.out_norm(self.out(mixed))


class Level(nn.Module):
    """Two residual blocks and linear attention at one resolution."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, time_dim: int, head: int) -> None:
        super().__init__()
        self.block1 = ResidualBlock(spatial_dims, in_channels, out_channels, time_dim)
        self.block2 = ResidualBlock(spatial_dims, out_channels, out_channels, time_dim)
        self.attention = Attention(spatial_dims, out_channels, head, linear=True)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(B, i, *S), embedded times (B, T) -> (B, o, *S)."""
        return self.attention(self.block2(self.block1(x, time), time))


class SDFNetwork(nn.Module):
    """(x_t (B, M, *S), image features (B, 10, *S), times (B,)) -> (B, M, *S), noise or score of x_t.

    M: `channels`, one signed distance per foreground class. base times a multiplier is the width of a level; every
    level but the last halves the grid, so each side must be a multiple of 2^(levels - 1). head: channels per
    attention head; stem_kernel: of the convolution that joins the stems. `image_stem` maps an image
    (B, image_channels, *S) to its features, which do not depend on time.

    Bogensperger et al. (arXiv:2303.05966), as in their code: each level up ends with its own upsampling, so the
    finest level down passes nothing across, and the stems take no time.
    """

    def __init__(
        self,
        spatial_dims: int,
        channels: int,
        image_channels: int,
        base: int,
        multipliers: Sequence[int],
        head: int = 32,
        stem_kernel: int = 7,
    ) -> None:
        super().__init__()
        time_dim = 4 * base
        widths = [base * m for m in multipliers]
        self.base = base
        self.time1, self.time2 = nn.Linear(base, time_dim), nn.Linear(time_dim, time_dim)
        self.distance_stem = ResidualBlock(spatial_dims, channels, STEM)
        self.image_stem = ResidualBlock(spatial_dims, image_channels, STEM)
        self.stem = conv(spatial_dims, 2 * STEM, 2 * STEM, kernel=stem_kernel)
        inputs = (2 * STEM, *widths[:-1])
        self.down = nn.ModuleList(
            Level(spatial_dims, i, o, time_dim, head) for i, o in zip(inputs, widths, strict=True)
        )
        self.shrink = nn.ModuleList(CONV[spatial_dims](w, w, 4, stride=2, padding=1) for w in widths[:-1])
        self.middle1 = ResidualBlock(spatial_dims, widths[-1], widths[-1], time_dim)
        self.middle_attention = Attention(spatial_dims, widths[-1], head, linear=False)
        self.middle2 = ResidualBlock(spatial_dims, widths[-1], widths[-1], time_dim)
        turns = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(Level(spatial_dims, 2 * i, o, time_dim, head) for i, o in turns)
        self.grow = nn.ModuleList(CONV_TRANSPOSE[spatial_dims](o, o, 4, stride=2, padding=1) for _, o in turns)
        self.last = ResidualBlock(spatial_dims, widths[0], widths[0])
        self.out = conv(spatial_dims, widths[0], channels, kernel=1)

    def forward(self, x: Tensor, features: Tensor, t: Tensor) -> Tensor:
        """x_t (B, M, *S), features (B, 10, *S), times or noise levels (B,) -> (B, M, *S)."""
        time = self.time2(F.gelu(self.time1(sinusoid(t, self.base).to(x.dtype))))
        h = self.stem(torch.cat([self.distance_stem(x), features], dim=1))
        # Down: a skip per level; the lowest level keeps its resolution.
        skips = []
        for level, shrink in zip(self.down, [*self.shrink, None], strict=True):
            h = level(h, time)
            skips.append(h)
            h = h if shrink is None else shrink(h)
        h = self.middle2(self.middle_attention(self.middle1(h, time)), time)
        # Up: from the lowest skip to the second; the finest stays unused, as in the authors' code.
        for level, grow in zip(self.up, self.grow, strict=True):
            h = grow(level(torch.cat([h, skips.pop()], dim=1), time))
        return self.out(self.last(h))
