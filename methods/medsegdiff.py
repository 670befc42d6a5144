"""MedSegDiff: segmentation by diffusion of the mask itself, conditioned on the image level by level."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.base import Callback, Process, Sampling, Segmenter
from methods.blocks.convolution import CONV
from methods.blocks.ff_parser import FF_WEIGHTS
from methods.blocks.intensity import min_max
from methods.blocks.medsegdiff_network import MedSegDiffNetwork
from methods.blocks.staple import staple
from methods.diffusion import sampler
from methods.diffusion.process import variance_preserving
from methods.diffusion.schedule import TIMESTEPS, linear_alpha_bar, q_sample


class Size(NamedTuple):
    """Width of level 0, width of what leaves each level in units of it, channels per attention head; prediction;
    kernel of the stems."""

    base: int
    multipliers: tuple[int, ...]
    head_channels: int
    prediction: str
    stem_kernel: int = 7


PAPER = Size(128, (1, 1, 2, 2, 4, 4), 32, "eps")
SIZES = {
    2: {"tiny": Size(16, (1, 2, 4), 32, "x0"), "small": Size(8, (1, 2, 4, 8), 8, "x0"), "paper": PAPER},
    3: {"tiny": Size(8, (1, 2, 4), 32, "x0", 3), "small": Size(8, (1, 2, 4, 8), 8, "x0", 3), "paper": PAPER},
}
OPTIONS = {
    "size": tuple(SIZES[2]),
    "prediction": ("eps", "x0", None),
    "class_encoding": ("onehot", "fg_channels"),
    "ff_weights": FF_WEIGHTS,
    "fusion": ("mean", "staple"),
    "threshold": ("clip", "dynamic"),
}


class MedSegDiff(Segmenter):
    """Diffusion of masks with dynamic conditional encoding and FF-Parser (Wu et al., arXiv:2211.00611).

    A label becomes a mask in {-1, 1}; a network reads off the noisy mask, the image and the time what noise there is
    (`MedSegDiffNetwork`), trained by a squared error alone; a segmentation is fused from several samples. The network
    follows sections 3.1 and 3.2 of the paper in the form that public reimplementations gave them, not the authors'
    code, whose default model has no FF-Parser.

    spatial_dims: 2, or 3, for which nothing is published and the same network has 3D layers; in_channels: of the image;
    classes: background included; image_size: one entry per axis, each a multiple of 4 (size "tiny"), 8 ("small") or 32
    ("paper"); the FF-Parser ties the model to this very size.
    size: "paper" (130 M parameters at 256x256), "small" (1 M at 128x128) or "tiny"; the smaller two have stems of
    kernel 3 instead of 7 in 3D.
    prediction: what the network returns: the noise ("eps", as published; None in size "paper") or the clean mask ("x0";
    None elsewhere). Both give the same estimates once converged, but where noise prevails "eps" must be exact to
    sqrt(alpha_bar), 0.006 at the end, before it says anything about the mask, and short runs do not get there.
    class_encoding: of more than two classes: "onehot", a channel per class, background included; or "fg_channels",
    one per foreground class. Two classes take a single channel either way.
    ff_weights: see `FFParser`. fusion: samples are averaged ("mean") or weighed by STAPLE ("staple").
    threshold: the estimate of the clean mask is clipped to [-1, 1] ("clip") or bounded by dynamic thresholding
    ("dynamic"), which the authors use with dpm_solver++.

    Raises ValueError for an unknown option and for an image size that cannot be halved often enough, or, when called,
    that is not the one it was built for.
    """

    generative = True
    ema_decay = 0.9999

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        classes: int,
        image_size: Sequence[int],
        size: str = "paper",
        prediction: str | None = None,
        class_encoding: str = "onehot",
        ff_weights: str = "complex",
        fusion: str = "mean",
        threshold: str = "clip",
    ) -> None:
        super().__init__()
        for key, value in (
            ("size", size),
            ("prediction", prediction),
            ("class_encoding", class_encoding),
            ("ff_weights", ff_weights),
            ("fusion", fusion),
            ("threshold", threshold),
        ):
            if value not in OPTIONS[key]:
                raise ValueError(f"method.{key} is {value!r}, expected one of {', '.join(map(str, OPTIONS[key]))}.")
        layout = SIZES[spatial_dims][size]
        self.image_size = tuple(image_size)
        divisor = 2 ** (len(layout.multipliers) - 1)
        if len(self.image_size) != spatial_dims or any(n < divisor or n % divisor for n in self.image_size):
            raise ValueError(
                f"image_size is {self.image_size}, but MedSegDiff of size {size!r} in {spatial_dims}D needs "
                f"{spatial_dims} entries, each a multiple of {divisor}: round image_size to such values."
            )
        self.classes, self.fusion, self.prediction = classes, fusion, prediction or layout.prediction
        self.onehot = class_encoding == "onehot" and classes > 2
        self.mask_channels = classes if self.onehot else classes - 1
        self.bound = sampler.clip(1.0) if threshold == "clip" else sampler.dynamic_threshold()
        self.network = MedSegDiffNetwork(
            self.mask_channels,
            in_channels,
            self.image_size,
            layout.base,
            layout.multipliers,
            head_channels=layout.head_channels,
            ff_weights=ff_weights,
            stem_kernel=layout.stem_kernel,
        )
        # Kernels and feature maps stored channel last: a training step on a CPU takes less time.
        memory_format = torch.channels_last if spatial_dims == 2 else torch.channels_last_3d
        for layer in self.network.modules():
            if isinstance(layer, CONV[spatial_dims]):
                layer.to(memory_format=memory_format)

    # ---- masks and classes ------------------------------------------------------------------------------------------

    def encode(self, label: Tensor) -> Tensor:
        """Label (B, *spatial) int64 -> mask (B, M, *spatial) float32 of -1 and 1, M being 1 for two classes."""
        channels = F.one_hot(label, self.classes).movedim(-1, 1)
        return 2.0 * channels[:, self.classes - self.mask_channels :] - 1

    def decode(self, mask: Tensor) -> Tensor:
        """Mask (B, M, *spatial) in [-1, 1] -> class probabilities (B, classes, *spatial), same type.

        A channel stands for the probability (x + 1) / 2 of its class. With foreground channels alone, one of them wins
        if it is the largest and above 0.5, else the background, whose probability is what the largest leaves.
        """
        p = ((mask + 1) / 2).clamp(0, 1)
        if not self.onehot:
            p = torch.cat([1 - p.amax(1, keepdim=True), p], dim=1)
        return normalise(p)

    def fuse(self, masks: Sequence[Tensor]) -> Tensor:
        """Class probabilities (B, classes, *spatial) float32 of the samples, each (B, M, *spatial) in [-1, 1].

        STAPLE sees each sample's segmentation, one class at a time against all others.
        """
        if self.fusion == "mean":
            return self.decode(torch.stack(tuple(masks)).mean(0)).float()
        labels = torch.stack([self.decode(mask).argmax(1) for mask in masks], dim=1)  # (B, N, *spatial)
        p = [
            [staple((votes == k).flatten(1)).probability.reshape(votes.shape[1:]) for k in range(self.classes)]
            for votes in labels
        ]
        return normalise(torch.stack([torch.stack(maps) for maps in p])).float()

    def process(self) -> Process:
        """The diffusion of the mask, on the linear schedule; a state is read as one sample is. See `Segmenter`."""
        return variance_preserving(False, self.encode, lambda mask: self.fuse([mask]), linear_alpha_bar)

    # ---- training ---------------------------------------------------------------------------------------------------

    def loss(self, image: Tensor, label: Tensor, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Mean squared error of the prediction at random times; key total. See `Segmenter`."""
        x0 = self.encode(label)
        t = torch.randint(0, TIMESTEPS, (len(x0),), generator=generator).to(x0.device)
        noise = torch.randn(x0.shape, generator=generator).to(x0)
        # Ho et al. 2020, algorithm 1, with the image as a condition.
        found = self.network(q_sample(x0, linear_alpha_bar(t), noise), self._scaled(image), t)
        return {"total": F.mse_loss(found, noise if self.prediction == "eps" else x0)}

    def _scaled(self, image: Tensor) -> Tensor:
        """The image in [-1, 1]; ValueError unless it has the size the model was built for."""
        if tuple(image.shape[2:]) != self.image_size:
            raise ValueError(
                f"the image has size {tuple(image.shape[2:])}, but this MedSegDiff was built for image_size "
                f"{self.image_size}: its FF-Parser learns the frequencies of that size alone. Segment images of that "
                "size, or train another model with image_size as it will be used."
            )
        return 2 * min_max(image) - 1

    # ---- inference --------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def segment(
        self,
        image: Tensor,
        sampling: Sampling,
        generators: Sequence[torch.Generator],
        callback: Callback | None = None,
        embedding: Tensor | None = None,
    ) -> Tensor:
        """Class probabilities fused from `sampling.ensemble` samples. See `Segmenter`.

        The callback sees the first sample only, at every time of the grid from T-1 to the noise-free -1: once more
        than there are steps. Nothing of the image can be embedded beforehand, since its stream is timed, too.
        """
        scaled, masks = self._scaled(image), []
        for _ in range(sampling.ensemble):
            masks.append(self._sample(scaled, sampling, generators, callback))
            callback = None
        return self.fuse(masks)

    def network_evaluations(self, sampling: Sampling) -> int:
        """Samples times steps: the last step ends at the noise-free time -1. See `Segmenter`."""
        return sampling.ensemble * sampling.steps

    def _sample(
        self, image: Tensor, sampling: Sampling, generators: Sequence[torch.Generator], callback: Callback | None
    ) -> Tensor:
        """One mask per image (B, M, *spatial), float64."""

        def draw() -> Tensor:
            return sampler.draw_normal((self.mask_channels, *self.image_size), generators, image.device)

        def predict(x: Tensor, t: float) -> Tensor:
            times = torch.full((len(x),), t, dtype=torch.float64, device=x.device)
            found = self.network(x.to(image.dtype), image, times)
            if self.prediction == "eps":
                return found
            # The noise that leads from this clean mask to x_t: the forward process solved for it.
            a = linear_alpha_bar(t).to(x)
            return (x - a.sqrt() * found) / (1 - a).sqrt()

        return sampler.sample(
            predict,
            draw(),
            sampler.time_pairs(sampling.steps, "clean"),
            linear_alpha_bar,
            solver=sampling.sampler,
            eta=sampling.stochasticity,
            noise=draw,
            bound=self.bound,
            callback=callback,
        )


def normalise(p: Tensor) -> Tensor:
    """Non-negative (B, classes, *spatial) scaled to sum to 1 over the classes; equal shares where all are 0."""
    total = p.sum(1, keepdim=True)
    return torch.where(total > 0, p / total, 1 / p.shape[1])
