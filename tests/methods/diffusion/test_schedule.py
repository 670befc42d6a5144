"""Schedules and the forward process, against closed forms."""

import math

import pytest
import torch

from methods.diffusion.schedule import cosine_alpha_bar, linear_alpha_bar, q_sample

DOUBLE = torch.float64


# ---- schedules ------------------------------------------------------------------------------------------------------


def test_cosine_starts_at_exactly_one_and_ends_at_the_published_value():
    assert cosine_alpha_bar(0).item() == 1.0
    assert cosine_alpha_bar(999).item() == pytest.approx(2.43e-6, rel=2e-3)


def test_cosine_beta_reaches_three_quarters():
    a = cosine_alpha_bar(torch.arange(1000))
    assert (1 - a[1:] / a[:-1]).max().item() == pytest.approx(0.75, abs=5e-3)


def test_cosine_is_bounded_away_from_zero_at_the_end_of_time_only():
    assert cosine_alpha_bar(1000).item() == pytest.approx(1e-3 * cosine_alpha_bar(999).item())
    assert cosine_alpha_bar(999.9) > cosine_alpha_bar(1000)


def test_linear_starts_with_one_step_of_noise_and_interpolates():
    assert linear_alpha_bar(0).item() == pytest.approx(0.9999, abs=1e-15)
    ends, middle = linear_alpha_bar([400.0, 401.0]), linear_alpha_bar(400.5)
    assert middle.item() == pytest.approx(ends.prod().sqrt().item(), rel=1e-12)


@pytest.mark.parametrize("alpha_bar", [cosine_alpha_bar, linear_alpha_bar])
def test_schedules_are_float64_falling_and_keep_the_shape(alpha_bar):
    t = torch.linspace(0, 999, 60).reshape(3, 20)
    a = alpha_bar(t)
    assert a.dtype == DOUBLE and a.shape == t.shape
    assert (a.flatten().diff() < 0).all()


@pytest.mark.parametrize("alpha_bar", [cosine_alpha_bar, linear_alpha_bar])
@pytest.mark.parametrize("t", [-1.5, 1000.5, math.nan])
def test_times_outside_the_schedule_are_refused(alpha_bar, t):
    with pytest.raises(ValueError, match="to 1000"):
        alpha_bar(t)


# ---- forward process ------------------------------------------------------------------------------------------------


def test_one_step_noising_repeated_has_the_moments_of_q_sample():
    times = 600
    a = cosine_alpha_bar(torch.arange(times + 1))
    random = torch.Generator().manual_seed(0)
    x0 = 1.5
    x = torch.full((40_000,), x0, dtype=DOUBLE)
    for step in (a[1:] / a[:-1]).tolist():
        x = step**0.5 * x + (1 - step) ** 0.5 * torch.randn(x.shape, generator=random, dtype=DOUBLE)
    jump = q_sample(torch.full_like(x, x0), a[-1], torch.randn(x.shape, generator=random, dtype=DOUBLE))
    for arrived in (x, jump):
        assert arrived.mean().item() == pytest.approx(a[-1].sqrt().item() * x0, abs=0.02)
        assert arrived.var().item() == pytest.approx(1 - a[-1].item(), abs=0.02)


def test_q_sample_takes_one_coefficient_per_sample():
    x0, noise = torch.ones(2, 1, 3, 3), torch.full((2, 1, 3, 3), 2.0)
    x = q_sample(x0, torch.tensor([1.0, 0.0], dtype=DOUBLE), noise)
    assert torch.equal(x[0], x0[0]) and torch.equal(x[1], noise[1]) and x.dtype == torch.float32
