"""run_bench.py as a user calls it, in a process of its own or, where no process is asked about, in this one."""

import contextlib
import hashlib
import io
import subprocess
import sys
from pathlib import Path

import pandas as pd

import run_bench

ROOT = Path(__file__).resolve().parent.parent
TINY = ["suite=noise_robustness", "profile=tiny", "tracking=none", "device=cpu"]
TIMED = ["seconds"]


def command(runs: Path, *overrides: str) -> list[str]:
    """The words of a process that does it."""
    return [sys.executable, "run_bench.py", f"paths.runs={runs}", *overrides]


def process(runs: Path, *overrides: str) -> subprocess.CompletedProcess:
    """What came of it in a process of its own."""
    return subprocess.run(command(runs, *overrides), cwd=ROOT, capture_output=True, text=True)


def loaded(runs: Path, *overrides: str) -> tuple[int, set[str]]:
    """The exit status of a process of its own, and the packages that it has imported."""
    code = (
        "import sys, run_bench; status = run_bench.main(sys.argv[1:]);"
        "print('loaded', *{name.partition('.')[0] for name in sys.modules}); sys.exit(status)"
    )
    words = [sys.executable, "-c", code, f"paths.runs={runs}", *overrides]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert "\nloaded " in f"\n{done.stdout}", done.stderr
    return done.returncode, set(done.stdout.rpartition("loaded ")[2].split())


def bench(runs: Path, *overrides: str) -> subprocess.CompletedProcess:
    """What came of it in this process, which loads PyTorch once for all of them."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = run_bench.main([f"paths.runs={runs}", *overrides])
    return subprocess.CompletedProcess(overrides, status, out.getvalue(), err.getvalue())


def weights(runs: Path) -> dict[str, str]:
    """SHA-256 of the weights of every trial in a store."""
    found = sorted(runs.glob("trials/*/weights.safetensors"))
    return {path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def records(runs: Path) -> pd.DataFrame:
    """Records of the last report but for how long things took."""
    return pd.read_csv(runs / "reports/noise_robustness/records.csv").drop(columns=TIMED)
