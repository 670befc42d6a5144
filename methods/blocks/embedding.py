"""Time embeddings."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sinusoid(t: Tensor, dim: int) -> Tensor:
    """(B,) real times -> (B, dim) float32: sines, then cosines, of t * 10000^(-i / (dim/2 - 1)).

    Angles are taken in float64, because t reaches 1000 and need not be whole.
    """
    half = dim // 2
    rates = torch.exp(-math.log(10_000) / (half - 1) * torch.arange(half, dtype=torch.float64, device=t.device))
    angles = t.double()[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()


class TimeEmbedding(nn.Module):
    """(B,) real times in 0..T, unscaled -> (B, dim): sinusoid, linear, SiLU, linear."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.first = nn.Linear(dim, dim)
        self.second = nn.Linear(dim, dim)

    def forward(self, t: Tensor) -> Tensor:
        """(B,) -> (B, dim), in the type of the weights."""
        return self.second(F.silu(self.first(sinusoid(t, self.dim).to(self.first.weight.dtype))))
