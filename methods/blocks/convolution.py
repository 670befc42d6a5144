"""Convolutions that change the resolution, the choice of layer by rank, and initialisation as Keras does it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks.recomputation import recomputed

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
CONV_TRANSPOSE = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
BATCH_NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
MAX_POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}

NORM_EPS = 1e-3
"""Keras' epsilon of batch, group and layer normalisation."""


def conv(spatial_dims: int, in_channels: int, out_channels: int, kernel: int = 3, groups: int = 1) -> nn.Module:
    """Stride-1 convolution keeping the size; kernel odd."""
    return CONV[spatial_dims](in_channels, out_channels, kernel, padding=kernel // 2, groups=groups)


def batch_norm(spatial_dims: int, channels: int) -> nn.Module:
    """Batch normalisation with Keras' defaults; its momentum 0.99 weighs the old value, PyTorch's 0.01 the new."""
    return BATCH_NORM[spatial_dims](channels, eps=NORM_EPS, momentum=0.01)


def group_norm(groups: int, channels: int) -> nn.GroupNorm:
    """Group normalisation with Keras' epsilon."""
    return nn.GroupNorm(groups, channels, eps=NORM_EPS)


class StridedConv(nn.Module):
    """Convolution of kernel 3 and stride 2: (B, i, *S) -> (B, o, *S/2), S even.

    tf_padding: pad one voxel after the last only, as TensorFlow's "same" does; otherwise one on each side, which moves
    the sampling grid by a voxel.
    """

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, tf_padding: bool = True) -> None:
        super().__init__()
        self.pad = (0, 1) * spatial_dims if tf_padding else None
        self.conv = CONV[spatial_dims](in_channels, out_channels, 3, stride=2, padding=0 if tf_padding else 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, i, *S) -> (B, o, *S/2)."""
        return self.conv(x if self.pad is None else F.pad(x, self.pad))


class TransposedConv(nn.Module):
    """Transposed convolution of kernel 3 and stride 2: (B, i, H, W) -> (B, o, 2H, 2W).

    tf_padding: keep the first 2H and 2W of the 2H + 1 and 2W + 1 outputs, as TensorFlow's "same" does; otherwise the
    last.
    """

    def __init__(self, in_channels: int, out_channels: int, tf_padding: bool = True) -> None:
        super().__init__()
        ends = {"padding": 0} if tf_padding else {"padding": 1, "output_padding": 1}
        self.tf_padding = tf_padding
        self.conv = nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, **ends)

    def forward(self, x: Tensor) -> Tensor:
        """(B, i, H, W) -> (B, o, 2H, 2W)."""
        if x.device.type == "cpu":
            return self._as_convolution(x)
        y = self.conv(x)
        return y[..., : 2 * x.shape[2], : 2 * x.shape[3]] if self.tf_padding else y

    def _as_convolution(self, x: Tensor) -> Tensor:
        """The same as a convolution of kernel 2 with four outputs for each, which oneDNN is 1.5 (float32) to 8 times
        (bfloat16) as fast at; 7 of its 16 weights are 0.

        With the weights w of one axis, outputs 2n and 2n + 1 are w0 x[n] + w2 x[n - 1] and w1 x[n], which are the first
        of those there are; the last ones begin with 2n + 1 and go on with w0 x[n + 1] + w2 x[n].
        """
        taps = [[2, 0], [3, 1]] if self.tf_padding else [[1, 3], [2, 0]]  # 3: the zeros padded below
        weight = F.pad(self.conv.weight, (0, 1, 0, 1))[:, :, taps][..., taps]  # in, out, row, tap, column, tap
        kernel = weight.permute(1, 2, 4, 0, 3, 5).flatten(0, 2).contiguous(memory_format=torch.channels_last)
        padded = F.pad(x, (1, 0, 1, 0) if self.tf_padding else (0, 1, 0, 1))
        return F.pixel_shuffle(F.conv2d(padded, kernel, self.conv.bias.repeat_interleave(4)), 2)


class UpsampledConv(nn.Module):
    """Nearest-neighbour enlargement by 2, then a convolution of kernel 3: (B, i, *S) -> (B, o, *2S)."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = conv(spatial_dims, in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, i, *S) -> (B, o, *2S); the enlarged map is not kept for the backward pass of volumes."""
        return recomputed(lambda y: self.conv(F.interpolate(y, scale_factor=2, mode="nearest")), x)


def initialise(module: nn.Module) -> None:
    """Keras' defaults for one layer, to be used with `nn.Module.apply`: Glorot-uniform weights, zero biases."""
    if isinstance(module, (nn.Linear, *CONV.values(), *CONV_TRANSPOSE.values())):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


def channels_last(module: nn.Module) -> None:
    """Store kernels channel last, to be used with `nn.Module.apply`; results differ by rounding only.

    Makes a training step of 2D networks on a CPU about 10 % faster.
    """
    if isinstance(module, (*CONV.values(), *CONV_TRANSPOSE.values())):
        module.to(memory_format={4: torch.channels_last, 5: torch.channels_last_3d}[module.weight.ndim])


def zero(layer: nn.Module) -> None:
    """Zero weights and bias: a branch that ends in such a layer starts by adding nothing."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
