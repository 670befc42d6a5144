"""Noise schedules as functions of a real-valued time, in float64, and the forward process."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

TIMESTEPS = 1000

AlphaBar = Callable[[Tensor], Tensor]
"""Maps times of any shape, up to T and not below where alpha_bar is 1, to alpha_bar(t), float64, same shape."""


def cosine_alpha_bar(t: Tensor | float, timesteps: int = TIMESTEPS, offset: float = 0.008) -> Tensor:
    """Share of signal variance left at time t (Nichol & Dhariwal 2021, eq. 17), float64; alpha_bar(0) is exactly 1.

    t: real times in 0..T. The value at T itself would be 0 and every division by it meaningless, so it is bounded
    below by 0.001 alpha_bar(T - 1), the usual bound beta <= 0.999 put on the last step; no smaller t is affected.
    Raises ValueError for a time outside 0..T.
    """

    def unscaled(time: Tensor) -> Tensor:
        return torch.cos((time / timesteps + offset) / (1 + offset) * math.pi / 2) ** 2

    t = _checked(t, timesteps)
    zero, last = torch.tensor([0.0, timesteps - 1.0], dtype=torch.float64, device=t.device)
    start = unscaled(zero)
    return torch.clamp(unscaled(t) / start, min=1e-3 * unscaled(last) / start)


def linear_alpha_bar(
    t: Tensor | float, timesteps: int = TIMESTEPS, beta_start: float = 1e-4, beta_end: float = 0.02
) -> Tensor:
    """alpha_bar of a variance growing linearly over T steps (Ho et al. 2020, sec. 4), float64.

    The schedule is defined at t = 0..T-1, alpha_bar(0) = 1 - beta_start, and the noise-free sample, alpha_bar = 1, is
    at t = -1; between two whole times log alpha_bar is interpolated linearly, and alpha_bar(T) equals
    alpha_bar(T - 1). Raises ValueError for a time outside -1..T.
    """
    t = _checked(t, timesteps, first=-1)
    beta = torch.linspace(beta_start, beta_end, timesteps, dtype=torch.float64, device=t.device)
    log_alpha_bar = torch.cat([beta.new_zeros(1), torch.log1p(-beta).cumsum(0)])  # entry i is time i - 1
    below = t.floor().long().clamp(max=timesteps - 1)
    above = (below + 1).clamp(max=timesteps - 1)
    return torch.exp(torch.lerp(log_alpha_bar[below + 1], log_alpha_bar[above + 1], t - below))


def q_sample(x0: Tensor, alpha_bar: Tensor, noise: Tensor) -> Tensor:
    """x_t of the forward process (Ho et al. 2020, eq. 4): sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) noise.

    x0, noise: (B, ...); alpha_bar: (B,) or a scalar. The coefficients are taken in alpha_bar's precision and only
    then brought to x0's type.
    """
    signal, spread = (per_sample(c, x0) for c in (alpha_bar.sqrt(), (1 - alpha_bar).sqrt()))
    return signal * x0 + spread * noise


def per_sample(coefficient: Tensor, like: Tensor) -> Tensor:
    """A coefficient of shape (B,) or () as (B, 1, ...) or (), in `like`'s type and on its device."""
    coefficient = coefficient.to(like)
    return coefficient.reshape(-1, *[1] * (like.ndim - 1)) if coefficient.ndim else coefficient


def _checked(t: Tensor | float, timesteps: int, first: int = 0) -> Tensor:
    t = torch.as_tensor(t, dtype=torch.float64)
    if t.numel() and not bool(((t >= first) & (t <= timesteps)).all()):
        raise ValueError(
            f"times run from {t.min().item()} to {t.max().item()}, expected values from {first} to {timesteps}."
        )
    return t
