"""STAPLE: the raters' performance, and the truth behind their votes."""

import pytest
import torch

from methods.blocks.staple import staple


def votes_of(sensitivity, specificity, count=40_000, share=0.3):
    random = torch.Generator().manual_seed(0)
    truth = torch.rand(count, generator=random) < share
    chance = torch.where(truth, torch.tensor(sensitivity)[:, None], 1 - torch.tensor(specificity)[:, None])
    return truth, torch.rand(chance.shape, generator=random) < chance


def test_staple_finds_the_raters_sensitivity_and_specificity():
    sensitivity, specificity = (0.95, 0.9, 0.8, 0.7, 0.6), (0.9, 0.97, 0.99, 0.8, 0.95)
    truth, votes = votes_of(sensitivity, specificity)
    result = staple(votes)
    torch.testing.assert_close(result.sensitivity, torch.tensor(sensitivity).double(), atol=0.02, rtol=0)
    torch.testing.assert_close(result.specificity, torch.tensor(specificity).double(), atol=0.02, rtol=0)
    errors, majority = ((p > 0.5) != truth for p in (result.probability, votes.double().mean(0)))
    assert errors.sum() < 0.9 * majority.sum()
    # Its probabilities mean what they say.
    unsure = (result.probability > 0.1) & (result.probability < 0.9)
    assert truth[unsure].double().mean() == pytest.approx(result.probability[unsure].mean().item(), abs=0.03)


def test_staple_is_a_fixed_point_of_its_equations():
    _, votes = votes_of((0.9, 0.8, 0.7), (0.8, 0.9, 0.95))
    w, p, q = staple(votes, iterations=2000)
    d = votes.double()
    prior = d.mean()
    a = prior * torch.where(votes, p[:, None], 1 - p[:, None]).prod(0)
    b = (1 - prior) * torch.where(votes, 1 - q[:, None], q[:, None]).prod(0)
    torch.testing.assert_close(w, a / (a + b), atol=1e-4, rtol=0)
    torch.testing.assert_close(p, (d @ w) / w.sum(), atol=1e-4, rtol=0)
    torch.testing.assert_close(q, ((1 - d) @ (1 - w)) / (1 - w).sum(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("value", [False, True])
def test_staple_of_unanimous_votes_is_the_vote(value):
    result = staple(torch.full((3, 7), value))
    assert result.probability.tolist() == [float(value)] * 7
    assert torch.isfinite(result.sensitivity).all() and torch.isfinite(result.specificity).all()


@pytest.mark.parametrize("raters", [1, 2, 40])
def test_staple_of_equal_raters_is_what_they_say(raters):
    vote = torch.tensor([True, False, False, True, False])
    assert torch.equal(staple(vote.repeat(raters, 1)).probability, vote.double())


def test_staple_of_a_lone_voxel_is_finite():
    votes = torch.zeros(5, 10_000, dtype=torch.bool)
    votes[2, 17] = True
    assert all(torch.isfinite(part).all() for part in staple(votes))
