"""What a method diffuses, seen from outside: its forward process in its own space, and how a state of it is read."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from methods.diffusion.schedule import AlphaBar, q_sample


class Process(NamedTuple):
    """The diffusion of one model, as suite=diffusion_process watches it; returned by `Segmenter.process`.

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
    alpha_bar: AlphaBar | None


def variance_preserving(
    latent: bool, encode: Callable[[Tensor], Tensor], decode: Callable[[Tensor], Tensor], alpha_bar: AlphaBar
) -> Process:
    """The process that gives up signal variance for noise variance (Ho et al. 2020, eq. 4); arguments as in `Process`.

    Times are those of `alpha_bar`, in float64; `noised` raises ValueError for one that the schedule does not have.
    """

    def noised(x0: Tensor, t: float, noise: Tensor) -> Tensor:
        return q_sample(x0, alpha_bar(torch.tensor(t, dtype=torch.float64)), noise)

    return Process(latent, encode, noised, decode, alpha_bar)
