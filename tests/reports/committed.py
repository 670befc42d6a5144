"""The reports committed in docs/results, their records, and means over cases and patients of these."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.reports.resampling import bounded, drawn, mean

RESULTS = Path(__file__).parents[2] / "docs" / "results"
METRICS = ("dsc", "iou", "hd95", "assd")


def found(pattern, folder="tables"):
    """Tables of that name in all committed reports, as parameters named by their path."""
    paths = sorted(RESULTS.glob(f"*/*/{folder}/{pattern}.csv"))
    return pytest.mark.parametrize("path", paths, ids=[str(path.relative_to(RESULTS)) for path in paths])


def samples(values, groups):
    """(..., 2000) means over cases of bootstrap samples of patients, who have equally many here."""
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


OF_CHANGES = (-2, 2)


def same(row, name, values, groups, low=None, high=None, changes=False):
    """The mean over patients with its interval, of a distance, of a score in [0, 1] or of a difference of two."""
    if name.startswith(("hd95", "assd")):
        expected = mean(values, groups=groups)
    elif name == "difference":
        expected = bounded(values, groups, OF_CHANGES if changes else (-1, 1))
    else:
        expected = bounded(values, groups, (0, 1))
    found = row[name], row[low or f"{name}_low"], row[high or f"{name}_high"]
    assert found == pytest.approx(tuple(expected), rel=3e-4, abs=5e-5)


def measured(path):
    """Rows of a table without those of methods that were declined or failed."""
    rows = pd.read_csv(path)
    return rows[rows.dsc.notna()].to_dict("records")


def records_of(path):
    """The records beside a table or figure of a report."""
    (file,) = path.parents[1].glob("records.csv*")
    return pd.read_csv(file, low_memory=False)
