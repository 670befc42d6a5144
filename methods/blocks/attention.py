"""Self-attention over all positions of a feature map, through PyTorch's fused kernel."""

import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks.convolution import group_norm


class Attention(nn.Module):
    """Group norm, multi-head softmax attention over all voxels, linear output, residual: (B, C, *S) -> same.

    residual: "raw" adds the block's input, "normed" its normalised input (as the denoiser of the LDSeg authors does).
    Scores are scaled by (channels per head)^-1/2; positions are numbered row by row.
    """

    def __init__(self, channels: int, heads: int, groups: int, residual: str = "raw") -> None:
        super().__init__()
        self.heads, self.residual = heads, residual
        self.norm = group_norm(groups, channels)
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *S) -> (B, C, *S): every voxel a token, weighed over all voxels of its sample."""
        normed = self.norm(x)
        tokens = normed.flatten(2).transpose(1, 2)
        query, key, value = (
            layer(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value)
        out = self.proj(mixed.transpose(1, 2).flatten(2)).transpose(1, 2).reshape(x.shape)
        return out + (normed if self.residual == "normed" else x)
