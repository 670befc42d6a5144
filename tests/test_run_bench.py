"""The command as a user runs it: a small suite on phantoms from nothing to its report, interrupted, repeated."""

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf

ROOT = Path(__file__).resolve().parent.parent
TINY = ["suite=noise_robustness", "profile=tiny", "tracking=none", "device=cpu"]
# 150 steps of Res-UNet reach a DSC of 0.6: trainings that went another way end with other weights.
LEARNS = [*TINY, "methods=[resunet]", "datasets=[phantom_glands]", "suite.sigmas=[0,0.2]", "training.steps=150"]
SMALL = [*TINY, "methods=[ldseg,resunet]", "datasets=[phantom_glands]", "suite.sigmas=[0,0.2]", "suite.steps=[2]"]
TIMED = ["seconds"]


def command(runs: Path, *overrides: str) -> list[str]:
    return [sys.executable, "run_bench.py", f"paths.runs={runs}", *overrides]


def bench(runs: Path, *overrides: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(runs, *overrides), cwd=ROOT, capture_output=True, text=True, timeout=600)


def weights(runs: Path) -> dict[str, str]:
    """SHA-256 of the weights of every trial in a store."""
    found = sorted(runs.glob("trials/*/weights.safetensors"))
    return {path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def records(runs: Path) -> pd.DataFrame:
    """Records of the last report but for how long things took."""
    return pd.read_csv(runs / "reports/noise_robustness/records.csv").drop(columns=TIMED)


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> tuple[Path, float]:
    """A store with a training that learns, and the seconds it took."""
    runs, started = tmp_path_factory.mktemp("learned") / "runs", time.monotonic()
    result = bench(runs, *LEARNS)
    assert result.returncode == 0, result.stderr
    assert records(runs).query("sigma == 0").dsc.mean() > 0.3
    return runs, time.monotonic() - started


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    runs = tmp_path_factory.mktemp("undisturbed") / "runs"
    result = bench(runs, *SMALL)
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
    assert bench(undisturbed, *SMALL).returncode == 0
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


def test_a_new_noise_level_is_tested_without_training_again(undisturbed, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(undisturbed, runs)
    before = weights(runs)
    assert bench(runs, *SMALL, "suite.sigmas=[0,0.2,0.4]").returncode == 0
    assert sorted(records(runs).sigma.unique()) == [0, 0.2, 0.4]
    assert weights(runs) == before


def accuracy_tables(runs, *overrides):
    """The tables of a short run of suite=accuracy by name."""
    tiny = ["suite=accuracy", "profile=tiny", "tracking=none", "device=cpu", "training.steps=4"]
    result = bench(runs, *tiny, *overrides)
    assert result.returncode == 0, result.stdout + result.stderr
    return {path.stem: pd.read_csv(path) for path in (runs / "reports/accuracy/tables").glob("*.csv")}


def check_rows(table, declined: dict[str, str]):
    """Every row is filled but those of methods that do not apply, whose reason holds a word."""
    notes = table[table.note.notna()].set_index("method").note
    assert set(notes.index) == set(declined)
    assert all(word in notes[method] for method, word in declined.items()), notes
    done = table[table.note.isna()]
    assert done.dsc.notna().all()
    for column in ("parameters", "training_seconds", "nfe", "seconds_median", "peak_memory_mib"):
        assert (done[column] > 0).all(), column


def test_every_suite_leaves_its_report_and_the_index_links_them(tmp_path):
    runs = tmp_path / "runs"
    chosen = ["datasets=[phantom_glands]", "methods=[ldseg,resunet]", "training.steps=6"]
    result = bench(runs, "suite=all", "profile=tiny", "tracking=none", "device=cpu", *chosen)
    assert result.returncode == 0, result.stderr
    suites = {path.stem for path in (ROOT / "conf/suite").glob("*.yaml")}
    folders = {path.name: path.resolve().name for path in (runs / "reports").iterdir() if path.is_symlink()}
    assert set(folders) == suites
    index = (runs / "reports/all/report.md").read_text()
    for suite in suites - {"all"}:
        assert f"(../{folders[suite]}/report.md)" in index, suite
    for suite in suites:
        folder = runs / "reports" / suite
        assert {"report.md", "report.html", "records.csv"} <= {path.name for path in folder.iterdir()}, suite
        text = (folder / "report.md").read_text()
        links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
        assert links and all((folder / link).exists() for link in links), suite


def test_every_method_has_its_row_in_the_accuracy_report(tmp_path):
    whole_videos = ["dataset.phantom_echo.cases={train: 1, val: 1, test: 2}", "dataset.phantom_echo.limit=null"]
    tables = accuracy_tables(tmp_path / "runs", "datasets=[phantom_glands,phantom_echo]", *whole_videos)
    glands, echo = tables["accuracy_phantom_glands"], tables["accuracy_phantom_echo"]
    methods = OmegaConf.load(ROOT / "conf/suite/accuracy.yaml").methods
    assert len(glands) == len(echo) == len(methods)
    check_rows(glands, {"Swin UNETR": "swinunet"})
    distances = dict.fromkeys(("SDF-DDPM", "SDF-DDPM direct", "FlowSDF"), "per_class_sdf")
    check_rows(echo, {"Swin UNETR": "swinunet"} | distances)
    videos = tables["videos_phantom_echo"]
    assert (videos.videos == 2).all() and videos.temporal_relative.notna().all()


def test_volumes_are_segmented_on_their_own_grid_and_methods_of_pictures_say_so(tmp_path):
    methods = "methods=[ldseg,resunet,sdf_ddpm,unetpp,swinunet,medt]"
    size = ["dataset.phantom_knee.size=40", "profile.limit={train: 4, val: 2, test: 3}"]
    tables = accuracy_tables(tmp_path / "runs", "datasets=[phantom_knee]", methods, *size)
    declined = {"SDF-DDPM": "per_class_sdf", "U-Net++": "2D", "Swin-UNet": "swinunetr", "MedT": "2D"}
    check_rows(tables["accuracy_phantom_knee"], declined)
    assert tables["data_sets"]["distances in"].tolist() == ["mm"]


def test_killed_or_stopped_at_five_random_moments_weights_and_records_are_those_of_an_undisturbed_run(
    learned, tmp_path
):
    (undisturbed, whole), runs, moments = learned, tmp_path / "runs", random.Random(20241)
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGKILL, signal.SIGTERM):
        process = subprocess.Popen(
            command(runs, *LEARNS), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(moments.uniform(0.3, 0.9) * whole)
        process.send_signal(number)
        assert process.wait() in (0, -number, 128 + number)
    assert bench(runs, "action=verify").returncode == 0
    result = bench(runs, *LEARNS)
    assert result.returncode == 0, result.stderr
    assert weights(runs) == weights(undisturbed)
    pd.testing.assert_frame_equal(records(runs), records(undisturbed))
    assert not list(runs.rglob(".*.tmp"))


def test_two_runs_at_once_in_one_store_share_one_set_of_weights_and_records(learned, tmp_path):
    undisturbed, _ = learned
    calls = [
        subprocess.Popen(
            command(tmp_path, *LEARNS), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=600)[0] for process in calls]
    assert [process.returncode for process in calls] == [0, 0], outputs
    assert weights(tmp_path) == weights(undisturbed) and len(weights(tmp_path)) == 1
    pd.testing.assert_frame_equal(records(tmp_path), records(undisturbed))


def test_a_training_out_of_time_is_told_as_stopped_and_resumes(learned, tmp_path):
    result = bench(tmp_path, *LEARNS, "training.stop_after=0.1")
    assert result.returncode == 3 and "Stopped by training.stop_after=0.1. The same command goes on" in result.stderr
    (done,) = tmp_path.glob("trials/*/done.json")
    assert '"stopped"' in done.read_text() and (done.parent / "checkpoint.pt").exists()
    report = (tmp_path / "reports/noise_robustness/report.md").read_text()
    assert "stopped: stopped by training.stop_after=0.1; its checkpoint is saved" in report
    assert "Asked for and not there: resunet on phantom_glands, seed 0: 2 of 2 tests" in result.stdout
    assert bench(tmp_path, *LEARNS).returncode == 0
    assert weights(tmp_path) == weights(learned[0])


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
    text = bench(tmp_path, "action=list").stdout
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
