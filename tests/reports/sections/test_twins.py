"""What the report says diffusion contributes, on scores whose difference is known."""

import numpy as np
import pytest
from scipy import stats

from reports.numbers.study import study
from reports.sections import significance, twins

CASES = 12


@pytest.fixture
def pair(fabricate):
    """LDSeg and its twin on glas; the twin's score in case k is lower by `gaps[k]`."""

    def add(gaps, seeds=1):
        base = np.linspace(0.6, 0.9, CASES)
        for seed in range(seeds):
            for method, scores in (("ldseg", base + 0.001 * seed), ("ldseg_direct", base - gaps - 0.001 * seed)):
                of = "ldseg" if method == "ldseg_direct" else None
                fabricate.trial(
                    method, "glas", seed, cases=CASES, sigmas=(0,), steps=(2,), samples=False, twin_of=of,
                    score=lambda sigma, case, name, scores=scores: float(scores[case]),
                )  # fmt: skip
        return study(fabricate.results(name="accuracy", title="Segmentation accuracy"))

    return add


def test_the_difference_is_the_method_minus_its_twin_with_its_test(pair):
    gaps = np.linspace(0.01, 0.05, CASES)
    it = pair(gaps)
    (found,) = twins.contributions(it, "glas")
    assert found.method.variant.method == "ldseg" and found.twin.variant.method == "ldseg_direct"
    assert found.difference.value == pytest.approx(gaps.mean())
    assert found.test.p_holm == pytest.approx(stats.wilcoxon(gaps).pvalue)  # one pair: nothing to correct
    sentence, caution, so_far = twins.sentences(it, "glas")
    assert sentence.startswith("With diffusion, LDSeg (2 steps) scored +0.030 [+0.0") and "p < 0.001" in sentence
    assert "A gain of these trainings is shown so far" in sentence and so_far.startswith(
        "So far: in 12 images like these. 2 more in whom"
    )
    assert "in these trainings" in sentence and "claim nothing about the method" in caution


def test_several_trainings_say_what_diffusion_itself_contributes(pair):
    gaps = np.linspace(0.06, 0.1, CASES)
    (sentence,) = twins.sentences(pair(gaps, seeds=3), "glas")
    assert (
        sentence.startswith("What diffusion itself contributes to LDSeg (2 steps): +0.082 [+0.0")
        and "A gain is shown, p" in sentence
    )
    assert "ldseg_direct has " in sentence


def test_a_twin_that_is_better_is_said_to_be(pair):
    (sentence,) = twins.sentences(pair(np.full(CASES, -0.1) + np.linspace(-0.01, 0.01, CASES), seeds=3), "glas")
    assert (
        sentence.startswith("What diffusion itself contributes to LDSeg (2 steps): \u22120.098")
        and "A loss is shown, p" in sentence
    )


def test_what_a_small_family_decides_and_a_large_one_leaves_open_is_explained(pair, fabricate):
    """Beside three other methods the p of the pair is multiplied by four."""
    pair(0.022 + 0.03 * stats.norm.ppf((np.arange(CASES) + 0.5) / CASES))
    base = np.linspace(0.6, 0.9, CASES)
    for method in ("resunet", "unet", "vnet"):
        wild = 0.1 * np.tile([1, -1], CASES // 2) * np.linspace(1, 1.01, CASES)
        fabricate.trial(method, "glas", cases=CASES, sigmas=(0,), steps=(2,), samples=False,
                        score=lambda sigma, case, name, scores=base + wild: float(scores[case]))  # fmt: skip
    it = study(fabricate.results(name="accuracy", title="Segmentation accuracy"))
    reference = [text for text in significance.sentences(it, "glas") if "ldseg_direct" in text]
    own, families, *_ = twins.sentences(it, "glas")
    assert reference[0].startswith("Undecided between") and "A gain of these trainings is shown" in own
    assert "compared in two families, with Holm's correction over 4 comparisons with the reference and over 1 pair" in (
        families
    )


def test_the_table_has_a_row_for_each_pair(pair):
    heading, table = twins.section(pair(np.full(CASES, 0.02)))
    assert heading.text == "What diffusion contributes" and len(table.frame) == len(table.data) == 1
    assert table.data.loc[0, "difference"] == pytest.approx(0.02) and table.data.loc[0, "twin"] == "ldseg_direct"


def test_nothing_is_said_where_no_method_was_tested_beside_its_twin(fabricate):
    fabricate.trial("ldseg", "glas", sigmas=(0,), steps=(2,), samples=False)
    it = study(fabricate.results(name="accuracy"))
    assert twins.sentences(it, "glas") == [] and twins.section(it) == []
