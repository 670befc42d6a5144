"""Gated axial attention: self-attention along one axis of a map at a time, with gated relative positions.

Valanarasu et al., "Medical Transformer" (arXiv:2102.10662), on the position-sensitive axial attention of Wang et al.,
"Axial-DeepLab" (arXiv:2003.07853).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GATE_START = 0.1


class AxialAttention(nn.Module):
    """Multi-head self-attention along the last axis, every row by itself: (B, C, R, L) -> same.

    With r the embeddings of the offset between query i and key j and G the gates, the layer of Valanarasu et al. is
    y_i = sum_j softmax_j(q_i k_j + G_Q q_i r^q_ij + G_K k_j r^k_ij) (G_V1 v_j + G_V2 r^v_ij). Scores are not divided
    by the square root of the width; instead each of their three terms and both terms of the result are batch-normalised
    over samples, rows and places, as in the authors' code. The gates multiply what is normalised: a gate before the
    normalisation, where the code has it, would be divided out again.

    channels: divisible by 2 * heads; queries and keys have half the channels of values. length: L, to which the
    embeddings tie the layer; None leaves out the terms with r, and with them the gates.
    """

    def __init__(self, channels: int, heads: int, length: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        width = channels // heads
        self.parts = (width // 2, width // 2, width)
        self.qkv = nn.Conv2d(channels, 2 * channels, 1, bias=False)
        self.qkv_norm = nn.BatchNorm2d(2 * channels)
        self.content_norm = ScoreNorm(heads)
        self.value_norm = nn.BatchNorm2d(channels)
        nn.init.normal_(self.qkv.weight, std=channels**-0.5)
        self.length = length
        if length is not None:
            self.relative = nn.Parameter(torch.randn(2 * width, 2 * length - 1) * width**-0.5)
            self.query_norm, self.key_norm = ScoreNorm(heads), ScoreNorm(heads)
            self.position_norm = nn.BatchNorm2d(channels)
            self.gate_query, self.gate_key, self.gate_position = (
                nn.Parameter(torch.tensor(GATE_START)) for _ in range(3)
            )
            self.gate_value = nn.Parameter(torch.tensor(1.0))

    def embeddings(self) -> tuple[Tensor, Tensor, Tensor]:
        """r^q, r^k (c/2, L, L) and r^v (c, L, L) at [:, query, key], c the channels per head."""
        table = self.relative.unfold(1, self.length, 1).flip(1)
        return table.split(self.parts)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, R, L) -> (B, C, R, L): y of the class's equation, in its order."""
        query, key, value = self.qkv_norm(self.qkv(x)).unflatten(1, (self.heads, -1)).split(self.parts, 2)
        # Scaling queries and keys before the products, which are larger, is what the norms of the scores amount to.
        scale = self.content_norm(query.permute(1, 0, 3, 2, 4).flatten(1, 2), key.permute(1, 0, 3, 2, 4).flatten(1, 2))
        scores = torch.einsum("bhcri,bhcrj->bhrij", query * scale, key)
        if self.length is None:
            weight = scores.softmax(4)
            return self.value_norm(torch.einsum("bhrij,bhcrj->bhcri", weight, value).flatten(1, 2))
        r_query, r_key, r_value = self.embeddings()
        # The second and the third term: what a query, or a key, says about the offset between the two.
        scale = self.gate_query * self.query_norm(query.permute(1, 4, 2, 0, 3).flatten(3), r_query.transpose(0, 1))
        scores = scores + torch.einsum("bhcri,cij->bhrij", query * scale, r_query)
        scale = self.gate_key * self.key_norm(key.permute(1, 4, 2, 0, 3).flatten(3), r_key.permute(2, 0, 1))
        scores = scores + torch.einsum("bhcrj,cij->bhrij", key * scale, r_key)
        weight = scores.softmax(4)
        # Both terms of the result share the weights; they are summed apart to be normalised apart.
        content = torch.einsum("bhrij,bhcrj->bhcri", weight, value).flatten(1, 2)
        position = torch.einsum("bhrij,cij->bhcri", weight, r_value).flatten(1, 2)
        return self.gate_value * self.value_norm(content) + self.gate_position * self.position_norm(position)


class ScoreNorm(nn.Module):
    """Batch normalisation of one term of the scores, per head, as the factor (heads, 1, 1, 1) it amounts to.

    A shift of all scores is cancelled by the softmax, so that neither the mean nor a learned shift is needed. The
    variance of products a_i b_j follows from sums over a and b alone, without forming the products, which are many
    times larger: sum_ij (a_i b_j)^2 is the sum over the elementwise product of the Gram matrices of a and b.
    """

    eps, momentum = 1e-5, 0.1

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(heads))
        self.register_buffer("running_variance", torch.ones(heads))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """a: (heads, X, c, I), b: (heads, X, c, J) or (X, c, J), for scores sum_c a_ci b_cj at (heads, X, I, J)."""
        if self.training:
            variance = product_variance(a, b)
            self.running_variance.lerp_(variance.detach(), self.momentum)
        else:
            variance = self.running_variance
        return (self.weight / (variance + self.eps).sqrt())[:, None, None, None]


def product_variance(a: Tensor, b: Tensor) -> Tensor:
    """Variance over X, I and J of sum_c a_ci b_cj: (heads, X, c, I), (heads, X, c, J) or (X, c, J) -> (heads,)."""
    count = a.shape[1] * a.shape[3] * b.shape[-1]
    mean = (a.sum(-1) * b.sum(-1)).sum((1, 2)) / count
    square = ((a @ a.mT) * (b @ b.mT)).sum((1, 2, 3)) / count
    return (square - mean.square()).clamp(min=0)


class AxialBlock(nn.Module):
    """Residual bottleneck block with attention along the height, then the width: (B, i, H, W) -> (B, 2p, H/s, W/s).

    planes: p, the width of the attention; stride: s, 1 or 2, average pooling after the attention, a last odd row or
    column by itself; positions: whether the attention has positional terms, which tie the block to `resolution` (H, W).
    """

    def __init__(
        self, in_channels: int, planes: int, heads: int, resolution: tuple[int, int], stride: int, positions: bool
    ) -> None:
        super().__init__()
        height, width = resolution if positions else (None, None)
        self.reduce = nn.Conv2d(in_channels, planes, 1, bias=False)
        self.reduce_norm = nn.BatchNorm2d(planes)
        self.vertical = AxialAttention(planes, heads, height)
        self.horizontal = AxialAttention(planes, heads, width)
        self.pool = nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity()
        self.widen = nn.Conv2d(planes, 2 * planes, 1, bias=False)
        self.widen_norm = nn.BatchNorm2d(2 * planes)
        self.shortcut = nn.Identity()
        if stride > 1 or in_channels != 2 * planes:
            projection = nn.Conv2d(in_channels, 2 * planes, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(2 * planes))

    def forward(self, x: Tensor) -> Tensor:
        """(B, i, H, W) -> (B, 2p, ceil(H/s), ceil(W/s))."""
        h = F.relu(self.reduce_norm(self.reduce(x)))
        h = self.vertical(h.transpose(2, 3)).transpose(2, 3)
        h = F.relu(self.pool(self.horizontal(h)))
        return F.relu(self.widen_norm(self.widen(h)) + self.shortcut(x))
