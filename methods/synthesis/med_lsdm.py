"""Med-LSDM: volumes from label maps by diffusion in the latent space of a VQ-GAN."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.diffusion import sampler
from methods.diffusion.schedule import cosine_alpha_bar, per_sample, q_sample
from methods.synthesis.adversarial import adversarial_losses
from methods.synthesis.base import Synthesizer, scaled
from methods.synthesis.codebook import Codebook
from methods.synthesis.latent_unet import LatentUNet
from methods.synthesis.spade import one_hot
from methods.synthesis.vqgan import FACTOR, Decoder, Discriminators, Encoder

PARTS = {"autoencoder": ("encoder", "decoder", "judges"), "diffusion": ("network",)}
"""Components with parameters that are trained in each stage."""
DECODERS = ("normal", "spade")
SAMPLERS = ("ddpm", "ddim")
PREDICTIONS = ("eps", "v")
LATENT = 8
"""Channels of the latents and of the codes."""
L1_WEIGHT = 4.0
DROPPED = 0.1
"""Share of the training maps that are blanked, so that guidance has an estimate without a map (Ho & Salimans 2022,
arXiv:2207.12598). Med-LSDM's code blanks maps in sampling only, where its network has never seen one."""


class Size(NamedTuple):
    """Of the autoencoder: its width, groups of its normalisations, codes, width and layers of the discriminators,
    training batches before they join. Of `LatentUNet`: widths, map_widths, map_channels, heads, head. Of both: hidden
    channels of `Spade`. Of the diffusion: times, what the network returns, decay of the moving average, the sampler.
    rate: of the autoencoder, as a multiple of the learning rate."""

    width: int
    groups: int
    codes: int
    judge_width: int
    judge_layers: int
    join: int
    widths: tuple[int, ...]
    map_widths: tuple[int, int]
    map_channels: int
    heads: int
    head: int
    hidden: int
    timesteps: int
    prediction: str
    ema_decay: float
    sampler: str
    rate: float


SIZES = {
    "tiny": Size(4, 4, 64, 4, 1, 2, (8, 16), (8, 8), 8, 2, 8, 8, 100, "v", 0.9, "ddim", 1.0),
    "small": Size(8, 8, 256, 16, 2, 300, (32, 64), (16, 32), 32, 4, 16, 16, 100, "v", 0.99, "ddim", 1.0),
    "paper": Size(
        16, 32, 16384, 64, 3, 10_000, (64, 128, 256, 512), (64, 128), 64, 8, 32, 128, 500, "eps", 0.9995, "ddpm", 1.9
    ),
}


class MedLSDM(Synthesizer):
    """Semantic diffusion of the latents of volumes, after Med-LSDM (TWWinde/medicaldiffusion) and its code.

    Stage "autoencoder" trains a VQ-GAN: L1, commitment, and after `join` batches the adversarial losses of two
    discriminators, of volumes and of slices. Stage "diffusion" leaves it alone and trains `LatentUNet` on the latents
    before quantisation, scaled to [-1, 1] by the extremes of the codebook, and the label maps; a tenth of the maps is
    blanked. A volume is sampled from noise with guidance, quantised and decoded. Slices are those along the last axis
    of a volume, which is the depth.

    spatial_dims: 3; in_channels: of the volumes; classes: background included; image_size: the last side a multiple of
    4, the others of 32 (size "paper") or 8.
    size: "paper" (as published), "small" or "tiny".
    decoder: whether the decoder of the autoencoder sees the map ("spade") or not ("normal").
    map_channels: of what the diffusion sees of a map, the "channels" of Med-LSDM's table; None: 64 (size "paper"), 32
    ("small") or 8 ("tiny").
    prediction: what the network returns, "eps" (as published; None in size "paper") or "v" (None elsewhere), compared
    by its mean absolute error. See `EchoFromNoise`.
    guidance: w of eps_c + w (eps_c - eps_0), eps_0 estimated without a map; 0: none. Weights do not depend on it.
    sampler: "ddpm" (ancestral, as published; None in size "paper") or "ddim". Weights do not depend on it.
    field: whether maps tell where volumes have content; see `Synthesizer`.
    Raises ValueError for images, what is not among these, and sides that cannot be halved often enough.
    """

    stages = tuple(PARTS)
    generative = True

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        classes: int,
        image_size: Sequence[int],
        size: str = "paper",
        decoder: str = "normal",
        map_channels: int | None = None,
        prediction: str | None = None,
        guidance: float = 1.5,
        sampler: str | None = None,
        field: bool = False,
    ) -> None:
        super().__init__(spatial_dims, in_channels, classes, image_size, field)
        for key, value, options in (
            ("size", size, tuple(SIZES)),
            ("decoder", decoder, DECODERS),
            ("prediction", prediction, (*PREDICTIONS, None)),
            ("sampler", sampler, (*SAMPLERS, None)),
        ):
            if value not in options:
                raise ValueError(f"method.{key} is {value!r}, expected one of {', '.join(map(str, options))}.")
        if map_channels is not None and map_channels < 1:
            raise ValueError(f"method.map_channels is {map_channels}, expected a whole number above 0, or null.")
        if not guidance >= 0:
            raise ValueError(f"method.guidance is {guidance}, expected a number from 0, which is none.")
        layout = SIZES[size]
        divisor = FACTOR * 2 ** (len(layout.widths) - 1)
        *plane, depth = self.image_size
        if any(side % divisor for side in plane) or depth % FACTOR:
            raise ValueError(
                f"image_size is {self.image_size}, but Med-LSDM of size {size!r} needs multiples of {divisor}, of "
                f"{FACTOR} along the last axis: round image_size to such values."
            )
        self.layout, self.ema_decay, self.guidance = layout, layout.ema_decay, guidance
        self.prediction, self.sampler = prediction or layout.prediction, sampler or layout.sampler
        self.map_channels, self.steered = map_channels or layout.map_channels, decoder == "spade"
        self.encoder = Encoder(in_channels, layout.width, LATENT, layout.groups)
        self.codebook = Codebook(layout.codes, LATENT)
        steer = (self.codes, layout.hidden) if self.steered else ()
        self.decoder = Decoder(in_channels, layout.width, LATENT, layout.groups, *steer)
        self.judges = Discriminators(in_channels, layout.judge_width, layout.judge_layers)
        self.network = LatentUNet(
            LATENT, self.codes, depth // FACTOR, layout.widths, layout.map_widths, self.map_channels, layout.hidden,
            layout.heads, layout.head,
        )  # fmt: skip
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))
        self.register_buffer("low", torch.tensor(-1.0))
        self.register_buffer("high", torch.tensor(1.0))

    @classmethod
    def supports(cls, spatial_dims: int, classes: int, **arguments: Any) -> str | None:
        """None for volumes. See `Segmenter.supports`."""
        if spatial_dims != 3:
            return f"Med-LSDM is published for volumes; the data are {spatial_dims}D."
        return None

    def alpha_bar(self, t: Tensor) -> Tensor:
        """Share of signal variance at times 0..T, T the method's number of times, float64."""
        return cosine_alpha_bar(t, self.layout.timesteps)

    # ---- training ---------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def prepare_stage(self, stage: str, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Before stage "diffusion": keep the extremes of the codebook, by which latents are scaled from then on."""
        if stage == "diffusion":
            low, high = self.codebook.extremes()
            self.low.copy_(low)
            # A codebook of one value would be scaled by nothing.
            self.high.copy_(torch.maximum(high, low + 1e-6))

    def loss(self, image: Tensor, label: Tensor, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Stage "autoencoder": total, l1, commitment and, in training once they have joined, adversarial (with feature
        matching) and judges, the discriminators' own. Stage "diffusion": total alone. See `Synthesizer`."""
        volume, condition = depth_first(scaled(image)), self._one_hot(self.condition(image, label))
        if stage == "autoencoder":
            return self._autoencoder_loss(volume, condition, generator)
        return {"total": self._diffusion_loss(volume, condition, generator)}

    def _autoencoder_loss(self, volume: Tensor, condition: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        quantised, commitment = self.codebook(self.encoder(volume), generator)
        found = self.decode(quantised, condition)
        l1 = F.l1_loss(found, volume)
        losses = {"total": L1_WEIGHT * l1 + commitment, "l1": l1, "commitment": commitment}
        if not self.training:
            return losses
        self.batches += 1
        if self.batches > self.layout.join:
            slices = torch.randint(0, volume.shape[2], (len(volume),), generator=generator).tolist()
            adversarial, judges = adversarial_losses(self.judges, volume, found, slices)
            losses |= {"adversarial": adversarial, "judges": judges, "total": losses["total"] + adversarial + judges}
        return losses

    def _diffusion_loss(self, volume: Tensor, condition: Tensor, generator: torch.Generator) -> Tensor:
        with torch.no_grad():
            z0 = self.scale(self.encoder(volume))
        t = torch.randint(1, self.layout.timesteps + 1, (len(z0),), generator=generator)
        noise = torch.randn(z0.shape, generator=generator).to(z0)
        blank = torch.rand(len(z0), generator=generator) < DROPPED
        if self.training:
            condition = condition.masked_fill(blank.to(condition.device)[:, None, None, None, None], 0)
        a = self.alpha_bar(t).to(z0.device)
        found = self.network(q_sample(z0, a, noise), condition, t.to(z0.device))
        signal, spread = (per_sample(c, z0) for c in (a.sqrt(), (1 - a).sqrt()))
        # Salimans & Ho 2022 (arXiv:2202.00512), appendix D: v = sqrt(a) eps - sqrt(1 - a) z0.
        return F.l1_loss(found, noise if self.prediction == "eps" else signal * noise - spread * z0)

    def parameter_groups(self, stage: str) -> list[dict]:
        """One group per component of the stage (`PARTS`); the other stage's stay as they are."""
        rate = self.layout.rate if stage == "autoencoder" else 1.0
        return [
            {"name": name, "params": list(getattr(self, name).parameters()), "lr_factor": rate} for name in PARTS[stage]
        ]

    def optimizer(self, stage: str, learning_rate: float) -> torch.optim.Optimizer:
        """Adam, in stage "autoencoder" with the moments that adversarial training takes, 0.5 and 0.9."""
        betas = (0.5, 0.9) if stage == "autoencoder" else (0.9, 0.999)
        groups = [
            {"params": group["params"], "lr": learning_rate * group["lr_factor"]}
            for group in self.parameter_groups(stage)
        ]
        return torch.optim.Adam(groups, lr=learning_rate, betas=betas, fused=True)

    def averaged(self, stage: str) -> tuple[str, ...]:
        """The diffusion's network; the autoencoder is used as it was trained."""
        return PARTS["diffusion"] if stage == "diffusion" else ()

    # ---- latents ----------------------------------------------------------------------------------------------------

    def _one_hot(self, label_map: Tensor) -> Tensor:
        """Maps (B, *image_size) as the networks see them: (B, codes, D, H, W)."""
        return depth_first(one_hot(label_map, self.codes))

    def scale(self, z: Tensor) -> Tensor:
        """Latents as the diffusion sees them: the codebook's extremes at -1 and 1."""
        return 2 * (z - self.low) / (self.high - self.low) - 1

    def unscale(self, z: Tensor) -> Tensor:
        """Latents as the autoencoder has them: the inverse of `scale`."""
        return (z + 1) / 2 * (self.high - self.low) + self.low

    def decode(self, quantised: Tensor, condition: Tensor) -> Tensor:
        """(B, 8, D/4, H/4, W/4), one-hot maps (B, codes, D, H, W) -> volumes (B, C, D, H, W) in [-1, 1]."""
        return self.decoder(quantised, condition if self.steered else None)

    @torch.no_grad()
    def reconstruct(self, image: Tensor, label_map: Tensor) -> Tensor:
        """Volumes (B, C, *image_size) in [0, 1] with their maps, encoded, quantised and decoded, in [-1, 1]: what the
        diffusion can reach at best."""
        quantised = self.codebook.quantise(self.encoder(depth_first(scaled(image))))
        return depth_last(self.decode(quantised, self._one_hot(label_map)))

    # ---- sampling ---------------------------------------------------------------------------------------------------

    def guided(self, z: Tensor, condition: Tensor, t: Tensor) -> Tensor:
        """What the network returns, guided: c + w (c - o), o what it returns for maps of zeros. As both predictions are
        affine in eps with the same terms, guiding either is guiding eps."""
        found = self.network(z, condition, t)
        if not self.guidance:
            return found
        return found + self.guidance * (found - self.network(z, torch.zeros_like(condition), t))

    def sample(self, label_map: Tensor, generators: Sequence[torch.Generator], steps: int) -> Tensor:
        """One volume for each map: latents from noise at T-1, every estimate of them clipped to [-1, 1], quantised and
        decoded. See `Synthesizer`."""
        device = self.low.device
        condition = self._one_hot(label_map.to(device))
        *plane, depth = (side // FACTOR for side in self.image_size)

        def draw() -> Tensor:
            return sampler.draw_normal((LATENT, depth, *plane), generators, device)

        def predict(z: Tensor, t: float) -> Tensor:
            times = torch.full((len(z),), t, dtype=torch.float64, device=device)
            found = self.guided(z.to(condition.dtype), condition, times).double()
            if self.prediction == "eps":
                return found
            a = self.alpha_bar(times)
            return per_sample(a.sqrt(), z) * found + per_sample((1 - a).sqrt(), z) * z

        z = sampler.sample(
            predict,
            draw(),
            sampler.time_pairs(steps, timesteps=self.layout.timesteps),
            self.alpha_bar,
            solver=self.sampler,
            eta=float(self.sampler == "ddpm"),
            noise=draw,
            bound=sampler.clip(1.0),
        )
        return depth_last(self.decode(self.codebook.quantise(self.unscale(z.to(condition.dtype))), condition))

    def network_evaluations(self, steps: int) -> int:
        """Twice those of a sampling without guidance. See `Synthesizer`."""
        return (2 if self.guidance else 1) * super().network_evaluations(steps)

    def describe(self) -> dict[str, str | int | float]:
        """See `Synthesizer`. perceptual: the network of the autoencoder's perceptual loss, which is left out."""
        own = {name: getattr(self, name) for name in ("prediction", "sampler", "guidance", "map_channels", "ema_decay")}
        decoder = DECODERS[self.steered]
        return super().describe() | own | {
            "decoder": decoder, "timesteps": self.layout.timesteps, "perceptual": "none"
        }  # fmt: skip


def depth_first(x: Tensor) -> Tensor:
    """(B, C, H, W, D), as volumes are stored, -> (B, C, D, H, W), as the networks see them."""
    return x.movedim(-1, 2).contiguous()


def depth_last(x: Tensor) -> Tensor:
    """The inverse of `depth_first`."""
    return x.movedim(2, -1)
