"""action=compare on two stores whose records are written by hand."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

import run_bench
from benchmarks.plan import building, choices, identity
from benchmarks.plan.configuration import configure
from benchmarks.plan.planning import conditions
from benchmarks.store.files import write_frame
from benchmarks.store.records import RECORD_COLUMNS

COMMAND = [
    "suite=accuracy", "profile=tiny", "datasets=[phantom_glands]", "methods=[resunet,unet]", "tracking=none",
    "action=compare",
]  # fmt: skip
BEFORE = np.linspace(0.6, 0.9, 8)
GAIN = np.array([1, 2, 3, 4, 5, 6, 7, 8]) / 100


@cache
def configured(*overrides):
    return configure([*COMMAND, *overrides])


def trial(runs, method, scores, code="new", fingerprint="data", status="ok", overrides=(), parameters=1000):
    """One finished trial as a run would store it; scores: DSC by case."""
    config = configured(*overrides)
    asked = choices.request(config, method, "phantom_glands", 0)
    known = {"title": "glands", "class_names": ("gland",), "fingerprint": fingerprint, "cases": {"test": len(scores)}}
    full = replace(asked, dataset=replace(asked.dataset, **known), request=identity.request_key(asked), code=code)
    folder = runs / "trials" / f"phantom_glands-{method}-s0-{identity.digest([full.to_json(), code])}"
    (folder / "records").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(full.to_json()))
    (folder / "done.json").write_text(json.dumps({"status": status, "reason": None, "finished": "2025-01-01"}))
    (folder / "cost.json").write_text(json.dumps({"parameters": parameters, "training_seconds": 10.0}))
    (condition,) = conditions(config, asked, building.method_class(asked.method).generative)
    rows = [
        {"trial": folder.name, "method": method, "dataset": "phantom_glands", "seed": 0, "case": f"case{k}",
         "group": f"case{k}", "class": name, "steps": 0, "sampler": "", "eta": 0.0, "ensemble": 1, "sigma": 0.0,
         "image_size": "32x32", "dsc": dsc, "iou": dsc / (2 - dsc), "hd95": 1.0, "assd": 0.5, "empty": "",
         "seconds": 0.1, "nfe": 1}
        for k, dsc in enumerate(scores) for name in ("gland", "all")
    ]  # fmt: skip
    frame = pd.DataFrame(rows).reindex(columns=RECORD_COLUMNS)
    frame.to_parquet(folder / "records" / f"{condition.key}.parquet", index=False)
    return folder


@pytest.fixture(autouse=True)
def coarse_figures(monkeypatch):
    monkeypatch.setattr("reports.paper.style.DPI", 40)


@pytest.fixture
def stores(tmp_path):
    return tmp_path / "before", tmp_path / "after"


@pytest.fixture
def compared(stores):
    """Calls the command and returns (text of the report, its folder)."""

    def call():
        before, after = stores
        assert run_bench.main([*COMMAND, f"paths.runs={after}", f"paths.other={before}"]) == 0
        folder = after / "reports" / "accuracy_compare"
        return (folder / "report.md").read_text(), folder

    return call


def table(folder, name):
    return pd.read_csv(folder / "tables" / f"{name}.csv")


def test_a_known_gain_is_found_tested_and_said(stores, compared):
    before, after = stores
    trial(before, "resunet", BEFORE, parameters=1000)
    trial(after, "resunet", BEFORE + GAIN, code="newer", parameters=1500)
    for store in stores:
        trial(store, "unet", BEFORE)
    text, folder = compared()
    row = table(folder, "changes").set_index("method").loc["resunet"]
    assert (row.before, row.after, row.difference) == pytest.approx((0.75, 0.795, 0.045))
    assert row.low < 0.045 < row.high and row.low > 0
    # All 8 signs are positive: 2 of the 2^8 patterns are as extreme; twice that with two comparisons.
    assert (row.p, row.p_holm) == pytest.approx((2 / 256, 4 / 256))
    assert row.rank_biserial == 1 and row.d_z == pytest.approx(0.045 / GAIN.std(ddof=1))
    assert (
        "**Res-UNet** scored higher in these trainings so far by 0.045 DSC [" in text and "p = 0.016 after Holm" in text
    )
    assert "The same to the last digit in every case: U-Net." in text
    changed = table(folder, "changed_settings")
    assert changed[["what", "before", "after"]].values.tolist() == [["code", "new", "newer"]]
    costs = table(folder, "changes_of_cost").set_index(["method", "what"])
    assert costs.loc[("resunet", "parameters"), "ratio"] == 1.5 and "1 k → 1.5 k (×1.50)" in text
    assert (folder / "figures" / "dsc_change.png").exists()
    drawn = pd.read_csv(folder / "figures" / "dsc_change.csv").set_index("method")
    assert drawn.loc["resunet", "difference"] == pytest.approx(0.045) and drawn.loc["unet", "difference"] == 0
    written = pd.read_csv(folder / "records.csv")
    mean = written[(written.method == "resunet") & (written["class"] == "all")].groupby("store").dsc.mean()
    assert mean["after"] - mean["before"] == pytest.approx(0.045)


def test_a_prediction_that_became_empty_shows_in_the_penalised_distance(stores, compared):
    """Where they are defined the distances are the same; one case of eight now costs the diagonal."""
    for store, missed in zip(stores, (False, True)):
        folder = trial(store, "resunet", BEFORE)
        (path,) = (folder / "records").glob("*.parquet")
        frame = pd.read_parquet(path).assign(hd95_penalised=1.0, assd_penalised=0.5)
        if missed:
            frame.loc[frame["case"] == "case0", ["hd95", "assd", "hd95_penalised", "assd_penalised"]] = (
                np.nan, np.nan, 45.0, 45.0)  # fmt: skip
        write_frame(path, frame)
    text, folder = compared()
    row = table(folder, "changes_by_class").set_index("class").loc["all"]
    assert row["hd95_difference"] == 0 and row["hd95_penalised_difference"] == pytest.approx(44 / 8)
    assert row["assd_penalised_difference"] == pytest.approx(44.5 / 8)
    header = next(line for line in text.splitlines() if line.startswith("| data set") and " HD95 " in line)
    assert "HD95 where defined" in header and "ASSD where defined" in header


def test_a_loss_is_told_from_what_chance_explains(stores, compared):
    before, after = stores
    for method, change in (("resunet", -GAIN), ("unet", GAIN * np.tile([1, -1], 4))):
        trial(before, method, BEFORE)
        trial(after, method, BEFORE + change)
    text, _ = compared()
    assert "**Res-UNet** scored lower in these trainings so far by 0.045 DSC [" in text
    assert "No change shown for U-Net: \u22120.005 DSC [" in text


def test_equal_stores_are_said_to_be_equal(stores, compared):
    for store in stores:
        trial(store, "resunet", BEFORE)
        trial(store, "unet", BEFORE)
    text, folder = compared()
    assert "Every DSC is the same to the last digit (8 cases, 2 comparisons)." in text
    assert "settings, code, data and environment of all trials are the same" in text
    assert "both hold the same trials, tests and cases" in text
    rows = table(folder, "changes")
    assert (rows.difference == 0).all() and (rows.p == 1).all() and (rows.d_z == 0).all()
    assert rows.low.max() < -0.3 and rows.high.min() > 0.3  # cases that are all alike tell little of others


def test_a_trial_trained_with_other_settings_is_still_the_one_before(stores, compared):
    before, after = stores
    trial(before, "resunet", BEFORE, overrides=["training.learning_rate=0.5"])
    trial(after, "resunet", BEFORE + GAIN)
    _, folder = compared()
    assert table(folder, "changes").difference.tolist() == pytest.approx([0.045])
    row = table(folder, "changed_settings").set_index("what").loc["training.learning_rate"]
    assert row.before == 0.5 and row.after != 0.5


def test_what_only_one_store_holds_is_listed_and_only_shared_cases_count(stores, compared):
    before, after = stores
    trial(before, "resunet", BEFORE)
    trial(after, "resunet", BEFORE[:6] + 0.1)
    trial(after, "unet", BEFORE)
    text, folder = compared()
    row = table(folder, "changes").iloc[0]
    assert row.cases == 6 and row.difference == pytest.approx(0.1) and row.before == pytest.approx(BEFORE[:6].mean())
    apart = dict(table(folder, "in_one_store").values.tolist())
    assert apart["trial U-Net on phantom_glands, seed 0 (ok)"] == "after"
    assert apart["2 cases of Res-UNet on phantom_glands, σ = 0: case6, case7"] == "before"
    assert "Trial U-Net on phantom_glands, seed 0: not there before, ok after." in text


def test_other_data_of_the_same_name_are_warned_of(stores, compared):
    before, after = stores
    trial(before, "resunet", BEFORE, fingerprint="old")
    trial(after, "resunet", BEFORE + GAIN)
    assert "**data set itself differs**" in compared()[0]


def test_few_cases_give_a_difference_without_interval_or_test(stores, compared):
    before, after = stores
    trial(before, "resunet", BEFORE[:2])
    trial(after, "resunet", BEFORE[:2] + 0.1)
    text, folder = compared()
    row = table(folder, "changes").iloc[0]
    assert row.difference == pytest.approx(0.1) and np.isnan(row.low) and np.isnan(row.p_holm)
    assert "+0.100 DSC in 2 cases, too few for an interval or a test" in text and "No interval is given" in text


def test_a_trial_that_failed_since_is_named(stores, compared):
    before, after = stores
    trial(before, "resunet", BEFORE)
    trial(after, "resunet", [], status="failed")
    text, folder = compared()
    assert "ok before, failed after" in text and "no test in common" in text
    assert not (folder / "tables" / "changes.csv").exists()


@pytest.mark.parametrize(
    "other, message",
    [
        (None, "paths.other: is not set"),
        ("missing", "is no result store"),
        ("empty", "holds no finished trial of suite=accuracy"),
        ("after", "is the same folder as paths.runs"),
    ],
)
def test_a_second_store_that_cannot_be_used_ends_with_the_key_to_mend(tmp_path, capsys, other, message):
    trial(tmp_path / "after", "resunet", BEFORE)
    (tmp_path / "empty" / "trials").mkdir(parents=True)
    given = [] if other is None else [f"paths.other={tmp_path / other}"]
    assert run_bench.main([*COMMAND, f"paths.runs={tmp_path / 'after'}", *given]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "paths.other" in said and message in said
    assert not (tmp_path / "after" / "reports").exists()


def test_a_suite_without_scores_cannot_be_compared(tmp_path, capsys):
    overrides = ["suite=data_overview", "action=compare", f"paths.runs={tmp_path}", f"paths.other={tmp_path / 'o'}"]
    assert run_bench.main(overrides) == 2
    assert "keeps no scores of test cases" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    "wrong, message", [("methods=[resunett]", "Did you mean 'resunet'?"), ("seeds=[-1]", "seeds=")]
)
def test_names_are_checked_as_for_every_other_action(tmp_path, capsys, wrong, message):
    assert run_bench.main([*COMMAND, wrong, f"paths.runs={tmp_path}", f"paths.other={tmp_path / 'other'}"]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_of_all_suites_those_are_compared_that_keep_scores(stores, capsys):
    for store in stores:
        trial(store, "resunet", BEFORE)
    before, after = stores
    overrides = ["suite=all", *COMMAND[1:], f"paths.runs={after}", f"paths.other={before}"]
    assert run_bench.main(overrides) == 1
    assert (after / "reports" / "accuracy_compare" / "report.md").exists()
    assert "suite=runtime keeps no scores" in " ".join(capsys.readouterr().err.split())
