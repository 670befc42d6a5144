"""What the report says of differences, ranks and Friedman's test, on scores whose answer is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from reports.numbers import friedman, verdicts
from reports.numbers.statistics import Estimate
from reports.numbers.study import comparisons, study
from reports.numbers.verdicts import Significance
from reports.paper import markdown, style
from reports.paper.document import Document, write_numbers
from reports.sections import common, significance, verdict_words
from tests.reports.sections.conftest import CASES, SUITE, bumpy


@pytest.fixture
def drawn(fabricate, tmp_path):
    """Writes the sections and returns them as text."""

    def write():
        it, document = study(fabricate.results(**SUITE)), Document("Significance")
        document.add(*significance.sections(it, style.looks(list(it.names)), tmp_path))
        write_numbers(document, tmp_path)
        return markdown.render(document)

    return write


def test_one_training_each_is_better_worse_or_undecided_as_a_training(measured, said):
    own = bumpy(0.8)
    measured("ldseg", own)
    measured("resunet", own - 0.07 - 0.001 * np.arange(CASES))
    measured("unet", own + 0.08 + 0.001 * np.arange(CASES))
    measured("vnet", own + 0.1 * np.tile([1, -1], CASES // 2) * np.linspace(1, 1.01, CASES))
    better, worse, undecided, caution, margin = said()
    # All 12 signs agree, so p is 2 / 2^12, the smallest of three: times 3.
    higher = "This training of **LDSeg (2 steps)** scored higher than this training of **Res-UNet** by 0.076 DSC [0.07"
    assert better.startswith(higher) and better.endswith("p = 0.001 after Holm.")
    assert worse.startswith(
        "This training of **LDSeg (2 steps)** scored lower than this training of **U-Net** by 0.085 DSC [0.08"
    )
    assert undecided.startswith(
        "Undecided between this training of **LDSeg (2 steps)** and this training of **vnet**: "
    )
    assert "with a probability of about 80 % this design finds a difference of 0." in undecided
    assert "claim nothing about the method" in caution
    assert margin.startswith("With 12 images no margin below 0.023 can be claimed, and 0.01 was declared")


def test_three_trainings_speak_of_methods(measured, said):
    own = bumpy(0.8)
    for seed, moved in enumerate((-0.002, 0.0, 0.002)):
        measured("ldseg", own + moved, seed=seed)
        measured("resunet", bumpy(0.7, 0.009) - moved, seed=seed)
        measured("unet", bumpy(0.8, 0.0105) + moved * np.cos(seed), seed=seed)
        measured("vnet", bumpy(0.78, 0.0105) + 20 * moved, seed=seed)
    better, equivalent, undecided = said(margin=0.04)
    assert better.startswith("**LDSeg (2 steps)** is better than **Res-UNet** by 0.100 DSC [0.0")
    assert equivalent.startswith("**LDSeg (2 steps)** and **U-Net** are equivalent within 0.04 DSC: +0.001 DSC [\u2212")
    assert undecided.startswith("Undecided between **LDSeg (2 steps)** and **vnet**: +0.020 DSC [\u22120.0")


def test_a_family_of_few_and_many_trainings_speaks_of_each_as_it_may(measured, said, fabricate):
    """LDSeg and Res-UNet have three trainings, U-Net one: one family of two, tested by Student's t and by ranks."""
    own = bumpy(0.8)
    for seed, moved in enumerate((-0.002, 0.0, 0.002)):
        measured("ldseg", own + moved, seed=seed)
        measured("resunet", bumpy(0.7, 0.009) - moved, seed=seed)
    measured("unet", own - 0.08 - 0.001 * np.arange(CASES))
    methods, trainings, caution = said()
    assert methods.startswith("**LDSeg (2 steps)** is better than **Res-UNet** by 0.100 DSC [0.0")
    start = "The mean of 3 trainings of **LDSeg (2 steps)** scored higher than this training of **U-Net** by"
    assert trainings.startswith(start) and "claim nothing about the method" in caution
    first, second = comparisons(study(fabricate.results(**SUITE)), "glas")
    p = [one.tests[0.0].p for one in (first, second)]
    assert p[0] < p[1] == pytest.approx(2 / 2**CASES)
    # The smallest of the two counts twice, and no p comes out smaller than one before it.
    assert [one.tests[0.0].p_holm for one in (first, second)] == pytest.approx([2 * p[0], max(2 * p[0], p[1])])
    assert [one.tests[0.0].attainable for one in (first, second)] == pytest.approx([0, 2 / 2**CASES])
    assert [one.at[0.0].seeds for one in (first, second)] == [3, 1]


def test_trainings_that_differ_as_much_as_the_methods_decide_nothing(measured, said):
    """Every patient agrees, but another training could have turned the order round."""
    own = bumpy(0.8)
    for seed, moved in enumerate((-0.03, 0.0, 0.03)):
        measured("ldseg", own + moved + 0.02, seed=seed)
        measured("resunet", own + moved, seed=seed)
    sentence, _ = said()
    assert sentence.startswith("Undecided between **LDSeg (2 steps)** and **Res-UNet**: +0.020 DSC")


def test_a_margin_of_the_suite_is_used_and_named(measured, said):
    own = bumpy(0.8)
    measured("ldseg", own)
    measured("resunet", bumpy(0.74, 0.009))
    (sentence, _), (wide, _) = said(), said(margin=0.12)
    assert "margin" not in sentence and "the difference is smaller than the margin of 0.12 DSC, p < 0.001" in wide


def test_the_failure_that_a_margin_has_to_hold_against_is_the_suite_s(measured, said, fabricate):
    """Scores that are alike in twelve images: one in whom 0.3 is lost would move the mean by 0.023, of 0.1 by 0.008."""
    own = bumpy(0.8)
    measured("ldseg", own)
    measured("resunet", own + 0.001 * np.tile([1, -1], CASES // 2) * np.linspace(1, 3, CASES))

    def notes(**suite):
        blocks = common.notes(study(fabricate.results(**SUITE | suite)), [])
        return " ".join(text for block in blocks for text in getattr(block, "items", ()))

    for suite, verdict, words in (
        ({}, "Undecided", "one more image in whom a method loses 0.3 (`suite.unseen_failure`)"),
        ({"unseen_failure": 0.1}, "scored alike", "one more image in whom a method loses 0.1 (`suite.unseen_failure`)"),
        ({"unseen_failure": 0}, "scored alike", "playing no part (`suite.unseen_failure=0`)"),
    ):
        sentence, *cautions = said(**suite)
        assert verdict in sentence and words in notes(**suite)
        assert any("no margin below 0.023" in text for text in cautions) == (not suite)


@pytest.mark.parametrize(
    "low, p_holm, rank_biserial, verdict, words",
    [
        (0.01, 0.01, 0.9, "better", "A scored higher than B by 0.020 DSC"),
        (0.01, 0.20, 0.9, "undecided", "the interval alone would exclude 0"),
        (-0.01, 0.01, 0.9, "undecided", "test and interval do not point the same way"),
        (0.01, 0.01, -0.9, "undecided", "test and interval do not point the same way"),
        (-0.01, 0.20, 0.1, "undecided", "Undecided between A and B"),
    ],
)
def test_interval_test_and_ranks_have_to_agree(low, p_holm, rank_biserial, verdict, words):
    estimate = Estimate(0.02, low, 0.05, 30, 30, error=0.01, df=29)
    test = Significance(p_holm / 2, p_holm, rank_biserial, 0.3, 0.3, 0.8, 0.8, 1e-6, 0.03)
    assert verdicts.verdict(estimate, test) == verdict
    assert words in verdict_words.sentence("A", "B", estimate, test)
    mirrored = replace(test, rank_biserial=-rank_biserial)
    other = {"better": "worse"}.get(verdict, verdict)
    assert verdicts.verdict(verdict_words.negated(estimate), mirrored) == other


@pytest.mark.parametrize(
    "not_worse, not_better, verdict, words",
    [
        (0.01, 0.2, "not worse", "A is not worse than B by more than 0.01 DSC"),
        (0.2, 0.01, "not better", "A is not better than B by more than 0.01 DSC"),
        (0.01, 0.01, "equivalent", "A and B are equivalent within 0.01 DSC"),
        (0.2, 0.2, "undecided", "finds a difference of 0.030 DSC or more"),
    ],
)
def test_what_is_not_better_may_be_as_good(not_worse, not_better, verdict, words):
    estimate = Estimate(0.002, -0.01, 0.014, 30, 30, seeds=3, error=0.005, df=8)
    test = Significance(0.4, 0.4, 0.1, 0.1, not_worse, not_better, max(not_worse, not_better), 0.0, 0.03)
    assert verdicts.verdict(estimate, test) == verdict
    assert words in verdict_words.sentence("A", "B", estimate, test)


@pytest.mark.parametrize("seeds, word", [(1, "scored higher so far than"), (3, "is better so far than")])
def test_what_two_failures_more_would_undo_is_so_far(measured, said, fabricate, seeds, word):
    """Twelve images that all gain 0.03: two more in whom 0.3 is lost would move the mean by 0.043."""
    for seed in range(seeds):
        measured("ldseg", bumpy(0.83) + 1e-4 * seed, seed=seed)
        measured("resunet", bumpy(0.8, 0.009) - 1e-4 * seed, seed=seed)
    sentence, *cautions = said()
    assert word in sentence and sentence.endswith(
        "; 2 further failures of 0.3 DSC would leave that open, but not that it is not worse by more than 0.01 DSC, "
        "p < 0.001."
    )
    assert "loses 0.3 (`suite.unseen_failure`) would move the mean by 0.043" in cautions[-1]
    outright, *_ = said(unseen_failure=0)
    assert word.replace(" so far", "") in outright and "failures" not in outright
    (found,) = comparisons(study(fabricate.results(**SUITE)), "glas")
    assert found.tests[0.0].p_holm < 0.001 < 0.05 < found.tests[0.0].lasting


TOO_FEW = Significance(0.0625, 0.0625, 1.0, 2.0, 0.0, 1.0, 1.0, attainable=0.0625, detectable=0.007, differing=5)


def test_five_patients_cannot_show_anything_and_the_report_says_so(measured, said):
    own = bumpy(0.8)[:5]
    measured("ldseg", own)
    measured("resunet", own - 0.3 - 0.01 * np.arange(5))
    *_, hopeless = said()
    assert hopeless == (
        "Of these trainings no test of a difference could reach 0.05 here: with 5 images, in a family of 1 comparison, "
        "the smallest p after Holm is 0.062."
    )
    assert "where only 5 differ, no test could find a difference" in verdict_words.power_words(TOO_FEW)


def test_of_tests_that_could_not_succeed_the_closest_is_named_and_others_are_counted():
    estimate = Estimate(0.05, 0.04, 0.06, 8, 8, seeds=1)
    tied = replace(TOO_FEW, attainable=1.0, differing=0)
    (all_of_them,) = verdict_words.cautions([(estimate, tied), (estimate, TOO_FEW)], "patient")[1:]
    assert "no test of a difference could reach 0.05" in all_of_them and "5 of 8 patients that differ" in all_of_them
    able = replace(TOO_FEW, attainable=0.01, differing=8)
    (some,) = verdict_words.cautions([(estimate, tied), (estimate, able), (estimate, TOO_FEW)], "patient")[1:]
    assert "2 of 3 tests of a difference could not reach 0.05" in some and "is 0.062" in some


def test_four_cases_have_a_difference_but_no_verdict(measured, said):
    measured("ldseg", [0.8] * 4)
    measured("resunet", [0.7] * 4)
    assert said() == [
        "this training of **LDSeg (2 steps)** minus this training of **Res-UNet**: +0.100 DSC (4 cases), too few for "
        "an interval or a test."
    ]


def test_the_same_trainings_sampled_in_two_ways_are_compared_training_by_training(measured, fabricate):
    """How the trainings differ cancels where it is the same trainings."""
    own = bumpy(0.8)
    for seed, moved in enumerate((-0.045, 0.0, 0.045)):
        measured("ldseg", own + moved, seed=seed, steps=(2, 10))
    for frame in fabricate.frames:
        if (frame.steps == 10).all():
            frame["dsc"] -= 0.02 + 0.001 * frame.case.str[-2:].astype(int) / CASES
    (found,) = comparisons(study(fabricate.results(**SUITE)), "glas")
    assert found.at[0.0].seeds == 3 and found.at[0.0].low > 0.015 and found.at[0.0].high < 0.025


def test_every_compared_sigma_has_its_sentence(measured, said):
    for method, level in (("ldseg", 0.8), ("resunet", 0.7)):
        at = {0: bumpy(level, level / 80), 0.2: bumpy(level - 0.01, level / 80)}
        measured(method, at[0], score=lambda sigma, case, name, at=at: at[sigma][case], sigmas=(0, 0.2))
    first, second, _ = said()
    assert "at σ = 0 by" in first and "at σ = 0.2 by" in second


def test_friedman_s_mean_ranks_follow_from_the_order_in_every_case(measured, fabricate):
    base = bumpy(0.8)
    measured("ldseg", base)
    measured("resunet", base + 0.05)
    # Last in all cases but one, where it is first.
    measured("unet", np.where(np.arange(CASES) == 3, 0.99, 0.1))
    it = study(fabricate.results(**SUITE))
    found = friedman.friedman(it.curves["glas"], 0.0)
    assert found.mean_ranks == pytest.approx([2 + 1 / 12, 1 + 1 / 12, 3 - 2 / 12])
    assert found.blocks == CASES and found.p < 0.001
    text = significance.friedman_sentence(it, "glas", 0.0)
    assert "Friedman's test over 3 methods and 12 images, their trainings taken as given: p < 0.001. Best" in text
    assert "Best mean rank: Res-UNet (1.08)" in text


def test_friedman_s_test_of_each_seed_stands_beside_that_of_their_mean(measured, fabricate, drawn, tmp_path):
    base = bumpy(0.8)
    for seed, other in enumerate((0.05, 0.05, -0.02)):
        measured("ldseg", base, seed=seed)
        measured("resunet", base + other, seed=seed)
        measured("unet", base - 0.1, seed=seed)
    it = study(fabricate.results(**SUITE))
    found = friedman.friedman(it.curves["glas"], 0.0)
    assert found.mean_ranks == pytest.approx([2, 1, 3])  # of the means, which are 0.027 apart
    assert found.seed_ranks.tolist() == [[2, 1, 3], [2, 1, 3], [1, 2, 3]] and (found.seed_p < 0.001).all()
    text = significance.friedman_sentence(it, "glas", 0.0)
    assert "p < 0.001, in each of 3 seeds < 0.001. Best mean rank: Res-UNet (1.00, seed by seed 1.00 to 2.00)" in text
    drawn()
    rows = pd.read_csv(tmp_path / "figures" / "critical_difference.csv").set_index("method")
    assert rows.loc["resunet", ["mean_rank_lowest_seed", "mean_rank_highest_seed"]].tolist() == [1, 2]


def test_the_critical_difference_is_that_of_demsar_s_example():
    # Section 3.2.2 of the paper: 4 classifiers on 14 data sets, q = 2.569, CD = 1.25.
    assert friedman.critical_difference(4, 14) == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 14)), abs=2e-3)


def test_equal_scores_have_p_1_equal_ranks_and_a_diagram(measured, fabricate, drawn, tmp_path):
    for method in ("ldseg", "resunet", "unet", "vnet"):
        measured(method, [0.8] * CASES)
    text = drawn()
    tables = tmp_path / "tables"
    row = pd.read_csv(tables / "friedman.csv").iloc[0]
    assert (row.chi_squared, row.p, row.kendall_w) == (0, 1, 0)
    drawn = pd.read_csv(tmp_path / "figures" / "critical_difference.csv")
    assert (drawn.mean_rank == 2.5).all() and (drawn.p_against_best == 1).all()
    differences = pd.read_csv(tables / "differences.csv")
    assert (differences.p == 1).all() and (differences[["rank_biserial", "d_z"]] == 0).all(axis=None)
    ranks = pd.read_csv(tables / "ranks.csv")
    assert (ranks[["rank", "kept", "first"]] == 1).all(axis=None)
    said = significance.friedman_sentence(study(fabricate.results(**SUITE)), "glas", 0.0)
    assert "no difference is shown" in said and "nan" not in text.lower()
    assert (tmp_path / "figures" / "critical_difference.png").exists()


def test_a_method_that_lacks_a_case_is_left_out_of_friedman_s_test_and_named(measured, fabricate, drawn, tmp_path):
    for k, method in enumerate(("ldseg", "resunet", "unet")):
        measured(method, bumpy(0.8 - k / 50))
    measured("vnet", bumpy(0.5)[:-1])
    text = drawn()
    row = pd.read_csv(tmp_path / "tables" / "friedman.csv").iloc[0]
    assert row.methods == 3 and row.left_out == "vnet" and "Left out" in text


def test_undefined_scores_leave_one_method_unranked_and_the_others_compared(measured, fabricate, drawn, said, tmp_path):
    for k, method in enumerate(("ldseg", "resunet", "unet", "vnet")):
        measured(method, bumpy(0.8 - k / 50))
    fabricate.frames[-1]["dsc"] = np.nan
    fabricate.frames[1].loc[fabricate.frames[1].case == "case002", "dsc"] = np.nan
    text = drawn()
    tables = tmp_path / "tables"
    assert sorted(pd.read_csv(tables / "ranks.csv").method) == ["ldseg", "resunet", "unet"]
    rows = pd.read_csv(tables / "differences.csv").set_index("second")
    assert (rows.loc["resunet", "cases"], rows.loc["vnet", "cases"]) == (CASES - 1, 0)
    assert np.isnan(rows.loc["vnet", "p_holm"]) and rows.loc["unet", "p_holm"] < 0.01
    assert "No Friedman test on glas" in text
    assert "LDSeg (2 steps) and vnet have no score in common." in said()


@pytest.mark.parametrize("methods, cases", [(2, CASES), (3, 4)])
def test_too_few_methods_or_patients_for_friedman_s_test_are_said(measured, drawn, tmp_path, methods, cases):
    for method in ("ldseg", "resunet", "unet")[:methods]:
        measured(method, bumpy(0.8)[:cases])
    text = drawn()
    assert "No Friedman test on glas: it takes at least 3 methods" in text
    assert not (tmp_path / "tables" / "friedman.csv").exists() and "critical_difference" not in text
    ranks = pd.read_csv(tmp_path / "tables" / "ranks.csv")
    assert ranks["first"].isna().all() == (cases < 5)


def test_one_method_has_no_section_at_all(measured, fabricate, drawn, tmp_path):
    measured("ldseg", bumpy(0.8))
    text = drawn()
    assert "## Ranks" not in text and "## Differences" not in text


def test_a_reference_without_result_is_said_to_be_replaced(measured, said):
    measured("ldseg", [], status="failed", reason="broken", records=False)
    measured("resunet", bumpy(0.8))
    measured("unet", bumpy(0.8) - 0.02)
    first, *rest = said()
    assert first == "LDSeg, the suite's first method, has no result; the others are compared with Res-UNet."
    assert len(rest) == 3 and "Res-UNet" in rest[0]
