"""Intervals of everything that reports print, in a small simulation with known truth; docs/statistics.md has the full
one, `python -m reports.numbers.simulation`."""

import pytest

from reports.numbers.simulation import choices, intervals, invented, moved, times, uncertainty

REPEATS = 250
SPREAD = 4 * (0.05 * 0.95 / REPEATS) ** 0.5
"""Four standard errors of a share of 5 % in so many experiments: 5.5 %."""


@pytest.mark.parametrize("groups", [5, 8, 20, 40])
@pytest.mark.parametrize("shape", invented.SHAPES)
def test_intervals_hold_the_truth_about_as_often_as_they_say(groups, shape):
    found = intervals.coverage(groups, shape, REPEATS)
    assert set(found) == {
        "mean",
        "difference",
        "mean, 3 seeds",
        "difference, 3 seeds",
        "relative area",
        "sigma at loss",
        "sigma at loss, 3 seeds",
    }
    # A long tail that few patients have not shown yet is in no interval.
    allowed = 0.05 + SPREAD + (0.08 if shape == "skewed" and groups < 20 else 0.03 if shape == "skewed" else 0)
    assert all(1 - share <= allowed for share in found.values()), found


@pytest.mark.parametrize("groups", [8, 20, 40])
@pytest.mark.parametrize("share", intervals.FAILURES)
def test_where_most_scores_are_1_the_interval_holds_failures_that_were_not_seen(groups, share):
    assert 1 - intervals.ceiling(groups, share, 0.0, REPEATS) <= 0.05 + SPREAD


@pytest.mark.parametrize("groups", [5, 12, 20])
def test_an_outlier_widens_an_interval_to_twice_student_s_at_most(groups):
    found = intervals.distances(groups, REPEATS)
    assert 1 < found["widest"] <= 2 and 1 - found["long tail"] <= 0.08 + SPREAD


@pytest.mark.parametrize("rounds", [5, 7, 15])
def test_intervals_of_ratios_and_exponents_of_times_hold_the_truth(rounds):
    steady, slow = (times.coverage(rounds, spell, REPEATS) for spell in times.SPELLS.values())
    assert set(steady) == {"one time", "ratio", "exponent", "of the two largest"}
    assert all(1 - share <= 0.07 + SPREAD for share in steady.values()), steady
    # What slows the machine for several rounds cancels in what is compared, and is in no interval of a single time.
    assert all(1 - share <= 0.07 + SPREAD for name, share in slow.items() if name != "one time"), slow


@pytest.mark.parametrize("groups, seeds", [(5, 3), (12, 1), (40, 1)])
def test_more_steps_gain_nothing_where_nothing_is_there(groups, seeds):
    """The best of several means lies above the first: tested on the cases it was chosen on, 11 % were gains."""
    draw = invented.SHAPES["normal"]
    nothing, gain = (choices.gains(groups, seeds, one, draw, REPEATS) for one in choices.GAINS.values())
    assert set(nothing) == {"gain"} and set(gain) == {"gain", "enough", "best"}
    assert all(1 - share <= 0.05 + SPREAD for share in (*nothing.values(), *gain.values()))
    assert 1 - choices.ranges(groups, seeds, draw, REPEATS) <= 0.06 + SPREAD / 2


@pytest.mark.parametrize("groups, seeds", [(8, 1), (20, 1), (8, 3), (40, 3)])
def test_intervals_of_uncertainty_hold_the_truth(groups, seeds):
    found = uncertainty.coverage(groups, seeds, 100)
    assert len(found) == 12
    # Patients that are skewed, as these scores have them: 4 standard errors of 10 % in 100 experiments.
    assert all(1 - share <= 0.1 + 4 * 0.03 for share in found.values()), found


@pytest.mark.parametrize("groups, seeds", [(5, 1), (12, 3), (40, 1)])
def test_intervals_of_corruption_errors_and_drops_hold_the_truth(groups, seeds):
    found = moved.errors(groups, "normal", seeds, REPEATS)
    found["worst kind"] = moved.worst(groups, "normal", seeds, 100)
    found["drop"] = moved.drops(groups, "normal", seeds, REPEATS)
    assert set(found) == {"mCE", "relative mCE", "CE", "loss", "DSC corrupted", "worst kind", "drop"}
    assert all(1 - share <= 0.07 + SPREAD for share in found.values()), found
