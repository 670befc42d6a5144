"""The variance-exploding process: noise levels, score-matching loss, and predictor-corrector sampling.

x_t = x_0 + sigma(t) noise, with times from 0 (almost clean) to 1. After Song et al. 2021 (arXiv:2011.13456) with the
settings of Bogensperger et al. (arXiv:2303.05966).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from methods.base import Callback
from methods.diffusion.schedule import per_sample

SIGMA_MIN, SIGMA_MAX = 0.001, 5.0
SIGNAL_TO_NOISE = 0.15
LARGEST_NOISE = 2.0
"""Normal noise is clipped to +-2 wherever the sampler uses it."""

Score = Callable[[Tensor, float], Tensor]
"""Score (gradient of the log density) of x (B, C, *spatial) float64 at noise level sigma, any floating type."""


def sigma(t: Tensor) -> Tensor:
    """Noise level at times 0..1, geometric from SIGMA_MIN to SIGMA_MAX, in t's type (Song et al. 2021, app. C)."""
    return SIGMA_MIN * (SIGMA_MAX / SIGMA_MIN) ** t


def score_loss(score: Tensor, noise: Tensor, level: Tensor) -> Tensor:
    """Denoising score matching weighted by sigma^2, summed over a sample and averaged over the batch.

    The target is (x_0 - x_t) / sigma^2 = -noise / sigma, so the weighted square is that of sigma score + noise.
    score, noise: (B, ...); level: sigma (B,). Song et al. 2021, eq. 7.
    """
    return (per_sample(level, score) * score + noise).square().flatten(1).sum(1).mean()


def predictor(x: Tensor, score: Tensor, level: float, level_next: float, z: Tensor) -> Tensor:
    """Step from noise level to level_next by the reverse diffusion (Song et al. 2021, algorithm 2, left part)."""
    variance = level**2 - level_next**2
    return x + variance * score + variance**0.5 * z


def corrector(x: Tensor, score: Tensor, z: Tensor, ratio: float = SIGNAL_TO_NOISE) -> tuple[Tensor, Tensor]:
    """Langevin step at one noise level: (its mean, the mean with noise z added) (Song et al. 2021, algorithm 4).

    The step size 2 (ratio |z| / |score|)^2 takes its norms per sample, so that a result ignores its batch.
    """
    norm_z, norm_score = (v.flatten(1).norm(dim=1) for v in (z, score))
    size = per_sample(2 * (ratio * norm_z / norm_score) ** 2, x)
    mean = x + size * score
    return mean, mean + (2 * size).sqrt() * z


def sample(score: Score, steps: int, noise: Callable[[], Tensor], callback: Callback | None = None) -> Tensor:
    """Predictor-corrector sampling from SIGMA_MAX to SIGMA_MIN at `steps` evenly spaced times from 1 to 0.

    At every time a predictor step from the time before, then a corrector step; the first time, where sampling starts,
    has no time before it, so the score is evaluated `evaluations(steps)` times.
    noise: returns a fresh standard normal (B, C, *spatial) float64. callback: called after the steps of each time.
    Returns the mean of the last corrector step, float64.
    """
    times = torch.linspace(1, 0, steps, dtype=torch.float64)
    levels = sigma(times).tolist()

    def draw() -> Tensor:
        return noise().clamp(-LARGEST_NOISE, LARGEST_NOISE)

    # x_0 + SIGMA_MAX noise, of which data much smaller than SIGMA_MAX are no noticeable part.
    x = SIGMA_MAX * draw()
    for step, (t, level) in enumerate(zip(times.tolist(), levels, strict=True)):
        if step:  # from the level before down to this one
            x = predictor(x, score(x, levels[step - 1]).double(), levels[step - 1], level, draw())
        # At this level: towards the density that the predictor's finite step has missed.
        mean, x = corrector(x, score(x, level).double(), draw())
        if callback is not None:
            callback(step, t, mean if step == steps - 1 else x)
    return mean


def evaluations(steps: int) -> int:
    """How often `sample` evaluates the score: a corrector at every time, a predictor at every time but the first."""
    return 2 * steps - 1
