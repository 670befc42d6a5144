"""A collapsed training is named by every report that compares methods or conditions, and leaves no verdict on its
method; a training that was tested in part is left out and named."""

import numpy as np
import pytest

from reports.numbers.collapse import collapses
from reports.numbers.corruption import comparisons, corrupted, extremes, mean_errors
from reports.numbers.hypotheses import Margin
from reports.numbers.shift import contests, drop, gaps, shifts
from reports.numbers.spread import spreads
from reports.numbers.study import study
from reports.numbers.verdicts import Verdict, verdict
from reports.suites.ablation import _summary as ablation_summary
from reports.suites.compare.changes import changes
from reports.suites.corruptions.report import _of_variant
from reports.suites.corruptions.report import _summary as corruption_summary
from reports.suites.noise_robustness import findings as noise
from reports.suites.sampling_steps import fewest_against_most
from reports.suites.sampling_steps import report as steps_report
from reports.suites.sampling_steps.curves_by_steps import step_curves
from reports.suites.shift.report import _of_all
from reports.suites.shift.report import _summary as shift_summary
from reports.suites.uncertainty import contests as of_uncertainty
from reports.suites.uncertainty import findings as uncertainty
from tests.reports.numbers.test_corruption import KINDS
from tests.reports.numbers.test_corruption import fill as fill_corruptions
from tests.reports.numbers.test_shift import HERE, THERE
from tests.reports.numbers.test_shift import fill as fill_shift
from tests.reports.suites.test_uncertainty import sampled

SEEDS = (0, 1, 2)
CLAIMS = ("is better", "is worse", "is not worse", "is not better", "are equivalent", "scored higher", "scored lower",
          "scored alike", "did not score", "A gain", "A loss", "No loss", "No gain")  # fmt: skip


def collapse(fabricate, method="ldseg", seed=1):
    """The training of a seed loses 0.4 DSC everywhere."""
    for frame in fabricate.frames:
        frame.loc[(frame["method"] == method) & (frame["seed"] == seed), "dsc"] -= 0.4


def cut(results, method="ldseg", seed=2, cases=3):
    """Of the training of a seed a few cases are left."""
    records = results.records
    gone = (records["method"] == method) & (records["seed"] == seed) & (records["case"] >= f"case{cases:03d}")
    results.records = records[~gone].reset_index(drop=True)
    return results


def said(blocks):
    return [text for block in blocks for text in getattr(block, "items", ())]


def nothing_claimed(texts, name="LDSeg"):
    """The collapse is named once, and nothing is claimed of the method."""
    named = [text for text in texts if "ended more than 0.1 DSC below" in text]
    assert len(named) == 1 and f"of **{name}" in named[0] and "decides nothing about the method" in named[0]
    assert not [text for text in texts if name in text and any(claim in text for claim in CLAIMS)]


@pytest.mark.parametrize("summary", [ablation_summary, noise.summary])
def test_reports_on_methods(fabricate, summary):
    for method in ("ldseg", "resunet", "ldseg_direct"):
        for seed in SEEDS:
            of = "ldseg" if method == "ldseg_direct" else None
            fabricate.trial(method, "glas", seed, sigmas=(0, 0.2), steps=(2,), cases=12, samples=False, twin_of=of)
    collapse(fabricate)
    nothing_claimed(said(summary(study(fabricate.results()))))


def test_corruptions(fabricate):
    fill_corruptions(fabricate, seeds=SEEDS, cases=12)
    collapse(fabricate)
    it = corrupted(fabricate.results(corruptions=list(KINDS), severities=[1, 2, 3], reference="resunet", kinds=KINDS))
    nothing_claimed(corruption_summary(it, "phantom_glands"))
    for found in comparisons(it, "phantom_glands", Margin(0.5)).values():
        assert [verdict(*tested) for *_, tested in found] == [Verdict.UNDECIDED] * len(found)


def test_shift(fabricate):
    fill_shift(fabricate, seeds=SEEDS)
    collapse(fabricate)
    it = shifts(fabricate.results(pairs=[[HERE, THERE], [THERE, HERE]]))
    told = shift_summary(it, (HERE, THERE))
    assert not [text for text in told if "LDSeg" in text and any(claim in text for claim in CLAIMS)]
    named = [text for text in said(_of_all(it)) if "ended more than 0.1 DSC below" in text]
    assert len(named) == 2 and all(name in " ".join(named) for name in (f"({HERE})", f"({THERE})"))
    assert {verdict(*tested) for *_, tested in contests(it, (HERE, THERE))} == {Verdict.UNDECIDED}
    ldseg, resunet = (verdict(*tested) for tested in gaps(it, (HERE, THERE)).values())
    assert ldseg is Verdict.UNDECIDED and resunet is Verdict.WORSE


def test_sampling_steps(fabricate):
    for seed in SEEDS:
        fabricate.trial("ldseg", "glas", seed, sigmas=(0,), steps=(2, 10), cases=40, samples=False)
    for frame in fabricate.frames:
        frame.loc[frame["steps"] == 2, "dsc"] -= 0.05
    collapse(fabricate)
    it = study(fabricate.results(name="sampling_steps"))
    found = step_curves(it, "glas")
    nothing_claimed(said(steps_report._summary(it, {"glas": found})))
    ((_, tested),) = fewest_against_most.contests(it, found)
    assert tested[0].high < 0 and verdict(*tested) is Verdict.UNDECIDED


def test_uncertainty(fabricate, tmp_path):
    for method in ("ldseg", "lsegdiff"):
        for seed in SEEDS:
            fabricate.trial(method, seed=seed, sigmas=(0,), steps=(2,), cases=12)
    collapse(fabricate)
    it = study(sampled(fabricate, tmp_path))
    found = spreads(it, "phantom_glands")
    told = said(uncertainty.summary(it, {"phantom_glands": found}))
    assert len([text for text in told if "ended more than 0.1 DSC below" in text]) == 1
    assert all("undecided" in part for text in told if text.startswith("What the mean of all")
               for part in text.split(";") if "LDSeg" in part)  # fmt: skip
    for results in (of_uncertainty.gains(found, it.margin), of_uncertainty.beyond_confidence(found, it.margin)):
        ldseg, other = (tested for _, tested in results)
        assert verdict(*ldseg) is Verdict.UNDECIDED and not other[1].collapsed
    ((*_, tested),) = of_uncertainty.between(found, it.margin)
    assert verdict(*tested) is Verdict.UNDECIDED


def test_a_comparison_of_two_stores(fabricate):
    for seed in SEEDS:
        fabricate.trial("ldseg", "glas", seed, sigmas=(0,), steps=(2,), cases=12, samples=False)
    before = fabricate.results()
    collapse(fabricate)
    after = fabricate.results()
    (change,) = changes(before, after, "glas")
    assert change.test.collapsed and verdict(change.estimate, change.test) is Verdict.UNDECIDED


def test_one_collapse_is_told_once_for_all_numbers_of_steps(fabricate):
    for seed in SEEDS:
        fabricate.trial("ldseg", "glas", seed, sigmas=(0,), steps=(2, 10, 50), cases=12, samples=False)
    collapse(fabricate)
    it = study(fabricate.results())
    assert [len(collapses(one, 0.0)) for one in it.curves["glas"]] == [1, 1, 1]
    nothing_claimed(steps_report.trainings.sentences(it, "glas"))


def test_a_training_tested_in_part_has_no_part_in_the_other_reports_either(fabricate, tmp_path):
    for method in ("ldseg", "lsegdiff"):
        for seed in SEEDS:
            fabricate.trial(method, seed=seed, sigmas=(0,), steps=(2, 10), cases=12)
    whole = spreads(study(sampled(fabricate, tmp_path)), "phantom_glands")[0]
    results = cut(sampled(fabricate, tmp_path))
    it = study(results)
    ours = spreads(it, "phantom_glands")[0]
    assert whole.mean("auroc").seeds == 3 and ours.mean("auroc").seeds == 1
    assert ours.mean("auroc").value == pytest.approx(np.nanmean(ours.of("auroc")[:2]))
    assert ours.curve.partial == ((2, 0.0, 3, 12),)
    for one in step_curves(it, "phantom_glands"):
        assert one.by_seed.shape[0] == (2 if one.method == "ldseg" else 3) and np.isfinite(one.by_seed).all()
    assert any("Seed 2 of **LDSeg (2 steps)** was tested on 3 of 12 cases" in text
               for text in said(uncertainty.summary(it, {"phantom_glands": [ours]})))  # fmt: skip


def test_a_training_under_corruption_in_part_is_left_out_and_named(fabricate):
    results = fill_corruptions(fabricate, seeds=SEEDS, cases=12)
    records = results.records
    gone = (records["method"] == "ldseg") & (records["seed"] == 2) & (records["corruption"] == "jpeg")
    results.records = records[~(gone & (records["case"] > "case002"))].reset_index(drop=True)
    it = corrupted(results)
    ours = it.variants("phantom_glands")[0]
    assert len(it.values("phantom_glands", ours)) == 2
    assert np.isfinite(mean_errors(it, "phantom_glands", ours)["mce"].value)
    told = corruption_summary(it, "phantom_glands")
    assert any("was tested on 3 of 12 cases under JPEG" in text for text in told)


def test_a_drop_is_of_the_trainings_tested_in_full(fabricate):
    results = fill_shift(fabricate, seeds=SEEDS)
    one = shifts(cut(results)).found[HERE, THERE][0]
    assert one.there.partial and drop(one).seeds == 1


def test_methods_without_any_score_are_said_to_have_none(fabricate):
    """Every test case of a class undefined ended in an error."""
    fabricate.trial("ldseg", "phantom_echo", sigmas=(0,), steps=(2, 10), cases=6, samples=False,
                    score=lambda sigma, case, name: np.nan if name == "LA" else 0.8)  # fmt: skip
    it = study(fabricate.results(name="sampling_steps"))
    assert step_curves(it, "phantom_echo") == []
    assert said(steps_report._summary(it, {})) == ["No test case has a score."]


def by_kind(fabricate, costs, cases=24):
    """LDSeg under kinds that cost these DSC, more or less by case."""
    fabricate.trial("ldseg", sigmas=(0,), steps=(2,), cases=cases, samples=False)
    clean, random = fabricate.frames[-1], np.random.default_rng(0)
    clean["dsc"] = 0.85
    for kind, cost in costs.items():
        lost = np.repeat(cost + 0.03 * random.normal(size=cases), 2)
        fabricate.frames.append(clean.assign(corruption=kind, severity=1, dsc=0.85 - lost))
    kinds = {kind: {"title": kind, "unit": "u", "amounts": [1], "reason": "r"} for kind in costs}
    return corrupted(fabricate.results(corruptions=list(costs), severities=[1], reference="ldseg", kinds=kinds))


def test_kinds_that_cost_the_same_are_within_chance_of_the_worst(fabricate):
    it = by_kind(fabricate, {f"k{n}": 0.05 for n in range(10)})
    variant = it.variants("phantom_glands")[0]
    most, least = extremes(it, "phantom_glands", variant)
    assert len(most) > 2 and len(least) > 2 and most[0] != least[0]
    text = _of_variant(it, "phantom_glands", variant)
    assert f"it loses most to {most[0]} (0.0" in text and "within chance of it" in text


def test_a_kind_that_costs_far_more_stands_alone(fabricate):
    it = by_kind(fabricate, {"fog": 0.3, "a": 0.05, "b": 0.05, "least": 0.0})
    variant = it.variants("phantom_glands")[0]
    assert extremes(it, "phantom_glands", variant) == (["fog"], ["least"])
    text = _of_variant(it, "phantom_glands", variant)
    assert "it loses most to fog (0.297)" in text and "within chance" not in text and "least to least" in text
