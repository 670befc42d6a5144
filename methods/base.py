"""The one interface every segmentation method is compared through."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from methods.sampling import Sampling

Callback = Callable[[int, float, Tensor], None]
"""Called once per sampling step with (index of the step from 0, time t, latent or image x_t (B, C, *spatial))."""


class Process(NamedTuple):
    """What a model diffuses, seen from outside: its forward process in its own space, and how a state of it is read.

    latent:    whether the states are latents; else they are pictures of the segmentation itself.
    encode:    label (B, *spatial) int64 -> noise-free state x_0 (B, M, *), with the scale that is sampled in.
    noised:    (x_0, t, standard normal of its shape) -> x_t of the forward process.
    decode:    x_t of any floating type -> class probabilities (B, classes, *spatial).
    alpha_bar: share of signal variance at t; None for a process that adds noise and keeps the signal as it is.
    """

    latent: bool
    encode: Callable[[Tensor], Tensor]
    noised: Callable[[Tensor, float, Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]
    alpha_bar: Callable[[Tensor], Tensor] | None


class Segmenter(nn.Module):
    """Base of every method. A subclass must define `loss` and `segment`; everything else has a default.

    The runner constructs it with keyword arguments `spatial_dims` (2 or 3), `in_channels`, `classes` (background
    included) and `image_size` (tuple, one entry per spatial axis), plus whatever its conf/method/*.yaml adds.

    stages:     names of the training stages, in order.
    generative: True when `segment` samples, so that steps, sampler and seeds mean something.
    ema_decay:  decay of the exponential moving average kept by the runner; 0 keeps none.
    any_size:   True when `segment` takes images of any size and does the padding or windowing itself.
    """

    stages: tuple[str, ...] = ("train",)
    generative: bool = False
    ema_decay: float = 0.0
    any_size: bool = False

    @classmethod
    def supports(cls, spatial_dims: int, classes: int, **arguments: Any) -> str | None:
        """None when the method can run on such data, else the reason why not, in words for the report.

        arguments: the constructor's further ones as configured, for methods in which a switch widens what they do.
        """
        return None

    def loss(self, image: Tensor, label: Tensor, stage: str, generator: torch.Generator) -> dict[str, Tensor]:
        """Training losses of one batch.

        image: (B, C, *spatial) float32 in [0, 1]; label: (B, *spatial) int64 in 0..classes-1; stage: one of `stages`;
        generator: a CPU generator for whatever the step draws. Returns scalar tensors, the key `total` among them.
        """
        raise NotImplementedError

    def segment(
        self,
        image: Tensor,
        sampling: Sampling,
        generators: Sequence[torch.Generator],
        callback: Callback | None = None,
        embedding: Tensor | None = None,
    ) -> Tensor:
        """Class probabilities (B, classes, *spatial), float32, summing to 1 over the classes.

        image: (B, C, *spatial) float32 in [0, 1]; generators: one CPU generator per sample of the batch, so that a
        result never depends on its batch; callback: see `Callback`; embedding: what `embed(image)` returned, to
        be used instead of computing it again (a method without `embed` never receives it).
        """
        raise NotImplementedError

    # ---- optional: the defaults serve a one-stage method trained by Adam ------------------------------------------

    def embed(self, image: Tensor) -> Tensor | None:
        """What `segment` needs of the image whatever the number of steps, computed once for several samplings."""
        return None

    def prepare_stage(self, stage: str, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Called once before the first step of each stage, with the weights the stage starts from in place.

        batches: (image, label) as in `loss`, the whole training split once, in a fixed order and not augmented. For
        what is measured rather than learnt, to be kept in buffers or put into weights, so that it is saved with them.
        """

    def reconstruct(self, label: Tensor) -> Tensor | None:
        """Probabilities after encoding and decoding the true label: the ceiling of a latent method; else None."""
        return None

    def process(self) -> Process | None:
        """What the model diffuses and how its states are read, for suite=diffusion_process; see `Process`.

        That suite watches the forward process of a label and the reverse process of its image. A class that does not
        define this method is declined there with a reason, and takes part in every other suite.
        """
        return None

    def parameter_groups(self, stage: str) -> list[dict]:
        """Adam parameter groups of a stage: dicts with `params` and optionally `name` and `lr_factor` (default 1)."""
        return [{"name": "all", "params": [p for p in self.parameters() if p.requires_grad]}]

    def optimizer(self, stage: str, learning_rate: float) -> torch.optim.Optimizer:
        """The optimiser of a stage; each group's rate is `learning_rate` times its `lr_factor`."""
        groups = [
            {"params": group["params"], "lr": learning_rate * group.get("lr_factor", 1.0)}
            for group in self.parameter_groups(stage)
        ]
        return torch.optim.Adam(groups, lr=learning_rate, fused=True)

    def averaged(self, stage: str) -> tuple[str, ...]:
        """Names of the direct submodules whose parameters the runner averages with `ema_decay`."""
        return tuple(name for name, _ in self.named_children())

    def network_evaluations(self, sampling: Sampling) -> int:
        """Evaluations of the main network for one image (NFE). The call at t = 0 changes nothing and is not made."""
        return sampling.ensemble * (sampling.steps - 1) if self.generative else 1
