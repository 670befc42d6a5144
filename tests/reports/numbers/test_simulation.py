"""A small simulation with known truth; docs/statistics.md has the full one, `python -m reports.numbers.simulation`."""

import pytest

from reports.numbers import simulation

REPEATS = 250
SPREAD = 4 * (0.05 * 0.95 / REPEATS) ** 0.5
"""Four standard errors of a share of 5 % in so many experiments: 5.5 %."""


@pytest.mark.parametrize("groups", [5, 8, 20, 40])
@pytest.mark.parametrize("shape", simulation.SHAPES)
def test_intervals_hold_the_truth_about_as_often_as_they_say(groups, shape):
    found = simulation.coverage(groups, shape, REPEATS)
    assert set(found) == {
        "mean",
        "difference",
        "mean, 3 seeds",
        "difference, 3 seeds",
        "relative area",
        "sigma at loss",
    }
    # A long tail that few patients have not shown yet is in no interval.
    allowed = 0.05 + SPREAD + (0.08 if shape == "skewed" and groups < 20 else 0.03 if shape == "skewed" else 0)
    assert all(1 - share <= allowed for share in found.values()), found


@pytest.mark.parametrize("seeds, seed_sd", [(3, 0.0), (3, 0.01), (3, 0.02), (5, 0.02)])
def test_equal_methods_are_seldom_told_apart_with_several_seeds(seeds, seed_sd):
    found = simulation.sentences(seeds, seed_sd, REPEATS)
    assert found["methods told apart"] <= 0.05 + SPREAD and found["trainings told apart"] == 0


def test_one_seed_claims_nothing_about_methods():
    found = simulation.sentences(1, 0.02, REPEATS)
    assert found["methods told apart"] == found["methods equivalent"] == found["not worse"] == 0
    # What it says is of these trainings, which do differ: as a claim about methods it would often be false.
    assert found["trainings told apart"] > 0.3


def test_a_method_that_is_worse_by_the_margin_is_seldom_called_equivalent():
    found = simulation.sentences(3, 0.005, REPEATS, truth=-simulation.MARGIN)
    assert found["methods equivalent"] + found["not worse"] <= 0.05 + SPREAD


def test_a_large_difference_is_found():
    assert simulation.sentences(3, 0.005, 100, truth=0.05)["methods told apart"] > 0.9


def test_the_command_s_tables_name_every_setting():
    frames = simulation.tables(2)
    coverage, *rates = frames.values()
    assert len(coverage) == 12 and [len(frame) for frame in rates] == [12, 12, 12]
