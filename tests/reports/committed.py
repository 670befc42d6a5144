"""The reports committed in docs/results, their records, and what is the same in all tests that recompute them.

Committed records are rounded to five digits, so scores agree to about 1e-5 and distances to about 1e-4 of their size.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.reports.resampling import averaged, mean, patients, table

RESULTS = Path(__file__).parents[2] / "docs" / "results"
METRICS = ("dsc", "iou", "nsd", "hd95_penalised", "assd_penalised", "hd95", "assd")
OBJECTS = ("object_f1", "object_dice", "object_hausdorff")
DISTANCES = ("hd95", "assd", "object_hausdorff")
"""Beginnings of names of scores without an upper end."""
DIGITS = 1e-5
"""What scores in records are rounded to."""
COLLAPSE = 0.1
"""DSC that a training ends below the best of its method, and no verdict on the method is left."""


def found(pattern, folder="tables"):
    """Tables of that name in all committed reports, as parameters named by their path. folder: "*" for figures, too."""
    paths = sorted(RESULTS.glob(f"*/*/{folder}/{pattern}.csv"))
    return pytest.mark.parametrize("path", paths, ids=[str(path.relative_to(RESULTS)) for path in paths])


def measured(path):
    """Rows of a table without those of methods that were declined or failed."""
    rows = pd.read_csv(path)
    return rows[rows.dsc.notna()].to_dict("records")


def records_of(path):
    """The records beside a table or figure of a report."""
    (file,) = path.parents[1].glob("records.csv*")
    return _read(file)


@cache
def _read(file):
    return pd.read_csv(file, low_memory=False)


def classes_of(path):
    """The classes of a report's data set, without those that were scored as one beside them."""
    return tuple(pd.read_csv(path.with_name("data_sets.csv"))["classes"].iloc[0].split(", "))


def scores(records, metric="dsc", name="all", **where):
    """(seeds, cases) and the patient of each case. name: a class, or several classes: the mean over these, which is
    the pooled score where a prediction alone has no foreground."""
    if isinstance(name, str):
        return table(records, metric, name, **where)
    pooled, groups = table(records, metric, **where)
    means = np.mean([table(records, metric, part, **where)[0] for part in name], axis=0)
    if "empty" not in records:
        return means, groups
    missed, _ = table(records.assign(missed=1.0 * (records["empty"] == "prediction")), "missed", **where)
    return np.where(missed == 1, pooled, means), groups


def variant(key):
    """The method and the steps that a key such as ldseg-2 stands for, as conditions on records."""
    name, dash, steps = key.rpartition("-")
    return {"method": name, "steps": int(steps)} if dash else {"method": key, "steps": 0}


def shown(path):
    """All methods of the report of a table that have scores, in the suite's order, as conditions on records."""
    rows = pd.read_csv(path.with_name("cost.csv")).dropna(subset="steps")
    return [{"method": row.method, "steps": int(row.steps)} for row in rows.itertuples()]


def lowest(records):
    """The noise level of the undisturbed images."""
    return records["sigma"].min()


def seed_means(records, **where):
    """Mean DSC over patients of each training."""
    values, groups = scores(records, **where)
    return np.array([patients(row, groups).mean() for row in values])


def collapsed(records, **where):
    """Whether a training of a method ended far below its best, or has in every case the DSC that it has under the
    strongest noise. where: method and steps."""
    means = seed_means(records, sigma=lowest(records), **where)
    if (means < means.max() - COLLAPSE).any():
        return True
    strongest = records["sigma"].max()
    if strongest < 0.05 or lowest(records) >= 0.05:
        return False
    clean, noisy = (scores(records, sigma=sigma, **where)[0] for sigma in (lowest(records), strongest))
    return bool((np.abs(noisy - clean).max(axis=1) <= 1e-3).any())


def over_patients(records, metric="dsc", **where):
    """(patients,) scores, averaged over trainings."""
    values, groups = scores(records, metric, **where)
    return patients(averaged(values), groups)


def same(row, name, values, groups, low=None, high=None, bounds=None):
    """The mean over patients with its interval, of a score (seeds, cases) in [0, 1], of a distance, or of what lies
    between bounds."""
    bounds = bounds or ((0, np.inf) if name.startswith(DISTANCES) else (0, 1))
    alike(row, name, mean(values, groups=groups, bounds=bounds), low, high)


def alike(row, name, expected, low=None, high=None, tolerance=5e-5):
    """A value with its interval is (value, low, high)."""
    told = row[name], row[low or f"{name}_low"], row[high or f"{name}_high"]
    assert told == pytest.approx(tuple(expected), rel=3e-4, abs=tolerance, nan_ok=True), name
