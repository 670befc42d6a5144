"""The network of MedSegDiff: a U-Net for the noisy mask and a timed twin of its encoder for the image."""

from collections.abc import Sequence
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks.convolution import CONV, conv
from methods.blocks.embedding import sinusoid
from methods.blocks.ff_parser import ChannelNorm, Fusion

GROUPS = 8
SOFTMAX_TOKENS = 512
"""Up to this many voxels attention compares every pair of them; beyond, linear attention takes over."""


class MedSegDiffNetwork(nn.Module):
    """(x_t (B, M, *S), image (B, C, *S), times (B,)) -> eps_hat (B, M, *S).

    Both streams go down the same ladder of levels with weights of their own; at each level the image stream is
    replaced by its fusion with the mask stream, so that what is read from the image depends on the current mask and
    on the time (dynamic conditional encoding, sec. 3.1 of arXiv:2211.00611). Skips come from the mask stream.

    mask_channels: M; image_channels: C; image_size: one entry per axis, each a multiple of 2^(levels - 1), the only
    size the network then takes; base: width of level 0, a multiple of 8; multipliers: width of what leaves each level
    in units of base; heads, head_channels: of all attentions; ff_weights: see `FFParser`; stem_kernel: of the
    first convolution of either stream.
    """

    def __init__(
        self,
        mask_channels: int,
        image_channels: int,
        image_size: Sequence[int],
        base: int,
        multipliers: Sequence[int],
        heads: int = 4,
        head_channels: int = 32,
        ff_weights: str = "complex",
        stem_kernel: int = 7,
    ) -> None:
        super().__init__()
        dims, time_dim = len(image_size), 4 * base
        widths = [base, *(base * m for m in multipliers)]
        levels = len(multipliers)
        sizes = [tuple(n // 2**level for n in image_size) for level in range(levels)]

        def attention(channels: int, size: Sequence[int]) -> nn.Module:
            kind = SoftmaxAttention if prod(size) <= SOFTMAX_TOKENS else LinearAttention
            return kind(channels, heads, head_channels)

        def encoder_level(level: int) -> nn.ModuleDict:
            width, out = widths[level], widths[level + 1]
            return nn.ModuleDict(
                {
                    "first": ResidualBlock(dims, width, width, time_dim),
                    "second": ResidualBlock(dims, width, width, time_dim),
                    "attention": attention(width, sizes[level]),
                    "down": halving(dims, width, out) if level < levels - 1 else conv(dims, width, out),
                }
            )

        def decoder_level(level: int) -> nn.ModuleDict:
            width, out = widths[level + 1], widths[level]
            return nn.ModuleDict(
                {
                    "first": ResidualBlock(dims, width + out, width, time_dim),
                    "second": ResidualBlock(dims, width + out, width, time_dim),
                    "attention": attention(width, sizes[level]),
                    "up": Up(dims, width, out) if level else conv(dims, width, out),
                }
            )

        self.time = nn.Sequential(nn.Linear(base, time_dim), nn.SiLU(), nn.Linear(time_dim, time_dim))
        self.mask_stem = conv(dims, mask_channels, base, kernel=stem_kernel)
        self.image_stem = conv(dims, image_channels, base, kernel=stem_kernel)
        self.mask_levels = nn.ModuleList(encoder_level(level) for level in range(levels))
        self.image_levels = nn.ModuleList(encoder_level(level) for level in range(levels))
        self.fusions = nn.ModuleList(Fusion(w, size, ff_weights) for w, size in zip(widths[:-1], sizes, strict=True))
        self.fused = nn.ModuleList(ResidualBlock(dims, width, width) for width in widths[:-1])
        bottom = widths[-1]
        self.mask_bottom = ResidualBlock(dims, bottom, bottom, time_dim)
        self.image_bottom = ResidualBlock(dims, bottom, bottom, time_dim)
        self.middle_attention = SoftmaxAttention(bottom, heads, head_channels)
        self.middle_feed_forward = FeedForward(dims, bottom)
        self.middle = ResidualBlock(dims, bottom, bottom, time_dim)
        self.decoder_levels = nn.ModuleList(decoder_level(level) for level in reversed(range(levels)))
        self.last = ResidualBlock(dims, 2 * base, base, time_dim)
        self.head = conv(dims, base, mask_channels, kernel=1)

    def forward(self, x: Tensor, image: Tensor, t: Tensor) -> Tensor:
        """x_t (B, M, *S), image (B, C, *S), real times (B,) -> (B, M, *S): noise or clean mask, as trained."""
        first = self.time[0]
        time = self.time(sinusoid(t, first.in_features).to(first.weight.dtype))
        x = stem = self.mask_stem(x)
        m = self.image_stem(image)
        skips = []
        for mine, twin, fusion, fused in zip(
            self.mask_levels, self.image_levels, self.fusions, self.fused, strict=True
        ):
            # Both streams run side by side; each skip leaves from the mask stream.
            x, m = mine["first"](x, time), twin["first"](m, time)
            skips.append(x)
            x, m = mine["second"](x, time), twin["second"](m, time)
            x, m = mine["attention"](x), twin["attention"](m)
            skips.append(x)
            # Dynamic conditional encoding: what the image stream goes on with depends on the mask of this time.
            m = fused(fusion(x, m))
            x, m = mine["down"](x), twin["down"](m)
        # The streams become one by addition at the bottom, and the mask's skips alone lead back up.
        x = self.mask_bottom(x, time) + self.image_bottom(m, time)
        x = self.middle_feed_forward(self.middle_attention(x))
        x = self.middle(x, time)
        for level in self.decoder_levels:
            for name in ("first", "second"):
                x = level[name](torch.cat([x, skips.pop()], dim=1), time)
            x = level["up"](level["attention"](x))
        return self.head(self.last(torch.cat([x, stem], dim=1), time))


class ResidualBlock(nn.Module):
    """conv3-GN(8)-SiLU twice, plus the input: (B, i, *S), (B, T) -> (B, o, *S); time modulates between GN and SiLU.

    time_dim: None for a block without time.
    """

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, time_dim: int | None = None) -> None:
        super().__init__()
        self.time = nn.Linear(time_dim, 2 * out_channels) if time_dim else None
        self.conv1 = conv(spatial_dims, in_channels, out_channels)
        self.norm1 = nn.GroupNorm(GROUPS, out_channels)
        self.conv2 = conv(spatial_dims, out_channels, out_channels)
        self.norm2 = nn.GroupNorm(GROUPS, out_channels)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else conv(spatial_dims, in_channels, out_channels, kernel=1)

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        """(B, i, *S), and (B, T) where the block takes the time -> (B, o, *S)."""
        h = self.norm1(self.conv1(x))
        if self.time is not None:
            modulation = self.time(F.silu(time))
            scale, shift = modulation.reshape(*modulation.shape, *[1] * (x.ndim - 2)).chunk(2, dim=1)
            h = torch.addcmul(shift, h, 1 + scale)
        return F.silu(self.norm2(self.conv2(F.silu(h)))) + self.shortcut(x)


class SoftmaxAttention(nn.Module):
    """Channel norm, multi-head attention over all voxels, residual: (B, C, *S) -> same; scores scaled by d^-1/2."""

    def __init__(self, channels: int, heads: int, head_channels: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = ChannelNorm(channels)
        self.qkv = nn.Linear(channels, 3 * heads * head_channels, bias=False)
        self.proj = nn.Linear(heads * head_channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *S) -> (B, C, *S); its cost grows with the square of the number of voxels."""
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        query, key, value = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).movedim(2, 0).transpose(2, 3)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return x + self.proj(mixed).transpose(1, 2).reshape(x.shape)


class LinearAttention(nn.Module):
    """Attention of linear cost (Shen et al. 2021, arXiv:1812.01243), channel norms around it: (B, C, *S) -> same.

    Queries are normalised by a softmax over a head's channels and scaled by d^-1/2, keys by one over the voxels.
    """

    def __init__(self, channels: int, heads: int, head_channels: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = ChannelNorm(channels)
        self.qkv = nn.Linear(channels, 3 * heads * head_channels, bias=False)
        self.proj = nn.Linear(heads * head_channels, channels)
        self.out_norm = ChannelNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *S) -> (B, C, *S); its cost grows with the number of voxels."""
        # Voxels last: both softmaxes and all products then run along memory.
        qkv = torch.bmm(self.qkv.weight.expand(len(x), -1, -1), self.norm(x).flatten(2))
        query, key, value = qkv.unflatten(1, (3, self.heads, -1)).unbind(1)  # (B, heads, d, N)
        context = value @ key.softmax(dim=-1).transpose(-2, -1) * query.shape[-2] ** -0.5  # (B, heads, d, d)
        # The projection is applied to the context, which is small, instead of to its product with the queries.
        proj = self.proj.weight.unflatten(1, (self.heads, -1)).transpose(0, 1)  # (heads, C, d)
        mixer = (proj @ context).transpose(1, 2).flatten(2)  # (B, C, heads * d)
        out = mixer @ query.softmax(dim=-2).flatten(1, 2) + self.proj.bias[:, None]
        return x + self.out_norm(out.reshape(x.shape))


class FeedForward(nn.Module):
    """Channel norm, conv1 to four times the width, GELU, conv1 back, residual: (B, C, *S) -> same."""

    def __init__(self, spatial_dims: int, channels: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.widen = conv(spatial_dims, channels, 4 * channels, kernel=1)
        self.narrow = conv(spatial_dims, 4 * channels, channels, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *S) -> (B, C, *S), each voxel by itself."""
        return x + self.narrow(F.gelu(self.widen(self.norm(x))))


def halving(spatial_dims: int, in_channels: int, out_channels: int) -> nn.Module:
    """(B, i, *S) -> (B, o, *S/2), S even: the voxels of a 2-cube as channels of one, mixed linearly (conv1).

    One convolution of kernel and stride 2 is that map, with as many weights and the same spread of their start.
    """
    return CONV[spatial_dims](in_channels, out_channels, 2, stride=2)


class Up(nn.Module):
    """Nearest-neighbour upsampling by two, then conv3: (B, i, *S) -> (B, o, *2S)."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = conv(spatial_dims, in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, i, *S) -> (B, o, *2S)."""
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))
