"""executor=submitit on a real SLURM of two nodes on this machine: pytest -m long tests/clusters/test_slurm.py

Needs root, and Debian's slurm-wlm and munge (apt-get install slurm-wlm munge).
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from benchmarks import runner
from benchmarks.errors import BadInput
from benchmarks.machine.needs import Needs
from tests.benchmarks.executors.jobs import marks, wait_for

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests/clusters/slurm.sh"
TARGET = "benchmarks.executors.submitit.Submitit"
SUITE = ["suite=noise_robustness", "profile=tiny", "tracking=none", "device=cpu", "threads=1",
         "datasets=[phantom_glands]", "methods=[ldseg,resunet]", "suite.sigmas=[0]", "suite.steps=[2]"]  # fmt: skip
PROGRAMS = ("slurmctld", "slurmd", "munged", "srun", "setpriv")


def missing() -> str:
    """Why there can be no SLURM here; empty where there can."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed: apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "SLURM's daemons are started by root"


pytestmark = [pytest.mark.long, pytest.mark.skipif(bool(missing()), reason=missing() or "there is a SLURM")]
pytest.importorskip("submitit", reason="submitit is not installed: pip install -e '.[cluster]'")


@pytest.fixture(scope="module")
def slurm():
    """The folder of a running SLURM. Not pytest's own: munge refuses folders below one that others may not enter."""
    with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as place:
        os.chmod(place, 0o755)
        started = subprocess.run([SCRIPT, "start", place], capture_output=True, text=True)
        assert started.returncode == 0, started.stderr
        before = os.environ.get("SLURM_CONF")
        os.environ["SLURM_CONF"] = f"{place}/slurm.conf"
        try:
            yield Path(place)
        finally:
            subprocess.run([SCRIPT, "stop", place], check=False)
            if before is None:
                del os.environ["SLURM_CONF"]
            else:
                os.environ["SLURM_CONF"] = before


@pytest.fixture
def settings(tmp_path) -> dict:
    return {"folder": str(tmp_path / "jobs"), "cores": 1, "memory": 1, "minutes": 5, "poll": 0.2}


def begun(folder: Path, job: str) -> list[int]:
    """Processes that have begun a job, one after the other."""
    path = folder / f"{job}.begun"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_a_killed_job_is_sent_once_more_then_it_fails_by_name_and_the_others_go_on(slurm, tmp_path, settings):
    work = marks(tmp_path, TARGET, **settings)
    assert runner.run(work, ["meet_a", "meet_b", "die", "die_once", "last"]) == []
    assert [len(begun(tmp_path, job)) for job in ("meet_a", "meet_b", "die", "die_once", "last")] == [1, 1, 2, 2, 1]
    assert "the executor lost the job (JobLost: job " in work.place("die").read_text()
    assert work.place("die_once").read_text().startswith("1 ")


def test_a_job_that_is_to_make_room_saves_a_checkpoint_and_slurm_runs_it_again(slurm, tmp_path, settings):
    from benchmarks.executors.submitit import Submitit

    work = marks(tmp_path, TARGET)
    with Submitit(**settings) as executor:
        future = executor.submit_for(Needs(), runner.attempt, work, "train")
        wait_for(tmp_path / "train.begun")
        (job,) = executor._running
        subprocess.run(["scancel", "--signal=USR2", str(job.job.job_id)], check=True)
        assert future.result() is True
        numbers = [path.name for path in (tmp_path / "jobs").glob("[0-9]*")]
    assert (tmp_path / "train.checkpoint").read_text() == "stopped by SIGUSR2"
    assert len(begun(tmp_path, "train")) == 2 and len(numbers) == 1  # the same job, requeued


def test_cancelled_jobs_leave_the_queue_with_their_checkpoints(slurm, tmp_path, settings):
    from benchmarks.executors.submitit import Submitit

    work = marks(tmp_path, TARGET)
    with Submitit(**settings) as executor:
        executor.submit_for(Needs(), runner.attempt, work, "train")
        wait_for(tmp_path / "train.begun")
        executor.shutdown(wait=True, cancel_futures=True)
    assert (tmp_path / "train.checkpoint").read_text() == "stopped by SIGTERM"
    queued = subprocess.run(["squeue", "--me", "--noheader"], capture_output=True, text=True, check=True).stdout
    assert queued.strip() == ""


def test_what_slurm_refuses_ends_the_run_by_name(slurm, tmp_path, settings):
    work = marks(tmp_path, TARGET, **settings | {"slurm": {"partition": "none"}})
    with pytest.raises(BadInput, match="SLURM refuses a job of .*sbatch: error: "):
        runner.run(work, ["last"])
    assert not work.place("last").exists()


@pytest.mark.parametrize("more", [{"cores": 9999}, {"memory": 10**6}])
def test_why_a_job_waits_that_no_node_has_room_for_is_said(slurm, tmp_path, settings, more, capfd):
    from benchmarks.executors.submitit import Submitit

    work, said = marks(tmp_path, TARGET), ""
    with Submitit(**settings | more) as executor:
        future = executor.submit_for(Needs(), runner.attempt, work, "last")
        until = time.monotonic() + 120
        while "wait: " not in said and not future.done() and time.monotonic() < until:
            time.sleep(0.5)
            said += capfd.readouterr().out
        if future.done():  # refused at once
            said += str(future.exception())
        executor.shutdown(wait=True, cancel_futures=True)
    assert "lets job" in said or "SLURM refuses" in said


def test_the_jobs_of_a_node_that_is_lost_are_run_again(slurm, tmp_path, settings):
    """SLURM misses the node after SlurmdTimeout and queues its jobs again, which are held back for two minutes."""
    from benchmarks.executors.submitit import Submitit

    work = marks(tmp_path, TARGET)
    with Submitit(**settings) as executor:
        future = executor.submit_for(Needs(), runner.attempt, work, "train")
        wait_for(tmp_path / "train.begun")
        node = lose_node_of(slurm, begun(tmp_path, "train")[0])
        (tmp_path / "train.checkpoint").write_text("of the last seconds before")
        try:
            assert future.result(timeout=400) is True
        finally:
            subprocess.run(["slurmd", "-N", node], check=True)
    assert len(begun(tmp_path, "train")) == 2 and work.place("train").exists()


def lose_node_of(slurm: Path, worker: int) -> str:
    """Kill the node that a worker runs on: its daemon, the daemons of its steps, and the worker. Returns its name."""
    node = psutil.Process(worker).environ()["SLURMD_NODENAME"]
    steps = [process for process in psutil.process_iter(["name"]) if "slurmstepd" in (process.info["name"] or "")]
    mine = [process for process in steps if process.children() and node_of(process.children()[0]) == node]
    daemon = psutil.Process(int((slurm / f"slurmd-{node}.pid").read_text()))
    lost = [daemon, *mine, *(child for step in mine for child in step.children(recursive=True))]
    # All at the same moment, as when the power fails: none may tell of the others' end.
    for process in lost:
        process.suspend()
    for process in lost:
        process.kill()
    return node


def node_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("SLURMD_NODENAME")
    except psutil.Error:
        return None


def outcome(runs: Path) -> tuple[dict[str, str], pd.DataFrame]:
    weights = {p.parent.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in runs.glob("trials/*/weights.*")}
    return weights, pd.read_csv(runs / "reports/noise_robustness/records.csv").drop(columns="seconds")


def test_the_records_of_a_suite_are_those_of_the_default_executor_and_timing_is_the_last_job(slurm, tmp_path):
    said = {}
    for name, more in (("local", []), ("slurm", ["executor=submitit", "executor.cores=1", "executor.memory=2"])):
        command = [sys.executable, "run_bench.py", f"paths.runs={tmp_path / name}", *SUITE, *more]
        started = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        said[name] = done.stdout
        print(f"{name}: {time.monotonic() - started:.0f} s")
    (weights, records), (expected, plain) = outcome(tmp_path / "slurm"), outcome(tmp_path / "local")
    assert len(weights) == 2 and weights == expected
    pd.testing.assert_frame_equal(records, plain)
    # An array of two trials, and then the timing.
    assert [line.split(": ")[1][:4] for line in said["slurm"].splitlines() if "SLURM job" in line] == ["2 of", "1 of"]
