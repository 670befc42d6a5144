"""Echo from Noise: ultrasound images from label maps by semantic diffusion in pixel space."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.diffusion import sampler
from methods.diffusion.schedule import cosine_alpha_bar, per_sample, q_sample
from methods.synthesis import learned_variance
from methods.synthesis.base import Synthesizer, scaled
from methods.synthesis.semantic_unet import SemanticUNet
from methods.synthesis.spade import one_hot

VLB_WEIGHT = 1e-3
"""Of the variational bound, all T terms together, beside the squared error (Nichol & Dhariwal 2021, eq. 16)."""
SAMPLERS = ("ddpm", "ddim")
PREDICTIONS = ("eps", "v")


class Size(NamedTuple):
    """Of `SemanticUNet`, then: times of the diffusion, what the network returns, whether the variance is learnt, decay
    of the moving average, and the sampler."""

    widths: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...]
    head: int
    groups: int
    hidden: int
    timesteps: int
    prediction: str
    learned: bool
    ema_decay: float
    sampler: str


SIZES = {
    "tiny": Size((8, 16, 24), 1, (2,), 24, 8, 8, 200, "v", False, 0.9, "ddim"),
    "small": Size((32, 64, 96), 1, (2,), 32, 8, 32, 200, "v", False, 0.99, "ddim"),
    "paper": Size((256, 256, 512, 512, 1024, 1024), 2, (3, 4, 5), 64, 32, 128, 1000, "eps", True, 0.9999, "ddpm"),
}


class EchoFromNoise(Synthesizer):
    """Diffusion of the image itself given its label map, after Stojanovski et al. (arXiv:2305.05424) and their code.

    The network (`SemanticUNet`) estimates the noise in an image from the noisy image, its map and the time, on the
    cosine schedule. In size "paper" it also learns the variance of each step, from the variational bound.

    spatial_dims: 2; in_channels: of the images; classes: background included; image_size: each a multiple of 32 (size
    "paper") or 4.
    size: "paper" (as published), "small" or "tiny" (both without learned variance, with fewer times).
    prediction: what the network returns: the noise ("eps", as published; None in size "paper") or v, in which noise and
    image are mixed as the time says ("v"; None elsewhere). Near T an error of eps_hat is one of x0_hat many times as
    large, which short trainings do not make small enough.
    sampler: "ddpm" (ancestral, as published) or "ddim"; None: ddpm in size "paper", ddim elsewhere. Weights do not
    depend on it.
    field: whether maps tell the sector from what lies around it, as published. See `Synthesizer`.
    Raises ValueError for volumes, an unknown size or sampler, and an image size that cannot be halved often enough.
    """

    generative = True

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        classes: int,
        image_size: Sequence[int],
        size: str = "paper",
        prediction: str | None = None,
        sampler: str | None = None,
        field: bool = True,
    ) -> None:
        super().__init__(spatial_dims, in_channels, classes, image_size, field)
        for key, value, options in (
            ("size", size, tuple(SIZES)),
            ("prediction", prediction, (*PREDICTIONS, None)),
            ("sampler", sampler, (*SAMPLERS, None)),
        ):
            if value not in options:
                raise ValueError(f"method.{key} is {value!r}, expected one of {', '.join(map(str, options))}.")
        layout = SIZES[size]
        divisor = 2 ** (len(layout.widths) - 1)
        if any(side % divisor for side in self.image_size):
            raise ValueError(
                f"image_size is {self.image_size}, but Echo from Noise of size {size!r} needs multiples of {divisor}: "
                "round image_size to such values."
            )
        self.timesteps, self.learned, self.ema_decay = layout.timesteps, layout.learned, layout.ema_decay
        self.prediction, self.sampler = prediction or layout.prediction, sampler or layout.sampler
        self.network = SemanticUNet(
            2,
            in_channels,
            (2 if layout.learned else 1) * in_channels,
            self.codes,
            *layout[: Size._fields.index("timesteps")],
        )
        self.network.to(memory_format=torch.channels_last)

    @classmethod
    def supports(cls, spatial_dims: int, classes: int, **arguments: Any) -> str | None:
        """None for images. See `Segmenter.supports`."""
        if spatial_dims != 2:
            return f"Echo from Noise is published for 2D images; the data are {spatial_dims}D."
        return None

    def alpha_bar(self, t: Tensor) -> Tensor:
        """Share of signal variance at times 0..T, T the method's number of times, float64."""
        return cosine_alpha_bar(t, self.timesteps)

    # ---- training ---------------------------------------------------------------------------------------------------

    def loss(self, image: Tensor, label: Tensor, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Squared error of what the network returns and, where the variance is learnt, 0.001 of the variational bound:
        keys total, mse, vlb (bits per dimension, all T terms). See `Synthesizer`."""
        x0, condition = scaled(image), one_hot(self.condition(image, label), self.codes)
        t = torch.randint(1, self.timesteps + 1, (len(x0),), generator=generator)
        noise = torch.randn(x0.shape, generator=generator).to(x0)
        a, a_prev = (self.alpha_bar(time).to(x0.device) for time in (t, t - 1))
        x_t = q_sample(x0, a, noise)
        found, *share = self.network(x_t, condition, t.to(x0.device)).split(self.in_channels, dim=1)
        # Salimans & Ho 2022 (arXiv:2202.00512), appendix D: v = sqrt(a) eps - sqrt(1 - a) x0.
        signal, spread = (per_sample(c, x0) for c in (a.sqrt(), (1 - a).sqrt()))
        mse = F.mse_loss(found, noise if self.prediction == "eps" else signal * noise - spread * x0)
        if not self.learned:
            return {"total": mse}
        eps_hat = self._noise(found, x_t, a)
        vlb = self.timesteps * learned_variance.vlb(x0, noise, eps_hat, share[0], a, a_prev).mean()
        return {"total": mse + VLB_WEIGHT * vlb, "mse": mse, "vlb": vlb}

    def _noise(self, found: Tensor, x_t: Tensor, alpha_bar: Tensor) -> Tensor:
        """eps_hat from what the network returns for x_t: eps = sqrt(a) v + sqrt(1 - a) x_t where that is v."""
        if self.prediction == "eps":
            return found
        return per_sample(alpha_bar.sqrt(), x_t) * found + per_sample((1 - alpha_bar).sqrt(), x_t) * x_t

    # ---- sampling ---------------------------------------------------------------------------------------------------

    def sample(self, label_map: Tensor, generators: Sequence[torch.Generator], steps: int) -> Tensor:
        """One image for each map from noise at T-1, every estimate of it clipped to [-1, 1]. See `Synthesizer`."""
        device = self.network.out.weight.device
        condition = one_hot(label_map.to(device), self.codes)

        def draw() -> Tensor:
            return sampler.draw_normal((self.in_channels, *self.image_size), generators, device)

        def estimate(x: Tensor, t: float) -> Sequence[Tensor]:
            times = torch.full((len(x),), t, dtype=torch.float64, device=device)
            found, *share = self.network(x.to(condition.dtype), condition, times).split(self.in_channels, dim=1)
            return self._noise(found.double(), x, self.alpha_bar(times)), *share

        pairs, bound = sampler.time_pairs(steps, timesteps=self.timesteps), sampler.clip(1.0)
        if self.learned and self.sampler == "ddpm":
            return learned_variance.ancestral(estimate, draw(), pairs, self.alpha_bar, draw, bound)
        return sampler.sample(
            lambda x, t: estimate(x, t)[0],
            draw(),
            pairs,
            self.alpha_bar,
            solver=self.sampler,
            eta=float(self.sampler == "ddpm"),
            noise=draw,
            bound=bound,
        )

    def describe(self) -> dict[str, str | int | float]:
        """See `Synthesizer`."""
        own = {name: getattr(self, name) for name in ("prediction", "sampler", "timesteps", "ema_decay")}
        return super().describe() | own
