"""LSegDiff: diffusion in the latent space of a mask autoencoder that is trained beforehand."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.base import Callback, Process, Sampling, Segmenter
from methods.blocks import morphology
from methods.blocks.convolution import channels_last
from methods.blocks.denoiser import Denoiser
from methods.blocks.intensity import min_max
from methods.blocks.latent import EMBEDDING_NORMS, LAYOUTS, ImageEncoder, LabelDecoder, LabelEncoder
from methods.blocks.normalisation import measured_statistics
from methods.blocks.residual import set_dropout
from methods.diffusion import sampler
from methods.diffusion.process import variance_preserving
from methods.diffusion.schedule import TIMESTEPS, cosine_alpha_bar, per_sample, q_sample
from methods.ldseg import DICE_WEIGHT, dice_loss

PARTS = {"autoencoder": ("label_encoder", "label_decoder"), "denoiser": ("image_encoder", "denoiser")}
"""Components trained in each stage."""
OBJECTIVES = ("v", "x0", "eps")
TIMES = ("both", "sample")
POSTPROCESSING = ("morph", "none")


class LSegDiff(Segmenter):
    """Latent diffusion segmenter after "LSegDiff" (SOICT 2023), with the networks of LDSeg.

    Stage "autoencoder" trains a variational autoencoder of label maps (cross entropy + 2 Dice + KL). Stage
    "denoiser" leaves it alone and trains an image encoder and a denoiser on its latents (mean squared error
    of the estimate). A segmentation is sampled from noise, decoded and cleaned by morphological operations. The
    paper's abstract gives these steps; everything else about them is ours. Label encoder and decoder, image encoder
    and denoiser are those of LDSeg but for a label encoder that ends in a mean and a log variance per latent voxel
    without layer norm, so that the two methods differ in how they are trained.

    spatial_dims: 2 or 3; in_channels: of the image; classes: background included; image_size: one entry per axis, each
    a multiple of 64 (size "paper"), 16 ("tiny" and, in 2D, "small") or 8 ("small" in 3D); in 3D not all of them the
    smallest.
    size: "paper" (1.76 M parameters in 2D, 3.92 M in 3D), "small" (0.69 M, 0.80 M), "tiny" (0.37 M, 0.79 M).
    objective: the denoiser returns v = alpha_t noise - sigma_t z0 ("v", Salimans & Ho 2022, arXiv:2202.00512) or the
    clean latent ("x0"), both trained by the squared error of the clean latent that follows, or the noise ("eps"), whose
    squared error differs by the signal-to-noise ratio alone. Near t = T, where only the image tells what the
    segmentation is, an error of eps_hat is one of x0_hat 640 times as large: "eps" did not learn four cases by heart in
    the 400 steps that "x0" needs. With "v" the denoiser need not learn to return its input at small t.
    postprocess: "morph" (`morphology.clean`, part of the published method) or "none"; weights do not depend on it.

    t_sampling: times are drawn from 0..T-1 ("sample"); every sample is shown at T-1 as well ("both").
    embedding_norm: as in `LDSeg`. kl_weight: of the KL divergence, mean over the latent's voxels, >= 0: the noise that
    it leaves on the latents makes them smooth enough to be estimated from an image. dropout: rate in the blocks of
    label encoder, label decoder and image encoder, in [0, 1); None: 0.

    `prepare_stage` measures over the training set, before the first stage, the frequencies of the classes; before the
    second, the running statistics of the autoencoder, the mean and standard deviation by which latents are scaled, and
    their largest magnitude, which bounds the estimates of x0 while sampling. The latter are buffers: `latent_mean`,
    `latent_std`, `latent_bound`.
    Raises ValueError for an unknown size, objective or postprocess, for data it does not support and for an image
    size that cannot be halved often enough.
    """

    stages = tuple(PARTS)
    generative = True
    ema_decay = 0.999

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        classes: int,
        image_size: Sequence[int],
        size: str = "paper",
        objective: str = "v",
        postprocess: str = "morph",
        t_sampling: str = "both",
        embedding_norm: str = "fast",
        kl_weight: float = 1e-2,
        dropout: float | None = None,
    ) -> None:
        super().__init__()
        reason = self.supports(spatial_dims, classes)
        if reason:
            raise ValueError(reason)
        layouts = LAYOUTS[spatial_dims]
        for key, value, options in (
            ("size", size, layouts),
            ("objective", objective, OBJECTIVES),
            ("postprocess", postprocess, POSTPROCESSING),
            ("t_sampling", t_sampling, TIMES),
            ("embedding_norm", embedding_norm, EMBEDDING_NORMS),
        ):
            if value not in options:
                raise ValueError(f"method.{key} is {value!r}, expected one of {', '.join(options)}.")
        dropout = dropout or 0.0
        for key, value, bound in (("kl_weight", kl_weight, float("inf")), ("dropout", dropout, 1.0)):
            if not 0 <= value < bound:
                raise ValueError(f"method.{key} is {value!r}, expected a number from 0 to below {bound:g}.")
        layout = layouts[size]
        self.objective, self.postprocess = objective, postprocess
        self.t_sampling, self.kl_weight = t_sampling, kl_weight
        self.latent_size = layout.latent_size(image_size, spatial_dims, f"LSegDiff of size {size!r}")
        self.label_encoder = LabelEncoder(spatial_dims, 1, layout, self.latent_size, latent_channels=2, norm=None)
        self.label_decoder = LabelDecoder(spatial_dims, classes, layout)
        self.image_encoder = ImageEncoder(spatial_dims, in_channels, layout, embedding_norm=embedding_norm)
        self.denoiser = Denoiser(spatial_dims, layout)
        self.register_buffer("latent_mean", torch.zeros(()))
        self.register_buffer("latent_std", torch.ones(()))
        self.register_buffer("latent_bound", torch.tensor(torch.inf))
        set_dropout(self, dropout)
        self.apply(channels_last)

    @classmethod
    def supports(cls, spatial_dims: int, classes: int, **arguments: Any) -> str | None:
        """None in 2D and 3D. See `Segmenter`."""
        if spatial_dims not in LAYOUTS:
            return f"LSegDiff is implemented for 2D and 3D images; the data are {spatial_dims}D."
        return None

    # ---- training ---------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def prepare_stage(self, stage: str, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Measure over the training set what a stage starts from.

        Before stage "autoencoder": the frequencies of the classes, from which the logits start (`LabelDecoder.expect`).

        Before stage "denoiser", what stays fixed from then on. First the statistics of the autoencoder's batch
        normalisations, without dropout and without noise on the latents: those that accumulated in training were taken
        with both, which shifts the variances (Li et al. 2019, "Understanding the disharmony between dropout and batch
        normalization by variance shift"). Then the mean, the standard deviation (both summed in float64) and the
        largest magnitude of the latents.
        """
        if stage == "autoencoder":
            self.label_decoder.expect(label for _, label in batches)
            return
        labels = [label.byte() for _, label in batches]
        autoencoder = nn.ModuleList([self.label_encoder, self.label_decoder])
        with measured_statistics(autoencoder):
            for label in labels:
                self.label_decoder(self.encode(label)[0])
        moments, low, high = torch.zeros(3, dtype=torch.float64), torch.inf, -torch.inf
        for label in labels:
            mu = self.encode(label)[0].double()
            moments += torch.stack([mu.new_tensor(mu.numel()), mu.sum(), mu.square().sum()]).cpu()
            low, high = min(low, mu.min().item()), max(high, mu.max().item())
        count, total, squares = moments
        mean = total / count
        self.latent_mean.copy_(mean)
        # Equal latents everywhere would be scaled by their rounding error.
        self.latent_std.copy_((squares / count - mean**2).clamp(min=1e-12).sqrt())
        self.latent_bound.copy_(self.scale(torch.tensor([low, high]).to(self.latent_mean)).abs().max())

    def loss(self, image: Tensor, label: Tensor, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Stage "autoencoder": total, ce, dice, kl; stage "denoiser": total alone. See `Segmenter`."""
        return self._autoencoder_loss(label, generator) if stage == "autoencoder" else self._l2(image, label, generator)

    def _autoencoder_loss(self, label: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross entropy + 2 Dice of the reconstructed label, and the KL divergence that keeps latents in bounds."""
        mu, log_var = self.encode(label)
        noise = torch.randn(mu.shape, generator=generator).to(mu.device)
        # A latent is drawn as mu + sigma noise (Kingma & Welling 2014, sec. 2.4), so that gradients reach both.
        logits = self.label_decoder(mu + (0.5 * log_var).exp() * noise)
        log_probability = F.log_softmax(logits.float(), dim=1)
        ce = F.nll_loss(log_probability, label)
        dice = dice_loss(log_probability.exp(), label)
        kl = kl_divergence(mu, log_var)
        return {"total": ce + DICE_WEIGHT * dice + self.kl_weight * kl, "ce": ce, "dice": dice, "kl": kl}

    def _l2(self, image: Tensor, label: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Squared error of what the denoiser estimates, at random times, with the autoencoder as it is."""
        self.label_encoder.eval()  # neither running statistics nor dropout
        with torch.no_grad():
            z0 = self.scale(self.encode(label)[0])
        z_i = self.image_encoder(min_max(image))
        t = torch.randint(0, TIMESTEPS, (len(z0),), generator=generator)
        if self.t_sampling == "both":  # every sample once more, at T-1
            z0, z_i = torch.cat([z0, z0]), torch.cat([z_i, z_i])
            t = torch.cat([t, torch.full_like(t, TIMESTEPS - 1)])
        noise = torch.randn(z0.shape, generator=generator).to(z0.device)
        alpha_bar = cosine_alpha_bar(t.to(z0.device))
        z_t = q_sample(z0, alpha_bar, noise)
        estimate = self.denoiser(z_t, z_i, t.to(z0.device))
        if self.objective == "eps":
            return {"total": F.mse_loss(estimate, noise)}
        return {"total": F.mse_loss(self._clean(estimate, z_t, alpha_bar), z0)}

    def _clean(self, estimate: Tensor, z_t: Tensor, alpha_bar: Tensor | float) -> Tensor:
        """Estimate of z0 from what the denoiser returns for z_t, objectives "v" and "x0"."""
        if self.objective == "x0":
            return estimate
        # Salimans & Ho 2022, appendix D: x0_hat = alpha_t z_t - sigma_t v_hat.
        signal, spread = (per_sample(c, z_t) for c in (alpha_bar**0.5, (1 - alpha_bar) ** 0.5))
        return signal * z_t - spread * estimate

    def parameter_groups(self, stage: str) -> list[dict]:
        """One group per component of the stage (`PARTS`); the other stage's stay as they are."""
        return [{"name": name, "params": list(getattr(self, name).parameters())} for name in PARTS[stage]]

    def averaged(self, stage: str) -> tuple[str, ...]:
        """What stage "denoiser" trains; the autoencoder is used as it was trained. See `Segmenter`."""
        return PARTS[stage] if stage == "denoiser" else ()

    # ---- latents ----------------------------------------------------------------------------------------------------

    def encode(self, label: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance, each (B, 1, *latent), of the latents of a label (B, *spatial)."""
        mu, log_var = self.label_encoder(label[:, None].float()).chunk(2, dim=1)
        return mu, log_var

    def scale(self, mu: Tensor) -> Tensor:
        """Latents as the denoiser sees them: mean 0, standard deviation 1 over the training set."""
        return (mu - self.latent_mean) / self.latent_std

    def unscale(self, z: Tensor) -> Tensor:
        """Latents as the autoencoder has them: the inverse of `scale`."""
        return z * self.latent_std + self.latent_mean

    @torch.no_grad()
    def decode(self, mu: Tensor) -> Tensor:
        """Class probabilities (B, classes, *spatial) float32 of unscaled latents (B, 1, *latent), any floating type."""
        return self.label_decoder(mu.float()).float().softmax(dim=1)

    # ---- inference --------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def reconstruct(self, label: Tensor) -> Tensor:
        """Class probabilities after encoding and decoding a label (B, *spatial), without any post-processing."""
        return self.decode(self.encode(label)[0])

    def process(self) -> Process:
        """The diffusion of the label's scaled latent, on the cosine schedule; decoded states are post-processed.

        See `Segmenter`. The latent is the mean that the label encoder gives, as in training.
        """
        return variance_preserving(
            True,
            encode=lambda label: self.scale(self.encode(label)[0]),
            decode=lambda z: self._postprocessed(self.decode(self.unscale(z))),
            alpha_bar=cosine_alpha_bar,
        )

    @torch.no_grad()
    def embed(self, image: Tensor) -> Tensor:
        """Image embedding z_i (B, 1, *latent) of an image (B, C, *spatial)."""
        return self.image_encoder(min_max(image))

    @torch.no_grad()
    def segment(
        self,
        image: Tensor,
        sampling: Sampling,
        generators: Sequence[torch.Generator],
        callback: Callback | None = None,
        embedding: Tensor | None = None,
    ) -> Tensor:
        """Mean class probabilities of `sampling.ensemble` samples, post-processed. See `Segmenter`.

        The callback sees the scaled latents of the first sample only, at every time of the grid from T-1 to 0.
        """
        z_i = self.embed(image) if embedding is None else embedding
        total = 0.0
        for _ in range(sampling.ensemble):
            total = total + self.decode(self.unscale(self._sample(z_i, sampling, generators, callback)))
            callback = None
        return self._postprocessed(total / sampling.ensemble)

    def _postprocessed(self, probability: Tensor) -> Tensor:
        """Class probabilities (B, classes, *spatial), cleaned where `postprocess` says so."""
        return morphology.clean(probability) if self.postprocess == "morph" else probability

    def _sample(
        self, z_i: Tensor, sampling: Sampling, generators: Sequence[torch.Generator], callback: Callback | None
    ) -> Tensor:
        """One scaled latent per image, float64."""

        def draw() -> Tensor:
            return sampler.draw_normal((1, *self.latent_size), generators, z_i.device)

        def predict(z: Tensor, t: float) -> Tensor:
            times = torch.full((len(z),), t, dtype=torch.float64, device=z.device)
            estimate = self.denoiser(z.to(z_i.dtype), z_i, times)
            if self.objective == "eps":
                return estimate
            # The noise that leads from this clean latent to z_t: the forward process solved for it.
            alpha_bar = cosine_alpha_bar(times)
            clean = self._clean(estimate, z, alpha_bar)
            return (z - per_sample(alpha_bar.sqrt(), z) * clean) / per_sample((1 - alpha_bar).sqrt(), z)

        return sampler.sample(
            predict,
            draw(),
            sampler.time_pairs(sampling.steps),
            cosine_alpha_bar,
            solver=sampling.sampler,
            eta=sampling.stochasticity,
            noise=draw,
            bound=sampler.clip(self.latent_bound.item()),
            callback=callback,
        )


def kl_divergence(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL divergence of N(mu, exp(log_var)) from N(0, 1), mean over all entries (Kingma & Welling 2014, appendix B)."""
    return 0.5 * (mu.square() + log_var.exp() - 1 - log_var).mean()
