"""Drops between data sets: their value, their interval, and what a method trained there has."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from reports import write
from reports.numbers.shift import contests, drop, gaps, shifts
from reports.suites.shift import report

HERE, THERE = "phantom_glands", "phantom_glands_lab2"


def scores(level: float, count: int, seed: int) -> np.ndarray:
    return level + np.random.default_rng(seed).normal(0, 0.03, count)


def fill(fabricate, methods=("ldseg", "resunet"), back=True, seeds=(0,)):
    """Methods with about 0.9 at home and 0.7 elsewhere; trained there they have 0.85."""
    for number, method in enumerate(methods):
        for seed in seeds:
            pairs = [(HERE, THERE, 0.9, 0.7), *([(THERE, HERE, 0.85, 0.8)] if back else [])]
            for trained, there, own, abroad in pairs:
                values = scores(own, 12, 10 * number + seed)
                fabricate.trial(method, trained, seed, sigmas=(0,), steps=(2,), cases=12, samples=False,
                                classes=["gland"], score=lambda s, case, name, v=values: v[case])  # fmt: skip
                home = fabricate.frames[-1]
                moved = scores(abroad, 8, 100 + 10 * number + seed)
                part = home[home["case"].isin([f"case{n:03d}" for n in range(8)])]
                part = part.assign(tested_on=there, dsc=[moved[int(case[4:])] for case in part["case"]])
                fabricate.frames.append(part)
    return fabricate.results(name="shift", report="shift", pairs=[[HERE, THERE], [THERE, HERE]][: 1 + back])


def test_a_drop_is_the_difference_of_means_with_welchs_interval(fabricate):
    it = shifts(fill(fabricate))
    one = it.found[HERE, THERE][0]
    own, there = scores(0.9, 12, 0), scores(0.7, 8, 100)
    expected = stats.ttest_ind(own, there, equal_var=False).confidence_interval(0.95)
    found = drop(one)
    assert found.value == pytest.approx(own.mean() - there.mean())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_several_trainings_widen_the_interval_by_how_much_their_drops_differ(fabricate):
    one = shifts(fill(fabricate, seeds=(0, 1, 2))).found[HERE, THERE][0]
    found = drop(one)
    drops = [scores(0.9, 12, s).mean() - scores(0.7, 8, 100 + s).mean() for s in range(3)]
    assert found.value == pytest.approx(np.mean(drops)) and found.seeds == 3
    own = np.mean([scores(0.9, 12, s) for s in range(3)], axis=0)
    there = np.mean([scores(0.7, 8, 100 + s) for s in range(3)], axis=0)
    variance = own.var(ddof=1) / 12 + there.var(ddof=1) / 8 + np.var(drops, ddof=1) / 3
    assert found.error == pytest.approx(variance**0.5)


def test_the_interval_covers_the_true_drop():
    """Of 400 simulated pairs of data sets about 95 % hold the true drop."""
    from dataclasses import replace

    from reports.numbers.curves import Curve, Variant
    from reports.numbers.shift import Shifted

    random, variant, covered = np.random.default_rng(0), Variant("m", "M"), 0
    for _ in range(400):
        curves = []
        for mean, spread, count in ((0.9, 0.03, 12), (0.7, 0.1, 8)):
            table = random.normal(mean, spread, (1, 1, count))
            names = np.array([f"c{n:02d}" for n in range(count)])
            curves.append(Curve("d", variant, (0,), np.array([0.0]), names, names, ("x",), {("dsc", "all"): table}))
        found = drop(Shifted("a", "b", variant, curves[0], replace(curves[1]), None))
        covered += found.low <= 0.2 <= found.high
    assert 0.92 < covered / 400 < 0.98


def test_trained_there_is_compared_on_the_same_cases(fabricate):
    it = shifts(fill(fabricate))
    found = gaps(it, (HERE, THERE))
    one = it.found[HERE, THERE][0]
    estimate, test = found[one.variant]
    assert estimate.value == pytest.approx((scores(0.7, 8, 100) - scores(0.85, 12, 0)[:8]).mean())
    assert estimate.cases == 8 and test.family == 2 and len(found) == 2


def test_one_training_of_one_method_claims_nothing_about_the_method(fabricate):
    """Without a second method there is no comparison of two that would say so."""
    results = fill(fabricate)
    results.records = results.records[results.records["method"] == "ldseg"]
    it = shifts(results)
    assert not contests(it, (HERE, THERE)) and len(gaps(it, (HERE, THERE))) == 1
    (told,) = [text for text in report._summary(it, (HERE, THERE)) if text.startswith(f"Trained on {THERE}")]
    assert "loss of these trainings is shown" in told
    cautions = [text for block in report._of_all(it) for text in getattr(block, "items", ())]
    assert any("claim nothing about the method" in text for text in cautions)


def test_methods_are_compared_where_neither_was_trained(fabricate):
    it = shifts(fill(fabricate))
    ((first, second, (estimate, _)),) = contests(it, (HERE, THERE))
    assert (first.variant.method, second.variant.method) == ("ldseg", "resunet")
    assert estimate.value == pytest.approx((scores(0.7, 8, 100) - scores(0.7, 8, 110)).mean())


def test_the_report_has_both_scores_the_drop_and_dashes_where_nothing_was_trained_there(fabricate, tmp_path):
    results = fill(fabricate, back=False)
    fabricate.trial("unet", HERE, status="failed", reason="the loss became nan", records=False)
    folder = write(results, tmp_path / "report").parent
    text = (folder / "report.md").read_text()
    assert f"Trained on {HERE}, tested on {THERE}" in text and "a drop of 0." in text
    assert "**U-Net** trained on phantom_glands has no result (failed: the loss became nan.)" in text
    rows = pd.read_csv(folder / "tables" / "shift.csv").set_index("method")
    assert rows.loc["ldseg", "dsc_own"] == pytest.approx(scores(0.9, 12, 0).mean())
    assert rows.loc["ldseg", "dsc_there"] == pytest.approx(scores(0.7, 8, 100).mean())
    assert rows.loc["ldseg", "drop_low"] < rows.loc["ldseg", "drop"] < rows.loc["ldseg", "drop_high"]
    assert "dsc_trained_there" not in rows or rows["dsc_trained_there"].isna().all()
    assert (folder / "tables" / "shift.tex").exists() and (folder / "figures" / "drops.png").exists()


def test_nothing_measured_still_gives_a_report(fabricate, tmp_path):
    fabricate.trial("ldseg", HERE, status="failed", reason="broken file", records=False)
    results = fabricate.results(report="shift", pairs=[[HERE, THERE]])
    assert "failed: broken file" in write(results, tmp_path / "report").read_text()
