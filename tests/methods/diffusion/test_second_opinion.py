"""The samplers against diffusers' schedulers on a denoiser in closed form, on the time grid both agree on."""

import pytest
import torch

from methods.diffusion.sampler import clip, sample, time_pairs
from methods.diffusion.schedule import linear_alpha_bar

diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed: pip install diffusers")

STEPS = [2, 5, 50, 1000]
MEAN, STD = 0.3, 0.5
SCHEDULE = {
    "num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear",
    "timestep_spacing": "trailing",
}  # fmt: skip


def eps_hat(x, t):
    """The best estimate of the noise for data that are N(MEAN, STD^2)."""
    a = float(linear_alpha_bar(t))
    return (1 - a) ** 0.5 * (x - a**0.5 * MEAN) / (a * STD**2 + 1 - a)


def start():
    return torch.randn((2, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def noise_source():
    generator = torch.Generator().manual_seed(1)
    return lambda: torch.randn((2, 1, 8, 8), generator=generator, dtype=torch.float64)


def theirs(scheduler, steps, **options):
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    scheduler.set_timesteps(steps)
    x = start()
    for t in scheduler.timesteps:
        more = {name: value() if callable(value) else value for name, value in options.items()}
        x = scheduler.step(eps_hat(x, float(t)), t, x, **more).prev_sample
    return x, scheduler.timesteps.tolist()


@pytest.mark.parametrize("steps", STEPS)
def test_the_schedules_and_time_grids_are_the_same(steps):
    scheduler = diffusers.DDIMScheduler(**SCHEDULE)
    scheduler.set_timesteps(steps)
    pairs = time_pairs(steps, "clean")
    assert scheduler.timesteps.tolist() == pytest.approx([t for t, _ in pairs])
    ours = linear_alpha_bar(torch.arange(1000))
    torch.testing.assert_close(scheduler.alphas_cumprod.double(), ours, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_ddim(steps, eta):
    scheduler = diffusers.DDIMScheduler(**SCHEDULE, clip_sample=False, set_alpha_to_one=True)
    expected, _ = theirs(scheduler, steps, eta=eta, variance_noise=noise_source())
    found = sample(
        eps_hat, start(), time_pairs(steps, "clean"), linear_alpha_bar, solver="ddim", eta=eta, noise=noise_source()
    )
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize("steps", STEPS)
def test_ancestral_ddpm(steps):
    scheduler = diffusers.DDPMScheduler(**SCHEDULE, clip_sample=False, variance_type="fixed_small")
    expected, _ = theirs(scheduler, steps, generator=torch.Generator().manual_seed(1))
    found = sample(
        eps_hat, start(), time_pairs(steps, "clean"), linear_alpha_bar, solver="ddpm", eta=1.0, noise=noise_source()
    )
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize("steps", STEPS)
def test_dpm_solver(steps):
    scheduler = diffusers.DPMSolverMultistepScheduler(
        **SCHEDULE, algorithm_type="dpmsolver++", solver_order=2, solver_type="midpoint", final_sigmas_type="zero"
    )
    expected, _ = theirs(scheduler, steps)
    found = sample(eps_hat, start(), time_pairs(steps, "clean"), linear_alpha_bar, solver="dpm_solver++")
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize("steps", [5, 50])
def test_clipping_the_estimate(steps):
    scheduler = diffusers.DDIMScheduler(**SCHEDULE, clip_sample=True, clip_sample_range=0.4)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    scheduler.set_timesteps(steps)
    expected = start()
    for t in scheduler.timesteps:
        expected = scheduler.step(eps_hat(expected, float(t)), t, expected, use_clipped_model_output=True).prev_sample
    found = sample(eps_hat, start(), time_pairs(steps, "clean"), linear_alpha_bar, bound=clip(0.4))
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)
