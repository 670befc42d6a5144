"""Med-LSDM's U-Net for the latents of volumes: convolutions within slices, attention within slices and along the depth.

Tensors are (B, C, D, H, W), D the depth, which keeps its resolution.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.blocks.embedding import sinusoid
from methods.synthesis.latent_attention import DepthAttention, LinearAttention, PlaneAttention
from methods.synthesis.spade import Spade, modulation
from methods.synthesis.vqgan import IN_PLANE

GROUPS = 8


def flat(in_channels: int, out_channels: int, side: int = 3) -> nn.Conv3d:
    """Convolution within slices that keeps their size."""
    return nn.Conv3d(in_channels, out_channels, (1, side, side), padding=(0, side // 2, side // 2))


class MapEncoder(nn.Module):
    """One-hot maps (B, K, D, H, W) -> (B, out, D/4, H/4, W/4): three convolutions within slices with ReLU, two maximum
    poolings. Four slices of a map decide one of the result and no others, as nothing is padded along the depth."""

    def __init__(self, codes: int, widths: Sequence[int], out: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([flat(codes, widths[0]), flat(widths[0], widths[1]), flat(widths[1], out)])

    def forward(self, label_map: Tensor) -> Tensor:
        """(B, K, D, H, W) -> (B, out, D/4, H/4, W/4)."""
        first, second, third = self.convs
        h = F.max_pool3d(F.relu(first(label_map)), 2)
        return F.relu(third(F.max_pool3d(F.relu(second(h)), 2)))


class FlatBlock(nn.Module):
    """Twice norm-SiLU-convolution within slices, plus the input: (x (B, i, *S), map, time) -> (B, o, *S).

    map_channels: of the map that steers both normalisations (`Spade`); 0: group normalisation. time_dim: of the time,
    which modulates the second one; 0: it has no part. hidden: see `Spade`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, time_dim: int, map_channels: int = 0, hidden: int = 0
    ) -> None:
        super().__init__()

        def norm(channels: int) -> nn.Module:
            if map_channels:
                return Spade(3, channels, map_channels, GROUPS, hidden, IN_PLANE)
            return nn.GroupNorm(GROUPS, channels)

        self.steered = map_channels > 0
        self.norm1, self.norm2 = norm(in_channels), norm(out_channels)
        self.conv1, self.conv2 = flat(in_channels, out_channels), flat(out_channels, out_channels)
        self.time = nn.Linear(time_dim, 2 * out_channels) if time_dim else None
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv3d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, label_map: Tensor, time: Tensor) -> Tensor:
        """(B, i, *S), (B, K, *R), (B, T) -> (B, o, *S)."""
        steer = (label_map,) if self.steered else ()
        h = self.norm2(self.conv1(F.silu(self.norm1(x, *steer))), *steer)
        if self.time is not None:
            scale, shift = modulation(self.time, time, x.ndim)
            h = h * (1 + scale) + shift
        return self.shortcut(x) + self.conv2(F.silu(h))


class Level(nn.Module):
    """A block, linear attention within slices, attention along the depth: (x (B, i, *S), map, time) -> (B, o, *S)."""

    def __init__(self, block: FlatBlock, channels: int, heads: int, head: int) -> None:
        super().__init__()
        self.block = block
        self.plane, self.depth = LinearAttention(channels, heads, head), DepthAttention(channels, heads, head)

    def forward(self, x: Tensor, label_map: Tensor, time: Tensor, bias: Tensor) -> Tensor:
        """(B, i, *S), (B, K, *R), (B, T), (heads, D, D) -> (B, o, *S)."""
        return self.depth(self.plane(self.block(x, label_map, time)), bias)


class LatentUNet(nn.Module):
    """(z (B, c, D, H, W), map (B, K, 4D, 4H, 4W) one-hot or zero, times (B,)) -> (B, c, D, H, W): Med-LSDM's.

    widths: channels of the levels from fine to coarse; every level but the last halves H and W. The way down does not
    see the map; the middle, which does not see the time, and the way up have normalisations steered by what
    `MapEncoder` makes of it. map_widths: of its two hidden layers; map_channels: of its result. hidden: see `Spade`;
    heads, head: of all attentions; depth: D, for which they learn their relative positions.
    """

    def __init__(
        self,
        channels: int,
        codes: int,
        depth: int,
        widths: Sequence[int],
        map_widths: Sequence[int],
        map_channels: int,
        hidden: int,
        heads: int,
        head: int,
    ) -> None:
        super().__init__()
        base, last = widths[0], widths[-1]
        self.base, self.depth = base, depth

        def level(i: int, o: int, steered: bool) -> Level:
            block = FlatBlock(i, o, 4 * base, map_channels if steered else 0, hidden)
            return Level(block, o, heads, head)

        self.map_encoder = MapEncoder(codes, map_widths, map_channels)
        self.time1, self.time2 = nn.Linear(base, 4 * base), nn.Linear(4 * base, 4 * base)
        self.positions = nn.Parameter(torch.randn(heads, 2 * depth - 1))
        self.stem = flat(channels, base, 7)
        self.stem_depth = DepthAttention(base, heads, head)
        ins = (base, *widths[:-1])
        self.down = nn.ModuleList([level(i, o, False) for i, o in zip(ins, widths, strict=True)])
        self.shrink = nn.ModuleList([_resampling(nn.Conv3d, width) for width in widths[:-1]])
        self.middle = nn.ModuleList([FlatBlock(last, last, 0, map_channels, hidden) for _ in range(2)])
        self.middle_plane, self.middle_depth = PlaneAttention(last, heads, head), DepthAttention(last, heads, head)
        pairs = list(zip(ins, widths, strict=True))[::-1]
        self.up = nn.ModuleList([level(2 * o, i, True) for i, o in pairs])
        self.grow = nn.ModuleList([_resampling(nn.ConvTranspose3d, i) for i, _ in pairs[:-1]])
        self.join = nn.Conv3d(2 * base, base, 1)
        self.end = nn.Sequential(*_conv_first(2 * base, base), *_conv_first(base, base))
        self.out = nn.Conv3d(base, channels, 1)

    def forward(self, z: Tensor, label_map: Tensor, t: Tensor) -> Tensor:
        """(B, c, D, H, W), (B, K, 4D, 4H, 4W), times (B,) -> (B, c, D, H, W)."""
        steer = self.map_encoder(label_map)
        time = self.time2(F.gelu(self.time1(sinusoid(t, self.base).to(z.dtype))))
        places = torch.arange(self.depth, device=z.device)
        bias = self.positions[:, places - places[:, None] + self.depth - 1]  # (heads, D, D): key minus query
        stem = self.stem(z)
        h, skips = self.stem_depth(stem, bias), []
        for number, level in enumerate(self.down):
            h = level(h, steer, time, bias)
            skips.append(h)
            if number < len(self.shrink):
                h = self.shrink[number](h)
        first, second = self.middle
        h = self.middle_depth(self.middle_plane(first(h, steer, time)), bias)
        h = second(h, steer, time)
        for number, level in enumerate(self.up):
            h = level(torch.cat([h, skips.pop()], dim=1), steer, time, bias)
            if number < len(self.grow):
                h = self.grow[number](h)
        h = torch.cat([h, stem], dim=1)
        return self.out(self.end(h) + self.join(h))


def _resampling(kind: type[nn.Module], channels: int) -> nn.Module:
    """Convolution of kernel 4 and stride 2 within slices, plain or transposed."""
    return kind(channels, channels, (1, 4, 4), (1, 2, 2), (0, 1, 1))


def _conv_first(in_channels: int, out_channels: int) -> tuple[nn.Module, ...]:
    return flat(in_channels, out_channels), nn.GroupNorm(GROUPS, out_channels), nn.SiLU()
