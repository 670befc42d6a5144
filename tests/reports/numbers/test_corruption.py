"""The mean corruption error by hand, and how records become scores by kind and severity."""

import numpy as np
import pandas as pd
import pytest

from reports import write
from reports.numbers.corruption import comparisons, corrupted, errors, losses, lossy, mean_errors, relative_errors
from reports.numbers.hypotheses import Margin
from reports.paper import outline

KINDS = {"blur": {"title": "blur", "unit": "u", "amounts": [1, 2, 3, 4, 5], "reason": "r"},
         "jpeg": {"title": "JPEG", "unit": "quality", "amounts": [5, 4, 3, 2, 1], "reason": "r"}}  # fmt: skip


def falls(method: str, kind: str, severity: int) -> float:
    """DSC that a method loses."""
    return {"ldseg": 0.02, "resunet": 0.05}[method] * severity * {"blur": 1, "jpeg": 0.5, "": 0}[kind]


def fill(fabricate, methods=("ldseg", "resunet"), kinds=("blur", "jpeg"), cases=8, seeds=(0,)):
    """Results whose scores are known: a clean score of 0.9 or 0.8 less `falls`, cases differing by 0.01."""
    for method in methods:
        for seed in seeds:
            level = {"ldseg": 0.8, "resunet": 0.9}[method]
            fabricate.trial(method, seed=seed, sigmas=(0,), steps=(2,), cases=cases, samples=False,
                            score=lambda sigma, case, name, level=level: level - 0.01 * (case % 4))  # fmt: skip
            clean = fabricate.frames[-1]
            for kind in kinds:
                for severity in (1, 2, 3):
                    lost = falls(method, kind, severity)
                    frame = clean.assign(corruption=kind, severity=severity, dsc=clean["dsc"] - lost)
                    fabricate.frames.append(frame)
    return fabricate.results(
        name="corruptions", report="corruptions", corruptions=list(KINDS), severities=[1, 2, 3], reference="resunet",
        kinds=KINDS, left_out={"phantom_glands": {k: "no such pictures" for k in KINDS if k not in kinds}},
    )  # fmt: skip


def test_errors_by_hand():
    # A method with DSC 0.8 clean, then 0.7, 0.5 under one kind and 0.8, 0.6 under another; the reference 0.9, ...
    means = np.array([0.8, 0.7, 0.5, 0.8, 0.6, 0.9, 0.8, 0.6, 0.85, 0.75])
    np.testing.assert_allclose(errors(means, 2), [(0.3 + 0.5) / (0.2 + 0.4), (0.2 + 0.4) / (0.15 + 0.25)])
    np.testing.assert_allclose(relative_errors(means, 2), [(0.1 + 0.3) / (0.1 + 0.3), (0 + 0.2) / (0.05 + 0.15)])


def test_errors_of_many_samples_at_once_are_those_of_each():
    means = np.random.default_rng(0).uniform(0.2, 0.9, (5, 14))
    np.testing.assert_allclose(errors(means, 3), [errors(row, 3) for row in means])
    np.testing.assert_allclose(relative_errors(means, 3), [relative_errors(row, 3) for row in means])


def test_a_reference_without_error_gives_no_ratio():
    assert np.isnan(errors(np.array([0.8, 0.7, 1.0, 1.0]), 1)).all()


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_the_mean_corruption_error_is_that_of_the_mean_scores(fabricate, seeds):
    it = corrupted(fill(fabricate, seeds=seeds))
    ours, reference = it.clean.curves["phantom_glands"]
    found = mean_errors(it, "phantom_glands", ours.variant)
    mean = 0.01 * 1.5
    blur = np.sum([0.2 + mean + 0.02 * s for s in (1, 2, 3)]) / np.sum([0.1 + mean + 0.05 * s for s in (1, 2, 3)])
    jpeg = np.sum([0.2 + mean + 0.01 * s for s in (1, 2, 3)]) / np.sum([0.1 + mean + 0.025 * s for s in (1, 2, 3)])
    assert found["blur"].value == pytest.approx(blur) and found["jpeg"].value == pytest.approx(jpeg)
    assert found["mce"].value == pytest.approx((blur + jpeg) / 2)
    assert found["relative"].value == pytest.approx(0.4)
    assert found["mce"].low < found["mce"].value < found["mce"].high
    assert mean_errors(it, "phantom_glands", reference.variant)["mce"].value == pytest.approx(1)


def test_losses_are_averaged_over_severities(fabricate):
    it = corrupted(fill(fabricate))
    ours, reference = it.clean.curves["phantom_glands"]
    assert losses(it, "phantom_glands", reference.variant)["blur"].value == pytest.approx(0.1)
    assert losses(it, "phantom_glands", ours.variant)["jpeg"].value == pytest.approx(0.02)
    assert lossy(it, "phantom_glands") == ["blur", "jpeg"]


def test_the_study_of_clean_images_sees_no_corrupted_one(fabricate):
    it = corrupted(fill(fabricate))
    for curve in it.clean.curves["phantom_glands"]:
        assert curve.sigmas.tolist() == [0]
        assert curve.by_case("dsc")[0] == pytest.approx(
            np.tile([0, -0.01, -0.02, -0.03], 2) + curve.by_case("dsc")[0, 0]
        )


def test_a_comparison_is_of_the_mean_over_severities(fabricate):
    it = corrupted(fill(fabricate))
    found = comparisons(it, "phantom_glands", Margin())
    assert set(found) == {"", "blur", "jpeg"}
    ((first, second, (estimate, test)),) = found["blur"]
    assert (first.method, second.method) == ("ldseg", "resunet")
    assert estimate.value == pytest.approx(-0.1 + 0.1 - 0.04)
    assert test.family == 2 and found[""][0][2][1].family == 1


def test_a_kind_tested_in_part_is_not_counted(fabricate):
    results = fill(fabricate)
    records = results.records
    gone = (records["method"] == "ldseg") & (records["corruption"] == "jpeg") & (records["severity"] == 3)
    results.records = records[~gone]
    it = corrupted(results)
    assert [variant.method for variant in it.variants("phantom_glands")] == ["resunet"]


def test_the_report_says_mce_what_does_not_apply_and_what_failed(fabricate, tmp_path):
    results = fill(fabricate, kinds=("blur",))
    fabricate.trial("unet", status="declined", reason="too large")
    folder = write(results, tmp_path / "report").parent
    text = (folder / "report.md").read_text()
    assert "JPEG does not apply: no such pictures" in text and "declined: too large" in text
    assert "loses most to" not in text  # with one kind there is no most
    errors_of = pd.read_csv(folder / "tables" / "corruption_error_phantom_glands.csv").set_index("method")
    assert errors_of.loc["resunet", "mce"] == pytest.approx(1)
    rows = pd.read_csv(folder / "tables" / "dsc_by_severity_phantom_glands.csv")
    notes = rows["note"].dropna().tolist()
    assert notes == ["does not apply: no such pictures", "declined: too large"]
    assert (folder / "tables" / "corruption_differences.tex").exists()
    assert (folder / "figures" / "dsc_map_phantom_glands.svg").exists()
    assert outline.read(folder)["headline"]


def test_without_its_reference_errors_are_those_against_the_first_method(fabricate, tmp_path):
    results = fill(fabricate, methods=("ldseg",))
    text = write(results, tmp_path / "report").read_text()
    assert "resunet, the reference of the suite, has no result here: errors are divided by those of LDSeg" in text


def test_nothing_measured_still_gives_a_report(fabricate, tmp_path):
    fabricate.trial("ldseg", status="failed", reason="broken file", records=False)
    results = fabricate.results(report="corruptions", corruptions=list(KINDS), severities=[1], reference="resunet")
    assert "failed: broken file" in write(results, tmp_path / "report").read_text()
