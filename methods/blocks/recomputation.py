"""Cheap intermediate results of volumes, computed twice instead of kept."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def recomputed(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """function(x), of which training on volumes (B, C, X, Y, Z) keeps x until the backward pass, not what follows.

    Results and gradients are bitwise those of function(x). For functions that end in a convolution and draw nothing:
    what precedes the convolution is computed a second time; the convolution itself is not, because recomputation stops
    once its input is there. Of images (B, C, H, W), whose activations are small, everything is kept.
    """
    if x.ndim < 5 or not torch.is_grad_enabled():
        return function(x)
    return checkpoint(function, x, use_reentrant=False, preserve_rng_state=False)
