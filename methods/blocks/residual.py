"""The three residual blocks of LDSeg: of its label networks, its image encoder and its denoiser."""

import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks.convolution import MAX_POOL, StridedConv, batch_norm, conv, group_norm, zero
from methods.blocks.recomputation import recomputed

DROPOUT = 0.2
"""Of the LDSeg authors' code."""


def set_dropout(module: nn.Module, rate: float) -> None:
    """Give all dropout layers inside a module another rate, in [0, 1)."""
    for layer in module.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = rate


class LabelBlock(nn.Module):
    """conv3-BN-SiLU-conv3-BN-dropout plus conv1-BN, then SiLU: (B, i, *S) -> (B, o, *S)."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = conv(spatial_dims, in_channels, out_channels)
        self.norm1 = batch_norm(spatial_dims, out_channels)
        self.conv2 = conv(spatial_dims, out_channels, out_channels)
        self.norm2 = batch_norm(spatial_dims, out_channels)
        self.dropout = nn.Dropout(DROPOUT)
        self.shortcut = conv(spatial_dims, in_channels, out_channels, kernel=1)
        self.shortcut_norm = batch_norm(spatial_dims, out_channels)

    def reset(self) -> None:
        """He-uniform weights of both convolutions of kernel 3, as in the authors' code; called by `Network`."""
        for layer in (self.conv1, self.conv2):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(B, i, *S) -> (B, o, *S)."""
        h = recomputed(lambda y: self.conv2(F.silu(y)), self.norm1(self.conv1(x)))
        h = self.dropout(self.norm2(h))
        return F.silu(h + self.shortcut_norm(self.shortcut(x)))


class ImageBlock(nn.Module):
    """Pre-activated residual block, SiLU, reduction by 2, GN(4): (B, i, *S) -> (B, o, *S/2).

    As in the LDSeg authors' code, 2D blocks are reduced by a conv3 of stride 2, to which alone `tf_padding` applies;
    3D blocks are reduced by max pooling, and their conv3 have four groups of channels (i and o divisible by 4).
    """

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, tf_padding: bool = True) -> None:
        super().__init__()
        self.shortcut = conv(spatial_dims, in_channels, out_channels, kernel=1)
        flat = spatial_dims == 2
        groups = 1 if flat else 4
        self.conv1 = conv(spatial_dims, in_channels, out_channels, groups=groups)
        self.dropout = nn.Dropout(DROPOUT)
        self.conv2 = conv(spatial_dims, out_channels, out_channels, groups=groups)
        self.down = StridedConv(2, out_channels, out_channels, tf_padding) if flat else MAX_POOL[spatial_dims](2)
        self.norm = group_norm(4, out_channels)

    def reset(self) -> None:
        """Zero the second convolution, so that the sum starts as the shortcut alone; called by `Network`."""
        zero(self.conv2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, i, *S) -> (B, o, *S/2), S even."""
        h = self.dropout(recomputed(lambda y: self.conv1(F.silu(y)), x))
        h = recomputed(lambda y: self.conv2(F.silu(y)), h) + self.shortcut(x)
        return self.norm(recomputed(lambda y: self.down(F.silu(y)), h))


class TimeBlock(nn.Module):
    """GN(4)-SiLU-conv3, plus the projected time, GN(4)-SiLU-conv3, plus the input: (B, i, *S), (B, T) -> (B, o, *S)."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, time_dim: int) -> None:
        super().__init__()
        self.norm1 = group_norm(4, in_channels)
        self.time = nn.Linear(time_dim, out_channels)
        self.conv1 = conv(spatial_dims, in_channels, out_channels)
        self.norm2 = group_norm(4, out_channels)
        self.conv2 = conv(spatial_dims, out_channels, out_channels)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else conv(spatial_dims, in_channels, out_channels, kernel=1)

    def reset(self) -> None:
        """Zero the second convolution, so that the sum starts as the shortcut alone; called by `Network`."""
        zero(self.conv2)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(B, i, *S), embedded times (B, T) -> (B, o, *S)."""
        shift = self.time(F.silu(time))
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + shift.reshape(*shift.shape, *[1] * (x.ndim - 2))
        return self.conv2(F.silu(self.norm2(h))) + self.shortcut(x)
