"""Res-UNet, the deterministic baseline: a U-Net of residual units, trained once and evaluated once per image."""

from collections.abc import Sequence

import torch
from monai.losses import DiceLoss
from monai.networks.nets import UNet
from torch import Tensor
from torch.nn import functional as F

from methods.base import Callback, Sampling, Segmenter
from methods.blocks.intensity import min_max

# Widths from full resolution down; every level halves the grid on entry. "paper" has the widths of Zhang et al. 2018.
WIDTHS = {
    "tiny": (8, 16, 32, 64),
    "small": (16, 32, 64, 128, 256),
    "paper": (64, 128, 256, 512),
}


class ResUNet(Segmenter):
    """Deep residual U-Net in the form MONAI provides.

    Zhang, Liu, Wang, "Road extraction by deep residual U-Net", IEEE GRSL 2018, describes the idea: residual units of
    two 3x3 convolutions with strided convolutions instead of pooling. The network here is `monai.networks.nets.UNet`
    with two convolutions per residual unit (Kerfoot et al. 2018), which differs from Zhang et al. in three ways: the
    first unit already halves the grid, upsampling is a transposed convolution, and activations are PReLU after the
    normalisation. The LDSeg paper does not say which form of Res-UNet it compares with.

    Batch normalisation as in Zhang et al.; in evaluation mode a result is independent of its batch.

    spatial_dims: 2 or 3; in_channels: channels of the image; classes: background included; image_size: one entry per
    spatial axis, each a multiple of 8 (tiny, paper) or 16 (small). size: "tiny" (0.1 M parameters in 2D), "small"
    (1.6 M) or "paper" (6.4 M).
    Raises ValueError for an unknown size or an image size that the network cannot halve often enough.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, classes: int, image_size: Sequence[int], size: str = "small"
    ):
        super().__init__()
        if size not in WIDTHS:
            raise ValueError(f"method.size is {size!r}, expected one of {', '.join(WIDTHS)}.")
        widths = WIDTHS[size]
        divisor = 2 ** (len(widths) - 1)
        if len(image_size) != spatial_dims or any(n < divisor or n % divisor for n in image_size):
            raise ValueError(
                f"image_size is {tuple(image_size)}, but Res-UNet of size {size!r} in {spatial_dims}D needs "
                f"{spatial_dims} entries, each a multiple of {divisor}: round image_size to such values."
            )
        self.network = UNet(
            spatial_dims=spatial_dims,
            in_channels=in_channels,
            out_channels=classes,
            channels=widths,
            strides=(2,) * (len(widths) - 1),
            num_res_units=2,
            norm="batch",
        )
        self.dice = DiceLoss(include_background=False, batch=True)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, classes, *spatial) of an image (B, C, *spatial)."""
        return self.network(min_max(image))

    def loss(self, image: Tensor, label: Tensor, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross entropy plus twice the Dice loss, the weighting of the LDSeg paper.

        Unlike LDSeg's Dice, which is pooled over all classes, this one is soft Dice per foreground class (summed over
        batch and voxels, then averaged over the classes), the usual choice for a plain U-Net. Nothing is drawn from
        `generator`. Keys: total, ce, dice.
        """
        logits = self(image)
        # A one-hot target takes cross entropy along a path that has a deterministic gradient on every device.
        target = F.one_hot(label, logits.shape[1]).movedim(-1, 1).to(logits.dtype)
        ce = F.cross_entropy(logits, target)
        dice = self.dice(logits.softmax(1), target)
        return {"total": ce + 2 * dice, "ce": ce, "dice": dice}

    def segment(
        self,
        image: Tensor,
        sampling: Sampling,
        generators: Sequence[torch.Generator],
        callback: Callback | None = None,
        embedding: Tensor | None = None,
    ) -> Tensor:
        """Class probabilities of one forward pass; sampling, generators, callback and embedding are ignored."""
        return self(image).float().softmax(1)
