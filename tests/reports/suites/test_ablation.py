"""The report of suite=ablation: its scores are those of the records, published values beside them."""

from types import SimpleNamespace

import pandas as pd
import pytest

from reports import write
from reports.numbers.training import Convergence
from reports.suites import ablation

METHODS = {"ldseg": 0.85, "ldseg_ld": 0.8, "ldseg_id": 0.6, "ldseg_ld_id": 0.5}


@pytest.fixture
def results(fabricate):
    for method, level in METHODS.items():
        fabricate.trial(method, "glas", sigmas=(0,), steps=(2,), cases=12,
                        score=lambda sigma, case, name, level=level: level * (1 + 0.005 * (case % 5)))  # fmt: skip
    return fabricate.results(name="ablation", title="Ablation")


def test_scores_and_published_values(results, tmp_path):
    write(results, tmp_path / "report")
    records = pd.read_csv(tmp_path / "report" / "records.csv")
    expected = records[records["class"] == "all"].groupby("method").dsc.mean()
    rows = pd.read_csv(tmp_path / "report" / "tables" / "accuracy_glas.csv").set_index("method")
    for method in METHODS:
        assert rows.loc[method, "dsc"] == pytest.approx(expected[method])
    published = pd.read_csv(tmp_path / "report" / "tables" / "published.csv")
    dsc = published[published.score == "DSC"].set_index("method")
    assert dsc.published.to_dict() == {"ldseg": 0.91, "ldseg_ld": 0.71, "ldseg_id": 0.61, "ldseg_ld_id": 0.47}
    assert dsc.ours.to_dict() == pytest.approx(expected.to_dict())


def test_the_reference_is_compared_with_each_ablation_in_words(results, tmp_path):
    write(results, tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert text.count("This training of **LDSeg (2 steps)** scored higher than this training of") == 3
    assert "Ceiling, the validation DSC of true labels" in text


def test_a_ceiling_that_a_method_segments_better_than_is_said_to_be_none(monkeypatch):
    known = {"LDSeg": [(0.85, 0.9), (0.86, 0.91)], "LDSeg (ld)": [(0.7, 0.74), (0.86, 0.75)], "U-Net": [(0.9, None)]}
    trials = [
        SimpleNamespace(label=name, history=Convergence(None, best, 1, 1, ceiling))
        for name, own in known.items()
        for best, ceiling in own
    ]
    monkeypatch.setattr(ablation, "of_dataset", lambda results, dataset: trials)
    monkeypatch.setattr(ablation, "convergence", lambda history: history)
    (said,) = ablation.ceilings(SimpleNamespace(results=None), "glas")
    assert "again: LDSeg 0.900 and 0.910; LDSeg (ld) 0.740 and 0.750. It is none for LDSeg (ld), which" in said


def test_other_data_have_no_published_ablation(fabricate, tmp_path):
    fabricate.trial("ldseg", "phantom_glands", sigmas=(0,), steps=(2,), cases=1)
    fabricate.trial("ldseg_ld", "phantom_glands", status="failed", reason="the loss is not finite", records=False)
    write(fabricate.results(name="ablation"), tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert "published on glas only" in text and "the loss is not finite" in text
