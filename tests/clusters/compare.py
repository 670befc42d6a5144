"""The same small suite by every executor that is at hand: whether records and weights are equal, and seconds each.

    python -m tests.clusters.compare [ROUNDS]     # SLURM where it is installed (as root), Ray where it is

The figures of docs/clusters.md: medians of the rounds, three unless said otherwise; in each every executor has its
turn. Exit status 1 where anything differs.
"""

import hashlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from tests.clusters.test_slurm import SCRIPT, missing

ROOT = Path(__file__).resolve().parents[2]
SUITE = ["suite=noise_robustness", "profile=tiny", "tracking=none", "device=cpu", "threads=1", "seeds=[0,1]",
         "datasets=[phantom_glands]", "methods=[ldseg,resunet]", "suite.sigmas=[0,0.2]", "suite.steps=[2]"]  # fmt: skip


def outcome(runs: Path) -> tuple[dict[str, str], pd.DataFrame]:
    """Hashes of all weights, and the records but for how long things took."""
    weights = {p.parent.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in runs.glob("trials/*/weights.*")}
    return weights, pd.read_csv(runs / "reports/noise_robustness/records.csv").drop(columns="seconds")


def timed(runs: Path, words: list[str]) -> tuple[float, float]:
    """Seconds the command takes, and of processor time of its own and of what it started here."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, "run_bench.py", f"paths.runs={runs}", *SUITE, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - started, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def commands() -> dict[str, list[str]]:
    """What is added to the command for each executor that is at hand."""
    found = {
        "local": [],
        "processes, 2 workers": ["executor=processes", "executor.workers=2"],
        "submitit, cluster=local": ["executor=submitit", "executor.cluster=local", "executor.cores=1"],
    }
    if not missing():
        found["submitit on SLURM"] = ["executor=submitit", "executor.cores=1", "executor.memory=2"]
    if find_spec("ray"):
        found["ray"] = ["executor=ray"]
    return found


def turn(place: Path, name: str, words: list[str]) -> tuple[float, float, tuple[dict[str, str], pd.DataFrame]]:
    """Seconds, seconds of processor time and outcome of the suite by one executor, in a store of its own."""
    runs = place / name.replace(" ", "_").replace(",", "").replace("=", "_")
    if name.endswith("SLURM"):
        subprocess.run([SCRIPT, "start", place], check=True)
        os.environ["SLURM_CONF"] = f"{place}/slurm.conf"
    try:
        seconds, processor = timed(runs, words)
    finally:
        if os.environ.pop("SLURM_CONF", None):
            subprocess.run([SCRIPT, "stop", place], check=False)
    return seconds, processor, outcome(runs)


def main(rounds: int) -> int:
    """Run, compare with executor=local, print a table. Returns the exit status."""
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in commands()}
    expected, wrong = None, 0
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="clusters-", ignore_cleanup_errors=True) as place:
            os.chmod(place, 0o755)  # munge's folder is within
            for name, words in commands().items():
                seconds, processor, (weights, records) = turn(Path(place), name, words)
                expected = expected or (weights, records)
                equal = weights == expected[0] and records.equals(expected[1])
                wrong += not equal
                took[name].append((seconds, processor))
                said = "equal" if equal else "DIFFERENT"
                print(f"round {number + 1}: {name:26} {seconds:5.0f} s, {processor:4.0f} s of processor time, "
                      f"{len(records)} records and {len(weights)} weights {said}", flush=True)  # fmt: skip
    for name, found in took.items():
        seconds, processor = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"median of {rounds}: {name:26} {seconds:5.0f} s, {processor:4.0f} s of processor time by its children")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
