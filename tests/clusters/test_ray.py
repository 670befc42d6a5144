"""executor=ray on a cluster of two nodes on this machine: pytest -m long tests/clusters/test_ray.py"""

import hashlib
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import runner
from benchmarks.errors import BadInput
from benchmarks.machine.needs import Needs
from benchmarks.store import leases
from benchmarks.training.stopping import Stopped
from tests.benchmarks.executors.jobs import marks, wait_for

pytest.importorskip("ray", reason="ray is not installed: pip install -e '.[cluster]'")

from ray.cluster_utils import Cluster

from benchmarks.executors.ray import Ray
from benchmarks.executors.scheduled import JobLost

pytestmark = pytest.mark.long
ROOT = Path(__file__).resolve().parents[2]
TARGET = "benchmarks.executors.ray.Ray"
SUITE = ["suite=noise_robustness", "profile=tiny", "tracking=none", "device=cpu", "threads=1",
         "datasets=[phantom_glands]", "methods=[ldseg,resunet]", "suite.sigmas=[0]", "suite.steps=[2]"]  # fmt: skip
GIB = 2**30


@pytest.fixture
def cluster():
    """Two nodes of one core and 8 GiB each."""
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "memory": 8 * GIB, "include_dashboard": False})
    found.second = found.add_node(num_cpus=1, memory=8 * GIB)
    found.wait_for_nodes()
    yield found
    found.shutdown()


def attempts(folder: Path, job: str) -> int:
    path = folder / f"{job}.begun"
    return len(path.read_text().split()) if path.exists() else 0


def test_jobs_of_two_nodes_meet_and_a_killed_worker_is_tried_once_more(cluster, tmp_path):
    work = marks(tmp_path, TARGET, address=cluster.address)
    assert runner.run(work, ["meet_a", "meet_b", "die", "die_once", "last"]) == []
    assert [attempts(tmp_path, job) for job in ("meet_a", "meet_b", "die", "die_once", "last")] == [1, 1, 2, 2, 1]
    assert work.place("die").read_text().startswith("the executor lost the job (JobLost: ")
    assert work.place("die_once").read_text().startswith("1 ")


def test_the_job_of_a_node_that_is_lost_runs_on_another(cluster, tmp_path):
    work = marks(tmp_path, TARGET)
    with Ray(address=cluster.address) as executor:
        futures = [executor.submit_for(Needs(), runner.attempt, work, job) for job in ("train_a", "train_b")]
        for job in ("train_a", "train_b"):
            wait_for(tmp_path / f"{job}.begun")
        cluster.remove_node(cluster.second, allow_graceful=False)
        until = time.monotonic() + 120
        while not any(future.done() for future in futures) and time.monotonic() < until:
            time.sleep(0.1)
        (lost,) = [job for future, job in zip(futures, ("train_a", "train_b"), strict=True) if future.done()]
        (failed,) = [future for future in futures if future.done()]
        assert isinstance(failed.exception(), JobLost)
        # What the one lost had saved, and the other one makes room.
        for job in ("train_a", "train_b"):
            (tmp_path / f"{job}.checkpoint").write_text("saved before")
        other = {"train_a": "train_b", "train_b": "train_a"}[lost]
        os.kill(int((tmp_path / f"{other}.begun").read_text()), 9)
        # As a run does: asked again as long as the lost process is still there and holds the lease.
        again: Future = executor.submit_for(Needs(), runner.attempt, work, lost)
        while not again.result(timeout=120) and time.monotonic() < until:
            time.sleep(runner.ASK_AGAIN_SECONDS)
            again = executor.submit_for(Needs(), runner.attempt, work, lost)
        assert again.result() is True
    assert attempts(tmp_path, lost) == 2 and work.place(lost).exists()


def test_cancelled_jobs_leave_checkpoints_and_no_leases(cluster, tmp_path):
    work = marks(tmp_path, TARGET)
    with Ray(address=cluster.address) as executor:
        futures = [executor.submit(runner.attempt, work, job) for job in ("train_a", "train_b", "later")]
        for job in ("train_a", "train_b"):
            wait_for(tmp_path / f"{job}.begun")
        # In a thread of its own: Ray's interruption must not need this one.
        ending = threading.Thread(target=executor.shutdown, kwargs={"wait": True, "cancel_futures": True})
        ending.start()
        ending.join(60)
    for job in ("train_a", "train_b"):
        assert (tmp_path / f"{job}.checkpoint").read_text() == "stopped by SIGINT"
        assert leases.holder(work.place(job)) is None
    for future in futures:
        with pytest.raises(Stopped):
            future.result(timeout=0)
    assert attempts(tmp_path, "later") == 0


def test_a_job_that_no_machine_of_its_own_cluster_has_room_for_is_refused(tmp_path):
    with Ray(cores=1) as executor, pytest.raises(BadInput, match="asks for 999 cores"):
        executor.submit_for(Needs(devices=999), os.getpid)


def outcome(runs: Path) -> tuple[dict[str, str], pd.DataFrame]:
    weights = {p.parent.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in runs.glob("trials/*/weights.*")}
    return weights, pd.read_csv(runs / "reports/noise_robustness/records.csv").drop(columns="seconds")


def test_the_records_of_a_suite_are_those_of_the_default_executor(cluster, tmp_path):
    for name, more in (("local", []), ("ray", ["executor=ray", f"executor.address='{cluster.address}'"])):
        command = [sys.executable, "run_bench.py", f"paths.runs={tmp_path / name}", *SUITE, *more]
        started = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        print(f"{name}: {time.monotonic() - started:.0f} s")
    (weights, records), (expected, plain) = outcome(tmp_path / "ray"), outcome(tmp_path / "local")
    assert len(weights) == 2 and weights == expected
    pd.testing.assert_frame_equal(records, plain)
