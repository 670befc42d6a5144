"""Time grids and the solvers of the reverse process: DDIM from deterministic to ancestral, and DPM-Solver++.

Everything between two network calls is float64: near t = T the update divides by sqrt(alpha_bar) ~ 1/640, and a
network that returns almost its own input there leaves only rounding error in float32.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from methods.base import Callback
from methods.diffusion.schedule import TIMESTEPS, AlphaBar
from methods.sampling import SAMPLERS

TIME_GRIDS = ("real0", "round1", "clean")
Pairs = list[tuple[float, float]]
Bound = Callable[[Tensor], Tensor]
"""Maps an estimate x0_hat (B, C, *spatial) float64 to an admissible one."""


def time_pairs(steps: int, grid: str = "real0", timesteps: int = TIMESTEPS) -> Pairs:
    """The (t, t_prev) of every sampling step, from the noisiest on; the last t_prev is noise-free.

    real0:  `steps` evenly spaced real times from T-1 down to 0. A step from 0 would change nothing (alpha_bar is 1
            there for the cosine schedule) and is left out: steps - 1 pairs, each one network evaluation.
    round1: evenly spaced times from T down to 1, rounded to whole numbers, followed by the noise-free time 0: `steps`
            pairs, fewer when rounding makes times coincide.
    clean:  evenly spaced real times from T-1 down to the noise-free time -1: `steps` pairs, each one network
            evaluation. For schedules whose alpha_bar(0) is below 1 (linear), where ending at 0 would leave noise.
    Raises ValueError for fewer than 2 steps or an unknown grid.
    """
    if steps < 2:
        raise ValueError(f"the time grid was asked for {steps} steps, expected 2 or more: one would keep pure noise.")
    if grid not in TIME_GRIDS:
        raise ValueError(f"the time grid is {grid!r}, expected one of {', '.join(TIME_GRIDS)}.")
    if grid == "real0":
        times = torch.linspace(timesteps - 1, 0, steps, dtype=torch.float64).tolist()
    elif grid == "clean":
        times = torch.linspace(timesteps - 1, -1, steps + 1, dtype=torch.float64).tolist()
    else:
        rounded = torch.linspace(timesteps, 1, steps, dtype=torch.float64).round().tolist()
        times = [*dict.fromkeys(rounded), 0.0]
    return list(zip(times[:-1], times[1:], strict=True))


def draw_normal(
    shape: Sequence[int], generators: Sequence[torch.Generator], device: torch.device | str | None = None
) -> Tensor:
    """Standard normal float64 (B, *shape), row b drawn from generators[b] only, so that rows ignore their batch."""
    rows = [torch.randn(tuple(shape), generator=g, dtype=torch.float64) for g in generators]
    return torch.stack(rows).to(device)


def moments(x: Tensor, over: str = "sample", eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    """(mean, population std + eps) of x (B, C, *S), per sample (`over="sample"`) or over the whole batch."""
    axes = tuple(range(1 if over == "sample" else 0, x.ndim))
    std, mean = torch.std_mean(x, dim=axes, correction=0, keepdim=True)
    return mean, std + eps


def standardise(x: Tensor, over: str = "sample", eps: float = 1e-5) -> Tensor:
    """x with its `moments` taken out: mean 0, standard deviation 1."""
    mean, std = moments(x, over, eps)
    return (x - mean) / std


def clip(limit: float) -> Bound:
    """Estimates bounded to [-limit, limit]."""
    return lambda x0_hat: x0_hat.clamp(-limit, limit)


def dynamic_threshold(quantile: float = 0.995) -> Bound:
    """Estimates bounded by the given quantile q of their magnitudes, per sample, and divided by it, where q > 1;
    bounded to [-1, 1] elsewhere (dynamic thresholding, Saharia et al. 2022, sec. 2.3)."""

    def bound(x0_hat: Tensor) -> Tensor:
        limit = x0_hat.abs().flatten(1).quantile(quantile, dim=1).clamp(min=1.0)
        limit = limit.reshape(-1, *[1] * (x0_hat.ndim - 1))
        return x0_hat.clamp(-limit, limit) / limit

    return bound


def sample(
    predict: Callable[[Tensor, float], Tensor],
    x: Tensor,
    pairs: Pairs,
    alpha_bar: AlphaBar,
    solver: str = "ddim",
    eta: float = 0.0,
    noise: Callable[[], Tensor] | None = None,
    frame: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None,
    bound: Bound | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """Run the reverse process from x at pairs[0][0] to pairs[-1][1].

    predict:    eps_hat of (x_t float64, t), any floating type; one call per pair.
    x:          (B, C, *spatial) float64, the starting noise.
    solver:     "ddim" or "ddpm" (Song et al. 2021, eq. 12 and 16; they differ in eta alone), or "dpm_solver++", the
                second-order multistep solver 2M (Lu et al. 2022, arXiv:2211.01095, algorithm 2), whose first step and
                step to a noise-free time are of first order.
    eta:        0 is DDIM, 1 ancestral DDPM sampling; without meaning for dpm_solver++.
    noise:      returns a fresh standard normal of x's shape; needed when eta > 0, called only for steps with sigma > 0.
    frame:      (mean, scale) that are taken out of x after every step, for example `moments`: latents are then seen in
                a frame of their own at every time.
    bound:      applied to every x0_hat, for example `clip(1.0)`; eps_hat is then recomputed from the result.
    callback:   called at every time of the grid, the final one included: once more than there are pairs.
    Returns x at the last time, float64. Raises ValueError for an unknown solver and when eta > 0 comes without `noise`.
    """
    if solver not in SAMPLERS:
        raise ValueError(f"the solver is {solver!r}, expected one of {', '.join(SAMPLERS)}.")
    if eta > 0 and noise is None:
        raise ValueError(f"eta is {eta}, which draws noise at every step: pass `noise` as well.")
    x = x.double()
    former = None
    for step, (t, t_prev) in enumerate(pairs):
        if callback is not None:
            callback(step, t, x)
        a, a_prev = (float(alpha_bar(time)) for time in (t, t_prev))
        eps_hat = predict(x, t).double()
        # The "predicted x_0" of Song et al. 2021, eq. 12: the forward process solved for it, eps_hat for the noise.
        x0_hat = (x - (1 - a) ** 0.5 * eps_hat) / a**0.5
        if bound is not None:
            x0_hat = bound(x0_hat)
            eps_hat = (x - a**0.5 * x0_hat) / (1 - a) ** 0.5
        if solver == "dpm_solver++":
            x, former = _second_order(x, x0_hat, a, a_prev, former)
        else:
            # Eq. 16: the variance that a step draws anew; eq. 12: x_0, the direction pointing to x_t, and that noise.
            sigma2 = eta**2 * (1 - a_prev) / (1 - a) * (1 - a / a_prev) if eta > 0 else 0.0
            x = a_prev**0.5 * x0_hat + max(1 - a_prev - sigma2, 0.0) ** 0.5 * eps_hat
            if sigma2 > 0:
                x = x + sigma2**0.5 * noise()
        if frame is not None:
            mean, scale = frame(x)
            x, former = (x - mean) / scale, _in_frame(former, mean / a_prev**0.5, scale)
    if callback is not None:
        callback(len(pairs), pairs[-1][1], x)
    return x


def _in_frame(former: tuple[float, Tensor] | None, shift: Tensor, scale: Tensor) -> tuple[float, Tensor] | None:
    """What `_second_order` keeps of a step, seen in the frame that x is brought to after it.

    x_t divided by `scale` belongs to an x_0 divided by it, and a shift of x_t is one of sqrt(a) x_0. Near T the former
    x0_hat is some 1 / sqrt(a) = 640 times too large until it is seen in the new frame.
    """
    return former and (former[0], (former[1] - shift) / scale)


def _second_order(
    x: Tensor, x0_hat: Tensor, a: float, a_prev: float, former: tuple[float, Tensor] | None
) -> tuple[Tensor, tuple[float, Tensor]]:
    """One step of DPM-Solver++(2M), and what the next one needs: (half the log signal-to-noise ratio, x0_hat) here.

    The step's x0_hat is extrapolated from the last two, linearly in lambda = log(sqrt(a) / sqrt(1 - a)).
    """
    here = (_half_log_snr(a), x0_hat)
    if a_prev == 1:  # lambda is infinite there, and the first-order step is x0_hat itself
        return x0_hat, here
    h = _half_log_snr(a_prev) - here[0]
    estimate = x0_hat  # of first order, until there is a step before
    if former is not None:
        h_former = here[0] - former[0]
        estimate = x0_hat + h / (2 * h_former) * (x0_hat - former[1])
    return ((1 - a_prev) / (1 - a)) ** 0.5 * x - a_prev**0.5 * math.expm1(-h) * estimate, here


def _half_log_snr(a: float) -> float:
    return 0.5 * (math.log(a) - math.log1p(-a))
