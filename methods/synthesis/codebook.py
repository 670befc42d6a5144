"""Vector quantisation with a codebook that follows the data by moving averages."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DECAY = 0.99
COMMITMENT = 0.25
ALIVE = 1.0
"""Codes that stand for fewer vectors of a batch than this, by the moving average, are restarted."""
ROWS = 4096
"""Vectors whose distances to all codes are held at a time: 16,384 codes and a published batch would take 4 GB."""


class Codebook(nn.Module):
    """Nearest codes, L2, of vectors along the channels: (B, dim, *S) -> same (van den Oord et al. 2017,
    arXiv:1711.00937, with the moving averages of its appendix A.1).

    The first training batch gives the codes. With each batch `counts` and `sums` of what was assigned follow with decay
    0.99, codes are their quotient, and codes with a count below 1 are restarted at random vectors of the batch with
    count 1. All of it is in buffers; evaluation changes none of them.
    """

    def __init__(self, codes: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("codes", torch.zeros(codes, dim))
        self.register_buffer("counts", torch.ones(codes))
        self.register_buffer("sums", torch.zeros(codes, dim))
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))

    def forward(self, z: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """(quantised z with the identity as its gradient, commitment loss); generator: for restarts, in training."""
        with torch.no_grad():
            vectors = z.detach().float().movedim(1, -1).flatten(0, -2)
            if self.training and not self.begun:
                self._restart(vectors, torch.ones_like(self.counts, dtype=torch.bool), generator)
                self.begun.fill_(True)
            nearest = self.nearest(vectors)
            quantised = self.codes[nearest].reshape(len(z), *z.shape[2:], -1).movedim(-1, 1).to(z)
            if self.training:
                self._follow(vectors, nearest, generator)
        return z + (quantised - z).detach(), COMMITMENT * F.mse_loss(z, quantised)

    def quantise(self, z: Tensor) -> Tensor:
        """Every vector of (B, dim, *S) replaced by its nearest code."""
        vectors = z.movedim(1, -1)
        nearest = self.nearest(vectors.flatten(0, -2).to(self.codes))
        return self.codes[nearest].reshape(vectors.shape).movedim(-1, 1)

    def nearest(self, vectors: Tensor) -> Tensor:
        """Indices (N,) of the codes nearest to (N, dim)."""
        # The faster way over matrix products rounds by 1e-3, and a code need not be the nearest to itself.
        exact = "donot_use_mm_for_euclid_dist"
        parts = vectors.split(ROWS)
        return torch.cat([torch.cdist(part, self.codes, compute_mode=exact).argmin(1) for part in parts])

    def extremes(self) -> tuple[Tensor, Tensor]:
        """The smallest and the largest number in the codebook."""
        return self.codes.min(), self.codes.max()

    def _follow(self, vectors: Tensor, nearest: Tensor, generator: torch.Generator | None) -> None:
        self.counts.lerp_(torch.bincount(nearest, minlength=len(self.codes)).to(self.counts), 1 - DECAY)
        self.sums.lerp_(torch.zeros_like(self.sums).index_add_(0, nearest, vectors), 1 - DECAY)
        self.codes.copy_(self.sums / self.counts.clamp(min=1e-7)[:, None])
        self._restart(vectors, self.counts < ALIVE, generator)

    def _restart(self, vectors: Tensor, dead: Tensor, generator: torch.Generator | None) -> None:
        """Put dead codes where vectors are; drawn for all codes, so that draws do not depend on how many are dead."""
        order = torch.randperm(len(vectors), generator=generator).repeat(-(-len(self.codes) // len(vectors)))
        fresh = vectors[order[: len(self.codes)].to(vectors.device)]
        self.codes.copy_(torch.where(dead[:, None], fresh, self.codes))
        self.sums.copy_(torch.where(dead[:, None], fresh, self.sums))
        self.counts.masked_fill_(dead, 1.0)
