"""The learnt variance of reverse steps, against numbers worked out in another way."""

import math

import pytest
import torch
from scipy import integrate, stats

from methods.diffusion import sampler
from methods.diffusion.schedule import cosine_alpha_bar, q_sample
from methods.synthesis import learned_variance

T = 1000


def steps(*t):
    times = torch.tensor(t)
    return cosine_alpha_bar(times, T), cosine_alpha_bar(times - 1, T)


def test_alpha_bar_falls_and_beta_is_bounded():
    for timesteps in (100, 200, 500, 1000):
        a = cosine_alpha_bar(torch.arange(timesteps + 1), timesteps)
        beta = 1 - a[1:] / a[:-1]
        assert (a.diff() < 0).all() and a[0] == 1
        assert beta.min() > 0 and beta.max() <= 0.999 + 1e-12


def test_the_ends_of_v_are_both_bounds_of_the_variance():
    a, a_prev = steps(2, 300, 1000)
    beta = 1 - a / a_prev
    tilde = (1 - a_prev) / (1 - a) * beta
    ones = torch.ones(3, 1, 4, dtype=torch.float64)
    for v, expected in ((ones, beta), (-ones, tilde), (0 * ones, (beta * tilde).sqrt())):
        found = learned_variance.log_variance(v, a, a_prev)
        torch.testing.assert_close(found, expected.log()[:, None, None].expand_as(found))


def test_the_step_to_a_noise_free_image_has_a_finite_least_variance_near_that_of_the_step_before():
    first, second = (learned_variance.log_variances(*steps(t)) for t in (1, 2))
    assert first[0].exp().item() == pytest.approx(second[0].exp().item(), rel=0.2)


def case(t, error=0.3):
    random = torch.Generator().manual_seed(0)
    x0 = torch.rand(1, 1, 6, 6, generator=random, dtype=torch.float64) * 1.6 - 0.8
    noise, v = (torch.randn(x0.shape, generator=random, dtype=torch.float64) for _ in range(2))
    a, a_prev = steps(t)
    return x0, noise, noise + error * torch.randn(x0.shape, generator=random, dtype=torch.float64), v, a, a_prev


@pytest.mark.parametrize("t", [2, 40, 700, 1000])
def test_the_bound_is_the_divergence_of_the_two_steps(t):
    """By the densities of the true posterior and of the network's step, integrated."""
    x0, noise, eps_hat, v, a, a_prev = case(t)
    x_t, beta = q_sample(x0, a, noise), 1 - a / a_prev

    def mean(clean):
        return a_prev.sqrt() * beta / (1 - a) * clean + (a / a_prev).sqrt() * (1 - a_prev) / (1 - a) * x_t

    spread = (0.5 * learned_variance.log_variance(v, a, a_prev)).exp()
    true = (0.5 * learned_variance.log_variances(a, a_prev)[0]).exp()
    x0_hat = (x_t - (1 - a).sqrt() * eps_hat) / a.sqrt()
    place = (0, 0, 2, 3)
    q = stats.norm(mean(x0)[place].item(), true.item())
    p = stats.norm(mean(x0_hat)[place].item(), spread[place].item())
    expected, _ = integrate.quad(lambda x: q.pdf(x) * (q.logpdf(x) - p.logpdf(x)), *q.interval(1 - 1e-12))
    one = (slice(None), slice(None), slice(2, 3), slice(3, 4))
    found = learned_variance.vlb(x0[one], noise[one], eps_hat[one], v[one], a, a_prev)
    assert found.item() == pytest.approx(expected / math.log(2), rel=1e-5)


def test_the_last_term_is_the_likelihood_of_grey_levels_which_sum_to_one():
    levels = torch.arange(256, dtype=torch.float64).reshape(256, 1, 1) / 127.5 - 1
    a, a_prev = steps(1)
    x_t = 0.2
    noise = (x_t - a.sqrt() * levels) / (1 - a).sqrt()  # of one x_t, whatever it came from
    eps_hat = torch.full_like(noise, 0.05)  # the network sees x_t alone
    bits = learned_variance.vlb(levels, noise, eps_hat, torch.zeros_like(noise), a.expand(256), a_prev.expand(256))
    assert (2.0**-bits).sum().item() == pytest.approx(1, abs=1e-4)


def test_the_bound_teaches_the_variance_and_not_the_mean():
    for t in (1, 50):
        x0, noise, eps_hat, v, a, a_prev = case(t)
        eps_hat, v = eps_hat.requires_grad_(), v.requires_grad_()
        learned_variance.vlb(x0, noise, eps_hat, v, a, a_prev).sum().backward()
        assert eps_hat.grad is None and v.grad.abs().sum() > 0


def test_a_perfect_mean_and_the_least_variance_leave_no_divergence():
    x0, noise, _, v, a, a_prev = case(400)
    assert learned_variance.vlb(x0, noise, noise, -torch.ones_like(v), a, a_prev).abs().max() < 1e-12


def test_with_the_least_variance_it_is_the_harness_own_ancestral_sampling():
    def alpha_bar(t):
        return cosine_alpha_bar(t, 50)

    def drawing():
        generators = [torch.Generator().manual_seed(i) for i in range(3)]
        return lambda: sampler.draw_normal((1, 4, 4), generators)

    pairs, bound = sampler.time_pairs(10, timesteps=50), sampler.clip(1.0)
    draw = drawing()
    ours = learned_variance.ancestral(
        lambda x, t: (0.5 * x, -torch.ones_like(x)), draw(), pairs, alpha_bar, draw, bound
    )
    draw = drawing()
    theirs = sampler.sample(lambda x, t: 0.5 * x, draw(), pairs, alpha_bar, "ddpm", 1.0, draw, bound=bound)
    torch.testing.assert_close(ours, theirs)
