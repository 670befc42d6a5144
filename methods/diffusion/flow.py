"""Flow matching on the straight path from noise to data (Lipman et al. 2023, arXiv:2210.02747, example II).

phi_t = t x + (1 - (1 - sigma_min) t) noise, with times t from 0 (noise) to 1 (data, up to noise of SIGMA_MIN): the
reverse of the rest of this room, where t falls towards the data. Callbacks get 1 - t, which falls, too.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from methods.base import Callback
from methods.diffusion.schedule import per_sample

SIGMA_MIN = 1e-3
"""Noise left on the data at t = 1; cfg/glas.yaml of FlowSDF's code, which has 1e-5 in cfg/monuseg.yaml."""
STATES = ("ode", "code")

Velocity = Callable[[Tensor, float], Tensor]
"""Velocity at x (B, C, *spatial) float64 and time t in 0..1, any floating type."""


def spread(t: Tensor) -> Tensor:
    """Share of the noise that is left at times 0..1, in t's type: from 1 to SIGMA_MIN (eq. 20)."""
    return 1 - (1 - SIGMA_MIN) * t


def noised(clean: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """The state at time t of the path from `noise` to `clean` (eq. 22); clean, noise: (B, ...); t: (B,) or a scalar."""
    return per_sample(t, clean) * clean + per_sample(spread(t), clean) * noise


def velocity(clean: Tensor, noise: Tensor) -> Tensor:
    """The derivative of that path, the same at all times (eq. 23): what a network is trained to return."""
    return clean - (1 - SIGMA_MIN) * noise


def euler(
    predict: Velocity, noise: Tensor, points: int, state: str = "ode", callback: Callback | None = None
) -> Tensor:
    """Integrate from `noise` (B, C, *spatial) float64 at t = 0 to t = 1 by Euler's method.

    points: evenly spaced times, both ends included, at least 2; points - 1 steps, each one evaluation of `predict`.
    state: what `predict` sees. "ode" is the state x that is integrated, as in training. "code" is t x + spread(t)
    noise, as in the sampler of FlowSDF's code, which treats x as if it were data and adds the noise again: the network
    then sees more of it than the time says.
    callback: called at every time, the last one included, with (index, 1 - t, x).
    Returns x at t = 1, float64.
    """
    times = torch.linspace(0, 1, points, dtype=torch.float64)
    x = noise
    for index, (t, t_next) in enumerate(zip(times[:-1], times[1:], strict=True)):
        if callback is not None:
            callback(index, 1 - t.item(), x)
        seen = x if state == "ode" else noised(x, t, noise)
        x = x + (t_next - t) * predict(seen, t.item()).double()
    if callback is not None:
        callback(points - 1, 0.0, x)
    return x
