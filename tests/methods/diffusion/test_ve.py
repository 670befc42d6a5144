"""The variance-exploding process: noise levels, score loss, predictor and corrector, by hand."""

import pytest
import torch

from methods.diffusion import ve


def test_noise_levels_are_geometric():
    levels = ve.sigma(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    torch.testing.assert_close(levels, torch.tensor([0.001, (0.001 * 5) ** 0.5, 5.0]).double(), rtol=1e-6, atol=0)


def test_score_loss_is_the_weighted_distance_to_the_true_score():
    random = torch.Generator().manual_seed(0)
    x0, noise, score = (torch.randn(3, 2, 5, 4, generator=random).double() for _ in range(3))
    level = torch.tensor([0.01, 0.5, 4.0]).double()
    wide = level[:, None, None, None]
    x = x0 + wide * noise
    direct = (wide**2 * (score - (x0 - x) / wide**2) ** 2).sum((1, 2, 3)).mean()
    torch.testing.assert_close(ve.score_loss(score, noise, level), direct)
    assert ve.score_loss(-noise / wide, noise, level) < 1e-20


def test_predictor_step_by_hand():
    x, score, z = (torch.tensor([[v]]).double() for v in (2.0, -0.5, 0.25))
    # 5^2 - 3^2 = 16: 2 + 16 * (-0.5) + 4 * 0.25
    assert ve.predictor(x, score, 5.0, 3.0, z).item() == pytest.approx(-5.0)
    assert torch.equal(ve.predictor(x, score, 3.0, 3.0, z), x)


def test_corrector_step_by_hand_and_by_sample():
    x, score = torch.zeros(2, 1, 2).double(), torch.tensor([[[3.0, 4.0]], [[0.6, 0.8]]]).double()
    z = torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]]]).double()
    mean, noisy = ve.corrector(x, score, z)
    # Step sizes 2 (0.15 * 1 / 5)^2 = 0.0018 and 2 (0.15 * 2 / 1)^2 = 0.18.
    torch.testing.assert_close(mean, torch.tensor([[[0.0054, 0.0072]], [[0.108, 0.144]]]).double())
    torch.testing.assert_close(noisy - mean, torch.tensor([[[0.06, 0.0]], [[0.0, 1.2]]]).double())


def test_predictor_corrector_follows_its_steps():
    """Three times, levels 5, sqrt(0.005) and 0.001, and a score that shows which level it was asked for."""
    random = torch.Generator().manual_seed(0)
    draws = [torch.randn(2, 1, 3, 3, generator=random).double() for _ in range(6)]
    z = [d.clamp(-2, 2) for d in draws]
    levels = [5.0, 0.005**0.5, 0.001]
    asked, visited = [], []

    def score(x, level):
        asked.append(level)
        return -x / (1 + level**2)

    def formula(x, level):
        return -x / (1 + level**2)

    supply = iter(draws)
    found = ve.sample(score, 3, lambda: next(supply), lambda k, t, x: visited.append((k, t, x)))
    _, x = ve.corrector(5 * z[0], formula(5 * z[0], levels[0]), z[1])
    x = ve.predictor(x, formula(x, levels[0]), levels[0], levels[1], z[2])
    _, x = ve.corrector(x, formula(x, levels[1]), z[3])
    x = ve.predictor(x, formula(x, levels[1]), levels[1], levels[2], z[4])
    mean, _ = ve.corrector(x, formula(x, levels[2]), z[5])
    torch.testing.assert_close(found, mean)
    assert asked == pytest.approx([levels[0], levels[0], levels[1], levels[1], levels[2]])
    assert ve.evaluations(3) == len(asked)
    assert [(k, t) for k, t, _ in visited] == [(0, 1), (1, 0.5), (2, 0)] and visited[-1][2] is found
