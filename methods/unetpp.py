"""U-Net++: a U-Net whose skips are densely connected nodes, with a segmentation read off each of them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from methods.blocks.intensity import min_max
from methods.deterministic import Deterministic, check_image_size, he_initialise, layout_of, segmentation_loss

# Channels from full resolution down; max pooling halves the grid between two entries. "small" is half as wide as the
# small U-Net, because nodes at full resolution make up most of the cost and there are five instead of two.
WIDTHS = {
    "tiny": (8, 16, 32, 64),
    "small": (8, 16, 32, 64, 128),
    "paper": (32, 64, 128, 256, 512),
}
BLOCK = {"act": "relu", "norm": "batch", "bias": False}


class UNetPlusPlus(Deterministic):
    """Nodes X(i, j) on resolution level i: column 0 is the encoder, and every further node applies two 3x3
    convolutions to X(i, 0) ... X(i, j-1) and the up-convolved X(i+1, j-1) (Zhou et al., DLMIA 2018, equation 1).

    With deep supervision a 1x1 convolution reads a segmentation off each of X(0, 1) ... X(0, n); all are trained
    with the same loss, and their probabilities are averaged (the paper's accurate mode). Without it only X(0, n) has
    a head. The paper reports both.

    Layers from MONAI, put together here because its `BasicUNetPlusPlus` does not halve the channels in the
    up-convolutions to full resolution and always holds all heads. Differences from the paper and the authors' code:
    every 3x3 convolution is followed by batch normalisation in place of a bias, and there is neither the code's
    dropout nor its weight decay; softmax over the classes instead of a sigmoid; the loss is the mean over the heads
    of the project's own (cross entropy + 2 Dice), where the authors sum half the binary cross entropy minus Dice.
    Without batch normalisation, and for one image channel and one output channel, size "paper" has the published
    9,041,601 parameters.

    spatial_dims: 2; in_channels: channels of the image; classes: background included; image_size: two entries, each a
    multiple of 8 (tiny) or 16. size: "tiny" (0.14 M parameters), "small" (0.57 M) or "paper" (9.0 M).
    deep_supervision: as above.
    Raises ValueError for an unknown size, for 3D and for an image size that the network cannot halve often enough.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        classes: int,
        image_size: Sequence[int],
        size: str = "small",
        deep_supervision: bool = True,
    ) -> None:
        from monai.networks.nets.basic_unet import Down, TwoConv, UpCat  # see resunet.py

        super().__init__()
        reason = self.supports(spatial_dims, classes)
        if reason:
            raise ValueError(reason)
        widths = layout_of(size, WIDTHS)
        depth = len(widths) - 1
        check_image_size(image_size, spatial_dims, 2**depth, f"U-Net++ of size {size!r}")
        self.stem = TwoConv(spatial_dims, in_channels, widths[0], **BLOCK)
        self.down = nn.ModuleList(Down(spatial_dims, fine, coarse, **BLOCK) for fine, coarse in pairwise(widths))
        # columns[j - 1][i] is X(i, j).
        self.columns = nn.ModuleList(
            nn.ModuleList(
                UpCat(spatial_dims, widths[i + 1], j * widths[i], widths[i], **BLOCK) for i in range(depth + 1 - j)
            )
            for j in range(1, depth + 1)
        )
        self.heads = nn.ModuleList(nn.Conv2d(widths[0], classes, 1) for _ in range(depth if deep_supervision else 1))
        self.apply(he_initialise)

    @classmethod
    def supports(cls, spatial_dims: int, classes: int, **arguments: Any) -> str | None:
        """None in 2D. See `Segmenter`."""
        if spatial_dims != 2:
            return (
                f"U-Net++ is published for 2D images; the data are {spatial_dims}D. "
                "Of the U-Nets, methods unet and nnunet have published 3D forms."
            )
        return None

    def branches(self, image: Tensor) -> list[Tensor]:
        """Logits (B, classes, H, W) of every head, from the shallowest to the deepest."""
        # x[i][j] is X(i, j); column 0 first, then column by column, each node from its level and the one below.
        x = [[self.stem(min_max(image))]]
        for down in self.down:
            x.append([down(x[-1][0])])
        for j, column in enumerate(self.columns, start=1):
            for i, node in enumerate(column):
                x[i].append(node(x[i + 1][j - 1], torch.cat(x[i], dim=1)))
        return [head(h) for head, h in zip(self.heads, x[0][-len(self.heads) :], strict=True)]

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, classes, H, W) of an image (B, C, H, W): logarithm of the heads' mean probabilities."""
        return torch.stack([logits.log_softmax(1) for logits in self.branches(image)]).logsumexp(0)

    def loss(self, image: Tensor, label: Tensor, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean of `segmentation_loss` over the heads; nothing is drawn from `generator`. Keys: total, ce, dice."""
        parts = [segmentation_loss(logits, label) for logits in self.branches(image)]
        return {key: torch.stack([part[key] for part in parts]).mean() for key in parts[0]}
