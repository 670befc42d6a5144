"""Res-UNet, the deterministic baseline: a U-Net of residual units, trained once and evaluated once per image."""

from collections.abc import Sequence

from torch import Tensor

from methods.blocks.intensity import min_max
from methods.deterministic import Deterministic, check_image_size, layout_of

# Widths from full resolution down; every level halves the grid on entry. "paper" has the widths of Zhang et al. 2018,
# "small" half of them (docs/methods.md says why).
WIDTHS = {
    "tiny": (8, 16, 32, 64),
    "small": (32, 64, 128, 256),
    "paper": (64, 128, 256, 512),
}


class ResUNet(Deterministic):
    """Deep residual U-Net in the form MONAI provides.

    Zhang, Liu, Wang, "Road extraction by deep residual U-Net", IEEE GRSL 2018, describes the idea: residual units of
    two 3x3 convolutions with strided convolutions instead of pooling. The network here is `monai.networks.nets.UNet`
    with two convolutions per residual unit (Kerfoot et al. 2018), which differs from Zhang et al. in three ways: the
    first unit already halves the grid, upsampling is a transposed convolution, and activations are PReLU after the
    normalisation. The LDSeg paper does not say which form of Res-UNet it compares with.

    Batch normalisation as in Zhang et al.; in evaluation mode a result is independent of its batch.

    spatial_dims: 2 or 3; in_channels: channels of the image; classes: background included; image_size: one entry per
    spatial axis, each a multiple of 8. size: "tiny" (0.1 M parameters in 2D), "small" (1.6 M) or "paper" (6.4 M).
    Raises ValueError for an unknown size or an image size that the network cannot halve often enough.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, classes: int, image_size: Sequence[int], size: str = "small"
    ) -> None:
        from monai.networks.nets import UNet  # takes seconds, and a plan that knows the method needs none

        super().__init__()
        widths = layout_of(size, WIDTHS)
        halvings = len(widths) - 1
        check_image_size(image_size, spatial_dims, 2**halvings, f"Res-UNet of size {size!r}")
        self.network = UNet(
            spatial_dims=spatial_dims,
            in_channels=in_channels,
            out_channels=classes,
            channels=widths,
            strides=(2,) * halvings,
            num_res_units=2,
            norm="batch",
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, classes, *spatial) of an image (B, C, *spatial)."""
        return self.network(min_max(image))
