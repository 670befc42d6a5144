"""The twins of LDSeg and LSegDiff, with an image embedding that is not zero at first.

The image encoder of LDSeg's authors ends in a convolution whose weights start at values of about 1e-6, zeros here, so
that the first embedding is the same everywhere. The methods bear it, as their denoiser sees noise beside it. A twin's
denoiser sees zeros, so that all activations behind it are equal, too, and each normalisation on the way back divides by
the square root of its epsilon alone: gradients start at 1e22 and more in LDSeg's twin, at 1e10 and more in LSegDiff's,
and Adam's second moments then hold those weights where they are for hundreds of steps or for good (docs/training.md).

Apart from methods/direct.py, since a trial's key holds all code of its method's module, and the twins of MedSegDiff and
SDF-DDPM have a start of their own.
"""

from typing import Any

from methods.blocks.convolution import initialise
from methods.direct import LDSegDirect, LSegDiffDirect


class DrawnStart:
    """Draws the image encoder's last convolution as every other layer (Glorot-uniform); stands before the twin's class,
    whose arguments it has."""

    def __init__(self, *arguments: Any, **switches: Any) -> None:
        super().__init__(*arguments, **switches)
        initialise(self.image_encoder.head)


class LDSegTwin(DrawnStart, LDSegDirect):
    """LDSeg's twin without diffusion, see `LDSegDirect`."""


class LSegDiffTwin(DrawnStart, LSegDiffDirect):
    """LSegDiff's twin without diffusion, see `LSegDiffDirect`."""
