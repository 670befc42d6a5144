"""SDF-DDPM: segmentation by diffusion of the signed distance to the boundary, conditioned on the image."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.base import Callback, Process, Sampling, Segmenter
from methods.blocks.intensity import min_max
from methods.blocks.sdf_network import SDFNetwork
from methods.blocks.signed_distance import probabilities, signed_distances
from methods.diffusion import sampler, ve
from methods.diffusion.process import variance_preserving
from methods.diffusion.schedule import TIMESTEPS, linear_alpha_bar, per_sample, q_sample

PROCESSES = ("vp", "ve")
PREDICTIONS = ("eps", "x0")
# The variance-exploding process works on distances in [-0.2, 0.2] and calls a voxel foreground up to 3 SIGMA_MIN.
VE_SCALE = 5.0
VE_THRESHOLD = 3 * ve.SIGMA_MIN * VE_SCALE
VE_FIRST_TIME = 1e-5


class Size(NamedTuple):
    """Width of the finest level, its multiples from fine to coarse, channels per attention head; then as in `SDFDDPM`;
    kernel of the convolution behind the stems."""

    base: int
    multipliers: tuple[int, ...]
    head: int
    truncation: float
    prediction: str
    threshold: float
    stem_kernel: int = 7


PAPER = Size(128, (1, 2, 4, 4), 32, 15.0, "eps", 0.0)
SIZES = {
    2: {
        "tiny": Size(16, (1, 2, 4), 32, 8.0, "x0", 0.5),
        "small": Size(16, (1, 2, 4, 8), 8, 8.0, "x0", 0.5),
        "paper": PAPER,
    },
    3: {
        "tiny": Size(8, (1, 2, 4), 32, 4.0, "x0", 0.5),
        # With a kernel of 7 one convolution would take most of the time.
        "small": Size(8, (1, 2, 4, 8), 8, 4.0, "x0", 0.5, 3),
        "paper": PAPER,
    },
}


class SDFDDPM(Segmenter):
    """Diffusion of truncated signed distances, after Bogensperger et al. (arXiv:2303.05966) and their code.

    A label becomes the signed distance to its boundary, clipped at +-`truncation` voxels and scaled to [-1, 1]
    (`signed_distances`). A network reads off the noisy distance, the image and the time what noise there is; a
    segmentation is where a sampled distance is at most `threshold`. Distances of an ensemble are averaged before that.

    spatial_dims: 2, or 3, for which nothing is published and the same network has 3D layers; in_channels: of the image;
    classes: background included; image_size: one entry per axis, each a multiple of 4 (size "tiny") or 8 ("small",
    "paper").
    size: "paper" (63.7 M parameters in 2D), "small" (2.0 M), "tiny" (0.6 M); the smaller two are half as wide in 3D.
    process: "vp", on the linear schedule, sampled by any sampler; or "ve", score matching with the predictor-corrector
    sampler of the paper, which takes `steps` and `ensemble` of a `Sampling` and has no use for its sampler and eta.
    prediction: what the network returns in "vp", compared by its mean squared error: the noise ("eps", as published;
    None in size "paper") or the clean distance ("x0"; None elsewhere). Both give the same estimates once converged,
    but where noise prevails "eps" must be exact to sqrt(alpha_bar), 0.006 at the end, before it says anything about
    the segmentation, and short runs do not get there.
    truncation: voxels at which distances are clipped; None: 15 ("paper"), 8 in 2D or 4 in 3D.
    threshold: voxels; the boundary is at 0 and its neighbours outside at 1. None: as published, 0 ("paper") and three
    times the least noise level ("ve"), or half a voxel elsewhere, which forgives errors in both directions alike.
    per_class_sdf: one distance per foreground class. The published method segments one class; more need this.

    Raises ValueError for an unknown size, process or prediction, a truncation that is not positive, a threshold outside
    [0, 1), more than two classes without per_class_sdf and an image size that cannot be halved often enough.
    """

    generative = True

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        classes: int,
        image_size: Sequence[int],
        size: str = "small",
        process: str = "vp",
        prediction: str | None = None,
        truncation: float | None = None,
        threshold: float | None = None,
        per_class_sdf: bool = False,
    ) -> None:
        super().__init__()
        reason = self.supports(spatial_dims, classes, per_class_sdf)
        if reason:
            raise ValueError(reason)
        for key, value, options in (
            ("size", size, tuple(SIZES[2])),
            ("process", process, PROCESSES),
            ("prediction", prediction, (*PREDICTIONS, None)),
        ):
            if value not in options:
                raise ValueError(f"method.{key} is {value!r}, expected one of {', '.join(map(str, options))}.")
        layout = SIZES[spatial_dims][size]
        self.truncation = layout.truncation if truncation is None else float(truncation)
        if not self.truncation > 0:
            raise ValueError(
                f"method.truncation is {truncation}, expected a number of voxels above 0, or null for "
                f"{layout.truncation:g}."
            )
        if threshold is not None and not 0 <= threshold < 1:
            raise ValueError(
                f"method.threshold is {threshold}, expected voxels from 0 (the boundary) to below 1 (the first voxel "
                "outside), or null for the size's own."
            )
        image_size = tuple(image_size)
        divisor = 2 ** (len(layout.multipliers) - 1)
        if len(image_size) != spatial_dims or any(n < divisor or n % divisor for n in image_size):
            raise ValueError(
                f"image_size is {image_size}, but SDF-DDPM of size {size!r} in {spatial_dims}D needs "
                f"{spatial_dims} entries, each a multiple of {divisor}: round image_size to such values."
            )
        self.classes, self.sde = classes, process
        self.prediction = prediction or layout.prediction
        voxels = layout.threshold if threshold is None else threshold
        self.threshold = VE_THRESHOLD if process == "ve" and threshold is None else voxels / self.truncation
        self.network = SDFNetwork(
            spatial_dims, classes - 1, in_channels, layout.base, layout.multipliers, layout.head, layout.stem_kernel
        )
        if spatial_dims == 3:
            # Kernels and feature maps stored channel last: a training step on a CPU takes less time.
            self.network.to(memory_format=torch.channels_last_3d)

    @classmethod
    def supports(cls, spatial_dims: int, classes: int, per_class_sdf: bool = False, **_: Any) -> str | None:
        """None for one foreground class, or for any number with per_class_sdf. See `Segmenter`."""
        if classes > 2 and not per_class_sdf:
            return (
                f"SDF-DDPM is published for one foreground class; the data have {classes - 1}. "
                "method.per_class_sdf=true gives each class a signed distance of its own."
            )
        return None

    # ---- distances and classes --------------------------------------------------------------------------------------

    def encode(self, label: Tensor) -> Tensor:
        """Label (B, *spatial) int64 -> signed distances (B, classes - 1, *spatial) float32 in [-1, 1]."""
        return signed_distances(label, self.classes, self.truncation)

    def decode(self, distances: Tensor) -> Tensor:
        """Signed distances (B, classes - 1, *spatial) -> class probabilities (B, classes, *spatial) float32."""
        return probabilities(distances, self.threshold)

    def process(self) -> Process:
        """The diffusion of the signed distances: "vp" on the linear schedule, "ve" on distances divided by VE_SCALE.

        See `Segmenter`. The times of "ve" are 0 to 1, and its signal stays as it is.
        """
        if self.sde == "vp":
            return variance_preserving(False, self.encode, self.decode, linear_alpha_bar)

        def noised(x0: Tensor, t: float, noise: Tensor) -> Tensor:
            return x0 + ve.sigma(torch.tensor(t, dtype=torch.float64)).to(x0) * noise

        return Process(
            latent=False,
            encode=lambda label: self.encode(label) / VE_SCALE,
            noised=noised,
            decode=lambda x: self.decode(VE_SCALE * x),
            alpha_bar=None,
        )

    # ---- training ---------------------------------------------------------------------------------------------------

    def loss(self, image: Tensor, label: Tensor, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean squared error of the prediction ("vp") or weighted score matching ("ve"); key total. See `Segmenter`."""
        x0 = self.encode(label).to(image)
        features = self._features(image)
        noise = torch.randn(x0.shape, generator=generator).to(x0)
        if self.sde == "vp":
            t = torch.randint(0, TIMESTEPS, (len(x0),), generator=generator).to(x0.device)
            # Ho et al. 2020, algorithm 1, with the image's features as a condition.
            found = self.network(q_sample(x0, linear_alpha_bar(t), noise), features, t)
            return {"total": F.mse_loss(found, noise if self.prediction == "eps" else x0)}
        # Song et al. 2021, eq. 7, with real times.
        t = VE_FIRST_TIME + (1 - VE_FIRST_TIME) * torch.rand(len(x0), generator=generator, dtype=torch.float64)
        level = ve.sigma(t).to(x0.device)
        x_t = x0 / VE_SCALE + per_sample(level, x0) * noise
        return {"total": ve.score_loss(self.network(x_t, features, level), noise, level)}

    def _features(self, image: Tensor) -> Tensor:
        """The image, scaled to [-1, 1], through its stem: (B, C, *spatial) -> (B, 10, *spatial)."""
        return self.network.image_stem(2 * min_max(image) - 1)

    # ---- inference --------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def embed(self, image: Tensor) -> Tensor:
        """Features (B, 10, *spatial) of an image (B, C, *spatial), the same at all times of all samples."""
        return self._features(image)

    @torch.no_grad()
    def segment(
        self,
        image: Tensor,
        sampling: Sampling,
        generators: Sequence[torch.Generator],
        callback: Callback | None = None,
        embedding: Tensor | None = None,
    ) -> Tensor:
        """Class probabilities of the mean signed distance of `sampling.ensemble` samples. See `Segmenter`.

        argmax is the class of least mean distance where that is not above the threshold, else the background (see
        `probabilities`). The callback sees the first sample only: at every time of the grid from T-1 to the noise-free
        -1 ("vp"), or at `steps` times from 1 to 0 ("ve").
        """
        features = self.embed(image) if embedding is None else embedding
        total = 0.0
        for _ in range(sampling.ensemble):
            total = total + self._sample(features, sampling, generators, callback)
            callback = None
        return self.decode(total / sampling.ensemble)

    def network_evaluations(self, sampling: Sampling) -> int:
        """Samples times steps ("vp") or `ve.evaluations` ("ve"). See `Segmenter`."""
        own = sampling.steps if self.sde == "vp" else ve.evaluations(sampling.steps)
        return sampling.ensemble * own

    def _sample(
        self, features: Tensor, sampling: Sampling, generators: Sequence[torch.Generator], callback: Callback | None
    ) -> Tensor:
        """One field of signed distances per image and foreground class (B, classes - 1, *spatial), float64."""

        def draw() -> Tensor:
            return sampler.draw_normal((self.classes - 1, *features.shape[2:]), generators, features.device)

        def predict(x: Tensor, t: float) -> Tensor:
            times = torch.full((len(x),), t, dtype=torch.float64, device=x.device)
            found = self.network(x.to(features.dtype), features, times)
            if self.sde == "ve" or self.prediction == "eps":
                return found
            # The noise that leads from these clean distances to x_t: the forward process solved for it.
            a = linear_alpha_bar(t).to(x)
            return (x - a.sqrt() * found) / (1 - a).sqrt()

        if self.sde == "ve":
            return VE_SCALE * ve.sample(predict, sampling.steps, draw, callback)
        return sampler.sample(
            predict,
            draw(),
            sampler.time_pairs(sampling.steps, "clean"),
            linear_alpha_bar,
            solver=sampling.sampler,
            eta=sampling.stochasticity,
            noise=draw,
            bound=sampler.clip(1.0),
            callback=callback,
        )
