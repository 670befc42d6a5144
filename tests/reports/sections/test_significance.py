"""What the report says of differences, ranks and Friedman's test, on scores whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from reports.numbers import friedman
from reports.numbers.statistics import Estimate
from reports.numbers.study import Significance, study
from reports.paper import markdown, style
from reports.paper.document import Document, write_numbers
from reports.sections import significance

SUITE = {"name": "accuracy", "title": "Segmentation accuracy"}
CASES = 12


@pytest.fixture
def measured(fabricate):
    """Adds a method whose DSC in case k is given, on glas at sigma 0."""

    def add(method, scores, **options):
        options = {"sigmas": (0,), "steps": (2,), "samples": False} | options
        return fabricate.trial(
            method, "glas", cases=len(scores), score=lambda sigma, case, name: scores[case], **options
        )

    return add


@pytest.fixture
def drawn(fabricate, tmp_path):
    """Writes the sections and returns them as text."""

    def write():
        it, document = study(fabricate.results(**SUITE)), Document("Significance")
        document.add(*significance.sections(it, style.looks(list(it.names)), tmp_path))
        write_numbers(document, tmp_path)
        return markdown.render(document)

    return write


@pytest.fixture
def said(fabricate):
    return lambda **suite: significance.sentences(study(fabricate.results(**SUITE | suite)), "glas")


def bumpy(mean, step=0.01):
    """Scores around a mean that are different in every case."""
    return mean + step * np.linspace(-1, 1, CASES)


def test_better_worse_and_open_are_said_with_amount_interval_and_corrected_p(measured, said):
    own = bumpy(0.8)
    measured("ldseg", own)
    measured("resunet", own - 0.02 - 0.001 * np.arange(CASES))
    measured("unet", own + 0.03 + 0.001 * np.arange(CASES))
    measured("vnet", own + 0.01 * np.tile([1, -1], CASES // 2) * np.linspace(1, 1.01, CASES))
    better, worse, unclear = said()
    # All 12 signs agree, so p is 2 / 2^12, the smallest of three: times 3.
    assert better.startswith("**LDSeg (2 steps)** is better than **Res-UNet** by 0.026 DSC [0.02")
    assert better.endswith("p = 0.001 after Holm.")
    assert worse.startswith("**LDSeg (2 steps)** is worse than **U-Net** by 0.036 DSC [0.03")
    assert unclear.startswith("No difference shown between LDSeg (2 steps) and vnet: ")


@pytest.mark.parametrize(
    "low, p_holm, rank_biserial, verdict, words",
    [
        (0.01, 0.01, 0.9, "better", "is better than"),
        (0.01, 0.20, 0.9, "open", "the interval alone would exclude 0"),
        (-0.01, 0.01, 0.9, "open", "test and interval do not point the same way"),
        (0.01, 0.01, -0.9, "open", "test and interval do not point the same way"),
        (-0.01, 0.20, 0.1, "open", "No difference shown"),
    ],
)
def test_interval_test_and_ranks_have_to_agree(low, p_holm, rank_biserial, verdict, words):
    estimate, test = Estimate(0.02, low, 0.05, 30, 30), Significance(p_holm / 2, p_holm, rank_biserial, 0.3)
    assert significance.verdict(estimate, test) == verdict
    assert words in significance.sentence("A", "B", estimate, test)
    mirrored = Significance(p_holm / 2, p_holm, -rank_biserial, -0.3)
    other = {"better": "worse", "open": "open"}[verdict]
    assert significance.verdict(significance.negated(estimate), mirrored) == other


def test_four_cases_have_a_difference_but_no_verdict(measured, said):
    measured("ldseg", [0.8] * 4)
    measured("resunet", [0.7] * 4)
    assert said() == ["LDSeg (2 steps) minus Res-UNet: +0.100 DSC (4 cases), too few for an interval or a test."]


def test_every_compared_sigma_has_its_sentence(measured, said):
    for method, level in (("ldseg", 0.8), ("resunet", 0.7)):
        measured(method, bumpy(level), sigmas=(0, 0.2))
    first, second = said()
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
    assert "Friedman's test over 3 methods and 12 cases: p < 0.001. Best mean rank: Res-UNet (1.08)" in text


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
    assert "no difference between the methods is shown" in said and "nan" not in text.lower()
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
    assert len(rest) == 1 and "Res-UNet" in rest[0]
