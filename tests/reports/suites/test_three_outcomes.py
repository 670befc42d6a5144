"""Better, not worse by more than the margin, or undecided: suites on sampling steps and uncertainty say which."""

import numpy as np
import pandas as pd
import pytest

from reports import write
from reports.numbers.hypotheses import Margin
from reports.numbers.spread import spreads
from reports.numbers.study import study
from reports.suites.sampling_steps import fewest_against_most
from reports.suites.sampling_steps.curves_by_steps import step_curves
from reports.suites.uncertainty import contests
from tests.reports.suites.test_uncertainty import sampled

CASES = 40
SPREAD = np.linspace(-1, 1, CASES)


def said(fabricate, lost):
    """What is said of 2 and 10 steps of one training where the fewest have lost[case] DSC."""
    fabricate.trial("ldseg", "glas", sigmas=(0,), steps=(2, 10), cases=CASES, samples=False)
    few, many = fabricate.frames
    few["dsc"] = many["dsc"].to_numpy() - np.repeat(lost, 2)
    it = study(fabricate.results(name="sampling_steps"))
    return fewest_against_most.sentences(it, step_curves(it, "glas"))[0]


@pytest.mark.parametrize(
    "lost, expected",
    [
        (0.03 + 0.005 * SPREAD, "scored lower than this training of **LDSeg (10 steps)** by 0.030 DSC"),
        (0.0001 * SPREAD, "scored alike within 0.01 DSC"),
        (0.06 * SPREAD, "Undecided between this training of **LDSeg (2 steps)**"),
    ],
)
def test_the_fewest_steps_are_worse_alike_or_undecided_against_the_most(fabricate, lost, expected):
    assert expected in said(fabricate, lost)


def test_methods_are_compared_by_how_well_their_sd_tells_the_error(fabricate, tmp_path):
    for method in ("ldseg", "lsegdiff"):
        fabricate.trial(method, sigmas=(0,), steps=(2,), cases=CASES)
    results = sampled(fabricate, tmp_path)
    records = results.records
    pooled = records["class"] == "all"
    first, second = (pooled & (records["method"] == method) for method in ("ldseg", "lsegdiff"))
    records.loc[first, "auroc"] = records.loc[second, "auroc"].to_numpy() + 0.05 + 0.01 * SPREAD
    records.loc[pooled, "auroc_confidence"] = records.loc[pooled, "auroc"] - 0.0001
    found = spreads(study(results), "phantom_glands")
    ((_, _, (estimate, _)),) = contests.between(found, Margin())
    assert estimate.value == pytest.approx(0.05) and estimate.low > 0
    text = write(results, tmp_path / "report").read_text()
    assert (
        "This training of **LDSeg (2 steps)** scored higher than this training of **LSegDiff (2 steps)** at telling "
        "its wrong pixels by 0.050 AUROC [" in text
    )
    rows = pd.read_csv(tmp_path / "report" / "tables" / "uncertainty_differences.csv").set_index(["of", "first"])
    assert rows.loc[("AUROC of the SD", "ldseg-2"), "verdict"] == "better"
    assert rows.loc["AUROC of the SD − of 1 − confidence", "difference"].tolist() == pytest.approx([0.0001] * 2)
    gains = rows.loc["DSC of the mean − of one run"]
    assert len(gains) == 2 and (gains["difference"] > 0).all()
