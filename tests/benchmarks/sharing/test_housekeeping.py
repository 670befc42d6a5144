"""action=store and action=gc: what a store holds, and what of it nobody needs."""

import json
import os
import shutil

import pandas as pd
import pytest

import run_bench
from benchmarks.sharing import garbage
from benchmarks.store import leases
from benchmarks.store.files import write_json
from benchmarks.store.results import Store
from benchmarks.store.trial import mark
from tests.benchmarks.prediction.methods_by_hand import trial


def act(tmp_path, *words):
    return run_bench.main([*words, f"paths.runs={tmp_path}"])


def names(tmp_path):
    return {path.name for path in (tmp_path / "trials").glob("[!.]*")}


def reported(tmp_path, *views):
    folder = tmp_path / "reports/accuracy"
    folder.mkdir(parents=True)
    pd.DataFrame({"trial": [view.key for view in views], "dsc": 0.5}).to_csv(folder / "records.csv", index=False)


def newer(tmp_path, view):
    """A trial that answers the same words by other code."""
    content = json.loads((view.path / "config.json").read_text()) | {"code": "other"}
    folder = tmp_path / "trials" / f"{view.key}-new"
    shutil.copytree(view.path, folder, ignore=shutil.ignore_patterns("SHA256SUMS", ".*"))
    write_json(folder / "config.json", content)
    write_json(folder / "done.json", {"status": "ok", "reason": None, "finished": "2999-01-01T00:00:00+00:00"})
    return folder


def test_the_store_is_listed_by_state_size_and_age(tmp_path, capsys):
    ended, failed = trial(tmp_path), trial(tmp_path, seed=1)
    mark(failed.path, "failed", "out of memory", retry=False)
    (tmp_path / "trials/strange").mkdir()
    assert act(tmp_path, "action=store", f"output={tmp_path}/list.csv") == 0
    rows = pd.read_csv(tmp_path / "list.csv").set_index("trial")
    assert rows.loc[ended.key, "state"] == "ok" and rows.loc[failed.key, "state"] == "failed"
    assert rows.loc[failed.key, "reason"] == "out of memory" and rows.loc["strange", "state"] == "unreadable"
    assert rows.loc[ended.key, ["method", "dataset", "seed", "profile"]].tolist() == ["bright", "blobs", 0, "tiny"]
    size = sum(path.stat().st_size for path in ended.path.rglob("*") if path.is_file())
    assert rows.loc[ended.key, "mib"] == pytest.approx(size / 2**20) and 0 <= rows.loc[ended.key, "age_days"] < 1
    said = capsys.readouterr().out
    assert ended.key in said and "3 trial(s)" in said


def test_a_trial_under_work_is_running(tmp_path):
    view = trial(tmp_path)
    with leases.held(view.path):
        assert act(tmp_path, "action=store", f"output={tmp_path}/list.csv") == 0
    assert pd.read_csv(tmp_path / "list.csv").state.tolist() == ["running"]


def test_nothing_is_deleted_unless_asked(tmp_path, capsys):
    failed = trial(tmp_path)
    mark(failed.path, "failed", "NaN", retry=False)
    assert act(tmp_path, "action=gc") == 0
    assert "failed: NaN" in capsys.readouterr().out and names(tmp_path) == {failed.key}
    assert act(tmp_path, "action=gc", "gc.delete=true") == 0
    assert names(tmp_path) == set()


def test_failed_orphaned_and_superseded_trials_go_and_the_rest_stays(tmp_path, capsys):
    ended, failed, begun, going = (trial(tmp_path, seed=seed) for seed in range(4))
    mark(failed.path, "failed", "NaN", retry=False)
    for view in (begun, going):
        for name in ("done.json", "weights.safetensors"):
            (view.path / name).unlink()
    (going.path / "checkpoint.pt").write_bytes(b"half way")
    former = trial(tmp_path, seed=9)
    latest = newer(tmp_path, former)
    (tmp_path / "uncertainty" / f"{ended.key}-sigma0").mkdir(parents=True)
    (tmp_path / "uncertainty/gone-sigma0").mkdir()
    for key in (going.key, failed.key):
        (tmp_path / "syntheses" / f"{key}-test-direct-0123").mkdir(parents=True)
    assert act(tmp_path, "action=gc", "gc.delete=true") == 0
    assert names(tmp_path) == {ended.key, going.key, latest.name}
    assert [path.name for path in (tmp_path / "uncertainty").iterdir() if path.is_dir()] == [f"{ended.key}-sigma0"]
    left = [path.name for path in (tmp_path / "syntheses").iterdir() if path.is_dir()]
    assert left == [f"{going.key}-test-direct-0123"]
    said = capsys.readouterr().out
    assert f"superseded by {latest.name}" in said and "no checkpoint" in said


def test_what_a_report_stands_on_stays(tmp_path):
    failed, former = trial(tmp_path), trial(tmp_path, seed=1)
    newer(tmp_path, former)
    mark(failed.path, "failed", "NaN", retry=False)
    reported(tmp_path, failed, former)
    before = names(tmp_path)
    assert act(tmp_path, "action=gc", "gc.delete=true") == 0
    assert names(tmp_path) == before


def test_what_a_run_works_on_stays(tmp_path):
    view = trial(tmp_path)
    mark(view.path, "failed", "NaN")
    with leases.held(view.path):
        assert act(tmp_path, "action=gc", "gc.delete=true") == 0
    assert names(tmp_path) == {view.key}


def test_while_a_run_is_on_what_it_may_have_done_today_stays(tmp_path):
    """It holds a lease on the trial it is at, and shows all trials of its suite when it ends."""
    failed, old, at = (trial(tmp_path, seed=seed) for seed in range(3))
    for view in (failed, old):
        mark(view.path, "failed", "NaN")
    for path in old.path.rglob("*"):
        os.utime(path, (0, 0))
    with leases.held(at.path):
        assert act(tmp_path, "action=gc", "gc.delete=true") == 0
    assert names(tmp_path) == {failed.key, at.key}
    assert act(tmp_path, "action=gc", "gc.delete=true") == 0
    assert names(tmp_path) == {at.key}


def test_what_killed_commands_left_goes_after_a_day(tmp_path):
    view = trial(tmp_path)
    left = [
        tmp_path / name
        for name in (".taking-a", ".importing-b", "trials/.deleting-c", f"trials/{view.key}/.deleting-d")
    ]
    for folder in left:
        (folder / "KEY").mkdir(parents=True)
    assert act(tmp_path, "action=gc", "gc.delete=true") == 0
    assert all(folder.exists() for folder in left)
    for folder in left:
        os.utime(folder, (0, 0))
    assert act(tmp_path, "action=gc", "gc.delete=true") == 0
    assert not any(folder.exists() for folder in left) and names(tmp_path) == {view.key}
    assert not list((tmp_path / "trials").glob(".deleting-*"))


def test_what_has_changed_since_it_was_looked_at_stays(tmp_path):
    failed = trial(tmp_path)
    mark(failed.path, "failed", "NaN")
    found = garbage.waste(Store(tmp_path), tmp_path / "cache")
    (failed.path / "history.parquet").write_bytes(b"of another attempt")
    assert ["changed" in line for line in garbage.delete(found)] == [True]
    assert names(tmp_path) == {failed.key}


def test_prepared_images_of_no_trial_go(tmp_path):
    used = "0123456789abcdef"
    trial(tmp_path, fingerprint=used * 4)
    for name in (f"blobs-16x16-v2-{used}", "old-16x16-v2-fedcba9876543210", "methods", "checked"):
        (tmp_path / "cache" / name).mkdir(parents=True, exist_ok=True)
    assert act(tmp_path, "action=gc", "gc.delete=true") == 0
    left = {path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()}
    assert left == {f"blobs-16x16-v2-{used}", "methods", "checked"}


@pytest.mark.parametrize("action", ["store", "gc"])
def test_what_is_no_store_is_named(tmp_path, capsys, action):
    assert act(tmp_path / "none", f"action={action}") == 2
    assert "is no store" in capsys.readouterr().err
