"""Results that are thin, broken or odd still give a report that says so."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from reports import write


@pytest.fixture
def report(fabricate, tmp_path):
    """Writes the fabricated results and returns (text of report.md, folder)."""

    def written(**suite):
        folder = tmp_path / "report"
        return write(fabricate.results(**suite), folder).read_text(), folder

    return written


def summary(text):
    return text.split("## Summary")[1].split("\n## ")[0]


def test_a_single_case_gives_means_without_intervals(fabricate, report):
    fabricate.trial("ldseg", cases=1, sigmas=(0, 0.2))
    fabricate.trial("resunet", cases=1, sigmas=(0, 0.2))
    text, folder = report()
    assert "1 test case at" in text and "No interval is given" in summary(text)
    assert not re.search(r"\d \[", text.split("## Training")[0])
    rows = pd.read_csv(folder / "tables" / "dsc_by_sigma_phantom_glands.csv")
    assert rows.low.isna().all() and rows.dsc.notna().all()
    assert "too few for an interval or a test" in summary(text)


@pytest.mark.parametrize("cases, patients", [(4, None), (20, 4)])
def test_no_interval_below_five_cases_or_patients(fabricate, report, cases, patients):
    fabricate.trial("resunet", cases=cases, patients=patients, sigmas=(0, 0.2), samples=False)
    text, folder = report()
    assert "95 % interval |" not in text.split("## Per class")[0]
    for path in (folder / "tables").glob("*.csv"):
        frame = pd.read_csv(path)
        assert frame.filter(regex="low|high").isna().all(axis=None), path.name


def test_five_cases_have_an_interval(fabricate, report):
    fabricate.trial("resunet", cases=5, sigmas=(0, 0.2), samples=False)
    _, folder = report()
    assert pd.read_csv(folder / "tables" / "dsc_by_sigma_phantom_glands.csv").low.notna().all()


def test_one_method_has_nothing_to_be_compared_with(fabricate, report):
    fabricate.trial("resunet", sigmas=(0, 0.1, 0.2))
    text, folder = report()
    assert "case by case" not in text
    assert not (folder / "tables" / "differences.csv").exists()
    assert "Res-UNet" in summary(text)


def test_equal_scores_everywhere_lose_nothing_and_show_nothing_of_patients_not_seen(fabricate, report):
    moved = {0: 0.01, 1: -0.01}  # noise helps in one case what it costs in another
    for method in ("ldseg", "resunet"):
        fabricate.trial(method, score=lambda sigma, case, name: 0.8 + (sigma > 0) * moved.get(case, 0.0), steps=(2,))
    text, folder = report()
    assert "a loss of 0.05 DSC was not reached up to σ = 0.5" in summary(text)
    # 24 equal cases: up to 1 - 0.025^(1 / 24) = 14 % of all may differ, by any amount.
    assert "at σ = 0: 0.000 DSC [\u22120.14" in summary(text) and "where only 0 differ" in summary(text)
    rows = pd.read_csv(folder / "tables" / "robustness.csv")
    assert np.allclose(rows.relative_area, 1) and np.isinf(rows.sigma_at_loss).all()
    assert "> 0.5" in text


def test_scores_of_zero_do_not_divide_by_it(fabricate, report):
    fabricate.trial("resunet", score=lambda sigma, case, name: 0.0, samples=False)
    _, folder = report()
    assert pd.read_csv(folder / "tables" / "robustness.csv").relative_area.isna().all()


def test_one_sigma_leaves_out_what_needs_a_range(fabricate, report):
    fabricate.trial("ldseg", sigmas=(0,), steps=(2,))
    fabricate.trial("resunet", sigmas=(0,))
    text, folder = report()
    assert "was lost at" not in text and "From σ" not in summary(text)
    assert pd.read_csv(folder / "tables" / "robustness.csv").area.isna().all()
    assert (folder / "figures" / "dsc_by_sigma.png").exists()


def test_empty_masks_cost_the_diagonal_and_are_counted_beside_the_mean_without_them(fabricate, report):
    fabricate.trial("resunet", cases=10, sigmas=(0, 0.2), samples=False)
    frame = fabricate.frames[1]
    missed = frame.case.isin(["case001", "case002"])
    frame.loc[missed, ["dsc", "iou"]] = 0.0
    frame.loc[missed, ["hd95", "assd"]] = np.nan
    frame.loc[missed, ["hd95_penalised", "assd_penalised"]] = 90.5
    frame.loc[missed, "empty"] = "prediction"
    both = frame.case == "case003"
    frame.loc[both, ["dsc", "iou", "hd95", "assd"]] = [1.0, 1.0, 0.0, 0.0]
    frame.loc[both, ["hd95_penalised", "assd_penalised"]] = 0.0
    frame.loc[both, "empty"] = "both"
    text, folder = report()
    assert "(8 of 10)" in text and "count the diagonal of the case's grid" in text
    row = pd.read_csv(folder / "tables" / "classes_phantom_glands.csv").query("sigma == 0.2").iloc[0]
    pooled = frame[frame["class"] == "all"]
    assert row.undefined_distances == 2 and row.both_empty == 1
    assert row.hd95 == pytest.approx(pooled.hd95.dropna().mean())
    assert row.hd95_penalised == pytest.approx(pooled.hd95_penalised.mean())
    assert row.nsd == pytest.approx(pooled.nsd.mean())
    assert row.dsc == pytest.approx(pooled.dsc.mean())


def test_distances_carry_the_unit_of_their_records(fabricate, report):
    fabricate.trial("resunet", cases=6, sigmas=(0,), samples=False)
    fabricate.frames[0]["unit"] = "um"
    header = "NSD at 2 µm | HD95 (µm) | ASSD (µm) | HD95 / ASSD where defined (µm) |"
    assert header in re.sub(" +", " ", report()[0])
    fabricate.frames[0].loc[0, "unit"] = "px"
    text, _ = report()
    assert (
        "NSD at 2 | HD95 |" in re.sub(" +", " ", text)
        and "in the unit of the spacing where it is known, else in pixels" in text
    )


NEW = ("hd95_penalised", "assd_penalised", "nsd", "tolerance", "unit", "object_f1", "object_dice", "object_hausdorff")


def test_records_of_a_former_version_are_shown_without_what_they_lack(fabricate, report):
    trial = fabricate.trial("resunet", "glas", cases=6, sigmas=(0,), samples=False)
    trial.config = replace(trial.config, dataset=replace(trial.config.dataset, distance_unit="mm"))
    fabricate.frames[0][[*NEW, "subset"]] = np.nan
    text, folder = report(name="accuracy")
    assert "12 records of glas are of a former version" in text.split("## Summary")[0]
    assert "NSD" not in text.split("## Accuracy")[1].split("\n## ")[0] and "## Objects" not in text
    assert "| HD95 / ASSD where defined (mm) |" in text and "| HD95 (mm) |" not in text
    row = pd.read_csv(folder / "tables" / "accuracy_glas.csv").iloc[0]
    assert row.hd95 > 0 and "hd95_penalised" not in row.index


def test_former_records_beside_new_ones_have_dashes(fabricate, report):
    fabricate.trial("resunet", cases=6, sigmas=(0,), samples=False)
    fabricate.trial("unet", cases=6, sigmas=(0,), samples=False)
    fabricate.frames[1][[*NEW]] = np.nan
    text, folder = report(name="accuracy")
    rows = pd.read_csv(folder / "tables" / "accuracy_phantom_glands.csv").set_index("method")
    assert rows.loc["resunet", "nsd"] > 0 and np.isnan(rows.loc["unet", "nsd"])
    assert "12 records of phantom_glands are of a former version" in text


@pytest.mark.parametrize("suite", ["accuracy", "noise_robustness"])
def test_a_split_that_shares_patients_is_said_before_any_number(fabricate, report, suite):
    trial = fabricate.trial("resunet", "glas", cases=80, patients=12, samples=False)
    trial.config = replace(trial.config, dataset=replace(trial.config.dataset, patients=True, shared=79))
    text, _ = report(name=suite)
    first = text.split("\n## ")[0]
    assert "training and test share patients" in first and "79 of its 80 test images" in first
    assert "`dataset.glas.split=patients`" in first
    trial.config = replace(trial.config, dataset=replace(trial.config.dataset, shared=0))
    assert "share patients" not in report(name=suite)[0].split("\n## ")[0]


def test_a_method_that_learnt_nothing_is_not_called_robust(fabricate, report):
    fabricate.trial("ldseg", steps=(2,), score=lambda sigma, case, name: 0.2, samples=False)
    fabricate.trial("resunet", samples=False)
    text, _ = report()
    first, second = (line for line in summary(text).splitlines() if "relative area" in line)
    assert "no sign of robustness" in first and "no sign of robustness" not in second


def test_distances_undefined_in_every_case_are_a_dash(fabricate, report):
    fabricate.trial("resunet", cases=6, sigmas=(0,), samples=False)
    fabricate.frames[0][["hd95", "assd"]] = np.nan
    text, _ = report()
    assert "| – / – (0 of 6) |" in re.sub(" +", " ", text)


def test_failed_and_declined_trials_are_rows_with_their_reason(fabricate, report):
    fabricate.trial("resunet", samples=False)
    fabricate.trial("ldseg", status="failed", reason="the loss became nan at step 12 | see\nthe log", records=False)
    fabricate.trial("unet", status="declined", reason="needs two classes")
    text, folder = report()
    for name in ("dsc_by_sigma_phantom_glands", "robustness", "cost"):
        notes = pd.read_csv(folder / "tables" / f"{name}.csv").note.dropna().tolist()
        assert notes == ["failed: the loss became nan at step 12 | see the log", "declined: needs two classes"], name
    assert "| U-Net: declined: needs two classes" in text
    assert r"LDSeg: failed: the loss became nan at step 12 \| see the log |" in text
    assert "**U-Net** has no result here (declined: needs two classes.)" in summary(text)
    assert "1 trial of 3 ended well" in text


def test_one_failed_seed_is_named_and_the_others_count(fabricate, report):
    fabricate.trial("resunet", seed=0, sigmas=(0, 0.2), samples=False)
    fabricate.trial("resunet", seed=1, sigmas=(0, 0.2), status="failed", reason="out of memory", records=False)
    text, _ = report()
    assert "**Res-UNet, seed 1** has no result here (failed: out of memory.)" in summary(text)
    assert "| Res-UNet, seed 1: failed: out of memory" in text


def test_a_method_without_any_trial_is_still_a_row(fabricate, report):
    fabricate.trial("resunet", sigmas=(0, 0.2), samples=False)
    text, _ = report(methods=["resunet", "nnunet"])
    assert "| nnunet: not run: the store holds no trial of it" in text


def test_nothing_measured_at_all_still_gives_a_report(fabricate, report):
    fabricate.trial("ldseg", status="failed", reason="broken file", records=False)
    text, folder = report()
    assert "failed: broken file" in summary(text)
    assert pd.read_csv(folder / "records.csv").empty
    assert "dsc_by_sigma.png" not in text


def test_no_trial_at_all_still_gives_a_report(report):
    text, _ = report(methods=["ldseg"], datasets=["glas"])
    assert "**ldseg** has no result here (not run" in summary(text)


def test_missing_samples_are_marked_and_no_samples_leave_the_figure_out(fabricate, report):
    fabricate.trial("ldseg", sigmas=(0, 0.2), steps=(2,))
    fabricate.trial("resunet", sigmas=(0, 0.2), samples=False)
    text, folder = report()
    assert (folder / "figures" / "samples_phantom_glands.png").exists()
    fabricate.trials.clear(), fabricate.frames.clear()
    fabricate.trial("unet", sigmas=(0, 0.2), samples=False)
    text, folder = report()
    assert "## Examples" not in text and not (folder / "figures" / "samples_phantom_glands.png").exists()


def test_a_sigma_tested_for_one_method_only_is_a_dash_for_the_other(fabricate, report):
    fabricate.trial("ldseg", sigmas=(0, 0.1, 0.2), steps=(2,), samples=False)
    fabricate.trial("resunet", sigmas=(0, 0.2), samples=False)
    text, _ = report()
    row = next(line for line in text.splitlines() if line.startswith("| Res-UNet "))
    assert [cell.strip() for cell in row.split("|")[2:5]][1] == "–"


def test_volumes_are_shown_by_a_slice(fabricate, report):
    fabricate.trial("resunet", "phantom_knee", size=(12, 20, 16), sigmas=(0, 0.2), cases=6)
    text, folder = report()
    assert "slice " in text and (folder / "figures" / "samples_phantom_knee.png").exists()


def test_training_that_had_not_converged_is_said_in_the_summary(fabricate, report):
    fabricate.trial("ldseg", sigmas=(0, 0.2), rise=0.034, steps=(2,), samples=False)
    fabricate.trial("resunet", sigmas=(0, 0.2), rise=0.002, samples=False)
    text, _ = report()
    assert "**LDSeg** had not converged (validation DSC still rose by 0.034 in the last fifth of training)" in summary(
        text
    )
    assert "**Res-UNet** had not converged" not in text


def test_a_user_s_own_method_and_odd_names_are_printed_as_they_are(fabricate, report):
    trial = fabricate.trial("mymethod", sigmas=(0, 0.2), cases=6)
    method = replace(trial.config.method, title="My_Net* <v2> | final")
    trial.config = replace(trial.config, method=method)
    text, _ = report()
    assert r"My_Net\* &lt;v2> \| final" in text


def test_other_samplings_of_a_method_are_told_apart(fabricate, report):
    fabricate.trial("ldseg", sigmas=(0, 0.2), steps=(2,), samples=False)
    fabricate.frames += [frame.assign(sampler="ddpm", eta=1.0) for frame in fabricate.frames]
    fabricate.frames += [frame.assign(ensemble=5) for frame in fabricate.frames[:2]]
    text, _ = report()
    for label in ("LDSeg (2 steps, ddim)", "LDSeg (2 steps, ddpm)", "LDSeg (2 steps, ddim, mean of 5)"):
        assert label in text
