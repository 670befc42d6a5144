import numpy as np
import pandas as pd
import pytest

from reports.numbers.study import study
from reports.sections import object_table

METRICS = ("object_f1", "object_dice", "object_hausdorff")


def test_each_part_of_the_test_set_and_both_together_have_a_row(fabricate):
    for seed in (0, 1):
        fabricate.trial("resunet", "glas", seed, sigmas=(0, 0.2), cases=12, patients=8, samples=False)
    found = object_table.table(study(fabricate.results()), "glas")
    records = pd.concat(fabricate.frames).query("`class` == 'all' and sigma == 0")
    rows = found.data
    assert rows["part"].tolist() == ["test A", "test B", "test A and test B"] and rows["cases"].tolist() == [8, 4, 12]
    for row in rows.to_dict("records"):
        part = records[records["subset"].isin(row["part"].split(" and "))]
        for metric in METRICS:
            # Over trainings, then over the images of a patient, then over patients.
            by_case = part.groupby(["group", "case"])[metric].mean()
            assert row[metric] == pytest.approx(by_case.groupby("group").mean().mean())


def test_a_test_set_without_parts_has_one_row(fabricate):
    fabricate.trial("resunet", "glas", sigmas=(0,), samples=False)
    fabricate.frames[0]["subset"] = None
    shown = object_table.table(study(fabricate.results()), "glas").frame
    assert shown["part"].tolist() == ["all"] and "object Hausdorff (px)" in shown.columns


def test_data_without_objects_have_no_such_table(fabricate):
    fabricate.trial("resunet", "camus", sigmas=(0,), samples=False)
    assert object_table.table(study(fabricate.results()), "camus") is None


def test_records_of_a_former_version_have_no_such_table(fabricate):
    fabricate.trial("resunet", "glas", sigmas=(0,), samples=False)
    fabricate.frames[0][list(METRICS)] = np.nan
    assert object_table.table(study(fabricate.results()), "glas") is None
