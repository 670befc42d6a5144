"""MedT, the Medical Transformer: gated axial attention in a global and a local branch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks.axial_attention import AxialBlock
from methods.blocks.intensity import min_max
from methods.deterministic import Deterministic, check_image_size, layout_of

Pair = tuple[int, int]

GRID = 4


@dataclass(frozen=True)
class Layout:
    """Per level: width of the attention and blocks of the global and of the local branch; heads; widths of the stems.

    stems: width of the global and of the local stem; stem_hidden: width of the middle one of their three convolutions.
    """

    planes: tuple[int, ...]
    global_blocks: tuple[int, ...]
    local_blocks: tuple[int, ...]
    heads: int
    stems: Pair
    stem_hidden: int

    @property
    def smallest(self) -> int:
        """The image side below which a level of the local branch would attend along a single place, to no effect."""
        return GRID * 2 ** len(self.local_blocks)


LAYOUTS = {
    "tiny": Layout((8, 16, 32), (1, 1), (1, 1, 1), 2, (8, 16), 16),
    "small": Layout((16, 32, 64, 128), (1, 1), (1, 1, 2, 1), 2, (8, 16), 32),
    "paper": Layout((16, 32, 64, 128), (1, 2), (1, 2, 4, 1), 8, (8, 64), 128),
}


class MedT(Deterministic):
    """Medical Transformer of Valanarasu et al. (arXiv:2102.10662), after the authors' code.

    A shallow global branch sees the whole image and attends with gated relative positions; a deep local branch sees
    each of 4 x 4 patches by itself and attends without positional terms, as in the code. Their outputs are added and a
    3x3 and a 1x1 convolution give the logits.

    Differences from the code: patches run through the local branch together and share one batch normalisation; gates
    act behind the normalisation of what they gate (see `AxialAttention`) and are trained from the first step, where
    the code holds them for ten epochs; layers that the code defines and never uses are left out.

    The positional embeddings tie the weights to one image size.

    spatial_dims: 2; in_channels: channels of the image; classes: background included; image_size: two entries, each a
    multiple of 16 and at least 64 (small, paper) or 32 (tiny). size: "tiny" (0.1 M parameters), "small" (1.3 M) or
    "paper" (1.5 M), for colour images of 128 x 128.
    Raises ValueError for an unknown size, for 3D and for an image size that does not fit.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, classes: int, image_size: Sequence[int], size: str = "small"
    ) -> None:
        super().__init__()
        reason = self.supports(spatial_dims, classes)
        if reason:
            raise ValueError(reason)
        layout = layout_of(size, LAYOUTS)
        check_image_size(image_size, spatial_dims, 4 * GRID, f"MedT of size {size!r}")
        if min(image_size) < layout.smallest:
            raise ValueError(
                f"image_size is {tuple(image_size)}, but MedT of size {size!r} in 2D needs two entries of at least "
                f"{layout.smallest}: enlarge image_size or take a smaller method.size."
            )
        patch = tuple(n // GRID for n in image_size)
        self.whole = Branch(in_channels, layout, layout.stems[0], layout.global_blocks, tuple(image_size), True)
        self.local = Branch(in_channels, layout, layout.stems[1], layout.local_blocks, patch, False)
        width = layout.planes[0]
        self.head = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, classes, 1))

    @classmethod
    def supports(cls, spatial_dims: int, classes: int, **arguments: Any) -> str | None:
        """None in 2D. See `Segmenter`."""
        if spatial_dims != 2:
            return (
                f"MedT is published for 2D images; the data are {spatial_dims}D. "
                "Of the transformers, method swinunetr is published in 3D."
            )
        return None

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, classes, H, W) of an image (B, C, H, W)."""
        image = min_max(image)
        return self.head(self.whole(image) + from_patches(self.local(to_patches(image))))


def to_patches(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (16 B, C, H/4, W/4): the patches of a 4 x 4 grid, image by image and row by row."""
    h, w = x.shape[2] // GRID, x.shape[3] // GRID
    return x.unflatten(3, (GRID, w)).unflatten(2, (GRID, h)).permute(0, 2, 4, 1, 3, 5).flatten(0, 2)


def from_patches(patches: Tensor) -> Tensor:
    """(16 B, C, h, w) -> (B, C, 4h, 4w), the inverse of `to_patches`."""
    return patches.unflatten(0, (-1, GRID, GRID)).permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)


class Branch(nn.Module):
    """Stem, levels of axial blocks and a convolutional decoder: (B, C, *size) -> (B, planes[0], *size).

    The stem halves the grid, as does every level but the first. The decoder climbs by a 3x3 convolution, bilinear
    interpolation and ReLU per level, adding the level's features; with more than two levels it first descends once
    more, by a strided convolution. positions: whether the attention has gated positional terms.
    """

    def __init__(
        self, in_channels: int, layout: Layout, stem: int, blocks: tuple[int, ...], size: Pair, positions: bool
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *conv_norm(in_channels, stem, 7, stride=2),
            *conv_norm(stem, layout.stem_hidden, 3),
            *conv_norm(layout.stem_hidden, stem, 3),
        )
        planes = layout.planes[: len(blocks)]
        size, width = halved(size), stem
        self.levels = nn.ModuleList()
        for level, (p, count) in enumerate(zip(planes, blocks, strict=True)):
            chain = []
            for i in range(count):
                stride = 2 if level and not i else 1
                chain.append(AxialBlock(width, p, layout.heads, size, stride, positions))
                size, width = halved(size) if stride == 2 else size, 2 * p
            self.levels.append(nn.Sequential(*chain))
        self.bottom = nn.Conv2d(width, width, 3, stride=2, padding=1) if len(planes) > 2 else None
        self.decoder = nn.ModuleList(nn.Conv2d(2 * p, p, 3, padding=1) for p in reversed(planes))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *size) -> (B, planes[0], *size)."""
        h, features = self.stem(x), []
        for level in self.levels:
            h = level(h)
            features.append(h)
        # Up again: once below the deepest level and back, where there is such a step, then level by level.
        if self.bottom is not None:
            h = h + F.relu(resize(self.bottom(h), h))
        for conv, skip in zip(self.decoder, reversed(features[:-1])):
            h = F.relu(resize(conv(h), skip)) + skip
        return F.relu(resize(self.decoder[-1](h), x))


def conv_norm(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> tuple[nn.Module, ...]:
    """Convolution, batch norm and ReLU."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False)
    return conv, nn.BatchNorm2d(out_channels), nn.ReLU()


def halved(size: Pair) -> Pair:
    """Half the size, rounded up, as strided convolutions and pooling leave it."""
    return tuple(-(-n // 2) for n in size)


def resize(x: Tensor, like: Tensor) -> Tensor:
    """`x` bilinearly interpolated to the spatial size of `like`."""
    return F.interpolate(x, size=like.shape[2:], mode="bilinear")
