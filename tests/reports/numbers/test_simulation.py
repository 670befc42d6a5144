"""What reports say, in a small simulation with known truth; docs/statistics.md has the full one."""

import pytest

from reports.numbers.simulation import __main__ as command
from reports.numbers.simulation import failures, sentences

REPEATS = 250
SPREAD = 4 * (0.05 * 0.95 / REPEATS) ** 0.5
"""Four standard errors of a share of 5 % in so many experiments: 5.5 %."""
ROWS = (18, 12, 6, 12, 12, 24, 12, 12, 49, 10, 4, 24, 12, 18, 6, 4, 16, 16, 16, 24)
"""Of each of the command's tables."""


@pytest.mark.parametrize("seeds, seed_sd", [(3, 0.0), (3, 0.01), (3, 0.02), (5, 0.02)])
def test_equal_methods_are_seldom_told_apart_with_several_seeds(seeds, seed_sd):
    found = sentences.sentences(seeds, (seed_sd, seed_sd), REPEATS)
    assert found["methods told apart"] <= 0.05 + SPREAD and found["trainings told apart"] == 0


@pytest.mark.parametrize("groups", [20, 40, 80])
@pytest.mark.parametrize("uneven", [0.0, 1.0])
def test_equal_methods_are_seldom_told_apart_where_one_s_trainings_differ_and_the_other_s_do_not(groups, uneven):
    """With Satterthwaite's degrees of freedom 7 to 8 % were."""
    found = sentences.sentences(3, (0.0, 0.02), 4 * REPEATS, groups, uneven=uneven)
    assert found["methods told apart"] <= 0.06 + SPREAD / 4


@pytest.mark.parametrize("seeds", [1, 2])
def test_one_or_two_seeds_claim_nothing_about_methods(seeds):
    found = sentences.sentences(seeds, (0.02, 0.02), REPEATS)
    assert found["methods told apart"] == 0
    # What it says is of these trainings, which do differ: as a claim about methods it would often be false.
    assert found["trainings told apart"] > 0.3


def test_a_method_that_is_worse_by_the_margin_is_seldom_called_equivalent():
    found = sentences.sentences(3, (0.005, 0.005), REPEATS, truth=-sentences.MARGIN)
    assert found["equivalent"] + found["not worse"] <= 0.05 + SPREAD


def test_equivalence_is_found_where_there_are_patients_enough():
    found = sentences.sentences(5, (0.0, 0.0), 50, groups=400)
    assert found["equivalent"] > 0.9 and found["methods told apart"] <= 0.2


@pytest.mark.parametrize("groups", [8, 12, 40])
@pytest.mark.parametrize("seeds, seed_sd", [(1, 0.0), (3, 0.0), (3, 0.01)])
def test_skewed_differences_are_seldom_called_what_they_are_not(groups, seeds, seed_sd):
    """With Student's t for both tests up to 11 % and 16 % were."""
    found = sentences.lopsided(seeds, seed_sd, groups, REPEATS)
    assert found["equal, told apart"] <= 0.06 + SPREAD and found["worse by the margin, missed"] <= 0.02 + SPREAD / 2


@pytest.mark.parametrize("groups, seeds", [(12, 1), (12, 3), (20, 3), (40, 1)])
@pytest.mark.parametrize("share", [0.05, 0.1])
def test_a_method_that_fails_now_and_then_is_seldom_called_as_good(groups, seeds, share):
    """38, 30 and 16 % of 12, 20 and 40 patients with one in twenty, where an interval alone decided."""
    assert sentences.unseen(seeds, share, groups, REPEATS)[0] <= 0.05 + SPREAD


@pytest.mark.parametrize("sds", [(0.01, 0.01), (0.0, 0.05)])
def test_a_family_of_five_seldom_says_anything_false(sds):
    found = sentences.families(3, sds, 40, REPEATS)
    assert found["equal, told apart"] <= 0.06 + SPREAD and found["worse by the margin, missed"] <= 0.05 + SPREAD


@pytest.mark.parametrize("seeds, sd", [(1, 0.0), (3, 0.01), (5, 0.01)])
def test_what_is_printed_as_found_at_80_per_cent_is_found_so_often(seeds, sd):
    found = sentences.repetitions(seeds, sd, 40, REPEATS)
    assert found["found again"] > 0.8 - 0.1 and found["median found"] > 0.8 - 0.06
    assert found["lowest"] < found["median"] < found["highest"]


def test_a_large_difference_is_found():
    assert sentences.sentences(3, (0.005, 0.005), 100, truth=0.05)["methods told apart"] > 0.9


@pytest.mark.parametrize("title, rows", list(zip(command.TABLES, ROWS)))
def test_the_command_s_tables_name_every_setting(title, rows):
    frame = command.per_cent(command.TABLES[title](2))
    assert len(frame) == rows
    # Of five patients a correlation has no interval.
    missing = frame.isna().to_numpy().nonzero()
    assert all((frame.columns[column], frame["groups"][row]) == ("Spearman", 5) for row, column in zip(*missing))


def test_the_command_prints_one_table_or_refuses_one_that_it_does_not_have(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["simulation", "--repeats", "2", "--table", "3"])
    command.main()
    assert capsys.readouterr().out.count("**") == 2
    monkeypatch.setattr("sys.argv", ["simulation", "--table", "21"])
    with pytest.raises(SystemExit):
        command.main()
    assert "expected a whole number from 1 to 20" in capsys.readouterr().err


@pytest.mark.parametrize("groups", [12, 40])
def test_a_margin_that_holds_against_one_unseen_failure_costs_claims_and_spares_false_ones(groups):
    held, alone = sentences.unseen(3, 0.05, groups, REPEATS)
    assert held <= 0.05 + SPREAD and alone > held + 0.05
    held, alone = sentences.price(5, 0.0, groups, REPEATS)
    assert held < alone


def test_trainings_that_collapse_unseen_make_methods_differ_that_are_equal():
    """Stated in docs/statistics.md: nothing in three trainings tells of what comes in one of ten. Of those that show a
    fallen one none is told apart, or few."""
    found = sentences.collapses(3, (0.1, 0.3), 40, 100)
    assert found["told apart"] == found["and no training had fallen"] > 0.5
    mild = sentences.collapses(3, (0.2, 0.09), 40, 100)
    assert mild["told apart"] - mild["and no training had fallen"] < 0.05


@pytest.mark.parametrize("groups, seeds", [(12, 1), (12, 3), (20, 1), (20, 3), (40, 1)])
def test_a_gain_with_failures_now_and_then_is_seldom_called_better_outright(groups, seeds):
    """By the interval alone 28, 13 and 2 % of 12, 20 and 40 patients were."""
    found = failures.rare(seeds, 0.1, 0.3, groups, REPEATS)
    assert found["better"] <= 0.05 + SPREAD / 2
    if groups < 40:
        assert (
            found["better"] + 0.05 < found["by the interval alone"] <= found["better"] + found["better so far"] + 0.01
        )


@pytest.mark.parametrize("groups, seeds", [(12, 1), (12, 3), (20, 3), (20, 5), (40, 5)])
def test_equal_methods_that_fail_in_different_patients_are_seldom_told_apart(groups, seeds):
    """By the interval alone 9 to 16 % of those with three and five seeds were."""
    found = failures.alike(seeds, 0.05, 0.4, groups, 2 * REPEATS)
    assert found["told apart"] <= 0.05 + SPREAD / 2
    assert seeds == 1 or found["told apart"] + 0.03 < found["interval without 0"]


@pytest.mark.parametrize("groups, truth, least", [(20, 0.08, 0.9), (40, 0.05, 0.9), (80, 0.03, 0.7)])
def test_what_is_large_beside_two_failures_is_better_outright(groups, truth, least):
    found = failures.found(3, 0.005, truth, groups, 100)
    assert found["better"] > least and found["better"] + found["better so far"] >= found["by the interval alone"] - 0.01
