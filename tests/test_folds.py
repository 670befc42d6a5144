"""Cross-validation from the command to the report."""

import pandas as pd
import pytest

from run_bench import main

WORDS = ["suite=accuracy", "methods=[resunet,unet]", "datasets=[phantom_glands]", "profile=tiny", "seeds=[0]",
         "folds=3", "tracking=none", "profile.limit={train: 6, val: 2, test: 4}"]  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folds")
    assert main([*WORDS, f"paths.runs={folder}"]) == 0
    return folder


def test_the_report_pools_the_cases_of_all_folds_and_says_so_first(runs):
    folder = runs / "reports" / "accuracy"
    records = pd.read_csv(folder / "records.csv")
    pooled = records[(records["class"] == "all") & (records["method"] == "unet")]
    assert len(pooled) == 12 and pooled["case"].is_unique and pooled["trial"].nunique() == 3
    text = (folder / "report.md").read_text()
    first = text.split("## Summary")[0]
    assert "cross-validation in 3 folds by patient" in first and "12 test cases" in text
    trials = pd.read_csv(folder / "tables" / "trials.csv")
    assert sorted(trials["fold"]) == sorted(["1 of 3", "2 of 3", "3 of 3"] * 2)
    accuracy = pd.read_csv(folder / "tables" / "accuracy_phantom_glands.csv").set_index("method")
    groups = pooled.groupby("group")["dsc"].mean()
    assert accuracy.loc["unet", "dsc"] == pytest.approx(groups.mean())
    cases = (folder / "report.html").read_text().count('<option value="')
    assert cases >= 3 * 4, "pictures of every fold"


def test_the_plan_counts_the_folds(runs, tmp_path, capsys):
    assert main([*WORDS, f"paths.runs={tmp_path}", "action=plan"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "3 folds: 6 trials" in said and "fold 3 of 3" in said
    assert main([*WORDS, f"paths.runs={runs}", "action=plan"]) == 0
    assert "Nothing is left to do" in capsys.readouterr().out


def test_the_report_is_redrawn_without_data_and_the_same(runs):
    folder = runs / "reports" / "accuracy"
    before = (folder / "records.csv").read_bytes(), (folder / "tables" / "accuracy_phantom_glands.csv").read_bytes()
    assert main([*WORDS, f"paths.runs={runs}", "action=report"]) == 0
    assert before == (
        (folder / "records.csv").read_bytes(),
        (folder / "tables" / "accuracy_phantom_glands.csv").read_bytes(),
    )


def test_steps_chosen_on_validation_are_those_of_all_folds_together(tmp_path):
    words = ["suite=accuracy", "methods=[ldseg]", "datasets=[phantom_glands]", "profile=tiny", "seeds=[0]", "folds=2",
             "tracking=none", "profile.limit={train: 4, val: 2, test: 2}", "profile.steps=4"]  # fmt: skip
    assert main([*words, f"paths.runs={tmp_path}"]) == 0
    folder = tmp_path / "reports" / "accuracy"
    chosen = pd.read_csv(folder / "tables" / "chosen_steps.csv")
    validation = sorted((tmp_path / "trials").glob("*/validation/*.parquet"))
    frames = pd.concat(map(pd.read_parquet, validation))
    frames = frames[(frames["class"] == "all") & (frames["steps"] == chosen["candidate"][0])]
    assert len(validation) == 2 * len(chosen) and frames["trial"].nunique() == 2
    assert chosen["validation_dsc"][0] == pytest.approx(frames.groupby("group")["dsc"].mean().mean())
    assert "chosen on the validation cases of all folds together" in (folder / "report.md").read_text()


def test_tuning_is_refused(tmp_path, capsys):
    assert main([*WORDS, f"paths.runs={tmp_path}", "action=tune"]) == 2
    assert "folds=3: action=tune" in capsys.readouterr().err
