"""Training and testing: whatever ends one trial is written down with its reason, and the suite goes on."""

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from benchmarks import runner
from benchmarks.errors import BadInput
from benchmarks.kinds import trials as kind
from benchmarks.kinds.trials import TrainAndTest
from benchmarks.plan.configuration import configure
from benchmarks.plan.planning import make_plan
from benchmarks.plan.standing import find_stored, state
from benchmarks.store.results import Store
from benchmarks.testing import evaluate
from benchmarks.training import loop

TINY = [
    "profile=tiny", "datasets=[phantom_glands]", "methods=[resunet]", "suite.sigmas=[0,0.2]", "training.steps=4",
    "device=cpu", "profile.limit={train: 4, val: 2, test: 3}",
]  # fmt: skip


@pytest.fixture
def suite(tmp_path):
    """(config, store, trials) of a suite of two trials, the second with another seed."""
    config = configure([*TINY, "seeds=[0,1]", f"paths.runs={tmp_path}"])
    store = Store(tmp_path)
    store.open()
    return config, store, make_plan(config)


def work(config, store, trials) -> None:
    """Do what a suite does with its trials."""
    runner.run(TrainAndTest(config, store), trials)


def test_reports_read_tests_of_a_former_version_and_runs_make_them_again(suite):
    config, store, trials = suite
    work(config, store, trials)
    condition = trials[0].conditions[0]
    records = store.folder(trials[0].key) / "records"
    former = pd.read_parquet(records / f"{condition.key}.parquet").drop(columns=["nsd", "unit", "hd95_penalised"])
    (records / f"{condition.key}.parquet").unlink()
    former.to_parquet(records / f"{condition.former_key}.parquet")
    found = store.results({}, find_stored(config, store)).records
    of_former = (found["trial"] == trials[0].key) & (found["sigma"] == condition.sigma)
    assert len(found) == 2 * 2 * 3 * 2 and (found["unit"].isna() == of_former).all()
    assert not state(store, trials[0]).complete(trials[0])
    work(config, store, trials)
    assert store.results({}, find_stored(config, store)).records["unit"].notna().all()


def failing_once(monkeypatch, name: str, error: Exception) -> None:
    """The function `name` that trials call raises `error` the first time it is called."""
    module = {"train": loop, "evaluate": evaluate}[name]
    real, calls = getattr(module, name), []

    def function(*arguments):
        calls.append(name)
        if len(calls) == 1:
            raise error
        return real(*arguments)

    monkeypatch.setattr(module, name, function)


@pytest.mark.parametrize(
    "error, reason",
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "out of memory: CUDA out of memory"),
        (MemoryError(), "out of memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9e9 bytes"),
            "out of memory: DefaultCPUAllocator",
        ),
        (OSError("images.npy: truncated"), r"OSError: images.npy: truncated"),
    ],
)
@pytest.mark.parametrize("where", ["train", "evaluate"])
def test_a_failure_ends_one_trial_with_its_reason_and_the_next_run_tries_again(
    suite, monkeypatch, error, reason, where
):
    config, store, trials = suite
    failing_once(monkeypatch, where, error)
    work(config, store, trials)
    first, second = (store.trial(trial.key) for trial in trials)
    assert first.status == "failed" and first.reason.startswith(reason.replace("\\", ""))
    assert second.status == "ok"
    work(config, store, trials)
    assert store.trial(trials[0].key).status == "ok"


def test_a_loss_that_is_not_finite_is_not_tried_again(tmp_path):
    config = configure([*TINY, "method.resunet.training.learning_rate=1e30", f"paths.runs={tmp_path}"])
    store = Store(tmp_path)
    store.open()
    trials = make_plan(config)
    work(config, store, trials)
    view = store.trial(trials[0].key)
    assert view.status == "failed" and "the loss became" in view.reason and "lower learning rate" in view.reason
    assert state(store, trials[0]).failed == view.reason


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(suite, tmp_path):
    config, store, trials = suite
    work(config, store, trials)
    again = Store(tmp_path / "again")
    again.open()
    work(configure([*TINY, f"paths.runs={again.runs}"]), again, trials[:1])
    first, second = (load_file(store.folder(trial.key) / "weights.safetensors") for trial in trials)
    repeated = load_file(again.folder(trials[0].key) / "weights.safetensors")
    assert all(torch.equal(repeated[name], value) for name, value in first.items())
    assert any(not torch.equal(second[name], value) for name, value in first.items())


def test_an_interrupted_test_repeats_only_the_missing_noise_level(suite):
    config, store, trials = suite
    work(config, store, trials[:1])
    folder = store.folder(trials[0].key)
    kept, lost = sorted((folder / "records").glob("*.parquet"))
    time, content = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    (folder / "done.json").unlink()
    assert state(store, trials[0]).tested == 1
    work(config, store, trials[:1])
    assert kept.stat().st_mtime_ns == time and len(lost.read_bytes()) == len(content)
    assert store.trial(trials[0].key).status == "ok"


def test_weights_that_cannot_be_read_are_named_before_any_work(suite):
    config, store, trials = suite
    work(config, store, trials)
    folder = store.folder(trials[0].key)
    next((folder / "records").glob("*.parquet")).unlink()
    (folder / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(BadInput, match=r"weights\.safetensors: was damaged since it was written.*delete its folder"):
        kind.training(config, store)


def test_the_newest_trial_answers_a_request_without_data(suite):
    config, store, trials = suite
    with pytest.raises(BadInput, match="holds no finished trial"):
        find_stored(config, store)
    work(config, store, trials)
    assert [key for key, _ in find_stored(config, store)] == [trial.key for trial in trials]


def test_what_is_said_of_a_trial_is_brought_up_to_date_and_the_file_else_left_alone(suite):
    config, store, trials = suite
    work(config, store, trials[:1])
    path = store.folder(trials[0].key) / "config.json"
    written = path.stat().st_mtime_ns
    kind.training(config, store)
    assert path.stat().st_mtime_ns == written
    config.method.resunet.title = "Another name"
    _, again = kind.training(config, store)
    assert again[0].key == trials[0].key and store.trial(trials[0].key).label == "Another name"


def test_a_lack_of_memory_comes_with_what_to_try(suite, monkeypatch):
    config, store, trials = suite
    failing_once(monkeypatch, "train", MemoryError())
    work(config, store, trials[:1])
    assert store.trial(trials[0].key).reason.startswith("out of memory: MemoryError; try training.accumulate=2 or more")
