"""What is left in docs/results of reports by a former version, to be deleted with them: GlaS by images, with a table by
patients beside it."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from datasets.glas import read_patients
from tests.reports.committed import RESULTS, found, records_of
from tests.reports.resampling import mean

GRADES = RESULTS.parents[2] / "shared" / "data" / "glas" / "Grade.csv"


@pytest.fixture
def records(path):
    return records_of(path)


@found("differences_by_patient")
def test_differences_by_patient(path, records):
    """Mean and Wilcoxon's p of the patients' differences, the patients being those of the release's table."""
    if not GRADES.is_file():
        pytest.skip("Grade.csv of the real glas data is not in ../shared/data")
    patient = read_patients(GRADES)
    rows = pd.read_csv(path)
    for row in rows.to_dict("records"):
        values = {}
        for side in ("first", "second"):
            name, _, steps = row[side].partition("-")
            part = records[(records["class"] == "all") & (records.method == name) & (records.steps == int(steps or 0))]
            table = part.pivot(index="case", columns="sigma", values="dsc")
            sigma = [float(number) for number in re.findall(r"[\d.]+", row["of"])][-1]
            values[side] = table[sigma] - (table[0] if row["of"].startswith("change") else 0)
        means = (values["first"] - values["second"]).groupby(patient).mean()
        assert (row["groups"], row["cases"]) == (len(means), len(values["first"])) == (12, 80)
        assert row["difference"] == pytest.approx(means.mean(), abs=2e-5)
        assert row["p"] == pytest.approx(stats.wilcoxon(means).pvalue, rel=0.05)
        _, low, high = mean(means.to_numpy(), groups=np.arange(12))
        assert (row["low"], row["high"]) == pytest.approx((low, high), abs=1e-4)
        # Of twelve patients no margin of 0.01 holds out against one failure that was not seen.
        assert row["verdict"] in ("better", "worse", "better so far", "worse so far", "undecided")


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*/*/report.md")), ids=lambda path: "-".join(path.parts[-3:-1]))
def test_a_report_on_records_of_a_former_version_says_so_first(path):
    (file,) = path.parent.glob("records.csv*")
    records = pd.read_csv(file, low_memory=False)
    beginning = path.read_text().partition("## Summary")[0]
    assert "unit" in records or "former" in beginning
    if (records["dataset"] == "glas").all() and (records["group"] == records["case"]).all():
        assert "By images, not by patients" in beginning and "Nobody knows" not in path.read_text()
        assert "patient" not in " ".join(path.read_text().partition("## Differences by patient")[0].split("## ")[1:])
