"""Swin UNETR: a Swin transformer as encoder and convolutions as decoder, for volumes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.blocks.intensity import min_max
from methods.deterministic import Deterministic, layout_of

DIVISOR = 32
"""The grid is halved five times: by the patches and behind each of the four stages."""


class Layout(NamedTuple):
    """Features of the first stage (a multiple of 12), attention heads per stage and side of a window."""

    features: int
    heads: tuple[int, ...]
    window: int


LAYOUTS = {
    "tiny": Layout(12, (1, 2, 4, 8), 4),
    "small": Layout(12, (3, 6, 12, 24), 4),
    "paper": Layout(48, (3, 6, 12, 24), 7),
}


class SwinUNETR(Deterministic):
    """Swin UNETR of Hatamizadeh et al. (arXiv:2201.01266): `monai.networks.nets.SwinUNETR`, where the authors put it.

    Patches of 2 x 2 x 2 voxels become tokens; four stages of two Swin blocks each, the second with shifted windows,
    halve the grid by merging patches; residual convolutions decode the tokens of every stage and the image itself.

    The network wants multiples of 32. Other images get a border of zeros on both sides of each axis, after scaling, and
    the logits are cropped to the image; the network itself is the published one. Where that grid would shrink to a
    single voxel, over which instance normalisation is undefined, the last axis is padded to 64.

    Differences from the paper: the loss, see `Deterministic` (theirs is soft Dice over overlapping regions), and the
    optimiser; random initial weights. Merging takes each of the eight voxels once (`mergingv2`), where the code of that
    time took two of them twice and left out two. As in MONAI, zeros that fill up the windows at a stage's border take
    part in the attention, and a stage shorter than a window indexes the table of relative positions as if it were not.

    spatial_dims: 3; in_channels: channels of the image; classes: background included; image_size: three entries, each
    32 or more. size: "tiny" (3.9 M parameters), "small" (3.9 M) or "paper" (62.2 M).
    Raises ValueError for an unknown size, for 2D and for an image size below 32.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, classes: int, image_size: Sequence[int], size: str = "small"
    ) -> None:
        from monai.networks.nets import SwinUNETR as Network  # see resunet.py

        super().__init__()
        reason = self.supports(spatial_dims, classes)
        if reason:
            raise ValueError(reason)
        layout = layout_of(size, LAYOUTS)
        if len(image_size) != spatial_dims or min(image_size) < DIVISOR:
            raise ValueError(
                f"image_size is {tuple(image_size)}, but Swin UNETR needs three entries of {DIVISOR} or more: "
                "enlarge image_size."
            )
        self.network = Network(
            in_channels=in_channels,
            out_channels=classes,
            num_heads=layout.heads,
            window_size=layout.window,
            feature_size=layout.features,
            downsample="mergingv2",
        )
        # Kernels and feature maps stored channel last: a training step on a CPU takes less time.
        self.network.to(memory_format=torch.channels_last_3d)

    @classmethod
    def supports(cls, spatial_dims: int, classes: int, **arguments: Any) -> str | None:
        """None in 3D. See `Segmenter`."""
        if spatial_dims != 3:
            return (
                f"Swin UNETR is published for volumes; the data are {spatial_dims}D. "
                "Its published relative for images is Swin-UNet, method swinunet."
            )
        return None

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, classes, X, Y, Z) of an image (B, C, X, Y, Z)."""
        borders = borders_of(image.shape[2:])
        padding = [width for pair in reversed(borders) for width in pair]
        logits = self.network(F.pad(min_max(image), padding))
        return logits[(..., *(slice(before, n - after) for n, (before, after) in zip(logits.shape[2:], borders)))]


def borders_of(size: Sequence[int]) -> list[tuple[int, int]]:
    """Voxels to add before and after each axis of a grid of `size` for the network to take it."""
    padded = [-(-n // DIVISOR) * DIVISOR for n in size]
    if max(padded) == DIVISOR:
        padded[-1] = 2 * DIVISOR
    return [((m - n) // 2, m - n - (m - n) // 2) for m, n in zip(padded, size, strict=True)]
