"""Twins without diffusion: the networks of the diffusion methods, trained to segment in one evaluation.

Each has its method's networks and widths, data, recipe, budget, augmentation and selection, and no diffusion. Where the
method's network is shown a noisy state, the twin's is shown zeros at the last time T-1; what it returns is the
segmentation. LDSeg's and LSegDiff's learn badly beside zeros, or not at all: those that are trained are in
methods/fixed_noise.py. What a method scores beyond its twin is what diffusion itself contributes. The question is that
of Fu et al. 2024 (ImgX-DiffSeg, arXiv:2307.16143), whose network does as well without.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.base import Callback, Sampling, Segmenter
from methods.blocks.intensity import min_max
from methods.deterministic import segmentation_loss
from methods.diffusion.schedule import TIMESTEPS
from methods.ldseg import DICE_WEIGHT, LDSeg, dice_loss
from methods.lsegdiff import LSegDiff
from methods.medsegdiff import MedSegDiff
from methods.sdf_ddpm import SDFDDPM


class Direct:
    """What the twins share; stands before the method's class."""

    generative = False
    process = Segmenter.process  # nothing is diffused

    def network_evaluations(self, sampling: Sampling) -> int:
        """One, whatever the sampling."""
        return 1


def last_time(like: Tensor) -> Tensor:
    """The time T-1 for every sample of a batch (B,)."""
    return torch.full((len(like),), TIMESTEPS - 1, device=like.device)


class LDSegDirect(Direct, LDSeg):
    """LDSeg without diffusion: image encoder, denoiser and decoder, which reads -eps_hat; no label encoder.

    Arguments and switches as in `LDSeg`; those of the label encoder, of noise, times and sampler have no effect. Loss:
    cross entropy + 2 Dice.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, classes: int, image_size: Sequence[int], **arguments: Any
    ) -> None:
        super().__init__(spatial_dims, in_channels, classes, image_size, **arguments)
        # Built and dropped, so that the networks left start from the method's own weights.
        self.label_encoder = None
        self.components = tuple(name for name in self.components if name != "label_encoder")

    def loss(self, image: Tensor, label: Tensor, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross entropy + 2 Dice; keys total, ce, dice. Nothing is drawn. See `Segmenter`."""
        log_probability = F.log_softmax(self._logits(self.image_encoder(min_max(image))), dim=1)
        ce = F.nll_loss(log_probability, label)
        dice = dice_loss(log_probability.exp(), label, self.switches["dice_mode"])
        return {"total": ce + DICE_WEIGHT * dice, "ce": ce, "dice": dice}

    def _logits(self, z_i: Tensor) -> Tensor:
        """Class logits (B, classes, *spatial) float32 of an image embedding (B, 1, *latent)."""
        eps_hat = self._noise(torch.zeros_like(z_i), z_i, last_time(z_i))
        return self.label_decoder(self._seen(-eps_hat)).float()

    def reconstruct(self, label: Tensor) -> Tensor | None:
        """None: no label is encoded."""
        return None

    @torch.no_grad()
    def segment(
        self,
        image: Tensor,
        sampling: Sampling,
        generators: Sequence[torch.Generator],
        callback: Callback | None = None,
        embedding: Tensor | None = None,
    ) -> Tensor:
        """Class probabilities of one evaluation; sampling, generators and callback are ignored. See `Segmenter`."""
        return self._logits(self.embed(image) if embedding is None else embedding).softmax(1)


class LSegDiffDirect(Direct, LSegDiff):
    """LSegDiff without diffusion: the mask autoencoder as it is, then a regression of its scaled latents.

    Arguments as in `LSegDiff`; `objective` has no effect, since it is the clean latent that is estimated.
    """

    def _l2(self, image: Tensor, label: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Squared error of the estimated latent, with the autoencoder as it is."""
        self.label_encoder.eval()  # neither running statistics nor dropout
        with torch.no_grad():
            z0 = self.scale(self.encode(label)[0])
        return {"total": F.mse_loss(self._estimate(self.image_encoder(min_max(image))), z0)}

    def _estimate(self, z_i: Tensor) -> Tensor:
        """Scaled latents (B, 1, *latent) of an image embedding of that shape."""
        return self.denoiser(torch.zeros_like(z_i), z_i, last_time(z_i))

    @torch.no_grad()
    def segment(
        self,
        image: Tensor,
        sampling: Sampling,
        generators: Sequence[torch.Generator],
        callback: Callback | None = None,
        embedding: Tensor | None = None,
    ) -> Tensor:
        """Class probabilities of one evaluation, post-processed; the rest is ignored. See `Segmenter`."""
        z0 = self._estimate(self.embed(image) if embedding is None else embedding)
        return self._postprocessed(self.decode(self.unscale(z0)))


class MedSegDiffDirect(Direct, MedSegDiff):
    """MedSegDiff without diffusion: the mask stream sees zeros, the output is read as logits; cross entropy + 2 Dice.

    Arguments as in `MedSegDiff`; `prediction`, `fusion` and `threshold` have no effect.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, classes: int, image_size: Sequence[int], **arguments: Any
    ) -> None:
        super().__init__(spatial_dims, in_channels, classes, image_size, **arguments)
        # What only zeros are multiplied with does not train.
        self.network.mask_stem.weight.requires_grad_(False)

    def loss(self, image: Tensor, label: Tensor, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross entropy + 2 Dice, as the deterministic methods'; keys total, ce, dice. See `Segmenter`."""
        return segmentation_loss(self._logits(image), label)

    def _logits(self, image: Tensor) -> Tensor:
        """Class logits (B, classes, *spatial) float32; a background without a channel of its own has 0."""
        zeros = image.new_zeros((len(image), self.mask_channels, *self.image_size))
        found = self.network(zeros, self._scaled(image), last_time(image)).float()
        return found if self.onehot else torch.cat([torch.zeros_like(found[:, :1]), found], dim=1)

    @torch.no_grad()
    def segment(
        self,
        image: Tensor,
        sampling: Sampling,
        generators: Sequence[torch.Generator],
        callback: Callback | None = None,
        embedding: Tensor | None = None,
    ) -> Tensor:
        """Class probabilities of one evaluation; the rest is ignored. See `Segmenter`."""
        return self._logits(image).softmax(1)


class SDFDDPMDirect(Direct, SDFDDPM):
    """SDF-DDPM without diffusion: the noisy channel is zero; the truncated signed distance is regressed, squared error.

    Arguments as in `SDFDDPM`; `prediction` has no effect, and the process can only be "vp". Raises ValueError for "ve",
    whose network is told a noise level there is none of.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, classes: int, image_size: Sequence[int], **arguments: Any
    ) -> None:
        if arguments.get("process", "vp") != "vp":
            raise ValueError(f"method.process is {arguments['process']!r}, expected vp: the twin has no noise levels.")
        super().__init__(spatial_dims, in_channels, classes, image_size, **arguments)
        # What only zeros are multiplied with does not train.
        for layer in (self.network.distance_stem.conv1, self.network.distance_stem.shortcut):
            layer.weight.requires_grad_(False)

    def loss(self, image: Tensor, label: Tensor, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean squared error of the signed distances; key total. Nothing is drawn. See `Segmenter`."""
        return {"total": F.mse_loss(self._distances(self._features(image)), self.encode(label).to(image))}

    def _distances(self, features: Tensor) -> Tensor:
        """Signed distances (B, classes - 1, *spatial) of an image's features (B, 10, *spatial)."""
        zeros = features.new_zeros((len(features), self.classes - 1, *features.shape[2:]))
        return self.network(zeros, features, last_time(features))

    @torch.no_grad()
    def segment(
        self,
        image: Tensor,
        sampling: Sampling,
        generators: Sequence[torch.Generator],
        callback: Callback | None = None,
        embedding: Tensor | None = None,
    ) -> Tensor:
        """Class probabilities of one evaluation; the rest is ignored. See `Segmenter`."""
        return self.decode(self._distances(self.embed(image) if embedding is None else embedding).clamp(-1, 1))
