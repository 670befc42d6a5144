"""executor=processes: several jobs at a time, a killed worker, an interruption, and the records of executor=local."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import CancelledError
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import runner
from benchmarks.errors import BadInput
from benchmarks.executors.processes import Processes, WorkerLost
from benchmarks.store import leases
from benchmarks.training.stopping import Stopped
from tests.benchmarks.executors.jobs import marks, wait_for

ROOT = Path(__file__).resolve().parents[3]
TARGET = "benchmarks.executors.processes.Processes"
SUITE = ["suite=noise_robustness", "profile=tiny", "tracking=none", "device=cpu", "threads=1",
         "datasets=[phantom_glands]", "methods=[resunet]", "suite.sigmas=[0]"]  # fmt: skip


def bench(runs: Path, *more: str) -> list[str]:
    return [sys.executable, "run_bench.py", f"paths.runs={runs}", *SUITE, *more]


def test_a_killed_worker_is_tried_once_more_then_its_job_fails_by_name_and_the_others_go_on(tmp_path, capsys):
    work = marks(tmp_path, TARGET, workers=2, threads=1)
    # That both meet shows that they run at the same time.
    assert runner.run(work, ["meet_a", "meet_b", "die", "die_once", "last"]) == []
    attempts = {job: len((tmp_path / f"{job}.begun").read_text().split()) for job in ("meet_a", "die", "die_once")}
    assert attempts == {"meet_a": 1, "die": 2, "die_once": 2}
    assert work.place("die").read_text().startswith("the executor lost the job (WorkerLost: its worker was killed")
    assert [work.place(job).read_text() for job in ("meet_a", "die_once", "last")] == ["1 -"] * 3
    said = capsys.readouterr().out
    assert said.count("it is tried once more") == 2 and "job die failed: the executor lost the job" in said
    assert leases.holder(work.place("die")) is None and not list(tmp_path.glob(".*.lease"))


def test_what_is_under_way_is_stopped_with_a_checkpoint_and_what_has_not_begun_is_dropped(tmp_path):
    work = marks(tmp_path, TARGET)
    with Processes(workers=1) as executor:
        futures = [executor.submit(runner.attempt, work, job) for job in ("train", "later")]
        wait_for(tmp_path / "train.begun")
        executor.shutdown(wait=True, cancel_futures=True)
    assert (tmp_path / "train.checkpoint").read_text() == "stopped by SIGTERM"
    with pytest.raises(Stopped):
        futures[0].result()
    with pytest.raises(CancelledError):
        futures[1].result()
    assert not (tmp_path / "later.begun").exists() and not list(tmp_path.glob(".*.lease"))


def test_a_worker_that_somebody_else_stops_is_as_lost_as_one_that_was_killed(tmp_path):
    work = marks(tmp_path, TARGET)
    with Processes(workers=1) as executor:
        future = executor.submit(runner.attempt, work, "train")
        wait_for(tmp_path / "train.begun")
        os.kill(int((tmp_path / "train.begun").read_text()), signal.SIGTERM)
        with pytest.raises(WorkerLost, match="stopped by SIGTERM"):
            future.result()
        assert executor.submit(runner.attempt, work, "train").result() is True


def test_devices_are_dealt_out_and_threads_share_the_cores(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5")
    with Processes() as executor:
        assert [slot.device for slot in executor._slots] == ["3", "GPU-5"]
    with Processes(workers=3, threads=7) as executor:
        assert [(slot.device, slot.threads) for slot in executor._slots] == [("3", 7), ("GPU-5", 7), ("3", 7)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    cores = len(os.sched_getaffinity(0))
    with Processes(workers=2) as executor:
        assert [(slot.device, slot.threads) for slot in executor._slots] == [(None, max(1, cores // 2))] * 2
    with pytest.raises(BadInput, match="executor.workers=0: expected a whole number from 1"):
        Processes(workers=0)


def test_a_run_that_was_killed_takes_its_workers_with_it(tmp_path):
    """They would go on for hours otherwise, with nobody waiting for them."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom benchmarks import runner\n"
        "from tests.benchmarks.executors.jobs import marks\n"
        "if __name__ == '__main__':\n"
        f"    runner.run(marks(Path(sys.argv[1]), {TARGET!r}, workers=1), ['train'])\n"
    )
    (tmp_path / "run.py").write_text(script)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, tmp_path / "run.py", tmp_path], cwd=ROOT, env=environment) as process:
        wait_for(tmp_path / "train.begun")
        worker = int((tmp_path / "train.begun").read_text())
        process.kill()
    wait_for(tmp_path / "train.checkpoint")
    until = time.monotonic() + 120
    while Path(f"/proc/{worker}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()


def outcome(runs: Path) -> tuple[dict[str, str], pd.DataFrame]:
    weights = {p.parent.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in runs.glob("trials/*/weights.*")}
    return weights, pd.read_csv(runs / "reports/noise_robustness/records.csv").drop(columns="seconds")


def test_an_interrupted_run_goes_on_and_its_records_are_those_of_the_default_executor(tmp_path):
    seeds = "seeds=[0,1]"
    done = subprocess.run(bench(tmp_path / "local", seeds), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    parallel = [seeds, "executor=processes", "executor.workers=2"]
    with subprocess.Popen(bench(tmp_path / "runs", *parallel), cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 120
        # The first lease: a worker has begun, and the other one may have.
        while not list(tmp_path.glob("runs/trials/.*.lease")) and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
    assert process.returncode == 130 and "Traceback" not in said, said
    done = subprocess.run(bench(tmp_path / "runs", *parallel), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (weights, records), (expected, plain) = outcome(tmp_path / "runs"), outcome(tmp_path / "local")
    assert len(weights) == 2 and weights == expected
    pd.testing.assert_frame_equal(records, plain)
