"""training.precision=bf16-mixed: what it does to the DSC beside what a seed does.

By hand, half an hour on two cores: pytest tests/benchmarks/training/test_precision.py -m long -s
"""

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
import torch
from lightning_fabric import Fabric
from scipy import stats

from benchmarks.training.loop import Subject, train
from tests.benchmarks.training.test_loop import SETTINGS, Threshold
from tests.benchmarks.training.test_loop import data as data
from tests.commands import bench

QUICK = ["suite=accuracy", "profile=quick", "datasets=[phantom_glands]", "tracking=none", "device=cpu"]
SEEDS = (0, 1, 2, 3)


class Compared(NamedTuple):
    """DSC of trainings in float32, mean and SD over seeds; bf16 minus float32, paired by seed, mean and 95 %
    interval."""

    dsc: float
    noise: float
    difference: float
    low: float
    high: float


def dsc_by_seed(runs: Path, method: str, precision: str, words: list[str], seeds: tuple[int, ...]) -> pd.Series:
    """Mean over test cases."""
    chosen = [f"methods=[{method}]", f"seeds=[{','.join(map(str, seeds))}]", f"training.precision={precision}"]
    result = bench(runs, *words, *chosen)
    assert result.returncode == 0, result.stderr
    records = pd.read_csv(runs / "reports/accuracy/records.csv")
    return records[records["class"] == "all"].groupby("seed").dsc.mean()


def compare(runs: Path, method: str, words: list[str] = QUICK, seeds: tuple[int, ...] = SEEDS) -> Compared:
    """One training of each precision for every seed."""
    whole, half = (dsc_by_seed(runs, method, each, words, seeds) for each in ("32-true", "bf16-mixed"))
    apart = half - whole
    low, high = stats.t.interval(0.95, len(apart) - 1, apart.mean(), stats.sem(apart))
    return Compared(whole.mean(), whole.std(), apart.mean(), low, high)


@pytest.mark.parametrize(("precision", "computed"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)])
def test_losses_are_computed_in_the_precision_that_is_asked_for(precision, computed, data, tmp_path):
    model, seen = Threshold(), set()

    def watch(layer: torch.nn.Module, given: tuple, result: torch.Tensor) -> None:
        if layer.training:
            seen.add(result.dtype)

    model.convolution.register_forward_hook(watch)
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    train(Subject(model, data, SETTINGS, 0, tmp_path / "checkpoint.pt", fabric, lambda *_: None), "trial")
    assert seen == {computed}
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


@pytest.mark.long
@pytest.mark.parametrize("method", ["ldseg", "resunet", "unet"])
def test_bf16_moves_the_dsc_by_no_more_than_a_seed_does(method, tmp_path):
    found = compare(tmp_path / "runs", method)
    print(f"{method}: {found}")
    assert found.dsc > 0.6, "what has not learned says nothing"
    assert found.low <= 0 <= found.high or abs(found.difference) <= found.noise
