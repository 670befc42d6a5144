"""Time grids and the sampler, against closed forms."""

import math

import pytest
import torch

from methods.diffusion.sampler import clip, draw_normal, dynamic_threshold, sample, standardise, time_pairs
from methods.diffusion.schedule import cosine_alpha_bar, linear_alpha_bar, q_sample

DOUBLE = torch.float64


def generators(count: int, first: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(first + i) for i in range(count)]


def oracle(z0, alpha_bar=cosine_alpha_bar):
    """The noise that leads from z0 to x_t, the exact answer of a perfect denoiser."""

    def predict(x, t):
        a = alpha_bar(t)
        return (x - a.sqrt() * z0) / (1 - a).sqrt()

    return predict


# ---- time grids -----------------------------------------------------------------------------------------------------


def test_real_grid_has_evenly_spaced_real_times():
    assert time_pairs(3) == [(999.0, 499.5), (499.5, 0.0)]


def test_rounded_grid_ends_with_a_step_to_the_clean_time():
    assert time_pairs(3, "round1") == [(1000.0, 500.0), (500.0, 1.0), (1.0, 0.0)]


def test_rounded_grid_never_visits_a_time_twice():
    times = [t for t, _ in time_pairs(1500, "round1")]
    assert len(times) == len(set(times)) == 1000


@pytest.mark.parametrize("grid", ["real0", "round1"])
@pytest.mark.parametrize("steps", [2, 3, 7, 50, 1000])
def test_pairs_form_one_falling_chain_to_zero(grid, steps):
    pairs = time_pairs(steps, grid)
    assert all(t > t_prev for t, t_prev in pairs)
    assert [t_prev for _, t_prev in pairs[:-1]] == [t for t, _ in pairs[1:]]
    assert pairs[-1][1] == 0


def test_a_single_step_and_an_unknown_grid_are_refused():
    with pytest.raises(ValueError, match="2 or more"):
        time_pairs(1)
    with pytest.raises(ValueError, match="real0, round1"):
        time_pairs(5, "real1")


# ---- sampler --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("steps", [2, 3, 10, 100])
def test_perfect_denoiser_recovers_z0_for_any_number_of_steps(steps, eta):
    z0 = draw_normal((1, 4, 4), generators(2, 10))
    own = generators(2)
    x = draw_normal((1, 4, 4), own)
    found = sample(oracle(z0), x, time_pairs(steps), cosine_alpha_bar, "ddim", eta, lambda: draw_normal((1, 4, 4), own))
    torch.testing.assert_close(found, z0, atol=1e-11, rtol=0)


def test_what_the_denoiser_says_at_time_zero_changes_nothing():
    z0 = draw_normal((1, 4, 4), generators(1, 10))
    perfect = oracle(z0)
    x = draw_normal((1, 4, 4), generators(1))
    pairs = time_pairs(2)
    once = sample(perfect, x, pairs, cosine_alpha_bar)
    corrupted = sample(
        lambda x, t: perfect(x, t) if t > 0 else torch.full_like(x, 1e3), x, [*pairs, (0.0, 0.0)], cosine_alpha_bar
    )
    assert torch.equal(once, corrupted)


def test_eta_one_is_the_ancestral_posterior():
    z0, x, xi = (draw_normal((1, 3), generators(1, seed)) for seed in (1, 2, 3))
    t, s = 700.0, 300.0
    found = sample(oracle(z0), x, [(t, s)], cosine_alpha_bar, "ddpm", 1.0, lambda: xi)
    a, a_s = cosine_alpha_bar([t, s])
    alpha = a / a_s
    # Ho et al. 2020, eq. 6 and 7, for the step from t to s.
    mean = a_s.sqrt() * (1 - alpha) / (1 - a) * z0 + alpha.sqrt() * (1 - a_s) / (1 - a) * x
    expected = mean + ((1 - a_s) / (1 - a) * (1 - alpha)).sqrt() * xi
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_every_eta_keeps_the_marginals_of_the_forward_process(eta):
    z0 = torch.full((1, 60_000), 0.8, dtype=DOUBLE)
    own = generators(1)
    x = q_sample(z0, cosine_alpha_bar(900.0), draw_normal((60_000,), own))
    pairs = [(900.0, 600.0), (600.0, 350.0)]
    found = sample(oracle(z0), x, pairs, cosine_alpha_bar, "ddim", eta, lambda: draw_normal((60_000,), own))
    a = cosine_alpha_bar(350.0).item()
    assert found.mean().item() == pytest.approx(a**0.5 * 0.8, abs=0.015)
    assert found.var().item() == pytest.approx(1 - a, abs=0.015)


def test_no_noise_is_drawn_without_eta_or_for_the_last_step():
    draws = []

    def noise():
        draws.append(1)
        return torch.zeros(1, 2, dtype=DOUBLE)

    x = torch.ones(1, 2, dtype=DOUBLE)
    sample(lambda x, t: x, x, time_pairs(5), cosine_alpha_bar, "ddim", 0.0, noise)
    assert len(draws) == 0
    sample(lambda x, t: x, x, time_pairs(5), cosine_alpha_bar, "ddpm", 1.0, noise)
    assert len(draws) == 3


def test_eta_without_noise_is_refused():
    with pytest.raises(ValueError, match="pass `noise`"):
        sample(lambda x, t: x, torch.ones(1, 2), time_pairs(3), cosine_alpha_bar, eta=1.0)


def test_callback_sees_every_time_of_the_grid_and_the_result():
    seen = []
    x = draw_normal((1, 2), generators(1))
    found = sample(
        lambda x, t: 0.1 * x, x, time_pairs(4), cosine_alpha_bar, callback=lambda k, t, x: seen.append((k, t, x))
    )
    assert [k for k, _, _ in seen] == [0, 1, 2, 3]
    assert [t for _, t, _ in seen] == [999.0, 666.0, 333.0, 0.0]
    assert torch.equal(seen[0][2], x) and torch.equal(seen[-1][2], found)


def test_clipping_bounds_the_estimate_of_the_clean_sample():
    x = 5 * draw_normal((50,), generators(1))
    found = sample(lambda x, t: 0.2 * x, x, time_pairs(5), cosine_alpha_bar, bound=clip(1.0))
    assert found.abs().max() <= 1
    z0 = torch.full((1, 50), 0.4, dtype=DOUBLE)
    kept = sample(oracle(z0), x, time_pairs(5), cosine_alpha_bar, bound=clip(1.0))
    torch.testing.assert_close(kept, z0, atol=1e-10, rtol=0)


def test_standardise_per_sample_or_over_the_batch():
    x = torch.stack([torch.arange(9.0), 100 + 2 * torch.arange(9.0)]).reshape(2, 1, 3, 3).double()
    each = standardise(x)
    torch.testing.assert_close(each[0], standardise(x[:1])[0])
    torch.testing.assert_close(each.mean((1, 2, 3)), torch.zeros(2, dtype=DOUBLE), atol=1e-9, rtol=0)
    # The 1e-5 is added to the standard deviation, not to the variance.
    deviation = x[0].std(correction=0)
    torch.testing.assert_close(each[0].std(correction=0), deviation / (deviation + 1e-5))
    joint = standardise(x, "batch")
    assert abs(joint.mean()) < 1e-9 and joint[0].mean() < -0.5


def test_draws_depend_on_the_sample_not_on_its_batch():
    batch, alone = draw_normal((1, 3, 3), generators(3)), draw_normal((1, 3, 3), generators(1, first=2))
    assert torch.equal(batch[2], alone[0]) and not torch.equal(batch[0], batch[1])


# ---- DPM-Solver++ ---------------------------------------------------------------------------------------------------


def gaussian_denoiser(mean, std, alpha_bar):
    """The best estimate of the noise for data that are N(mean, std^2): eps_hat is linear in x_t."""

    def predict(x, t):
        a = float(alpha_bar(t))
        return (1 - a) ** 0.5 * (x - a**0.5 * mean) / (a * std**2 + 1 - a)

    return predict


def exact_flow(x, mean, std, a):
    """Where the probability flow takes x_T of Gaussian data: the same quantile of N(mean, std^2)."""
    return mean + std * (x - a**0.5 * mean) / (a * std**2 + 1 - a) ** 0.5


@pytest.mark.parametrize(("alpha_bar", "grid"), [(cosine_alpha_bar, "real0"), (linear_alpha_bar, "clean")])
def test_solvers_converge_to_the_probability_flow_and_second_order_is_ahead(alpha_bar, grid):
    x = draw_normal((64,), generators(1))
    truth = exact_flow(x, 0.3, 0.5, float(alpha_bar(999.0)))
    error = {}
    for solver in ("ddim", "dpm_solver++"):
        for steps in (20, 200):
            found = sample(gaussian_denoiser(0.3, 0.5, alpha_bar), x, time_pairs(steps, grid), alpha_bar, solver=solver)
            error[solver, steps] = (found - truth).abs().max().item()
    assert error["ddim", 200] < 0.2 * error["ddim", 20] and error["dpm_solver++", 200] < 0.2 * error["dpm_solver++", 20]
    assert error["dpm_solver++", 20] < 0.5 * error["ddim", 20]


@pytest.mark.parametrize("steps", [2, 3, 10])
@pytest.mark.parametrize(("alpha_bar", "grid"), [(cosine_alpha_bar, "real0"), (linear_alpha_bar, "clean")])
@pytest.mark.parametrize("solver", ["ddim", "dpm_solver++"])
def test_every_solver_recovers_z0_from_a_perfect_denoiser(solver, alpha_bar, grid, steps):
    z0 = draw_normal((1, 4, 4), generators(2, 10)).clamp(-1, 1)
    x = draw_normal((1, 4, 4), generators(2))
    found = sample(oracle(z0, alpha_bar), x, time_pairs(steps, grid), alpha_bar, solver=solver, bound=clip(1.0))
    torch.testing.assert_close(found, z0, atol=1e-9, rtol=0)


def test_an_unknown_solver_is_refused():
    with pytest.raises(ValueError, match="'euler', expected one of ddpm, ddim, dpm_solver"):
        sample(lambda x, t: x, torch.ones(1, 2), time_pairs(3), cosine_alpha_bar, solver="euler")


def test_dynamic_threshold_divides_only_what_is_too_large():
    x = torch.zeros(2, 1, 10, 100, dtype=DOUBLE)
    x[0, 0, :, 0] = 4.0  # one value in a hundred: inside the upper half per cent and outside the lower 99.5
    x[1] = 0.5
    found = dynamic_threshold(0.995)(x)
    assert found[0].max() == 1 and torch.equal(found[1], x[1])
    assert torch.equal(dynamic_threshold(0.98)(x)[0], x[0].clamp(-1, 1))


def test_the_clean_grid_ends_at_the_noise_free_time():
    assert time_pairs(2, "clean") == [(999.0, 499.0), (499.0, -1.0)]
    assert [t for t, _ in time_pairs(1000, "clean")] == list(range(999, -1, -1))
    assert linear_alpha_bar(-1).item() == 1.0
    assert linear_alpha_bar(-0.5).item() == pytest.approx(math.sqrt(0.9999), abs=1e-15)
