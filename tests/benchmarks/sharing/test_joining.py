"""Stores joined: what two users have becomes one store, or nothing changes."""

import shutil

import pandas as pd
import pytest

import run_bench
from benchmarks.store import leases
from benchmarks.store.files import read_frame, write_frame
from benchmarks.store.trial import mark
from tests.benchmarks.prediction.methods_by_hand import trial


def merge(tmp_path, *stores, into="all"):
    return run_bench.main(
        [
            "action=merge",
            f"input=[{','.join(str(tmp_path / name) for name in stores)}]",
            f"paths.runs={tmp_path}/{into}",
        ]
    )


def keys(tmp_path, name):
    return {path.name for path in (tmp_path / name / "trials").glob("[!.]*")}


def test_two_stores_become_one(tmp_path):
    one, other = trial(tmp_path / "one", seed=0), trial(tmp_path / "other", seed=1)
    both = trial(tmp_path / "one", "Noisy", steps=(2,)), trial(tmp_path / "other", "Noisy", steps=(2, 5))
    assert merge(tmp_path, "one", "other") == 0
    assert keys(tmp_path, "all") == {one.key, other.key, both[0].key}
    found = tmp_path / "all/trials" / both[0].key / "records"
    assert sorted(path.name for path in found.glob("*.parquet")) == ["sigma0-2.parquet", "sigma0-5.parquet"]
    assert run_bench.main(["action=verify", f"paths.runs={tmp_path}/all"]) == 0
    assert merge(tmp_path, "one", "other") == 0


def test_times_alone_are_no_contradiction(tmp_path):
    view = trial(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    path = tmp_path / "other/trials" / view.key / "records/sigma0-0.parquet"
    write_frame(path, read_frame(path).assign(seconds=9.0))
    assert merge(tmp_path, "one", "other") == 0
    kept = pd.read_parquet(tmp_path / "all/trials" / view.key / "records/sigma0-0.parquet")
    assert (kept.seconds == 0.01).all()


@pytest.mark.parametrize(("change", "words"), [({"shift": 0.3}, "other weights"), ({"dsc": 0.9}, "other records")])
def test_contradictions_are_named_and_nothing_is_merged(tmp_path, capsys, change, words):
    view = trial(tmp_path / "one")
    trial(tmp_path / "other", **change)
    trial(tmp_path / "other", seed=1)
    trial(tmp_path / "all", seed=2)
    before = keys(tmp_path, "all")
    assert merge(tmp_path, "one", "other") == 2
    said = capsys.readouterr().err
    assert view.key in said and words in said
    assert keys(tmp_path, "all") == before


def test_what_has_not_ended_well_is_left_out_by_name(tmp_path, capsys):
    ended, failed = trial(tmp_path / "one"), trial(tmp_path / "one", seed=1)
    mark(failed.path, "failed", "out of memory", retry=False)
    assert merge(tmp_path, "one") == 0
    said = capsys.readouterr().out
    assert keys(tmp_path, "all") == {ended.key} and failed.key in said and "out of memory" in said


def test_a_damaged_file_ends_the_merge_before_it_begins(tmp_path, capsys):
    view = trial(tmp_path / "one")
    trial(tmp_path / "one", seed=1)
    path = view.path / "history.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    assert merge(tmp_path, "one") == 2
    assert "history.parquet" in capsys.readouterr().err and not keys(tmp_path, "all")


def test_a_trial_that_a_run_works_on_is_not_touched(tmp_path, capsys):
    view = trial(tmp_path / "one")
    (tmp_path / "all/trials").mkdir(parents=True)
    with leases.held(tmp_path / "all/trials" / view.key):
        assert merge(tmp_path, "one") == 2
    assert "working on this trial" in capsys.readouterr().err and not keys(tmp_path, "all")


def test_a_disk_that_fills_up_leaves_the_store_as_it_was(tmp_path, monkeypatch, capsys):
    trial(tmp_path / "one")
    trial(tmp_path / "one", seed=1)

    def full(source, target):
        if "weights" in str(source) and full.left:
            full.left -= 1
        elif "weights" in str(source):
            raise OSError(28, "No space left on device", str(target))
        return copy(source, target)

    copy, full.left = shutil.copyfile, 1
    monkeypatch.setattr("benchmarks.sharing.joining.shutil.copyfile", full)
    assert merge(tmp_path, "one") == 1
    assert "disk full" in capsys.readouterr().err
    assert not keys(tmp_path, "all") and not list((tmp_path / "all").glob(".taking-*"))


@pytest.mark.parametrize("words", [["input=nowhere"], ["input=[]"], [], ["input=[{runs}]"]])
def test_what_is_no_other_store_is_named(tmp_path, capsys, words):
    trial(tmp_path / "all")
    given = [word.format(runs=tmp_path / "all") for word in words]
    assert run_bench.main(["action=merge", f"paths.runs={tmp_path}/all", *given]) == 2
    assert "input=" in capsys.readouterr().err
