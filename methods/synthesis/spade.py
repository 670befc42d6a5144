"""Spatially adaptive normalisation (SPADE), through which a label map steers a network at every place."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.blocks.convolution import CONV, conv, zero

Kernel = int | tuple[int, ...]


def one_hot(label_map: Tensor, codes: int) -> Tensor:
    """(B, *spatial) int64 in 0..codes-1 -> (B, codes, *spatial) float32."""
    return F.one_hot(label_map, codes).movedim(-1, 1).float()


class Spade(nn.Module):
    """Group normalisation without weights, scaled and shifted by what convolutions read in the map at every place:
    (x (B, C, *S), map (B, K, *R)) -> (B, C, *S).

    y = GN(x) (1 + gamma) + beta (Park et al. 2019, arXiv:1903.07291, eq. 1, with groups instead of the batch); gamma
    and beta are convolutions of a hidden layer of the map, which is brought to S by the nearest voxel. Nothing
    normalises gamma and beta: MONAI's layer does, which takes the signal of a constant map away.
    kernel: of all three convolutions, odd numbers. hidden: channels of that layer.
    """

    def __init__(
        self, spatial_dims: int, channels: int, map_channels: int, groups: int, hidden: int, kernel: Kernel = 3
    ) -> None:
        super().__init__()
        padding = kernel // 2 if isinstance(kernel, int) else tuple(side // 2 for side in kernel)
        layer = CONV[spatial_dims]
        self.norm = nn.GroupNorm(groups, channels, affine=False)
        self.shared = layer(map_channels, hidden, kernel, padding=padding)
        self.gamma = layer(hidden, channels, kernel, padding=padding)
        self.beta = layer(hidden, channels, kernel, padding=padding)

    def forward(self, x: Tensor, label_map: Tensor) -> Tensor:
        """(B, C, *S), (B, K, *R) -> (B, C, *S)."""
        hidden = F.relu(self.shared(F.interpolate(label_map, x.shape[2:], mode="nearest")))
        return self.norm(x) * (1 + self.gamma(hidden)) + self.beta(hidden)


class SpadeBlock(nn.Module):
    """SPADE-SiLU-conv3, SPADE modulated by the time, SiLU-conv3 (zero at first), plus the input:
    (x (B, i, *S), map (B, K, *R), time (B, T)) -> (B, o, *S), or (B, o, *2S) with `grow`.

    grow: nearest-neighbour enlargement of both branches, before the first convolution. The residual block of the
    decoder of Wang et al. 2022 (arXiv:2207.00050, fig. 3); groups must divide i and o.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        map_channels: int,
        time_dim: int,
        groups: int,
        hidden: int,
        grow: bool = False,
    ) -> None:
        super().__init__()
        self.grow = grow
        self.norm1 = Spade(spatial_dims, in_channels, map_channels, groups, hidden)
        self.conv1 = conv(spatial_dims, in_channels, out_channels)
        self.time = nn.Linear(time_dim, 2 * out_channels)
        self.norm2 = Spade(spatial_dims, out_channels, map_channels, groups, hidden)
        self.conv2 = conv(spatial_dims, out_channels, out_channels)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else conv(spatial_dims, in_channels, out_channels, kernel=1)
        zero(self.conv2)

    def forward(self, x: Tensor, label_map: Tensor, time: Tensor) -> Tensor:
        """(B, i, *S), (B, K, *R), (B, T) -> (B, o, *S) or (B, o, *2S)."""
        h = F.silu(self.norm1(x, label_map))
        if self.grow:
            x, h = (F.interpolate(y, scale_factor=2, mode="nearest") for y in (x, h))
        scale, shift = modulation(self.time, time, x.ndim)
        h = self.norm2(self.conv1(h), label_map) * (1 + scale) + shift
        return self.shortcut(x) + self.conv2(F.silu(h))


def modulation(layer: nn.Module, time: Tensor, rank: int) -> Sequence[Tensor]:
    """(scale, shift), each (B, C, 1, ...) of the rank of what they are applied to, from an embedded time (B, T)."""
    found = layer(F.silu(time))
    return torch.chunk(found.reshape(*found.shape, *[1] * (rank - 2)), 2, dim=1)
