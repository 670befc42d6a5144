"""Parts of the Swin transformer, on maps stored channel last (B, H, W, C).

Liu et al., "Swin Transformer: hierarchical vision transformer using shifted windows" (arXiv:2103.14030); patch
expanding is from Cao et al., "Swin-Unet" (arXiv:2105.05537).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

Pair = tuple[int, int]

INIT_STD = 0.02
MLP_RATIO = 4


def tile(x: Tensor, size: Pair) -> Tensor:
    """(B, H, W, C) -> (B, H/h, W/w, h, w, C): non-overlapping tiles of size (h, w), which divides (H, W)."""
    return x.unflatten(2, (-1, size[1])).unflatten(1, (-1, size[0])).transpose(2, 3)


def untile(tiles: Tensor) -> Tensor:
    """(B, a, b, h, w, C) -> (B, a*h, b*w, C), the inverse of `tile`."""
    return tiles.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def relative_index(window: Pair) -> Tensor:
    """(n, n) int64, n = h*w: one number in 0..(2h-1)(2w-1)-1 for every offset between a query and a key token."""
    h, w = window
    position = torch.cartesian_prod(torch.arange(h), torch.arange(w))
    offset = position[:, None] - position[None] + torch.tensor([h - 1, w - 1])
    return offset[..., 0] * (2 * w - 1) + offset[..., 1]


def neighbours(resolution: Pair, window: Pair, shift: Pair) -> Tensor | None:
    """Which pairs of tokens may attend to each other: (windows, n, n) bool, or None if all pairs of a window may.

    The map is padded behind its end to whole windows and rolled back by `shift`. The last window of an axis then holds
    tokens from both ends of the map, which are no neighbours, and padding, which is no token.
    """
    groups = []
    for n, w, s in zip(resolution, window, shift, strict=True):
        original = torch.arange(whole(n, w)).roll(-s)
        groups.append((original < s) + 2 * (original >= n))
    group = tile((4 * groups[0][:, None] + groups[1])[None, ..., None], window).reshape(-1, window[0] * window[1])
    allowed = group[:, :, None] == group[:, None]
    return None if allowed.all() else allowed


def whole(n: int, w: int) -> int:
    """The smallest multiple of w that is not below n."""
    return -(-n // w) * w


class WindowAttention(nn.Module):
    """Multi-head softmax attention within windows, with a learned bias per head and offset: (B, nW, n, C) -> same.

    Eq. 4 of Liu et al.: softmax(q k^T / sqrt(d) + bias) v, d the channels per head. window: (h, w), n = h*w.
    """

    def __init__(self, channels: int, heads: int, window: Pair) -> None:
        super().__init__()
        self.heads = heads
        self.bias = nn.Parameter(torch.empty(heads, (2 * window[0] - 1) * (2 * window[1] - 1)))
        self.register_buffer("index", relative_index(window), persistent=False)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        nn.init.trunc_normal_(self.bias, std=INIT_STD)

    def forward(self, x: Tensor, allowed: Tensor | None = None) -> Tensor:
        """allowed: (nW, n, n) bool, False where a token must not look, or None."""
        query, key, value = self.qkv(x).unflatten(3, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        bias = self.bias[:, self.index]
        if allowed is not None:
            bias = bias.masked_fill(~allowed[:, None], -torch.inf)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.proj(mixed.transpose(2, 3).flatten(3))


class SwinBlock(nn.Module):
    """Pre-normalised window attention and two-layer perceptron, both residual: (B, *resolution, C) -> same.

    window: side of the windows, along an axis that is no longer than that the whole axis; shifted: displace the windows
    by half of one along the axes that have several; drop: rate of stochastic depth, drawn per sample in training.
    A map that does not consist of whole windows is padded with zeros that no token attends to.
    """

    def __init__(self, channels: int, heads: int, resolution: Pair, window: int, shifted: bool, drop: float) -> None:
        super().__init__()
        self.window = tuple(min(window, n) for n in resolution)
        self.shift = tuple(w // 2 if shifted and n > w else 0 for n, w in zip(resolution, self.window, strict=True))
        self.padding = tuple(whole(n, w) - n for n, w in zip(resolution, self.window, strict=True))
        self.register_buffer("allowed", neighbours(resolution, self.window, self.shift), persistent=False)
        self.norm1 = nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, heads, self.window)
        self.norm2 = nn.LayerNorm(channels)
        hidden = MLP_RATIO * channels
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels))
        self.drop = StochasticDepth(drop, mode="row")

    def forward(self, x: Tensor) -> Tensor:
        """(B, *resolution, C) -> (B, *resolution, C)."""
        x = x + self.drop(self.attend(self.norm1(x)))
        return x + self.drop(self.mlp(self.norm2(x)))

    def attend(self, x: Tensor) -> Tensor:
        """Attention within shifted windows (B, *resolution, C) -> same: pad, roll, cut into windows, and back."""
        # Rolling back by half a window lets tokens meet that the block before kept in different windows.
        down, right = self.padding
        windows = tile(F.pad(x, (0, 0, 0, right, 0, down)).roll([-s for s in self.shift], (1, 2)), self.window)
        tokens = self.attention(windows.flatten(3, 4).flatten(1, 2), self.allowed)
        merged = untile(tokens.reshape(windows.shape)).roll(self.shift, (1, 2))
        return merged[:, : x.shape[1], : x.shape[2]]


class PatchMerging(nn.Module):
    """Four neighbouring tokens into one of twice the width: (B, H, W, C) -> (B, H/2, W/2, 2C), H and W even."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H/2, W/2, 2C)."""
        return self.reduction(self.norm(tile(x, (2, 2)).flatten(3)))


class PatchExpanding(nn.Module):
    """One token into factor^2 neighbouring ones: (B, H, W, i) -> (B, factor*H, factor*W, o)."""

    def __init__(self, in_channels: int, out_channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.expansion = nn.Linear(in_channels, factor**2 * out_channels, bias=False)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, i) -> (B, factor*H, factor*W, o)."""
        return self.norm(untile(self.expansion(x).unflatten(3, (self.factor, self.factor, -1))))
