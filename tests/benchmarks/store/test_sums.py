"""What is written can be told from what was damaged since: in every folder, for every kind of file, wherever a run was
killed."""

import hashlib
import os
import subprocess

import numpy as np
import pandas as pd
import pytest

from benchmarks.errors import BadInput, CannotWrite
from benchmarks.store import files, sums, verifying
from benchmarks.store.files import read_arrays, read_frame, read_json, there, write_arrays, write_frame, write_json
from benchmarks.store.trial import TrialView, mark

FRAME = pd.DataFrame({"case": ["a", "b"], "dsc": [0.5, 0.75]})


def flip(path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


@pytest.fixture
def trial(tmp_path):
    """A folder with a file of every kind that is made again, under one condition."""
    folder = tmp_path / "trials" / "one"
    config = {"method": {"name": "ldseg"}, "dataset": {"name": "glas"}, "seed": 0}
    write_json(folder / "config.json", config)
    write_frame(folder / "records" / "c.parquet", FRAME)
    write_frame(folder / "validation" / "c.parquet", FRAME)
    write_arrays(
        folder / "samples" / "c.npz",
        {"ids": np.array(["a"]), **dict.fromkeys(("image", "label", "prediction"), np.zeros((1, 4)))},
    )
    mark(folder, "ok")
    return folder


def test_every_folder_can_be_checked_by_sha256sum(trial):
    write_json(trial / "config.json", {"written": "again"})
    for folder in (trial, trial / "records", trial / "samples"):
        done = subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "name", ["records/c.parquet", "validation/c.parquet", "samples/c.npz", "done.json", "config.json"]
)
@pytest.mark.parametrize("damage", [lambda path: flip(path, 333), lambda path: os.truncate(path, 40)])
def test_what_was_damaged_is_set_aside_and_missing_from_then_on(trial, name, damage, capsys):
    path = trial / name
    damage(path)
    content = path.read_bytes()
    assert not there(path) and not path.exists()
    assert (path.parent / "damaged" / path.name).read_bytes() == content
    said = capsys.readouterr().out
    assert str(path) in said and "was damaged since it was written" in said and "set aside" in said
    view = TrialView.load(trial)
    if name != "config.json":
        assert view.has("c") == (name not in ("records/c.parquet", "samples/c.npz"))
        assert view.has_validation("c") == (name != "validation/c.parquet")
        assert (view.records("c") is None) == (name == "records/c.parquet")
        assert (view.samples("c") is None) == (name == "samples/c.npz")
        assert view.status == ("unfinished" if name == "done.json" else "ok")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["weights.safetensors", "checkpoint.pt", "cost.json", "history.parquet"])
def test_what_only_a_training_gives_is_refused_by_name_with_the_way_out(tmp_path, name):
    path = tmp_path / name
    files.write_atomic(path, lambda file: file.write(b"0123456789"))
    assert there(path)
    flip(path, 5)
    with pytest.raises(BadInput, match=rf"{name}: was damaged since it was written.*[Dd]elete"):
        there(path)
    assert path.exists()


def test_damaged_sums_are_refused_and_written_anew_on_demand(trial):
    store = trial.parent.parent
    path = trial / "records" / sums.NAME
    for bit in range(0, 8 * path.stat().st_size, 7):
        flip(path, bit)
        with pytest.raises(BadInput, match=r"SHA256SUMS: the sums themselves are damaged.*verify\.add=true"):
            read_frame(trial / "records" / "c.parquet")
        flip(path, bit)
    assert read_frame(trial / "records" / "c.parquet") is not None
    flip(path, 100)
    assert [one.path for _, found in verifying.verify(store, store / "cache") for one in found] == [path]
    path.unlink()
    assert verifying.add(store, store / "cache") == 1
    assert [found for _, found in verifying.verify(store, store / "cache") if found] == []


def test_a_run_killed_between_a_sum_and_its_file_leaves_a_sound_file(tmp_path, monkeypatch):
    path, replace = tmp_path / "cost.json", os.replace
    write_json(path, {"version": 1})

    def killed(source, target):
        if target == path:
            raise KeyboardInterrupt
        replace(source, target)

    for version in (2, 3):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(os, "replace", killed)
            write_json(path, {"version": version})
        assert read_json(path) == {"version": 1}
    write_json(path, {"version": 4})
    assert read_json(path) == {"version": 4}
    fresh = tmp_path / "new.json"
    with pytest.raises(BadInput, match="cost.json: was damaged"):
        path.write_text("{}")
        read_json(path)
    assert sums.state(fresh) == sums.MISSING


def test_another_run_that_replaces_a_file_while_it_is_read_damages_nothing(tmp_path, monkeypatch):
    path = tmp_path / "cost.json"
    write_json(path, {"version": 1})
    old = sums.read(tmp_path)
    write_json(path, {"version": 2})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert sums.compared(path, digest, old) == sums.SOUND


def test_files_of_a_store_without_sums_are_read_and_what_is_cut_short_is_found(tmp_path):
    folder = tmp_path / "trials" / "old" / "records"
    folder.mkdir(parents=True)
    FRAME.to_parquet(folder / "a.parquet", index=False)
    FRAME.to_parquet(folder / "b.parquet", index=False)
    os.truncate(folder / "b.parquet", 600)
    np.savez_compressed(folder / "c.npz", a=np.zeros(500))
    content = (folder / "c.npz").read_bytes()
    pd.testing.assert_frame_equal(read_frame(folder / "a.parquet"), FRAME)
    states = {one.path.name: one.state for _, found in verifying.verify(tmp_path, tmp_path / "cache") for one in found}
    assert states["a.parquet"] == states["c.npz"] == "no sum" and states["b.parquet"].startswith("damaged, has no sum")
    assert verifying.add(tmp_path, tmp_path / "cache") == 2 and sums.state(folder / "a.parquet") == sums.SOUND
    assert not there(folder / "b.parquet") and read_frame(folder / "b.parquet") is None
    (folder / "d.npz").write_bytes(content[:100])
    assert not there(folder / "d.npz") and read_arrays(folder / "d.npz") is None


def test_a_full_disk_is_one_named_error_that_leaves_the_former_file(tmp_path):
    class Full:
        closed = False

        def write(self, data):
            raise OSError(28, "No space left on device")

    import torch

    path = tmp_path / "checkpoint.pt"
    files.write_atomic(path, lambda file: torch.save({"step": 1}, file))

    def write(file):
        file.file = Full()
        torch.save({"weights": torch.rand(1000)}, file)

    with pytest.raises(CannotWrite, match=r"disk full: .*checkpoint\.pt cannot be written \(No space left on device\)"):
        files.write_atomic(path, write)
    assert torch.load(path) == {"step": 1} and there(path)
    assert [one.name for one in tmp_path.iterdir() if one.suffix == ".tmp"] == []


def test_remains_of_killed_runs_are_swept_and_what_is_being_written_is_not(tmp_path):
    (tmp_path / ".cost.json.abc.tmp").write_text("of a killed run")

    def write(file):
        files.sweep(tmp_path.parent)
        assert len(list(tmp_path.glob(".records.parquet.*.tmp"))) == 1
        file.write(b"whole")

    files.write_atomic(tmp_path / "records.parquet", write)
    assert sorted(one.name for one in tmp_path.iterdir() if "lock" not in one.name) == ["SHA256SUMS", "records.parquet"]


def test_a_folder_in_the_place_of_a_file_is_named(trial):
    store = trial.parent.parent
    for path in (trial / "done.json", trial / "records" / "c.parquet", trial / "samples" / sums.NAME):
        content = path.read_bytes()
        path.unlink()
        path.mkdir()
        with pytest.raises(BadInput, match=rf"{path.name}: cannot be read \(Is a directory\), expected a file"):
            there(path if path.name != sums.NAME else path.with_name("c.npz"))
        assert [one.path for _, found in verifying.verify(store, store / "cache") for one in found] == [path]
        path.rmdir()
        path.write_bytes(content)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(CannotWrite, match=r"not writable: .*runs/trials cannot be made .*paths\.runs=DIR"):
        write_json(tmp_path / "runs" / "trials" / "done.json", {})


def test_what_grows_has_a_sum_before_and_after(tmp_path):
    path = tmp_path / "journal.log"
    for text in ("one", "two"):
        with sums.growing(path), path.open("a") as file:
            assert sums.state(path) == sums.NO_SUM
            file.write(text)
            file.flush()
        assert sums.state(path) == sums.SOUND
    flip(path, 9)
    with pytest.raises(BadInput, match=r"journal\.log: was damaged since it was written .*search again"):
        there(path)


def test_a_file_is_hashed_once_while_it_stays_the_same(tmp_path, monkeypatch):
    path = tmp_path / "records.parquet"
    write_frame(path, FRAME)
    os.utime(path, (1e9, 1e9))
    first = sums.sha256(path)
    monkeypatch.setattr(sums, "open", None, raising=False)
    assert sums.sha256(path) == first
