"""The same small suite by every executor that is at hand: whether records and weights are equal, and seconds each.

    python -m tests.clusters.compare        # SLURM where it is installed (as root), Ray where it is

The figures of docs/clusters.md. Exit status 1 where anything differs.
"""

import hashlib
import os
import resource
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


def main() -> int:
    """Run, compare with executor=local, print a table. Returns the exit status."""
    commands = {
        "local": [],
        "processes, 2 workers": ["executor=processes", "executor.workers=2"],
        "submitit, cluster=local": ["executor=submitit", "executor.cluster=local", "executor.cores=1"],
    }
    if not missing():
        commands["submitit on SLURM"] = ["executor=submitit", "executor.cores=1", "executor.memory=2"]
    if find_spec("ray"):
        commands["ray"] = ["executor=ray"]
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="clusters-", ignore_cleanup_errors=True) as place:
        os.chmod(place, 0o755)  # munge's folder is within
        expected = None
        for name, words in commands.items():
            runs = Path(place) / name.replace(" ", "_").replace(",", "").replace("=", "_")
            if name.endswith("SLURM"):
                subprocess.run([SCRIPT, "start", place], check=True)
                os.environ["SLURM_CONF"] = f"{place}/slurm.conf"
            try:
                seconds, processor = timed(runs, words)
            finally:
                if os.environ.pop("SLURM_CONF", None):
                    subprocess.run([SCRIPT, "stop", place], check=False)
            weights, records = outcome(runs)
            expected = expected or (weights, records)
            equal = weights == expected[0] and records.equals(expected[1])
            wrong += not equal
            said = "equal" if equal else "DIFFERENT"
            print(f"{name:26} {seconds:5.0f} s, {processor:4.0f} s of processor time by its own children, "
                  f"{len(records)} records and {len(weights)} weights {said}", flush=True)  # fmt: skip
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
