"""Time grids and the one sampler of the reverse process, deterministic to ancestral.

Everything between two network calls is float64: near t = T the update divides by sqrt(alpha_bar) ~ 1/640, and a
network that returns almost its own input there leaves only rounding error in float32.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from methods.base import Callback
from methods.diffusion.schedule import TIMESTEPS, AlphaBar

TIME_GRIDS = ("real0", "round1")
Pairs = list[tuple[float, float]]


def time_pairs(steps: int, grid: str = "real0", timesteps: int = TIMESTEPS) -> Pairs:
    """The (t, t_prev) of every sampling step, from the noisiest on; the last t_prev is 0.

    real0:  `steps` evenly spaced real times from T-1 down to 0. A step from 0 would change nothing (alpha_bar is 1
            there for the cosine schedule) and is left out: steps - 1 pairs, each one network evaluation.
    round1: evenly spaced times from T down to 1, rounded to whole numbers, followed by the noise-free time 0: `steps`
            pairs, fewer when rounding makes times coincide.
    Raises ValueError for fewer than 2 steps or an unknown grid.
    """
    if steps < 2:
        raise ValueError(f"the time grid was asked for {steps} steps, expected 2 or more: one would keep pure noise.")
    if grid not in TIME_GRIDS:
        raise ValueError(f"the time grid is {grid!r}, expected one of {', '.join(TIME_GRIDS)}.")
    if grid == "real0":
        times = torch.linspace(timesteps - 1, 0, steps, dtype=torch.float64).tolist()
    else:
        rounded = torch.linspace(timesteps, 1, steps, dtype=torch.float64).round().tolist()
        times = [*dict.fromkeys(rounded), 0.0]
    return list(zip(times[:-1], times[1:], strict=True))


def draw_normal(shape: Sequence[int], generators: Sequence[torch.Generator], device=None) -> Tensor:
    """Standard normal float64 (B, *shape), row b drawn from generators[b] only, so that rows ignore their batch."""
    rows = [torch.randn(tuple(shape), generator=g, dtype=torch.float64) for g in generators]
    return torch.stack(rows).to(device)


def standardise(x: Tensor, over: str = "sample", eps: float = 1e-5) -> Tensor:
    """(x - mean) / (std + eps), population std, with moments per sample (`over="sample"`) or over the whole batch."""
    axes = tuple(range(1 if over == "sample" else 0, x.ndim))
    std, mean = torch.std_mean(x, dim=axes, correction=0, keepdim=True)
    return (x - mean) / (std + eps)


def sample(
    predict: Callable[[Tensor, float], Tensor],
    x: Tensor,
    pairs: Pairs,
    alpha_bar: AlphaBar,
    eta: float = 0.0,
    noise: Callable[[], Tensor] | None = None,
    after_step: Callable[[Tensor], Tensor] | None = None,
    clip: float | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """Run the reverse process from x at pairs[0][0] to pairs[-1][1] (DDIM, Song et al. 2021, eq. 12 and 16).

    predict:    eps_hat of (x_t float64, t), any floating type; one call per pair.
    x:          (B, C, *spatial) float64, the starting noise.
    eta:        0 is DDIM, 1 ancestral DDPM sampling.
    noise:      returns a fresh standard normal of x's shape; needed when eta > 0, called only for steps with sigma > 0.
    after_step: applied to x after every step, for example `standardise`.
    clip:       bound on |x0_hat|; eps_hat is then recomputed from the bounded estimate.
    callback:   called at every time of the grid, the final one included: once more than there are pairs.
    Returns x at the last time, float64. Raises ValueError when eta > 0 comes without `noise`.
    """
    if eta > 0 and noise is None:
        raise ValueError(f"eta is {eta}, which draws noise at every step: pass `noise` as well.")
    x = x.double()
    for step, (t, t_prev) in enumerate(pairs):
        if callback is not None:
            callback(step, t, x)
        a, a_prev = alpha_bar(torch.tensor([t, t_prev], dtype=torch.float64)).tolist()
        eps_hat = predict(x, t).double()
        x0_hat = (x - (1 - a) ** 0.5 * eps_hat) / a**0.5
        if clip is not None:
            x0_hat = x0_hat.clamp(-clip, clip)
            eps_hat = (x - a**0.5 * x0_hat) / (1 - a) ** 0.5
        sigma2 = eta**2 * (1 - a_prev) / (1 - a) * (1 - a / a_prev) if eta > 0 else 0.0
        x = a_prev**0.5 * x0_hat + max(1 - a_prev - sigma2, 0.0) ** 0.5 * eps_hat
        if sigma2 > 0:
            x = x + sigma2**0.5 * noise()
        if after_step is not None:
            x = after_step(x)
    if callback is not None:
        callback(len(pairs), pairs[-1][1], x)
    return x
