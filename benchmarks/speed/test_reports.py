"""Large reports, and scores of volumes. pytest benchmarks/speed --benchmark-only -k reports

What commands cost as a user meets them is timed by benchmarks/speed/startup.py.
"""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import reports
from benchmarks.testing.metrics import score
from tests.reports.conftest import Fabricator

METHODS = ("ldseg", "lsegdiff", "resunet", "unet", "unetpp", "vnet")


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
