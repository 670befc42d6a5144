"""The twins of LDSeg and LSegDiff, which see one fixed field of noise where their methods see the noisy latent.

Not zeros, as the twins of methods/direct.py: the image encoder of LDSeg's authors ends in a convolution whose weights
start at values of about 1e-6, zeros here, so that the first embedding is the same everywhere. Beside zeros all
activations of the denoiser are equal, too, and each normalisation on the way back divides by the square root of its
epsilon alone: gradients start at 1e22 and more for LDSeg's twin, at 1e10 and more for LSegDiff's, and Adam's second
moments then hold those weights where they are for hundreds of steps or for good (docs/training.md). Beside noise a twin
of equal weights starts as its method does at the last time T-1, LSegDiff's but for the sign of its estimate.

Apart from methods/direct.py, since a trial's key holds all code of its method's module, and the twins of MedSegDiff and
SDF-DDPM learn beside zeros.
"""

from typing import Any

import torch
from torch import Tensor

from methods.direct import LDSegDirect, LSegDiffDirect, last_time


class FixedNoise:
    """Draws the field when the network is built; stands before the twin's class, whose arguments it has."""

    def __init__(self, *arguments: Any, **switches: Any) -> None:
        super().__init__(*arguments, **switches)
        noise = torch.randn((1, 1, *self.latent_size), generator=torch.Generator().manual_seed(0))
        self.register_buffer("noise", noise, persistent=False)  # the same in every network, so no part of its weights

    def _state(self, z_i: Tensor) -> Tensor:
        """The field for each image embedding (B, 1, *latent), of its shape and type."""
        return self.noise.to(z_i.dtype).expand_as(z_i)


class LDSegTwin(FixedNoise, LDSegDirect):
    """LDSeg's twin without diffusion, see `LDSegDirect`; the decoder reads the field less eps_hat."""

    def _logits(self, z_i: Tensor) -> Tensor:
        """Class logits (B, classes, *spatial) float32 of an image embedding (B, 1, *latent)."""
        state = self._state(z_i)
        return self.label_decoder(self._seen(state - self._noise(state, z_i, last_time(z_i)))).float()


class LSegDiffTwin(FixedNoise, LSegDiffDirect):
    """LSegDiff's twin without diffusion, see `LSegDiffDirect`."""

    def _estimate(self, z_i: Tensor) -> Tensor:
        """Scaled latents (B, 1, *latent) of an image embedding of that shape."""
        return self.denoiser(self._state(z_i), z_i, last_time(z_i))
