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
        "sigma at loss, 3 seeds",
    }
    # A long tail that few patients have not shown yet is in no interval.
    allowed = 0.05 + SPREAD + (0.08 if shape == "skewed" and groups < 20 else 0.03 if shape == "skewed" else 0)
    assert all(1 - share <= allowed for share in found.values()), found


@pytest.mark.parametrize("seeds, seed_sd", [(3, 0.0), (3, 0.01), (3, 0.02), (5, 0.02)])
def test_equal_methods_are_seldom_told_apart_with_several_seeds(seeds, seed_sd):
    found = simulation.sentences(seeds, (seed_sd, seed_sd), REPEATS)
    assert found["methods told apart"] <= 0.05 + SPREAD and found["trainings told apart"] == 0


@pytest.mark.parametrize("groups", [20, 40, 80])
@pytest.mark.parametrize("uneven", [0.0, 1.0])
def test_equal_methods_are_seldom_told_apart_where_one_s_trainings_differ_and_the_other_s_do_not(groups, uneven):
    """With Satterthwaite's degrees of freedom 7 to 8 % were."""
    found = simulation.sentences(3, (0.0, 0.02), 4 * REPEATS, groups, uneven=uneven)
    assert found["methods told apart"] <= 0.06 + SPREAD / 4


@pytest.mark.parametrize("seeds", [1, 2])
def test_one_or_two_seeds_claim_nothing_about_methods(seeds):
    found = simulation.sentences(seeds, (0.02, 0.02), REPEATS)
    assert found["methods told apart"] == 0
    # What it says is of these trainings, which do differ: as a claim about methods it would often be false.
    assert found["trainings told apart"] > 0.3


def test_a_method_that_is_worse_by_the_margin_is_seldom_called_equivalent():
    found = simulation.sentences(3, (0.005, 0.005), REPEATS, truth=-simulation.MARGIN)
    assert found["equivalent"] + found["not worse"] <= 0.05 + SPREAD


def test_equivalence_is_found_where_there_are_patients_enough():
    found = simulation.sentences(5, (0.0, 0.0), 50, groups=400)
    assert found["equivalent"] > 0.9 and found["methods told apart"] <= 0.2


@pytest.mark.parametrize("groups", [8, 12, 40])
@pytest.mark.parametrize("seeds, seed_sd", [(1, 0.0), (3, 0.0), (3, 0.01)])
def test_skewed_differences_are_seldom_called_what_they_are_not(groups, seeds, seed_sd):
    """With Student's t for both tests up to 11 % and 16 % were."""
    found = simulation.lopsided(seeds, seed_sd, groups, REPEATS)
    assert found["equal, told apart"] <= 0.06 + SPREAD and found["worse by the margin, missed"] <= 0.02 + SPREAD / 2


@pytest.mark.parametrize("groups, seeds", [(12, 1), (12, 3), (20, 3), (40, 1)])
@pytest.mark.parametrize("share", [0.05, 0.1])
def test_a_method_that_fails_now_and_then_is_seldom_called_as_good(groups, seeds, share):
    """38, 30 and 16 % of 12, 20 and 40 patients with one in twenty, where an interval alone decided."""
    assert simulation.unseen(seeds, share, groups, REPEATS) <= 0.05 + SPREAD


@pytest.mark.parametrize("sds", [(0.01, 0.01), (0.0, 0.05)])
def test_a_family_of_five_seldom_says_anything_false(sds):
    found = simulation.families(3, sds, 40, REPEATS)
    assert found["equal, told apart"] <= 0.06 + SPREAD and found["worse by the margin, missed"] <= 0.05 + SPREAD


@pytest.mark.parametrize("seeds, sd", [(1, 0.0), (3, 0.01), (5, 0.01)])
def test_what_is_printed_as_found_at_80_per_cent_is_found_so_often(seeds, sd):
    found = simulation.repetitions(seeds, sd, 40, REPEATS)
    assert found["found again"] > 0.8 - 0.1 and found["median found"] > 0.8 - 0.06
    assert found["lowest"] < found["median"] < found["highest"]


def test_a_large_difference_is_found():
    assert simulation.sentences(3, (0.005, 0.005), 100, truth=0.05)["methods told apart"] > 0.9


@pytest.mark.parametrize("groups", [8, 20, 40])
@pytest.mark.parametrize("share", simulation.FAILURES)
def test_where_most_scores_are_1_the_interval_holds_failures_that_were_not_seen(groups, share):
    assert 1 - simulation.ceiling(groups, share, 0.0, REPEATS) <= 0.05 + SPREAD


@pytest.mark.parametrize("groups", [5, 12, 20])
def test_an_outlier_widens_an_interval_to_twice_student_s_at_most(groups):
    found = simulation.distances(groups, REPEATS)
    assert 1 < found["widest"] <= 2 and 1 - found["long tail"] <= 0.08 + SPREAD


@pytest.mark.parametrize("title, rows", list(zip(simulation.TABLES, [12, 12, 4, 12, 15, 10, 6, 4, 16, 16, 16])))
def test_the_command_s_tables_name_every_setting(title, rows):
    frame = simulation.per_cent(simulation.TABLES[title](2))
    assert len(frame) == rows and frame.notna().all(axis=None)


def test_the_command_prints_one_table_or_refuses_one_that_it_does_not_have(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["simulation", "--repeats", "2", "--table", "3"])
    simulation.main()
    assert capsys.readouterr().out.count("**") == 2
    monkeypatch.setattr("sys.argv", ["simulation", "--table", "12"])
    with pytest.raises(SystemExit):
        simulation.main()
    assert "expected a whole number from 1 to 11" in capsys.readouterr().err
