"""Every method against every other."""

import numpy as np
import pytest

from reports.numbers.study import study
from reports.sections import matrix


@pytest.fixture
def results(fabricate):
    for seed in range(3):
        for method in ("ldseg", "resunet", "unet"):
            shift = -0.05 * (method == "ldseg")
            fabricate.trial(method, "glas", seed=seed, sigmas=(0,), steps=(2,), cases=24, shift=shift)
    return fabricate.results(name="accuracy")


def test_the_table_is_turned_round_its_diagonal_and_agrees_with_its_numbers(results):
    it = study(results)
    (table,) = matrix.table(it, "glas")
    cells, names = table.frame.set_index("method"), ["Res-UNet", "U-Net", "LDSeg (2 steps)"]
    assert list(cells.index) == list(cells.columns) == names, "by falling DSC"
    means = results.records[results.records["class"] == "all"].groupby("method")["dsc"].mean()
    assert cells.loc["U-Net", "U-Net"] == f"{means['unet']:.3f}"
    first, second = cells.loc["Res-UNet", "LDSeg (2 steps)"], cells.loc["LDSeg (2 steps)", "Res-UNet"]
    assert first.split()[0] == f"+{means['resunet'] - means['ldseg']:.3f}"
    assert (first.split()[1], second.split()[1]) == ("better", "worse")
    assert second.split()[0] == first.split()[0].replace("+", "\u2212")
    tones = table.tones.set_index(cells.index)
    assert tones.loc["Res-UNet", "LDSeg (2 steps)"] == "better" and tones.loc["LDSeg (2 steps)", "Res-UNet"] == "worse"
    assert all(tones.loc[name, name] == "" for name in names)
    row = table.data[(table.data["first"] == "resunet") & (table.data["second"] == "ldseg-2")].iloc[0]
    assert np.isclose(row["difference"], means["resunet"] - means["ldseg"]) and row["verdict"] == "better"
    assert (table.data["family"] == 3).all()


def test_one_training_each_is_not_spoken_of_as_methods(fabricate):
    for method in ("ldseg", "resunet", "unet"):
        fabricate.trial(method, "glas", sigmas=(0,), steps=(2,), cases=24, shift=-0.05 * (method == "ldseg"))
    (table,) = matrix.table(study(fabricate.results(name="accuracy")), "glas")
    words = {" ".join(cell.split()[1:]) for row in table.frame.iloc[:, 1:].to_numpy() for cell in row} - {""}
    assert "scored higher" in words and "better" not in words
    assert set(table.tones.to_numpy().ravel()) >= {"better", "worse"}


def test_what_is_better_so_far_is_turned_round_and_has_no_colour(fabricate):
    for method in ("ldseg", "resunet", "unet"):
        fabricate.trial(method, "glas", sigmas=(0,), steps=(2,), cases=24)
    (table,) = matrix.table(study(fabricate.results(name="accuracy")), "glas")
    cells, tones = (part.set_index(table.frame["method"]) for part in (table.frame, table.tones))
    assert cells.loc["Res-UNet", "LDSeg (2 steps)"].endswith(" scored higher so far")
    assert cells.loc["LDSeg (2 steps)", "Res-UNet"].endswith(" scored lower so far")
    assert tones.loc["Res-UNet", "LDSeg (2 steps)"] == tones.loc["LDSeg (2 steps)", "Res-UNet"] == ""


def test_two_methods_need_no_matrix(fabricate):
    for method in ("ldseg", "resunet"):
        fabricate.trial(method, "glas", sigmas=(0,), steps=(2,), cases=24)
    assert matrix.table(study(fabricate.results(name="accuracy")), "glas") == []
