"""FlowSDF: segmentation by a flow from noise to the signed distance to the boundary, conditioned on the image."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.base import Callback, Process, Sampling, Segmenter
from methods.blocks.convolution import channels_last
from methods.blocks.guided_unet import GuidedUNet
from methods.blocks.intensity import min_max
from methods.blocks.rrdb import DenseEncoder
from methods.blocks.signed_distance import probabilities, signed_distances
from methods.diffusion import flow, sampler

PUBLISHED_THRESHOLD = 0.03
"""Of the normalised distances, three times the 0.01 of the authors' configurations: 0.45 of their 15 voxels."""


class Size(NamedTuple):
    """Widths of the levels and residual blocks per level; levels with attention; groups of the normalisations.

    Then of the image encoder its width, growth and number of blocks (`DenseEncoder`); truncation and threshold as in
    `FlowSDF`, the threshold in voxels.
    """

    widths: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...]
    groups: int
    encoder: tuple[int, int, int]
    truncation: float
    threshold: float


PAPER = Size((128, 128, 256, 256, 512, 512), 3, (3, 4), 32, (64, 32, 12), 15.0, 15 * PUBLISHED_THRESHOLD)
SIZES = {
    2: {
        "tiny": Size((16, 32, 64), 1, (2,), 8, (8, 4, 1), 8.0, 0.5),
        # An eighth of the published widths, two blocks instead of three.
        "small": Size((16, 16, 32, 32, 64, 64), 2, (3, 4), 8, (8, 4, 2), 8.0, 0.5),
        "paper": PAPER,
    },
    3: {
        "tiny": Size((8, 16, 32), 1, (2,), 4, (8, 4, 1), 4.0, 0.5),
        "small": Size((8, 16, 32, 64), 1, (2, 3), 4, (8, 2, 1), 4.0, 0.5),
        "paper": PAPER,
    },
}


class FlowSDF(Segmenter):
    """Flow matching on truncated signed distances, after Bogensperger et al. (arXiv:2405.18087) and their code.

    A label becomes the signed distance to its boundary, as in SDF-DDPM. A network reads off a state of the straight
    path from noise to that distance, the image and the time what the velocity is (squared error); a segmentation is
    where the end of a path that starts in noise is at most `threshold`. Distances of an ensemble are averaged before.

    spatial_dims: 2, or 3, for which nothing is published and the same networks have 3D layers; in_channels: of the
    image; classes: background included; image_size: one entry per axis, each a multiple of 4 (size "tiny"), 32 ("paper"
    and, in 2D, "small") or 8 ("small" in 3D).
    size: "paper" (160.6 M parameters in 2D), "small" (1.8 M, also in 3D), "tiny" (0.7 M, 0.5 M).
    truncation: voxels at which distances are clipped; None: 15 ("paper"), 8 in 2D or 4 in 3D.
    threshold: voxels; the boundary is at 0 and its neighbours outside at 1. None: 0.45 as published ("paper"), or 0.5.
    state: what the network sees while sampling: the state of the path ("ode"), as in training, or the state with the
    initial noise mixed in once more ("code"), as in the authors' sampler; see `flow.euler`. Weights ignore it.
    per_class_sdf: one distance per foreground class. What is published is about one class; more need this.

    `steps` of a `Sampling` is the number of times from noise to distance, both ends included: `steps` - 1 evaluations.
    Euler's method is the only sampler, so its `sampler` and `eta` have no effect.
    Raises ValueError for an unknown size or state, a truncation that is not positive, a threshold outside [0, 1), more
    than two classes without per_class_sdf and an image size that cannot be halved often enough.
    """

    generative = True
    ema_decay = 0.9999

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        classes: int,
        image_size: Sequence[int],
        size: str = "small",
        truncation: float | None = None,
        threshold: float | None = None,
        state: str = "ode",
        per_class_sdf: bool = False,
    ) -> None:
        super().__init__()
        reason = self.supports(spatial_dims, classes, per_class_sdf)
        if reason:
            raise ValueError(reason)
        for key, value, options in (("size", size, tuple(SIZES[2])), ("state", state, flow.STATES)):
            if value not in options:
                raise ValueError(f"method.{key} is {value!r}, expected one of {', '.join(options)}.")
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
        divisor = 2 ** (len(layout.widths) - 1)
        if len(image_size) != spatial_dims or any(n < divisor or n % divisor for n in image_size):
            raise ValueError(
                f"image_size is {image_size}, but FlowSDF of size {size!r} in {spatial_dims}D needs {spatial_dims} "
                f"entries, each a multiple of {divisor}: round image_size to such values."
            )
        self.classes, self.state = classes, state
        self.threshold = (layout.threshold if threshold is None else threshold) / self.truncation
        self.image_encoder = DenseEncoder(spatial_dims, in_channels, layout.widths[0], *layout.encoder)
        self.network = GuidedUNet(
            spatial_dims,
            classes - 1,
            classes - 1,
            layout.widths,
            layout.blocks,
            layout.attention,
            groups=layout.groups,
        )
        self.apply(channels_last)

    @classmethod
    def supports(cls, spatial_dims: int, classes: int, per_class_sdf: bool = False, **_: Any) -> str | None:
        """None for one foreground class, or for any number with per_class_sdf. See `Segmenter`."""
        if spatial_dims not in SIZES:
            return f"FlowSDF is implemented for 2D and 3D images; the data are {spatial_dims}D."
        if classes > 2 and not per_class_sdf:
            return (
                f"FlowSDF is published for one foreground class; the data have {classes - 1}. "
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
        """The straight path between noise and signed distances, with times from 1 (noise) to 0. See `Segmenter`."""

        def noised(x0: Tensor, t: float, noise: Tensor) -> Tensor:
            return flow.noised(x0, torch.tensor(1 - t, dtype=torch.float64), noise)

        def alpha_bar(t: Tensor) -> Tensor:
            signal, noise = (1 - t).square(), flow.spread(1 - t).square()
            return signal / (signal + noise)

        return Process(latent=False, encode=self.encode, noised=noised, decode=self.decode, alpha_bar=alpha_bar)

    # ---- training ---------------------------------------------------------------------------------------------------

    def loss(self, image: Tensor, label: Tensor, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean squared error of the velocity at random times; key total. See `Segmenter`."""
        clean = self.encode(label).to(image)
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        t = torch.rand(len(clean), generator=generator, dtype=torch.float64).to(clean.device)
        found = self.network(flow.noised(clean, t, noise), t, self._features(image))
        return {"total": F.mse_loss(found, flow.velocity(clean, noise))}

    def _features(self, image: Tensor) -> Tensor:
        """The image, scaled to [-1, 1], through its encoder: (B, C, *spatial) -> (B, widths[0], *spatial)."""
        return self.image_encoder(2 * min_max(image) - 1)

    # ---- inference --------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def embed(self, image: Tensor) -> Tensor:
        """Features (B, widths[0], *spatial) of an image (B, C, *spatial), the same at all times of all samples."""
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
        `probabilities`). The callback sees the first sample only, at `steps` times from 1 (noise) to 0.
        """
        features = self.embed(image) if embedding is None else embedding
        total = 0.0
        for _ in range(sampling.ensemble):
            total = total + self._sample(features, sampling, generators, callback)
            callback = None
        return self.decode(total / sampling.ensemble)

    def _sample(
        self, features: Tensor, sampling: Sampling, generators: Sequence[torch.Generator], callback: Callback | None
    ) -> Tensor:
        """One field of signed distances per image and foreground class (B, classes - 1, *spatial), float64."""

        def predict(x: Tensor, t: float) -> Tensor:
            times = torch.full((len(x),), t, dtype=torch.float64, device=x.device)
            return self.network(x.to(features.dtype), times, features)

        noise = sampler.draw_normal((self.classes - 1, *features.shape[2:]), generators, features.device)
        return flow.euler(predict, noise, sampling.steps, self.state, callback)
