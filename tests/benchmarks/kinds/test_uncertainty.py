"""Suites that sample many times: what is stored, found again, and left to do."""

from pathlib import Path

import pandas as pd
import pytest

from benchmarks.errors import BadInput
from benchmarks.kinds.registry import checked
from benchmarks.store.results import Store
from benchmarks.testing import many_samples
from benchmarks.training import loop
from reports import write

TINY = ["suite=uncertainty", "profile=tiny", "datasets=[phantom_glands]", "methods=[ldseg,resunet]", "training.steps=4",
        "device=cpu", "tracking=none", "profile.limit={train: 4, val: 2, test: 6}", "suite.pictures=2"]  # fmt: skip


def run(runs: Path, *overrides):
    config, kind = checked([*TINY, f"paths.runs={runs}", *overrides])
    return kind.run(config, "")


def stored(runs: Path):
    config, kind = checked([*TINY, f"paths.runs={runs}"])
    return kind.stored(config, "")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    runs = tmp_path_factory.mktemp("uncertainty") / "runs"
    return runs, run(runs)


def compared(records: pd.DataFrame) -> pd.DataFrame:
    return records.drop(columns=["seconds"])


def test_a_suite_samples_what_generates_and_declines_the_rest_without_training_it(finished):
    runs, results = finished
    assert set(results.records["method"]) == {"ldseg"} and results.records["runs"].eq(4).all()
    assert results.records["case"].nunique() == 5  # of 6, profile.uncertainty.most_cases
    view = next(trial for trial in results.trials if trial.config.method.name == "resunet")
    assert view.status == "declined" and "no spread to measure" in view.reason
    assert not (view.path / "weights.safetensors").exists()
    (stored,) = results.uncertainty.values()
    first, last = stored.pictures()
    assert first.id != last.id and first.sd.shape == first.mean.shape == first.label.shape == (32, 32)
    pooled = results.records[results.records["class"] == "all"].set_index("case")
    assert first.sd.mean() == pytest.approx(pooled.loc[first.id, "mean_sd"], rel=1e-5)
    sampled = next(trial for trial in results.trials if trial.status == "ok")
    (timed,) = sampled.cost["inference"]
    assert timed["peak_memory_mib"] > 0 and timed["steps"] == pooled["steps"].iloc[0]
    text = write(results, runs / "report").read_text()
    assert "Res-UNet** has no result here (declined" in text and "maps_phantom_glands_ldseg" in text


def test_an_interrupted_run_samples_only_the_missing_cases_and_the_records_are_the_same(finished, monkeypatch):
    runs, results = finished
    chunks = sorted(runs.glob("uncertainty/*/records*.parquet"))
    assert len(chunks) == 2
    kept = chunks[0].stat().st_mtime_ns
    chunks[1].unlink()
    with_gap = stored(runs)
    assert with_gap.records.empty and "not all test cases" in with_gap.trials[0].reason
    monkeypatch.setattr(loop, "train", lambda *_: pytest.fail("trained again"))
    again = run(runs)
    assert chunks[0].stat().st_mtime_ns == kept
    pd.testing.assert_frame_equal(compared(again.records), compared(results.records))
    pd.testing.assert_frame_equal(stored(runs).records, again.records)


def test_the_plan_says_how_much_is_left_to_sample(finished):
    runs, _ = finished

    def left(*overrides):
        config, kind = checked([*TINY, f"paths.runs={runs}", *overrides])
        found = kind.left(config, Store(runs))
        return [tests for _, _, tests, _ in found.rows], found.seconds

    assert left() == (["there already", "-"], 0)
    words, seconds = left("profile.uncertainty.most_runs=8")
    assert words == ["5 cases x 8 runs", "-"] and seconds > 0


def test_other_settings_are_other_results(finished):
    runs, results = finished
    more = run(runs, "profile.uncertainty.most_runs=6", "profile.uncertainty.most_cases=2")
    assert more.records["runs"].eq(6).all() and more.records["case"].nunique() == 2
    pd.testing.assert_frame_equal(compared(stored(runs).records), compared(results.records))


def test_a_failure_while_sampling_is_named_and_the_next_run_tries_again(finished, monkeypatch):
    runs, _ = finished
    with monkeypatch.context() as patch:
        patch.setattr(many_samples, "sampled", lambda *_: (_ for _ in ()).throw(MemoryError("too large")))
        failed = run(runs, "profile.uncertainty.most_runs=3")
    assert failed.records.empty and failed.trials[0].status == "failed"
    assert failed.trials[0].reason == "sampling failed: MemoryError: too large"
    assert run(runs, "profile.uncertainty.most_runs=3").trials[0].status == "ok"


@pytest.mark.parametrize("override, message", [
    ("suite.runs=1", "suite.runs=1: expected a whole number from 2"),
    ("suite.sigmas=[0,0.1]", "samples at one noise level"),
    ("suite.pictures=-1", "suite.pictures=-1"),
])  # fmt: skip
def test_settings_that_cannot_be_are_refused(override, message):
    with pytest.raises(BadInput, match=message.replace("[", r"\[")):
        checked([*TINY, override])
