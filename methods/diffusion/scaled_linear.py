"""The noise schedule of Stable Diffusion, with the ends that SDSeg gives it."""

import torch
from torch import Tensor

from methods.diffusion.schedule import TIMESTEPS

BETA_START, BETA_END = 0.0015, 0.0155
"""Of the configurations in SDSeg's code; Stable Diffusion has 0.00085 and 0.012."""


def scaled_linear_alpha_bar(t: Tensor | float) -> Tensor:
    """alpha_bar of a variance whose square root grows linearly over T steps, float64.

    t: real times from -1, where alpha_bar is 1, to T; between two whole times log alpha_bar is interpolated linearly,
    and alpha_bar(T) equals alpha_bar(T - 1), as in `linear_alpha_bar`. At T - 1 the share of the signal is
    sqrt(alpha_bar) = 0.026, four times that of the linear schedule of Ho et al. 2020.
    Raises ValueError for a time outside -1..T.
    """
    t = torch.as_tensor(t, dtype=torch.float64)
    if t.numel() and not bool(((t >= -1) & (t <= TIMESTEPS)).all()):
        raise ValueError(
            f"times run from {t.min().item()} to {t.max().item()}, expected values from -1 to {TIMESTEPS}."
        )
    beta = torch.linspace(BETA_START**0.5, BETA_END**0.5, TIMESTEPS, dtype=torch.float64, device=t.device) ** 2
    log_alpha_bar = torch.cat([beta.new_zeros(1), torch.log1p(-beta).cumsum(0)])  # entry i is time i - 1
    below = t.floor().long().clamp(max=TIMESTEPS - 1)
    above = (below + 1).clamp(max=TIMESTEPS - 1)
    return torch.exp(torch.lerp(log_alpha_bar[below + 1], log_alpha_bar[above + 1], t - below))


def single_step_pairs(points: int) -> list[tuple[float, float]]:
    """(t, t_prev) of the steps between `points` evenly spaced real times from T-1 to the noise-free -1, both included.

    Two points are the single step from T-1 that SDSeg takes. Raises ValueError for fewer than two.
    """
    if points < 2:
        raise ValueError(f"the time grid was asked for {points} points, expected 2 or more: one would keep pure noise.")
    times = torch.linspace(TIMESTEPS - 1, -1, points, dtype=torch.float64).tolist()
    return list(zip(times[:-1], times[1:], strict=True))
