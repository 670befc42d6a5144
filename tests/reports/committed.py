"""The reports committed in docs/results, their records, and means over cases and patients of these."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.reports.resampling import drawn, ends

RESULTS = Path(__file__).parents[2] / "docs" / "results"
METRICS = ("dsc", "iou", "hd95", "assd")


def found(pattern, folder="tables"):
    """Tables of that name in all committed reports, as parameters named by their path."""
    paths = sorted(RESULTS.glob(f"*/*/{folder}/{pattern}.csv"))
    return pytest.mark.parametrize("path", paths, ids=[str(path.relative_to(RESULTS)) for path in paths])


def samples(values, groups):
    """(..., 2000) means over cases of bootstrap samples of patients. The reports were drawn when means were over cases:
    patients there have equally many, so that it matters only where a distance is undefined."""
    names, patient = np.unique(groups, return_inverse=True)
    weights, values = drawn(len(names))[:, patient], np.asarray(values, float)
    return np.nan_to_num(values) @ weights.T / (np.isfinite(values) @ weights.T)


def scores(records, metric="dsc", name="all", **where):
    """(cases,) mean over seeds in order of the case, and the patient of each."""
    part = records[records["class"] == name]
    for column, value in where.items():
        part = part[part[column] == value]
    by_case = part.groupby("case")[metric].mean().sort_index()
    return by_case.to_numpy(), part.drop_duplicates("case").sort_values("case")["group"].to_numpy()


def same(row, name, values, groups, low=None, high=None):
    expected = (np.nanmean(values), *ends(samples(values, groups)))
    assert (row[name], row[low or f"{name}_low"], row[high or f"{name}_high"]) == pytest.approx(
        expected, rel=1e-4, abs=2e-5
    )


def measured(path):
    """Rows of a table without those of methods that were declined or failed."""
    rows = pd.read_csv(path)
    return rows[rows.dsc.notna()].to_dict("records")


def records_of(path):
    """The records beside a table or figure of a report."""
    (file,) = path.parents[1].glob("records.csv*")
    return pd.read_csv(file, low_memory=False)
