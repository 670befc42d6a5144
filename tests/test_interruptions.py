"""A run that is killed, stopped, out of time or not alone in its store ends as one that nothing disturbed."""

import random
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.commands import ROOT, TINY, bench, command, process, records, weights

# 150 steps of Res-UNet reach a DSC of 0.6: trainings that went another way end with other weights.
LEARNS = [*TINY, "methods=[resunet]", "datasets=[phantom_glands]", "suite.sigmas=[0,0.2]", "training.steps=150"]


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> tuple[Path, float]:
    """A store with a training that learns, and the seconds it took."""
    runs, started = tmp_path_factory.mktemp("learned") / "runs", time.monotonic()
    result = process(runs, *LEARNS)
    assert result.returncode == 0, result.stderr
    assert records(runs).query("sigma == 0").dsc.mean() > 0.3
    return runs, time.monotonic() - started


def test_killed_or_stopped_at_five_random_moments_weights_and_records_are_those_of_an_undisturbed_run(
    learned, tmp_path
):
    (undisturbed, whole), runs, moments = learned, tmp_path / "runs", random.Random(20241)
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGKILL, signal.SIGTERM):
        with (tmp_path / "said").open("w+") as said:
            running = subprocess.Popen(command(runs, *LEARNS), cwd=ROOT, stdout=said, stderr=said)
            time.sleep(moments.uniform(0.3, 0.9) * whole)
            running.send_signal(number)
            assert running.wait() in (0, -number, 128 + number), (tmp_path / "said").read_text()
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
    outputs = [running.communicate()[0] for running in calls]
    assert [running.returncode for running in calls] == [0, 0], outputs
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
