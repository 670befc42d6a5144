"""The three attentions of Med-LSDM's U-Net, each a residual branch behind a normalisation over channels."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ChannelNorm(nn.Module):
    """Every voxel's channels brought to mean 0 and variance 1, times a weight per channel: (B, C, *S) -> same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *S) -> (B, C, *S)."""
        return F.layer_norm(x.movedim(1, -1), (x.shape[1],), self.weight).movedim(-1, 1)


class LinearAttention(nn.Module):
    """Attention whose cost grows linearly with the voxels of a slice (Shen et al. 2018, arXiv:1812.01243), in every
    slice by itself, plus the input: (B, C, D, H, W) -> same."""

    def __init__(self, channels: int, heads: int, head: int) -> None:
        super().__init__()
        self.heads, self.head = heads, head
        self.norm = ChannelNorm(channels)
        self.qkv = nn.Conv3d(channels, 3 * heads * head, 1, bias=False)
        self.out = nn.Conv3d(heads * head, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) -> (B, C, D, H, W)."""
        batch, _, depth, *plane = x.shape
        tokens = self.qkv(self.norm(x)).movedim(2, 1).reshape(batch * depth, 3, self.heads, self.head, -1)
        query, key, value = tokens.unbind(1)  # each (slices, heads, channels, voxels)
        context = key.softmax(-1) @ value.mT
        mixed = context.mT @ (query.softmax(-2) * self.head**-0.5)
        return x + self.out(mixed.reshape(batch, depth, -1, *plane).movedim(1, 2))


class PlaneAttention(nn.Module):
    """Softmax attention over all voxels of a slice, plus the input: (B, C, D, H, W) -> same."""

    def __init__(self, channels: int, heads: int, head: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = ChannelNorm(channels)
        self.qkv = nn.Linear(channels, 3 * heads * head, bias=False)
        self.out = nn.Linear(heads * head, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) -> (B, C, D, H, W)."""
        tokens = self.norm(x).movedim(1, -1).flatten(2, 3)  # (B, D, voxels, C)
        query, key, value = (_by_head(part, self.heads) for part in self.qkv(tokens).chunk(3, dim=-1))
        mixed = F.scaled_dot_product_attention(query, key, value)
        found = self.out(mixed.transpose(-3, -2).flatten(-2))
        return x + found.reshape(len(x), x.shape[2], *x.shape[3:], -1).movedim(-1, 1)


class DepthAttention(nn.Module):
    """Softmax attention over the voxels of one place in all slices, plus the input: (B, C, D, H, W) -> same.

    Positions enter twice, as in Med-LSDM's code: queries and keys are rotated by them (Su et al. 2021,
    arXiv:2104.09864, sec. 3.2), and `bias` (heads, D, D) is added to the scores at [head, query, key].
    """

    def __init__(self, channels: int, heads: int, head: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = ChannelNorm(channels)
        self.qkv = nn.Linear(channels, 3 * heads * head, bias=False)
        self.out = nn.Linear(heads * head, channels, bias=False)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """(B, C, D, H, W), (heads, D, D) -> (B, C, D, H, W)."""
        tokens = self.norm(x).permute(0, 3, 4, 2, 1).flatten(0, 2)  # (places, D, C)
        query, key, value = (_by_head(part, self.heads) for part in self.qkv(tokens).chunk(3, dim=-1))
        mixed = F.scaled_dot_product_attention(rotated(query), rotated(key), value, attn_mask=bias)
        found = self.out(mixed.transpose(-3, -2).flatten(-2))
        return x + found.reshape(len(x), *x.shape[3:], x.shape[2], -1).permute(0, 4, 3, 1, 2)


def _by_head(tokens: Tensor, heads: int) -> Tensor:
    """(..., tokens, heads * channels) -> (..., heads, tokens, channels)."""
    return tokens.unflatten(-1, (heads, -1)).transpose(-3, -2)


def rotated(x: Tensor) -> Tensor:
    """Neighbouring channels 2i and 2i + 1 of (..., positions, C), C even, turned by position * 10000^(-2i / C)."""
    count, channels = x.shape[-2:]
    rates = 10_000 ** (-torch.arange(0, channels, 2, device=x.device, dtype=torch.float32) / channels)
    angle = torch.arange(count, device=x.device)[:, None] * rates
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = torch.stack([even * angle.cos() - odd * angle.sin(), even * angle.sin() + odd * angle.cos()], dim=-1)
    return turned.flatten(-2).to(x)
