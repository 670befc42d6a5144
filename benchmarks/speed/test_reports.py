"""What commands that compute no network cost, on stored results. pytest benchmarks/speed --benchmark-only -k reports

Start-up is timed as a user meets it, a process at a time; the suite is that of figure 8 with two data sets and twelve
noise levels, trained at the profile `tiny`.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import reports
from benchmarks.testing.metrics import score
from tests.reports.conftest import Fabricator

ROOT = Path(__file__).resolve().parents[2]
SUITE = ("suite=noise_robustness", "profile=tiny", "seeds=[0]", "methods=[ldseg,resunet]", "tracking=none")
METHODS = ("ldseg", "lsegdiff", "resunet", "unet", "unetpp", "vnet")


def command(runs, *words):
    done = subprocess.run(
        [sys.executable, "run_bench.py", *words, f"paths.runs={runs}"], cwd=ROOT, capture_output=True, text=True
    )
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A store in which nothing is left to do."""
    runs = tmp_path_factory.mktemp("runs")
    assert command(runs, *SUITE)[0] == 0
    return runs


@pytest.mark.parametrize("action", ["list", "plan", "report", "run"])
def test_startup(action, trained, benchmark):
    code, said = benchmark.pedantic(command, (trained, *SUITE, f"action={action}"), rounds=5, warmup_rounds=1)
    assert code == 0, said


@pytest.mark.parametrize("wrong", ["methods=[ldsge]", "suite.sigmas=[0,-1]", "training.steps=many"])
def test_startup_of_an_error(wrong, trained, benchmark):
    code, said = benchmark.pedantic(command, (trained, *SUITE, wrong), rounds=5, warmup_rounds=1)
    assert code == 2, said


@pytest.mark.parametrize(("cases", "seeds"), [(87, 3), (522, 5)], ids=["100,000 records", "1,000,000 records"])
def test_report_of_many_records(cases, seeds, tmp_path, benchmark):
    fabricated = Fabricator(tmp_path)
    for method in METHODS:
        for seed in range(seeds):
            fabricated.trial(method, "camus", seed, cases=cases, patients=cases // 2)
    results = fabricated.results()
    benchmark.extra_info["records"] = len(results.records)
    benchmark.pedantic(reports.write, (results, tmp_path / "report"), rounds=1)


@pytest.mark.parametrize("roughness", [3, 8])
def test_scores_of_a_volume(roughness, benchmark):
    """Two classes in 128x128x256 voxels, the prediction two voxels off, both with rough surfaces."""
    grid = np.indices((128, 128, 256), dtype=np.float32)

    def volume(shift, seed):
        rough = gaussian_filter(np.random.default_rng(seed).normal(size=grid.shape[1:]).astype(np.float32), 4)
        found = np.zeros(grid.shape[1:], np.int64)
        for value, (center, radius) in enumerate((((60, 60, 80), 40), ((64, 64, 190), 45)), start=1):
            away = np.sqrt(sum((axis - c - shift) ** 2 for axis, c in zip(grid, center, strict=True)))
            found[away + roughness * rough / rough.std() < radius] = value
        return found

    prediction, label = volume(2, 0), volume(0, 1)
    rows = benchmark.pedantic(score, (prediction, label, ["a", "b"], (1.0, 1.0, 1.0), 2.0), rounds=5, warmup_rounds=1)
    assert 0.5 < rows[-1]["dsc"] < 1
