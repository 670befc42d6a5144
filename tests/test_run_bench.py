"""The command as a user runs it: a small suite on phantoms from nothing to its report, repeated, damaged, refused."""

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.commands import TINY, bench, loaded, process, records, weights

SMALL = [*TINY, "methods=[ldseg,resunet]", "datasets=[phantom_glands]", "suite.sigmas=[0,0.2]", "suite.steps=[2]"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    runs = tmp_path_factory.mktemp("undisturbed") / "runs"
    result = process(runs, *SMALL)
    assert result.returncode == 0, result.stderr
    return runs


def test_a_suite_leaves_report_records_tables_and_figures(undisturbed):
    folder = undisturbed / "reports/noise_robustness"
    text = (folder / "report.md").read_text()
    assert "LDSeg" in text and "Res-UNet" in text and "run_bench.py" in text
    assert list((folder / "figures").glob("*.png")) and list((folder / "figures").glob("*.svg"))
    assert list((folder / "tables").glob("*.csv"))
    found = pd.read_csv(folder / "records.csv")
    wanted = "method dataset seed case group class steps sampler sigma image_size dsc iou hd95 assd seconds".split()
    assert list(found.columns[: len(wanted)]) == wanted
    # 6 test cases, 2 noise levels, the class and the pooled row, 2 methods
    assert len(found) == 6 * 2 * 2 * 2
    assert found.dsc.between(0, 1).all() and (found.seconds > 0).all()


def test_a_finished_suite_trains_nothing_and_gives_the_same_records(undisturbed):
    times = {path: path.stat().st_mtime_ns for path in undisturbed.glob("trials/*/weights.safetensors")}
    before = records(undisturbed)
    assert process(undisturbed, *SMALL).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in undisturbed.glob("trials/*/weights.safetensors")} == times
    pd.testing.assert_frame_equal(records(undisturbed), before)


def test_the_report_is_redrawn_without_the_data(undisturbed, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(undisturbed, runs)
    shutil.rmtree(runs / "cache")
    before = records(runs)
    shutil.rmtree(runs / "reports")
    result = bench(runs, *SMALL, "action=report")
    assert result.returncode == 0, result.stderr
    pd.testing.assert_frame_equal(records(runs), before)
    assert {path.name for path in (runs / "cache").iterdir()} == {"methods"}  # no data were prepared


def test_the_plan_says_what_is_there_and_what_is_not(undisturbed):
    text = bench(undisturbed, *SMALL, "action=plan").stdout
    assert text.count("there already") == 2 and "2 of 2" in text
    more = bench(undisturbed, *SMALL, "action=plan", "seeds=[0,1]").stdout
    assert more.count("there already") == 2 and more.count("24 steps") == 2 and "in all" in more
    assert "2 seeds, but verdicts speak of methods from three on" in more and "seeds" not in text


def test_a_plan_of_what_is_there_loads_no_libraries_of_networks_and_tables(undisturbed):
    status, found = loaded(undisturbed, *SMALL, "action=plan")
    assert status == 0
    assert not found & {"torch", "monai", "lightning_fabric", "mlflow", "pandas", "pyarrow", "matplotlib"}


@pytest.mark.parametrize("action", ["report", "run"])
def test_a_report_of_what_is_there_loads_no_libraries_of_networks(action, undisturbed, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(undisturbed, runs)
    status, found = loaded(runs, *SMALL, f"action={action}")
    assert status == 0
    assert not found & {"torch", "monai", "lightning_fabric", "mlflow", "scikit_posthocs"}


def test_a_new_noise_level_is_tested_without_training_again(undisturbed, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(undisturbed, runs)
    before = weights(runs)
    assert bench(runs, *SMALL, "suite.sigmas=[0,0.2,0.4]").returncode == 0
    assert sorted(records(runs).sigma.unique()) == [0, 0.2, 0.4]
    assert weights(runs) == before


def test_a_store_is_verified_and_what_was_damaged_is_made_again(undisturbed, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(undisturbed, runs)
    assert "0 damaged, 0 missing, 0 without a sum" in bench(runs, "action=verify").stdout
    before = records(runs)
    damaged = [next(runs.glob(f"trials/*resunet*/{kind}/*")) for kind in ("records", "samples")]
    for path in damaged:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
    result = bench(runs, "action=verify")
    assert result.returncode == 1 and all(f"{path}: damaged. The next run" in result.stdout for path in damaged)
    result = bench(runs, *SMALL)
    assert result.returncode == 0 and result.stdout.count("was damaged since it was written") == 2
    pd.testing.assert_frame_equal(records(runs), before)
    path = next(runs.glob("trials/*resunet*/weights.safetensors"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    result = bench(runs, *SMALL, "suite.sigmas=[0,0.3]")
    assert result.returncode == 2 and f"{path}: was damaged since it was written" in result.stderr


def test_a_trial_that_fails_is_named_in_the_report_and_the_others_go_on(tmp_path):
    diverging = ["method.resunet.training.learning_rate=1e30", "training.learning_rate=null"]
    result = bench(tmp_path, *SMALL, *diverging)
    assert result.returncode == 1, result.stderr
    report = (tmp_path / "reports/noise_robustness/report.md").read_text()
    assert "the loss became nan" in report and "Failed: Res-UNet on phantom_glands" in result.stdout
    assert set(records(tmp_path).method) == {"ldseg"}


@pytest.mark.parametrize(
    "overrides, message",
    [
        (["suite=noise"], "suite: 'noise' is not known"),
        (["datasets=[glas]", "paths.data=nowhere"], "nowhere/glas"),
        (["methods=[resunett]"], "Did you mean 'resunet'?"),
        (["suite.sigmas=[-0.1]"], "suite.sigmas: -0.1"),
        (["suite.steps=[0]"], "suite.steps: 0"),
        (["training.stepss=4"], "'training.steps'"),
        (["device=abacus"], "device=abacus"),
    ],
)
def test_bad_input_ends_at_once_with_status_2_and_one_clear_line(tmp_path, overrides, message):
    result = bench(tmp_path, *TINY, *overrides)
    assert result.returncode == 2 and message in result.stderr and "Traceback" not in result.stderr


def test_the_process_ends_with_that_status_too(tmp_path):
    result = process(tmp_path, "suite=noise")
    assert (
        result.returncode == 2 and "suite: 'noise' is not known" in result.stderr and "Traceback" not in result.stderr
    )


def test_a_runs_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    result = bench(tmp_path / "file" / "runs", *SMALL)
    assert result.returncode == 2 and "paths.runs=" in result.stderr and "cannot be written" in result.stderr


def test_an_unreadable_checkpoint_is_refused_before_any_work(undisturbed, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(undisturbed, runs)
    trial = next(runs.glob("trials/phantom_glands-resunet-*"))
    (trial / "weights.safetensors").unlink()
    (trial / "checkpoint.pt").write_bytes(os.urandom(100))
    result = bench(runs, *SMALL)
    assert result.returncode == 2 and "checkpoint.pt: the checkpoint cannot be read" in result.stderr


def test_a_report_of_an_empty_store_says_what_to_run(tmp_path):
    result = bench(tmp_path, *SMALL, "action=report")
    assert result.returncode == 2 and "run the same command without action first" in result.stderr


def test_the_list_names_every_suite_method_and_data_set_with_a_line_each(tmp_path):
    text = process(tmp_path, "action=list").stdout
    for name in (
        "noise_robustness",
        "ldseg",
        "resunet",
        "glas",
        "camus",
        "phantom_glands",
        "phantom_echo",
        "folder",
        "quick",
    ):
        assert name in text
