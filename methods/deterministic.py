"""What the deterministic methods share: one forward pass from image to logits, and one loss."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.base import Callback, Sampling, Segmenter
from methods.blocks.convolution import CONV, CONV_TRANSPOSE

DICE_WEIGHT = 2.0

Layout = TypeVar("Layout")


class Deterministic(Segmenter):
    """Base of the methods that map an image to one segmentation, all trained with the same loss.

    A subclass defines `forward(image) -> logits`: (B, C, *spatial) float32 in [0, 1] -> (B, classes, *spatial).
    """

    def loss(self, image: Tensor, label: Tensor, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        """`segmentation_loss` of the logits; nothing is drawn from `generator`. Keys: total, ce, dice."""
        return segmentation_loss(self(image), label)

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


def segmentation_loss(logits: Tensor, label: Tensor) -> dict[str, Tensor]:
    """Cross entropy plus twice the Dice loss, the weighting of the LDSeg paper. Keys: total, ce, dice.

    logits: (B, classes, *spatial); label: (B, *spatial) int64 in 0..classes-1.
    Unlike LDSeg's Dice, which is pooled over all classes, this one is soft Dice per foreground class (summed over
    batch and voxels, then averaged over the classes), the usual choice for a plain U-Net.
    """
    from monai.losses import DiceLoss  # takes seconds, and a plan needs none

    # A one-hot target takes cross entropy along a path that has a deterministic gradient on every device.
    target = F.one_hot(label, logits.shape[1]).movedim(-1, 1).to(logits.dtype)
    ce = F.cross_entropy(logits, target)
    dice = DiceLoss(include_background=False, batch=True)(logits.softmax(1), target)
    return {"total": ce + DICE_WEIGHT * dice, "ce": ce, "dice": dice}


def layout_of(size: str, layouts: Mapping[str, Layout]) -> Layout:
    """The layout called `size`; ValueError naming the key and the sizes there are if it is unknown."""
    if size not in layouts:
        raise ValueError(f"method.size is {size!r}, expected one of {', '.join(layouts)}.")
    return layouts[size]


def check_image_size(image_size: Sequence[int], spatial_dims: int, divisor: int, network: str) -> None:
    """ValueError unless `image_size` has `spatial_dims` entries, each a positive multiple of `divisor`.

    network: what needs it, as the message is to call it ("Res-UNet of size 'tiny'").
    """
    if len(image_size) != spatial_dims or any(n < divisor or n % divisor for n in image_size):
        raise ValueError(
            f"image_size is {tuple(image_size)}, but {network} in {spatial_dims}D needs "
            f"{spatial_dims} entries, each a multiple of {divisor}: round image_size to such values."
        )


def he_initialise(module: nn.Module) -> None:
    """Weights of one convolution from N(0, 2 / fan-in) (He et al. 2015), zero bias; for `nn.Module.apply`."""
    if isinstance(module, (*CONV.values(), *CONV_TRANSPOSE.values())):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
