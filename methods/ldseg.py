"""LDSeg: segmentation by diffusion in the latent space of a label encoder, all parts trained together."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import Callback, Process, Sampling, Segmenter
from methods.blocks.convolution import channels_last
from methods.blocks.denoiser import Denoiser
from methods.blocks.downsampling import NearestDownsampling
from methods.blocks.intensity import min_max
from methods.blocks.latent import LAYOUTS, ImageEncoder, LabelDecoder, LabelEncoder
from methods.blocks.residual import DROPOUT, set_dropout
from methods.diffusion import sampler
from methods.diffusion.process import variance_preserving
from methods.diffusion.schedule import TIMESTEPS, cosine_alpha_bar, per_sample, q_sample

COMPONENTS = ("label_encoder", "label_decoder", "image_encoder", "denoiser")
DICE_WEIGHT, L2_WEIGHT = 2.0, 1.0
DICE_EPS = 1e-6


class Switch(NamedTuple):
    """A point where paper, authors' code and good practice differ: admitted values, our default, the code's value."""

    options: tuple[Any, ...]
    default: Any
    official: Any


SWITCHES = {
    "decoder_input": Switch(("difference", "x0"), "difference", "difference"),
    "latent_norm": Switch(("affine", "plain"), "affine", "affine"),
    "decode": Switch(("standard", "standard_difference", "state", "difference"), "standard", "state"),
    "sampler_norm": Switch(("sample", "estimate", "batch", "none"), "sample", "batch"),
    "noise_estimate": Switch(("residual", "plain"), "residual", "plain"),
    "noise_sharing": Switch(("sample", "batch"), "sample", "batch"),
    "t_sampling": Switch(("both", "sample", "batch", "sqrt", "mixed"), "both", "sample"),
    "time_grid": Switch(("real0", "round1"), "real0", "real0"),
    "dice_mode": Switch(("foreground", "pooled", "per_class"), "foreground", "pooled"),
    "l2_reduction": Switch(("mean", "sum"), "mean", "mean"),
    "dropout": Switch((0.0, DROPOUT), 0.0, DROPOUT),
    "image_attention": Switch(("code", "two"), "code", "code"),
    "embedding_norm": Switch(("fast", "keras"), "fast", "keras"),
    "ema_scope": Switch(("denoiser", "all"), "denoiser", "denoiser"),
    "decoder_bias": Switch(("frequency", "zero"), "frequency", "zero"),
    "label_input": Switch(("index", "onehot"), "index", "index"),
    "tf_padding": Switch((True, False), True, True),
    "attn_residual": Switch(("normed", "raw"), "normed", "normed"),
}
PRESETS = ("official",)


class LDSeg(Segmenter):
    """Latent diffusion segmenter of Zaman et al. (arXiv:2407.12952), after the authors' code for images and volumes.

    A label encoder maps the label to a latent z0, an image encoder the image to z_i of the same shape, a denoiser
    estimates the noise of z_t from (z_t, z_i, t), and a decoder reads the segmentation off z_t - eps_hat. One loss
    trains all four. Because cross entropy and Dice act through z_t - eps_hat, eps_hat learns to carry the
    segmentation even at t = T, which is why very few sampling steps do.

    spatial_dims: 2 or 3; in_channels: of the image; classes: background included; image_size: one entry per axis, each
    a multiple of 64 (size "paper"), 16 ("tiny" and, in 2D, "small") or 8 ("small" in 3D); in 3D not all of them the
    smallest.
    size: "paper" (1.77 M parameters in 2D, 3.92 M in 3D), "small" (0.69 M, 0.80 M), "tiny" (0.37 M, 0.79 M).
    preset: "official" takes every switch as the authors' code has it; a switch given explicitly wins.
    lr_factors: component name -> factor on its learning rate, 1 where absent.
    label_downsampling, image_downsampling: the paper's ablations ld and id, which replace the label or the image
    encoder by nearest-neighbour downsampling without weights (`NearestDownsampling`: of the class index, of the grey
    value); everything else still trains. Switches about a replaced encoder have no effect.

    Switches (None or absent: the preset's value, else the first one named here):
    decoder_input:   the decoder sees z_t - eps_hat ("difference") or the estimate of z0 ("x0") in training.
    decode:          what the decoder reads. "standard": z_t - eps_hat standardised per sample in training, in use the
                     sampler's last state, standardised as well. "standard_difference": the standardised difference in
                     both. "state": the plain difference in training, the last state in use. "difference": the plain
                     difference in both.
    latent_norm:     z0 is layer-normalised with ("affine") or without ("plain") a scale and shift per voxel.
    sampler_norm:    latents are standardised per sample ("sample"), over the whole batch ("batch") or not ("none"),
                     at the start of sampling and after each step. "batch" makes results depend on their batch.
                     "estimate" standardises the start and, at every step, the estimate of z0 per sample, from which
                     the noise is then computed anew: z_t keeps the variance that its time says.
    noise_estimate:  eps_hat is what the denoiser returns plus sqrt(1 - alpha_bar) z_t, the best linear guess of the
                     noise for latents of variance 1 ("residual"), or what it returns alone ("plain"). Near T, where
                     the noise is z_t itself, the decoder then reads the denoiser's answer and nothing else, instead of
                     the little that a copy of z_t through the network leaves of it.
    noise_sharing:   training noise is drawn per sample ("sample") or once for the batch ("batch").
    t_sampling:      training times are drawn from 0..T-1 per sample ("sample") or from 1..T per batch ("batch"), all
                     alike; "sqrt" draws T sqrt(u), u uniform, per sample: more often times at which only the image
                     tells what the segmentation is; "mixed" draws T-1, where it is all that tells, for half of the
                     samples; "both" shows every sample at a time from 0..T-1 and at T-1, one embedding and one latent
                     for the two.
    time_grid:       sampling times are real from T-1 to 0 ("real0") or rounded from T to 1 ("round1").
    dice_mode:       the mean over foreground classes ("foreground") or all ("per_class") that are in the batch, or sums
                     over all classes together ("pooled").
    l2_reduction:    squared noise error averaged ("mean") or summed ("sum") over a sample's latent.
    dropout:         rate in the blocks of label encoder, label decoder and image encoder: 0.0, or 0.2, which the
                     authors' code has, for trainings long enough to overfit.
    image_attention: image encoder with the code's three attention blocks ("code") or the paper's two ("two"); without
                     effect in 3D, where the code has none.
    embedding_norm:  the last batch norm of the image encoder has an epsilon of 1e-5 and a momentum of 0.1 ("fast"), or
                     Keras' 1e-3 and 0.01 ("keras"). Before it the embedding has a variance of 1e-5 at first, which an
                     epsilon of 1e-3 keeps from being normalised.
    ema_scope:       the moving average covers the denoiser ("denoiser") or all components ("all").
    decoder_bias:    before the first step the shift of the decoder's last batch norm is measured (`prepare_stage`): the
                     logarithms of the class frequencies ("frequency"), or stays "zero".
    label_input:     the label enters as its class index ("index") or as one channel per class ("onehot").
    tf_padding:      strided convolutions pad as TensorFlow does (True) or symmetrically (False); in 3D only label
                     encoder and denoiser have such layers.
    attn_residual:   the denoiser's attention adds its normalised ("normed") or its raw ("raw") input.

    Raises ValueError for an unknown size, preset, switch, switch value or component, for data it does not support and
    for an image size that cannot be halved often enough.
    """

    generative = True
    ema_decay = 0.999

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        classes: int,
        image_size: Sequence[int],
        size: str = "paper",
        preset: str | None = None,
        lr_factors: dict[str, float] | None = None,
        label_downsampling: bool = False,
        image_downsampling: bool = False,
        **switches: Any,
    ) -> None:
        super().__init__()
        reason = self.supports(spatial_dims, classes)
        if reason:
            raise ValueError(reason)
        self.switches = resolve_switches(preset, switches)
        self.classes = classes
        replaced = {"label_encoder": label_downsampling, "image_encoder": image_downsampling}
        self.components = tuple(name for name in COMPONENTS if not replaced.get(name))
        self.lr_factors = {_known("lr_factors", k, self.components): float(v) for k, v in (lr_factors or {}).items()}
        layouts = LAYOUTS[spatial_dims]
        layout = layouts[_known("size", size, tuple(layouts))]
        chosen = self.switches
        self.latent_size = layout.latent_size(image_size, spatial_dims, f"LDSeg of size {size!r}")
        self.onehot = chosen["label_input"] == "onehot" and not label_downsampling
        padding = chosen["tf_padding"]
        self.label_encoder = (
            NearestDownsampling(self.latent_size)
            if label_downsampling
            else LabelEncoder(
                spatial_dims,
                classes if self.onehot else 1,
                layout,
                self.latent_size,
                norm=chosen["latent_norm"],
                tf_padding=padding,
            )
        )
        self.label_decoder = LabelDecoder(spatial_dims, classes, layout, tf_padding=padding)
        self.image_encoder = (
            NearestDownsampling(self.latent_size)
            if image_downsampling
            else ImageEncoder(
                spatial_dims, in_channels, layout, chosen["image_attention"], padding, chosen["embedding_norm"]
            )
        )
        self.denoiser = Denoiser(spatial_dims, layout, attn_residual=chosen["attn_residual"], tf_padding=padding)
        set_dropout(self, chosen["dropout"])
        self.apply(channels_last)

    @classmethod
    def supports(cls, spatial_dims: int, classes: int, **arguments: Any) -> str | None:
        """None in 2D and 3D. See `Segmenter`."""
        if spatial_dims not in LAYOUTS:
            return f"LDSeg is implemented for 2D and 3D images; the data are {spatial_dims}D."
        return None

    # ---- training ---------------------------------------------------------------------------------------------------

    def prepare_stage(self, stage: str, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Switch `decoder_bias`. See `Segmenter`, and `LabelDecoder.expect` for the reason."""
        if self.switches["decoder_bias"] == "frequency":
            self.label_decoder.expect(label for _, label in batches)

    def loss(self, image: Tensor, label: Tensor, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        """CE + 2 Dice + L2 of one batch, with random times and noise; keys total, ce, dice, l2,
        embedding_variance. See `Segmenter`."""
        z0 = self.encode(label)
        z_i, spread = self._embedded(image)
        if self.switches["t_sampling"] == "both":
            z0, z_i, label = (torch.cat([x, x]) for x in (z0, z_i, label))
        t, noise = (draw.to(z0.device) for draw in self._draw(z0.shape, generator))
        alpha_bar = cosine_alpha_bar(t)
        z_t = q_sample(z0, alpha_bar, noise)
        eps_hat = self._noise(z_t, z_i, t)
        # What the decoder reads: the estimate of z0 (Ho et al. 2020, eq. 4, solved for it), whose gradient by eps_hat
        # grows to some 640 near T, or the plain difference, as in the authors' code, with the same gradient at all t.
        if self.switches["decoder_input"] == "x0":
            z_dn = (z_t - per_sample((1 - alpha_bar).sqrt(), z_t) * eps_hat) / per_sample(alpha_bar.sqrt(), z_t)
        else:
            z_dn = z_t - eps_hat
        log_probability = F.log_softmax(self.label_decoder(self._seen(z_dn)).float(), dim=1)
        ce = F.nll_loss(log_probability, label)
        dice = dice_loss(log_probability.exp(), label, self.switches["dice_mode"])
        l2 = (eps_hat - noise).square().mean()
        if self.switches["l2_reduction"] == "sum":
            l2 = l2 * z0[0].numel()
        total = ce + DICE_WEIGHT * dice + L2_WEIGHT * l2
        return {"total": total, "ce": ce, "dice": dice, "l2": l2, "embedding_variance": spread}

    def _embedded(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The image embedding, and its variance before the last batch norm: near 0, nothing is read off the image."""
        if not isinstance(self.image_encoder, ImageEncoder):
            z_i = self.image_encoder(min_max(image))
            return z_i, z_i.detach().float().var()
        features = self.image_encoder.features(min_max(image))
        return self.image_encoder.norm(features), features.detach().float().var()

    def parameter_groups(self, stage: str) -> list[dict]:
        """One group per trained component: Adam optimisers with a common loss are one Adam with as many groups."""
        return [
            {
                "name": name,
                "params": list(getattr(self, name).parameters()),
                "lr_factor": self.lr_factors.get(name, 1.0),
            }
            for name in self.components
        ]

    def averaged(self, stage: str) -> tuple[str, ...]:
        """Switch `ema_scope`. See `Segmenter`."""
        return self.components if self.switches["ema_scope"] == "all" else ("denoiser",)

    def _draw(self, shape: torch.Size, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Times (B,) and noise of the latents' shape, drawn on the CPU so that a seed means the same everywhere."""
        if self.switches["t_sampling"] == "batch":
            t = torch.randint(1, TIMESTEPS + 1, (1,), generator=generator).expand(shape[0])
        else:
            t = torch.randint(0, TIMESTEPS, (shape[0],), generator=generator)
        if self.switches["t_sampling"] == "sqrt":
            t = (TIMESTEPS * torch.rand(shape[0], generator=generator).sqrt()).long().clamp(max=TIMESTEPS - 1)
        if self.switches["t_sampling"] == "mixed":
            t = torch.where(torch.rand(shape[0], generator=generator) < 0.5, TIMESTEPS - 1, t)
        if self.switches["t_sampling"] == "both":  # the samples come twice
            t[len(t) // 2 :] = TIMESTEPS - 1
        rows = 1 if self.switches["noise_sharing"] == "batch" else shape[0]
        return t, torch.randn((rows, *shape[1:]), generator=generator).expand(shape)

    def _noise(self, z_t: Tensor, z_i: Tensor, t: Tensor) -> Tensor:
        """eps_hat (B, 1, *latent) of z_t of that shape at times t (B,), given the image embedding z_i."""
        found = self.denoiser(z_t, z_i, t)
        if self.switches["noise_estimate"] == "plain":
            return found
        return found + per_sample((1 - cosine_alpha_bar(t)).sqrt(), z_t).to(z_t.dtype) * z_t

    # ---- latents ----------------------------------------------------------------------------------------------------

    def encode(self, label: Tensor) -> Tensor:
        """Latent z0 (B, 1, *latent) of a label (B, *spatial), by the label encoder or what an ablation put there."""
        return self.label_encoder(self._label_input(label))

    def _label_input(self, label: Tensor) -> Tensor:
        """What the label encoder sees, float32: (B, classes, *spatial) with label_input "onehot", else one channel."""
        if self.onehot:
            return F.one_hot(label, self.classes).movedim(-1, 1).float()
        return label[:, None].float()

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Class probabilities (B, classes, *spatial) float32 of latents (B, 1, *latent) of any floating type."""
        return self.label_decoder(self._seen(z.float())).float().softmax(dim=1)

    def _seen(self, z: Tensor) -> Tensor:
        """Latents as the decoder reads them: standardised where switch `decode` says so."""
        return sampler.standardise(z) if self.switches["decode"].startswith("standard") else z

    @torch.no_grad()
    def reconstruct(self, label: Tensor) -> Tensor:
        """Class probabilities after encoding and decoding a label (B, *spatial): what no sampling can surpass."""
        return self.decode(self.encode(label))

    def process(self) -> Process:
        """The diffusion of the label's latent, on the cosine schedule. See `Segmenter`."""
        return variance_preserving(True, self.encode, self.decode, cosine_alpha_bar)

    # ---- inference --------------------------------------------------------------------------------------------------

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
        """Mean class probabilities of `sampling.ensemble` samples. See `Segmenter`.

        The callback sees the first sample only, at every time of the grid from T-1 (index 0) to 0: as many calls as
        grid points.
        """
        z_i = self.embed(image) if embedding is None else embedding
        total = 0.0
        for _ in range(sampling.ensemble):
            total = total + self.decode(self._sample(z_i, sampling, generators, callback))
            callback = None
        return total / sampling.ensemble

    def network_evaluations(self, sampling: Sampling) -> int:
        """One for each pair of the time grid: steps - 1 on "real0", up to `steps` on "round1". See `Segmenter`."""
        return sampling.ensemble * len(sampler.time_pairs(sampling.steps, self.switches["time_grid"]))

    def _sample(
        self, z_i: Tensor, sampling: Sampling, generators: Sequence[torch.Generator], callback: Callback | None
    ) -> Tensor:
        """One latent per image, float64: what the decoder is to read."""
        over = self.switches["sampler_norm"]
        difference = None

        def draw() -> Tensor:
            return sampler.draw_normal((1, *self.latent_size), generators, z_i.device)

        def predict(z: Tensor, t: float) -> Tensor:
            times = torch.full((len(z),), t, dtype=torch.float64, device=z.device)
            eps_hat = self._noise(z.to(z_i.dtype), z_i, times)
            nonlocal difference
            difference = z - eps_hat
            return eps_hat

        start = draw()
        rows = "batch" if over == "batch" else "sample"
        state = sampler.sample(
            predict,
            start if over == "none" else sampler.standardise(start, rows),
            sampler.time_pairs(sampling.steps, self.switches["time_grid"]),
            cosine_alpha_bar,
            solver=sampling.sampler,
            eta=sampling.stochasticity,
            noise=draw,
            frame=partial(sampler.moments, over=over) if over in ("sample", "batch") else None,
            bound=sampler.standardise if over == "estimate" else None,
            callback=callback,
        )
        return difference if self.switches["decode"].endswith("difference") else state


def resolve_switches(preset: str | None, given: dict[str, Any]) -> dict[str, Any]:
    """Value of every switch: the one given unless None, else the preset's, else the default; ValueError if unknown."""
    if preset is not None:
        _known("preset", preset, PRESETS)
    for name, value in given.items():
        _known("the switch", name, tuple(SWITCHES))
        if value is not None:
            _known(name, value, SWITCHES[name].options)
    base = {name: s.official if preset else s.default for name, s in SWITCHES.items()}
    return base | {name: value for name, value in given.items() if value is not None}


def dice_loss(probability: Tensor, label: Tensor, mode: str = "pooled") -> Tensor:
    """1 - 2 sum(p y) / (sum(p) + sum(y) + 1e-6), sums over batch and voxels; probability (B, C, *S), label (B, *S).

    "pooled" sums over all classes as well, which makes it 1 - the mean probability of the true class; "per_class" is
    the mean over the classes present in the labels, "foreground" the same without class 0 (0 if only that is there).
    """
    classes = probability.shape[1]
    truth = F.one_hot(label, classes).movedim(-1, 1).to(probability.dtype)
    axes = (0, *range(2, probability.ndim))
    overlap, size = (probability * truth).sum(axes), truth.sum(axes)
    mass = probability.sum(axes) + size
    if mode == "pooled":
        return 1 - 2 * overlap.sum() / (mass.sum() + DICE_EPS)
    counted = size > 0
    if mode == "foreground":
        counted = counted & (torch.arange(classes, device=size.device) > 0)
    loss = 1 - 2 * overlap / (mass + DICE_EPS)
    return (loss * counted).sum() / counted.sum().clamp(min=1)


def _known(key: str, value: Any, options: tuple[Any, ...]) -> Any:
    """`value` if it is one of the options (True and 1 told apart), else a ValueError with the nearest of them."""
    if any(value == option and type(value) is type(option) for option in options):
        return value
    near = get_close_matches(str(value), [str(option) for option in options], n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else "."
    subject = f"method: {key} {value!r} is unknown" if key == "the switch" else f"method.{key} is {value!r}"
    raise ValueError(f"{subject}, expected one of {', '.join(map(str, options))}{hint}")
