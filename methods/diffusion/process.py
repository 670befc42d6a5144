"""What most methods' `Segmenter.process` has in common: the forward process on a schedule of alpha_bar."""

from collections.abc import Callable

import torch
from torch import Tensor

from methods.base import Process
from methods.diffusion.schedule import AlphaBar, q_sample


def variance_preserving(
    latent: bool, encode: Callable[[Tensor], Tensor], decode: Callable[[Tensor], Tensor], alpha_bar: AlphaBar
) -> Process:
    """The process that gives up signal variance for noise variance (Ho et al. 2020, eq. 4); arguments as in `Process`.

    Times are those of `alpha_bar`, in float64; `noised` raises ValueError for one that the schedule does not have.
    """

    def noised(x0: Tensor, t: float, noise: Tensor) -> Tensor:
        return q_sample(x0, alpha_bar(torch.tensor(t, dtype=torch.float64)), noise)

    return Process(latent, encode, noised, decode, alpha_bar)
