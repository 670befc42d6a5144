"""The nnU-Net package as a method that others train: what the plan and the reports need to know of it."""

from collections.abc import Sequence
from typing import Any

from methods.base import Segmenter

COMMAND = "python -m benchmarks.nnunetv2"


class NNUNetV2(Segmenter):
    """Stands for the package `nnunetv2` (Isensee et al. 2021), which trains and predicts in processes of its own.

    A suite does not train it: it declines and names the command that does. The records which that command leaves in
    the store are found by the suite and reported like any other method's.
    """

    def __init__(self, spatial_dims: int, in_channels: int, classes: int, image_size: Sequence[int]) -> None:
        super().__init__()
        raise ValueError(
            f"nnunetv2 has no network here for image_size {tuple(image_size)}: {self.supports(spatial_dims, classes)}"
        )

    @classmethod
    def supports(cls, spatial_dims: int, classes: int, **arguments: Any) -> str | None:
        """Always a reason: which command to run. See `Segmenter`."""
        return f"the package trains outside the suite: run {COMMAND} first (docs/nnunetv2.md)"
