"""SDSeg: a latent diffusion segmenter that estimates the clean latent and so needs one reverse step."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.base import Callback, Process, Sampling, Segmenter
from methods.blocks.convolution import channels_last
from methods.blocks.guided_unet import GuidedUNet
from methods.blocks.intensity import min_max
from methods.blocks.latent import Layout
from methods.blocks.mask_autoencoder import MaskAutoencoder
from methods.blocks.vision_encoder import VisionEncoder
from methods.diffusion import sampler
from methods.diffusion.process import variance_preserving
from methods.diffusion.scaled_linear import scaled_linear_alpha_bar, single_step_pairs
from methods.diffusion.schedule import TIMESTEPS, per_sample, q_sample
from methods.ldseg import DICE_WEIGHT, dice_loss
from methods.lsegdiff import kl_divergence

PARTS = {"autoencoder": ("autoencoder",), "denoiser": ("vision_encoder", "denoiser")}
"""Components trained in each stage."""
LATENT_CHANNELS = 4
KL_WEIGHT = 1e-6
LATENT_WEIGHT = 1.0
"""Of the error of the clean latent beside that of the noise: the lambda of the paper."""
DROPOUT = 0.2
PREDICTIONS = ("eps", "x0")


class Size(NamedTuple):
    """Widths of the networks: autoencoder (`encoder`, `decoder`), vision encoder (`stem`, `image`) and denoiser.

    Then the denoiser's blocks per level and levels with attention; groups of the normalisations; prediction.
    """

    layout: Layout
    blocks: int
    attention: tuple[int, ...]
    groups: int
    prediction: str


PAPER = Size(
    Layout(
        encoder=(16, 32, 64, 32),
        decoder=(32, 64, 32),
        stem=128,
        image=(128, 256, 512, 512),
        heads=8,
        denoiser_stem=192,
        denoiser=(192, 384, 384, 768, 768),
    ),
    blocks=2,
    attention=(0, 1, 2, 3),
    groups=32,
    prediction="eps",
)
TINY = Size(
    Layout((8, 16, 32, 16), (16, 32, 16), 8, (8, 16, 16, 16), 4, 16, (16, 32)),
    blocks=1,
    attention=(0, 1),
    groups=4,
    prediction="x0",
)
SIZES = {
    2: {
        "tiny": TINY,
        # An eighth of the published widths, three levels of the denoiser instead of five.
        "small": Size(
            Layout((16, 32, 64, 32), (32, 64, 32), 16, (16, 32, 64, 64), 8, 24, (24, 48, 96)), 2, (0, 1), 8, "x0"
        ),
        "paper": PAPER,
    },
    3: {
        "tiny": TINY,
        # Small volumes are reduced by 4 only, as in LSegDiff.
        "small": Size(Layout((16, 32, 32), (32, 16), 8, (8, 16, 32), 4, 16, (16, 32, 64)), 1, (1,), 8, "x0"),
        "paper": PAPER,
    },
}


class SDSeg(Segmenter):
    """Latent diffusion with latent estimation, after Lin et al. (arXiv:2406.18361) and their code; own autoencoder.

    Stage "autoencoder" trains a variational autoencoder of label maps, that of LSegDiff with four latent channels,
    where the source has Stable Diffusion's, frozen as released. Stage "denoiser" leaves it alone and trains an encoder
    of the image, whose output is concatenated with the noisy latent, and a U-Net that estimates the noise. The mean
    absolute errors of the noise and of the clean latent that follows from it are added, so that a single reverse step
    from pure noise gives the segmentation.

    spatial_dims: 2, or 3, for which the same networks have 3D layers; in_channels: of the image; classes: background
    included; image_size: one entry per axis, each a multiple of 128 (size "paper"), 32 ("small"; 16 in 3D) or 16
    ("tiny"); in 3D not all of them the smallest.
    size: "paper" (329.4 M parameters in 2D, of which 295.0 M the U-Net's and 34.2 M the vision encoder's), "small"
    (3.2 M, 2.5 M in 3D), "tiny" (0.3 M, 0.9 M).
    prediction: what the U-Net returns: the noise ("eps", as published; None in size "paper") or the clean latent ("x0";
    None elsewhere). Each follows from the other, and the loss is the same function of either.

    `steps` of a `Sampling` is the number of times from T-1 to the noise-free one, both included: 2 is the published
    single step. `prepare_stage` measures over the training set, before the first stage, the frequencies of the classes;
    before the second, what `MaskAutoencoder.measure` does.
    Raises ValueError for an unknown size or prediction, for data it does not support and for an image size that cannot
    be halved often enough.
    """

    stages = tuple(PARTS)
    generative = True
    ema_decay = 0.9999

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        classes: int,
        image_size: Sequence[int],
        size: str = "small",
        prediction: str | None = None,
    ) -> None:
        super().__init__()
        reason = self.supports(spatial_dims, classes)
        if reason:
            raise ValueError(reason)
        for key, value, options in (
            ("size", size, tuple(SIZES[2])),
            ("prediction", prediction, (*PREDICTIONS, None)),
        ):
            if value not in options:
                raise ValueError(f"method.{key} is {value!r}, expected one of {', '.join(map(str, options))}.")
        chosen = SIZES[spatial_dims][size]
        layout = chosen.layout
        self.prediction = prediction or chosen.prediction
        self.latent_size = layout.latent_size(image_size, spatial_dims, f"SDSeg of size {size!r}")
        self.autoencoder = MaskAutoencoder(spatial_dims, classes, layout, self.latent_size, LATENT_CHANNELS)
        self.vision_encoder = VisionEncoder(
            spatial_dims, in_channels, LATENT_CHANNELS, layout.stem, layout.image, chosen.groups, DROPOUT
        )
        self.denoiser = GuidedUNet(
            spatial_dims,
            2 * LATENT_CHANNELS,
            LATENT_CHANNELS,
            layout.denoiser,
            chosen.blocks,
            chosen.attention,
            layout.heads,
            chosen.groups,
            DROPOUT,
            residual=True,
        )
        self.apply(channels_last)

    @classmethod
    def supports(cls, spatial_dims: int, classes: int, **arguments: Any) -> str | None:
        """None in 2D and 3D. See `Segmenter`."""
        if spatial_dims not in SIZES:
            return f"SDSeg is implemented for 2D and 3D images; the data are {spatial_dims}D."
        return None

    # ---- training ---------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def prepare_stage(self, stage: str, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Measure over the training set what a stage starts from. See `Segmenter`.

        Before stage "autoencoder": the frequencies of the classes, from which the logits start (`LabelDecoder.expect`).
        Before stage "denoiser": what stays fixed from then on (`MaskAutoencoder.measure`).
        """
        if stage == "autoencoder":
            self.autoencoder.decoder.expect(label for _, label in batches)
        else:
            self.autoencoder.measure([label.byte() for _, label in batches])

    def loss(self, image: Tensor, label: Tensor, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Stage "autoencoder": total, ce, dice, kl, as LSegDiff; "denoiser": total, noise, latent. See `Segmenter`."""
        if stage == "autoencoder":
            return self._reconstruction(label, generator)
        return self._estimation(image, label, generator)

    def _reconstruction(self, label: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross entropy + 2 Dice of the reconstructed label, and the KL divergence that keeps latents in bounds."""
        mu, log_var = self.autoencoder.encode(label)
        noise = torch.randn(mu.shape, generator=generator).to(mu.device)
        logits = self.autoencoder.decoder(mu + (0.5 * log_var).exp() * noise)
        log_probability = F.log_softmax(logits.float(), dim=1)
        ce = F.nll_loss(log_probability, label)
        dice = dice_loss(log_probability.exp(), label)
        kl = kl_divergence(mu, log_var)
        return {"total": ce + DICE_WEIGHT * dice + KL_WEIGHT * kl, "ce": ce, "dice": dice, "kl": kl}

    def _estimation(self, image: Tensor, label: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean absolute errors of the noise and of the clean latent at random times, with the autoencoder as it is."""
        self.autoencoder.eval()  # neither running statistics nor dropout
        with torch.no_grad():
            z0 = self.autoencoder.scale(self.autoencoder.encode(label)[0])
        t = torch.randint(0, TIMESTEPS, (len(z0),), generator=generator).to(z0.device)
        noise = torch.randn(z0.shape, generator=generator).to(z0.device)
        alpha_bar = scaled_linear_alpha_bar(t)
        z_t = q_sample(z0, alpha_bar, noise)
        eps_hat, z0_hat = self._estimates(z_t, self.vision_encoder(self._input(image)), t, alpha_bar)
        # The published loss: both errors, the second weighted by lambda = 1.
        errors = {"noise": F.l1_loss(eps_hat, noise), "latent": F.l1_loss(z0_hat, z0)}
        return {"total": errors["noise"] + LATENT_WEIGHT * errors["latent"], **errors}

    def _estimates(self, z_t: Tensor, z_i: Tensor, t: Tensor, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
        """(eps_hat, z0_hat), of which the denoiser returns one; the forward process solved for it is the other.

        z_t: (B, 4, *latent); z_i: the image's embedding, likewise; t, alpha_bar: (B,). In z_t's type.
        """
        found = self.denoiser(torch.cat([z_t.to(z_i), z_i], dim=1), t).to(z_t)
        signal, spread = (per_sample(c, z_t) for c in (alpha_bar.sqrt(), (1 - alpha_bar).sqrt()))
        if self.prediction == "eps":
            return found, (z_t - spread * found) / signal
        return (z_t - signal * found) / spread, found

    def parameter_groups(self, stage: str) -> list[dict]:
        """One group per component of the stage (`PARTS`); the other stage's stay as they are."""
        return [{"name": name, "params": list(getattr(self, name).parameters())} for name in PARTS[stage]]

    def averaged(self, stage: str) -> tuple[str, ...]:
        """What stage "denoiser" trains; the autoencoder is used as it was trained. See `Segmenter`."""
        return PARTS[stage] if stage == "denoiser" else ()

    # ---- latents ----------------------------------------------------------------------------------------------------

    def encode(self, label: Tensor) -> Tensor:
        """Scaled latent (B, 4, *latent) of a label (B, *spatial): the mean that the autoencoder gives."""
        return self.autoencoder.scale(self.autoencoder.encode(label)[0])

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Class probabilities (B, classes, *spatial) float32 of scaled latents (B, 4, *latent), any floating type."""
        return self.autoencoder.probabilities(self.autoencoder.unscale(z))

    @torch.no_grad()
    def reconstruct(self, label: Tensor) -> Tensor:
        """Class probabilities after encoding and decoding a label (B, *spatial): what no sampling can surpass."""
        return self.autoencoder.probabilities(self.autoencoder.encode(label)[0])

    def process(self) -> Process:
        """The diffusion of the label's scaled latent on Stable Diffusion's schedule. See `Segmenter`."""
        return variance_preserving(True, self.encode, self.decode, scaled_linear_alpha_bar)

    # ---- inference --------------------------------------------------------------------------------------------------

    @staticmethod
    def _input(image: Tensor) -> Tensor:
        """An image as the vision encoder sees it, each scaled to [-1, 1] on its own."""
        return 2 * min_max(image) - 1

    @torch.no_grad()
    def embed(self, image: Tensor) -> Tensor:
        """Embedding (B, 4, *latent) of an image (B, C, *spatial), the same for all steps of all samples."""
        return self.vision_encoder(self._input(image))

    @torch.no_grad()
    def segment(
        self,
        image: Tensor,
        sampling: Sampling,
        generators: Sequence[torch.Generator],
        callback: Callback | None = None,
        embedding: Tensor | None = None,
    ) -> Tensor:
        """Mean class probabilities of `sampling.ensemble` samples. See `Segmenter`.

        The callback sees the scaled latents of the first sample only, at `steps` times from T-1 to the noise-free -1.
        """
        z_i = self.embed(image) if embedding is None else embedding
        total = 0.0
        for _ in range(sampling.ensemble):
            total = total + self.decode(self._sample(z_i, sampling, generators, callback))
            callback = None
        return total / sampling.ensemble

    def _sample(
        self, z_i: Tensor, sampling: Sampling, generators: Sequence[torch.Generator], callback: Callback | None
    ) -> Tensor:
        """One scaled latent per image, float64."""

        def draw() -> Tensor:
            return sampler.draw_normal((LATENT_CHANNELS, *self.latent_size), generators, z_i.device)

        def predict(z: Tensor, t: float) -> Tensor:
            times = torch.full((len(z),), t, dtype=torch.float64, device=z.device)
            return self._estimates(z, z_i, times, scaled_linear_alpha_bar(times))[0]

        return sampler.sample(
            predict,
            draw(),
            single_step_pairs(sampling.steps),
            scaled_linear_alpha_bar,
            solver=sampling.sampler,
            eta=sampling.stochasticity,
            noise=draw,
            bound=sampler.clip(self.autoencoder.bound.item()),
            callback=callback,
        )
