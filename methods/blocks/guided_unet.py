"""The U-Net of guided diffusion, in the two forms that FlowSDF and Stable Diffusion's segmenters have it in."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.blocks.convolution import CONV, StridedConv, UpsampledConv, conv, zero

MEAN_POOL = {2: nn.AvgPool2d, 3: nn.AvgPool3d}


def time_features(t: Tensor, dim: int) -> Tensor:
    """(B,) real times -> (B, dim) float32, dim even: cosines, then sines, of t * 10000^(-i / (dim/2)).

    Not `sinusoid`, whose rates reach 1/10000 and whose sines come first: these are those of the authors' networks.
    """
    half = dim // 2
    rates = torch.exp(-math.log(10_000) / half * torch.arange(half, dtype=torch.float64, device=t.device))
    angles = t.double()[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], dim=1).float()


class GuidedBlock(nn.Module):
    """GN-SiLU-conv3, the projected time, GN-SiLU-dropout-conv3 (zero at first), plus the input:
    (B, i, *S) -> (B, o, *R).

    modulated: the time scales and shifts what the second normalisation gives, instead of being added before it.
    resize: "down" (mean of 2 voxels along each axis) or "up" (nearest neighbour) of both branches, before the first
    convolution; None: R is S. groups: of the normalisations, which must divide i and o.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        time_dim: int,
        groups: int,
        dropout: float = 0.0,
        modulated: bool = False,
        resize: str | None = None,
    ) -> None:
        super().__init__()
        self.modulated = modulated
        self.norm1 = nn.GroupNorm(groups, in_channels)
        self.resize = _resize(spatial_dims, resize)
        self.conv1 = conv(spatial_dims, in_channels, out_channels)
        self.time = nn.Linear(time_dim, (2 if modulated else 1) * out_channels)
        self.norm2 = nn.GroupNorm(groups, out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = conv(spatial_dims, out_channels, out_channels)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else conv(spatial_dims, in_channels, out_channels, kernel=1)
        zero(self.conv2)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(B, i, *S), embedded times (B, T) -> (B, o, *R)."""
        h = self.conv1(self.resize(F.silu(self.norm1(x))))
        shift = self.time(F.silu(time))
        shift = shift.reshape(*shift.shape, *[1] * (x.ndim - 2))
        if self.modulated:
            scale, shift = shift.chunk(2, dim=1)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h + shift)
        return self.shortcut(self.resize(x)) + self.conv2(self.dropout(F.silu(h)))


def _resize(spatial_dims: int, direction: str | None) -> nn.Module:
    """What `GuidedBlock` does to the resolution, by the name it has there."""
    if direction is None:
        return nn.Identity()
    return MEAN_POOL[spatial_dims](2) if direction == "down" else nn.Upsample(scale_factor=2, mode="nearest")


class SelfAttention(nn.Module):
    """GN, softmax attention of `heads` heads over all voxels, conv1 (zero at first), plus the input, (B, C, *S).

    heads must divide C. The channels of the projection are ordered by head, and within a head query, key and value.
    """

    def __init__(
        self, spatial_dims: int, channels: int, heads: int, groups: int, eps: float = 1e-5, start_at_zero: bool = True
    ) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(groups, channels, eps)
        self.qkv = CONV[spatial_dims](channels, 3 * channels, 1)
        self.out = CONV[spatial_dims](channels, channels, 1)
        if start_at_zero:
            zero(self.out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *S) -> (B, C, *S)."""
        q, k, v = self.qkv(self.norm(x)).flatten(2).unflatten(1, (self.heads, -1)).transpose(2, 3).chunk(3, dim=3)
        mixed = F.scaled_dot_product_attention(q, k, v)  # (B, heads, voxels, channels per head)
        return x + self.out(mixed.transpose(2, 3).reshape(x.shape))


class Step(nn.Module):
    """Layers at one place of the network, one after another; those that are a `GuidedBlock` get the time."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(B, i, *S), embedded times (B, T) -> (B, o, *R)."""
        for layer in self.layers:
            x = layer(x, time) if isinstance(layer, GuidedBlock) else layer(x)
        return x


class GuidedUNet(nn.Module):
    """(x (B, i, *S), times (B,)) -> (B, o, *S): residual blocks with skips between all of them and attention.

    widths: channels of the levels from fine to coarse; every level but the last halves the grid, so each side must be
    a multiple of 2^(levels - 1). blocks: per level on the way down, one more on the way up. attention: indices of the
    levels with attention behind each block, beside the one in the middle of the network. groups: of the normalisations,
    a divisor of all widths. The stem has as many channels as the finest level.

    residual: blocks are modulated by the time and change the resolution themselves (Dhariwal & Nichol 2021,
    arXiv:2105.05233, as in Stable Diffusion's code); otherwise the time is added and convolutions change the resolution
    (Nichol & Dhariwal 2021, arXiv:2102.09672, as in SegDiff's and FlowSDF's code). With the weights of those codes the
    results are theirs in 2D; their 3D form leaves the first axis at its resolution, this one halves all of them.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        widths: Sequence[int],
        blocks: int,
        attention: Sequence[int],
        heads: int = 1,
        groups: int = 32,
        dropout: float = 0.0,
        residual: bool = False,
    ) -> None:
        super().__init__()
        base = self.base = widths[0]
        self.time1, self.time2 = nn.Linear(base, 4 * base), nn.Linear(4 * base, 4 * base)
        self.stem = conv(spatial_dims, in_channels, base)

        def block(i: int, o: int, resize: str | None = None) -> GuidedBlock:
            return GuidedBlock(spatial_dims, i, o, 4 * base, groups, dropout, residual, resize)

        def attend(width: int) -> SelfAttention:
            return SelfAttention(spatial_dims, width, heads, groups)

        def shrink(width: int) -> nn.Module:
            return block(width, width, "down") if residual else StridedConv(spatial_dims, width, width, False)

        def grow(width: int) -> nn.Module:
            return block(width, width, "up") if residual else UpsampledConv(spatial_dims, width, width)

        self.down, pushed = _down(widths, blocks, attention, block, attend, shrink)
        last = widths[-1]
        self.middle = Step(block(last, last), attend(last), block(last, last))
        self.up = nn.ModuleList()
        width = last
        for level in reversed(range(len(widths))):
            for i in range(blocks + 1):
                layers = [block(width + pushed.pop(), widths[level])]
                width = widths[level]
                if level in attention:
                    layers.append(attend(width))
                if level and i == blocks:
                    layers.append(grow(width))
                self.up.append(Step(*layers))
        self.norm = nn.GroupNorm(groups, base)
        self.out = conv(spatial_dims, base, out_channels)
        zero(self.out)

    def forward(self, x: Tensor, t: Tensor, features: Tensor | None = None) -> Tensor:
        """(B, i, *S), times (B,), features (B, widths[0], *S) to be added behind the stem -> (B, o, *S)."""
        time = self.time2(F.silu(self.time1(time_features(t, self.base).to(x.dtype))))
        h = self.stem(x)
        if features is not None:
            h = h + features
        skips = [h]
        for step in self.down:
            h = step(h, time)
            skips.append(h)
        h = self.middle(h, time)
        for step in self.up:
            h = step(torch.cat([h, skips.pop()], dim=1), time)
        return self.out(F.silu(self.norm(h)))


def _down(
    widths: Sequence[int],
    blocks: int,
    attention: Sequence[int],
    block: Callable[[int, int], nn.Module],
    attend: Callable[[int], nn.Module],
    shrink: Callable[[int], nn.Module],
) -> tuple[nn.ModuleList, list[int]]:
    """The way down of `GuidedUNet`, and the channels of all it hands to the way up, the stem's first."""
    steps, width = nn.ModuleList(), widths[0]
    pushed = [width]
    for level, wanted in enumerate(widths):
        for _ in range(blocks):
            layers = [block(width, wanted)]
            width = wanted
            if level in attention:
                layers.append(attend(width))
            steps.append(Step(*layers))
            pushed.append(width)
        if level < len(widths) - 1:
            steps.append(Step(shrink(width)))
            pushed.append(width)
    return steps, pushed
