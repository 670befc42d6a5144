"""Diffusion whose network also learns the variance of each reverse step (Nichol & Dhariwal 2021, arXiv:2102.09672)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from methods.diffusion.sampler import Bound, Pairs
from methods.diffusion.schedule import AlphaBar, per_sample

HALF_LEVEL = 1 / 255
"""Half the distance between grey levels of 8 bits on the scale [-1, 1]."""

Estimate = Callable[[Tensor, float], tuple[Tensor, Tensor]]
"""eps_hat and v, both of the shape of x, of (x_t float64, t)."""


def log_variances(a: Tensor, a_prev: Tensor) -> tuple[Tensor, Tensor]:
    """(log beta_tilde, log beta) of the step from alpha_bar a to a_prev, float64: the least and the largest variance
    that a reverse step can sensibly have (Ho et al. 2020, sec. 3.2).

    beta_tilde of the step to a noise-free image would be 0. There it is half of beta, about what it is a step earlier,
    from where the authors' code takes it.
    """
    beta = 1 - a / a_prev
    return torch.log(torch.where(a_prev == 1, 0.5, (1 - a_prev) / (1 - a)) * beta), torch.log(beta)


def log_variance(v: Tensor, a: Tensor, a_prev: Tensor) -> Tensor:
    """log sigma^2 of a reverse step (eq. 15): between its bounds at the share (v + 1) / 2, v what the network gives.

    v: (B, ...), any real numbers; a, a_prev: (B,) or scalars.
    """
    low, high = (per_sample(bound, v) for bound in log_variances(a, a_prev))
    share = (v + 1) / 2
    return share * high + (1 - share) * low


def vlb(x0: Tensor, noise: Tensor, eps_hat: Tensor, v: Tensor, a: Tensor, a_prev: Tensor) -> Tensor:
    """The term of the variational bound that belongs to each sample's step, in bits per dimension (B,).

    KL of the true posterior from the network's step (eq. 4 to 6) and, where a_prev is 1, the negative log likelihood of
    8-bit images. x0: images in [-1, 1]; noise, eps_hat: as in x_t. Gradients reach v alone: the mean is learnt by the
    squared error (sec. 3.1).
    """
    error = eps_hat.detach() - noise
    spread = log_variance(v, a, a_prev)
    least, _ = (per_sample(bound, x0) for bound in log_variances(a, a_prev))
    # Both means are those of Ho et al. 2020, eq. 11, and differ in eps alone.
    factor = per_sample((1 - a / a_prev) / ((a / a_prev) * (1 - a)).sqrt(), x0)
    kl = 0.5 * (spread - least - 1 + (least - spread).exp() + (factor * error).square() * (-spread).exp())
    likelihood = _log_likelihood(x0, x0 - per_sample(((1 - a) / a).sqrt(), x0) * error, spread)
    last = (a_prev == 1).to(x0.device)
    return torch.where(last, -likelihood.flatten(1).mean(1), kl.flatten(1).mean(1)) / math.log(2)


def _log_likelihood(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log probability of 8-bit grey levels under a normal distribution (Ho et al. 2020, eq. 13)."""
    scale = (-0.5 * log_variance).exp()
    upper, lower = (torch.special.ndtr(scale * (x - mean + side)) for side in (HALF_LEVEL, -HALF_LEVEL))
    upper = torch.where(x > 0.999, 1.0, upper)
    lower = torch.where(x < -0.999, 0.0, lower)
    return (upper - lower).clamp(min=1e-12).log()


def ancestral(
    estimate: Estimate, x: Tensor, pairs: Pairs, alpha_bar: AlphaBar, noise: Callable[[], Tensor], bound: Bound
) -> Tensor:
    """Reverse process from x at pairs[0][0] to pairs[-1][1] with the learnt variances (eq. 11 of Ho et al. 2020, each
    x0_hat bounded); arguments as in `sampler.sample`, everything between two calls in float64."""
    x = x.double()
    for t, t_prev in pairs:
        a, a_prev = (alpha_bar(torch.tensor(time, dtype=torch.float64)) for time in (t, t_prev))
        eps_hat, v = (part.double() for part in estimate(x, t))
        x0_hat = bound((x - (1 - a).sqrt() * eps_hat) / a.sqrt())
        beta = 1 - a / a_prev
        x = a_prev.sqrt() * beta / (1 - a) * x0_hat + (a / a_prev).sqrt() * (1 - a_prev) / (1 - a) * x
        if a_prev < 1:
            x = x + (0.5 * log_variance(v, a, a_prev)).exp() * noise()
    return x
