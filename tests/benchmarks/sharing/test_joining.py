"""Stores joined: what two users have becomes one store, or nothing changes."""

import os
import shutil

import numpy as np
import pandas as pd
import pytest

import run_bench
from benchmarks.store import leases
from benchmarks.store.files import read_arrays, read_frame, read_json, write_arrays, write_frame, write_json
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
    assert "is working on this" in capsys.readouterr().err and not keys(tmp_path, "all")


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


def test_a_trial_that_one_machine_declined_is_taken_from_the_one_that_trained_it(tmp_path, capsys):
    for first, second in (("one", "other"), ("other", "one")):
        view = trial(tmp_path / "other")
        for name in ("weights.safetensors", "history.parquet", "cost.json", "records/sigma0-0.parquet"):
            (trial(tmp_path / "one").path / name).unlink()
        mark(tmp_path / "one/trials" / view.key, "declined", "out of memory: needs about 99 GiB")
        assert merge(tmp_path, first, second, into=first + "_all") == 0
        assert "99 GiB" in capsys.readouterr().out
        found = tmp_path / f"{first}_all/trials" / view.key
        assert read_json(found / "done.json")["status"] == "ok" and (found / "weights.safetensors").exists()
        shutil.rmtree(tmp_path / "one")
    # What is in the store already is not replaced unasked.
    trial(tmp_path / "here")
    mark(tmp_path / "here/trials" / view.key, "declined", "out of memory")
    assert merge(tmp_path, "other", into="here") == 2
    assert "delete that folder to take the other" in capsys.readouterr().err


def timed(view, comparison, seconds):
    path = view.path / "cost.json"
    rows = (read_json(path).get("inference") or []) + [{"comparison": comparison, "seconds_median": seconds}]
    write_json(path, read_json(path) | {"inference": rows})


def test_comparisons_that_a_trial_was_timed_in_elsewhere_come_along_whole(tmp_path, capsys):
    mine, theirs, third = (trial(tmp_path / name) for name in ("all", "one", "other"))
    timed(mine, "shared", 1.0)
    for view in (theirs, third):
        timed(view, "with a method of theirs", 2.0)
        timed(view, "shared", 3.0)
    assert merge(tmp_path, "one", "other") == 0
    rows = read_json(mine.path / "cost.json")["inference"]
    assert [(row["comparison"], row["seconds_median"]) for row in rows] == [
        ("with a method of theirs", 2.0), ("shared", 1.0)
    ]  # fmt: skip
    assert "1 completed, 0 there already" in capsys.readouterr().out
    assert merge(tmp_path, "one", "other") == 0
    assert "0 completed, 1 there already" in capsys.readouterr().out


def samples(place, key, dsc=0.5, seconds=0.1, name="sigma0"):
    """What suite=uncertainty leaves of a trial."""
    folder = place / "uncertainty" / f"{key}-{name}"
    write_json(folder / "about.json", {"trial": key, "cases": 2, "runs": 8, "chunks": 1})
    rows = {"case": ["a", "b"], "class": "all", "dsc": dsc, "seconds": seconds}
    write_frame(folder / "records0000.parquet", pd.DataFrame(rows))
    write_arrays(folder / "maps0000.npz", {"ids": np.array(["a"]), "sd_0": np.full((2, 2), np.nan, np.float32)})
    return folder


def timings(place, seconds, age=0.0):
    """What suite=runtime leaves."""
    folder = place / "timings/runtime-0123"
    write_json(folder / "about.json", {"request": "r", "environment": {"cpu": "c"}})
    write_frame(folder / "round-000.parquet", pd.DataFrame({"method": ["ldseg"], "seconds": [seconds]}))
    write_json(folder / "done.json", {"status": "ok"})
    then = folder.stat().st_mtime - age
    os.utime(folder / "done.json", (then, then))
    return folder


def overview(place, voxels=5):
    """What suite=data_overview leaves."""
    folder = place / "overviews/blobs-0123"
    write_arrays(folder / "pictures.npz", {"ids": np.array(["a"]), "label_0": np.full((2, 2), voxels)})
    write_frame(folder / "cases.parquet", pd.DataFrame({"case": ["a"], "voxels blob": [voxels]}))
    write_json(folder / "about.json", {"name": "blobs"})
    return folder


def images(place, key, value=0.5, seconds=0.1):
    """What suite=synthesis leaves of a trial."""
    folder = place / "syntheses" / f"{key}-test-direct-0123"
    arrays = {"ids": np.array(["a"]), "images": np.full((1, 1, 2, 2), value), "seconds": np.array([seconds])}
    write_arrays(folder / "images0000.npz", arrays)
    write_json(folder / "about.json", {"trial": key, "chunks": 1})
    return folder


def test_timings_samples_images_and_overviews_come_along(tmp_path, capsys):
    view = trial(tmp_path / "one")
    trial(tmp_path / "other", seed=1)
    places = [samples(tmp_path / "one", view.key), images(tmp_path / "one", view.key)]
    places += [timings(tmp_path / "other", 2.0, age=3600.0), overview(tmp_path / "other")]
    assert merge(tmp_path, "one", "other") == 0
    for place in places:
        found = tmp_path / "all" / place.parent.name / place.name
        assert {path.name for path in found.glob("[!.]*")} == {path.name for path in place.glob("[!.]*")}
    # Reports show the newest of several timings and overviews.
    now, then = (root / "timings/runtime-0123/done.json" for root in (tmp_path / "all", tmp_path / "other"))
    assert now.stat().st_mtime == pytest.approx(then.stat().st_mtime)
    assert run_bench.main(["action=verify", f"paths.runs={tmp_path}/all"]) == 0
    said = capsys.readouterr().out
    assert "2 trial(s) taken" in said and "1 of uncertainty/ taken" in said and "0 damaged" in said
    assert merge(tmp_path, "one", "other") == 0
    assert "0 of overviews/ taken" in capsys.readouterr().out


def test_seconds_alone_are_no_contradiction_of_samples_and_images_and_timings_stay(tmp_path):
    for name, seconds in (("one", 1.0), ("other", 2.0)):
        view = trial(tmp_path / name)
        samples(tmp_path / name, view.key, seconds=seconds), images(tmp_path / name, view.key, seconds=seconds)
        timings(tmp_path / name, seconds), overview(tmp_path / name)
    assert merge(tmp_path, "one", "other") == 0
    assert read_frame(tmp_path / "all/timings/runtime-0123/round-000.parquet").seconds.tolist() == [1.0]
    assert read_arrays(tmp_path / "all/syntheses" / f"{view.key}-test-direct-0123/images0000.npz")["seconds"] == [1.0]


@pytest.mark.parametrize("kind", ["samples", "images", "overview"])
def test_samples_images_and_overviews_that_contradict_are_named_and_nothing_is_merged(tmp_path, capsys, kind):
    make = {"samples": samples, "images": images, "overview": lambda place, key, value: overview(place, value)}[kind]
    for name, value in (("one", 0.25), ("other", 0.75)):
        folder = make(tmp_path / name, trial(tmp_path / name).key, value)
    assert merge(tmp_path, "one", "other") == 2
    assert folder.name in capsys.readouterr().err and not (tmp_path / "all/trials").exists()


def test_what_is_not_complete_or_has_no_trial_is_left_out_by_name(tmp_path, capsys):
    view = trial(tmp_path / "one")
    half, orphan = samples(tmp_path / "one", view.key), samples(tmp_path / "one", "gone")
    (half / "records0000.parquet").unlink()
    begun = timings(tmp_path / "one", 1.0)
    (begun / "done.json").unlink()
    assert merge(tmp_path, "one") == 0
    said = capsys.readouterr().out.replace("\n", "").replace(" ", "")
    for folder, why in ((half, "is not complete"), (orphan, "its trial gone"), (begun, "is not complete")):
        assert f"{folder}:{why}".replace(" ", "") in said
    assert not (tmp_path / "all/uncertainty").exists() and not (tmp_path / "all/timings").exists()


def test_rounds_of_two_machines_do_not_mix(tmp_path, capsys):
    trial(tmp_path / "one"), trial(tmp_path / "all")
    timings(tmp_path / "one", 1.0)
    (timings(tmp_path / "all", 2.0) / "done.json").unlink()
    assert merge(tmp_path, "one") == 0
    assert "do not mix" in capsys.readouterr().out
    assert read_frame(tmp_path / "all/timings/runtime-0123/round-000.parquet").seconds.tolist() == [2.0]


@pytest.mark.parametrize("interruption", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_merge_that_is_interrupted_while_it_places_things_takes_them_back(tmp_path, monkeypatch, interruption):
    mine = trial(tmp_path / "all", "Noisy", steps=(2,))
    before = {path.name for path in mine.path.rglob("*.parquet")}
    trial(tmp_path / "one"), trial(tmp_path / "one", "Noisy", steps=(2, 5)), trial(tmp_path / "one", seed=1)

    def rename(source, target):
        if "-s1-" in str(target):
            raise interruption
        return kept(source, target)

    kept = os.rename
    monkeypatch.setattr("benchmarks.sharing.joining.os.rename", rename)
    merge(tmp_path, "one")
    assert keys(tmp_path, "all") == {mine.key} and not list((tmp_path / "all").glob(".taking-*"))
    assert {path.name for path in mine.path.rglob("*.parquet")} == before
    assert run_bench.main(["action=verify", f"paths.runs={tmp_path}/all"]) == 0


@pytest.mark.parametrize("words", [["input=nowhere"], ["input=[]"], [], ["input=[{runs}]"]])
def test_what_is_no_other_store_is_named(tmp_path, capsys, words):
    trial(tmp_path / "all")
    given = [word.format(runs=tmp_path / "all") for word in words]
    assert run_bench.main(["action=merge", f"paths.runs={tmp_path}/all", *given]) == 2
    assert "input=" in capsys.readouterr().err
