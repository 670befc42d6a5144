"""Exported files: what is in them, and what is refused of one that was damaged or made to do harm."""

import hashlib
import json
import random
import shutil
import stat
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import run_bench
from benchmarks.errors import BadInput
from benchmarks.sharing import archive
from tests.benchmarks.prediction.methods_by_hand import trial

ROOT = Path(__file__).resolve().parents[3]


def act(*words):
    return run_bench.main([*map(str, words), "device=cpu"])


def exported(tmp_path, *views, **more):
    path = tmp_path / "out.zip"
    archive.write(
        views or [trial(tmp_path / "runs", shift=0.1)],
        path,
        card=lambda view: f"# {view.key}\n",
        **{"weights": True} | more,
    )
    return path


def rebuilt(path, change=None, names=None, manifest=None):
    """The archive written anew with another manifest or other members, its sums made to fit as far as they can be."""
    with zipfile.ZipFile(path) as old:
        content = {name: old.read(name) for name in old.namelist()}
    said = json.loads(content[archive.MANIFEST])
    for name, data in (names or {}).items():
        content[name] = data
        said["members"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if manifest:
        manifest(said)
    text = json.dumps(said).encode()
    content |= {archive.MANIFEST: text, archive.SUM: f"{hashlib.sha256(text).hexdigest()}  x\n".encode()}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in content.items():
            entry = zipfile.ZipInfo(name)
            if change:
                change(entry)
            new.writestr(entry, data)
    return path


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("SHA256SUMS", "model_card.md") and not path.name.startswith(".")
    }


def test_what_is_imported_is_what_was_exported(tmp_path):
    view = trial(tmp_path / "runs", shift=0.1)
    assert act("action=export", f"trial={view.key}", f"output={tmp_path}/t.zip", f"paths.runs={tmp_path}/runs") == 0
    assert act("action=import", f"input={tmp_path}/t.zip", f"paths.runs={tmp_path}/clone") == 0
    assert files(tmp_path / "clone/trials" / view.key) == files(view.path)
    with zipfile.ZipFile(tmp_path / "t.zip") as found:
        card = found.read(f"{view.key}/model_card.md").decode()
    assert "blobs" in card and "DSC" in card and "[0." in card
    # Twice is once.
    assert act("action=import", f"input={tmp_path}/t.zip", f"paths.runs={tmp_path}/clone") == 0
    assert act("action=verify", f"paths.runs={tmp_path}/clone") == 0


def test_equal_trials_make_equal_files(tmp_path):
    view = trial(tmp_path / "runs")
    first = exported(tmp_path, view).read_bytes()
    assert exported(tmp_path, view).read_bytes() == first


def test_pictures_of_cases_stay_at_home_and_weights_where_asked(tmp_path):
    view = trial(tmp_path / "runs")
    (view.path / "samples").mkdir()
    (view.path / "samples/sigma0.npz").write_bytes(b"images of patients")
    with zipfile.ZipFile(exported(tmp_path, view, weights=False)) as found:
        names = found.namelist()
    assert not [name for name in names if "samples" in name or "weights" in name]
    assert {f"{view.key}/{name}" for name in ("config.json", "cost.json", "history.parquet", "model_card.md")} <= set(
        names
    )


def test_a_trial_without_weights_is_completed_by_one_with_them(tmp_path, capsys):
    view = trial(tmp_path / "runs")
    bare, whole = exported(tmp_path, view, weights=False).rename(tmp_path / "bare.zip"), exported(tmp_path, view)
    place = f"paths.runs={tmp_path}/clone"
    assert act("action=import", f"input={bare}", place) == 0
    assert act("action=segment", f"weights={view.key}", f"input={tmp_path}", f"output={tmp_path}/o", place) == 2
    assert "without weights" in capsys.readouterr().err
    assert act("action=import", f"input={whole}", place) == 0
    assert "1 completed" in capsys.readouterr().out
    assert files(tmp_path / "clone/trials" / view.key) == files(view.path)


def test_an_exported_file_segments_like_its_trial(tmp_path):
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 40), np.uint8)).save(tmp_path / "new.png")
    view = trial(tmp_path / "runs", "Noisy", shift=0.1)
    path = exported(tmp_path, view)
    for weights, out in ((view.path, "a"), (path, "b")):
        assert (
            act(
                "action=segment",
                f"weights={weights}",
                f"input={tmp_path}/new.png",
                f"output={tmp_path}/{out}",
                "samples=2",
            )
            == 0
        )
    assert {n: c for n, c in files(tmp_path / "a").items()} == files(tmp_path / "b")


def test_every_flipped_bit_and_every_cut_is_noticed(tmp_path):
    path, target = exported(tmp_path), tmp_path / "flipped.zip"
    content, draw, noticed = path.read_bytes(), random.Random(0), 0
    with zipfile.ZipFile(path) as found:
        members = found.infolist()
    for _ in range(150):
        # In what a member holds; that of headers is zip's own, and a name that changes is refused.
        entry = draw.choice(members)
        lengths = content[entry.header_offset + 26 : entry.header_offset + 30]
        start = entry.header_offset + 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
        place = start + draw.randrange(entry.compress_size)
        changed = bytearray(content)
        changed[place] ^= 1 << draw.randrange(8)
        target.write_bytes(changed)
        try:
            with archive.opened(target) as damaged:
                damaged.check()
        except BadInput as error:
            noticed += "flipped.zip" in str(error)
        else:  # the last byte of a compressed member has bits that mean nothing
            with zipfile.ZipFile(target) as found, zipfile.ZipFile(path) as sound:
                assert {name: found.read(name) for name in found.namelist()} == {
                    n: sound.read(n) for n in sound.namelist()
                }
    assert noticed > 140
    for length in range(0, len(content) - 1, len(content) // 20):
        target.write_bytes(content[:length])
        with pytest.raises(BadInput, match="flipped.zip"), archive.opened(target) as damaged:
            damaged.check()


@pytest.mark.parametrize(
    "name",
    ["../evil.json", "/etc/evil.json", "a/../../evil", "C:/evil", "a\\..\\evil", ".hidden", "x/./y", "trial/.ssh/key"],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, capsys, name):
    path = rebuilt(exported(tmp_path), names={name: b"{}"})
    assert act("action=import", f"input={path}", f"paths.runs={tmp_path}/clone") == 2
    assert "leads elsewhere" in capsys.readouterr().err
    assert not (tmp_path / "clone").exists()


def test_links_are_refused(tmp_path):
    def link(entry):
        if entry.filename.endswith("config.json"):
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16

    with pytest.raises(BadInput, match="a link"), archive.opened(rebuilt(exported(tmp_path), link)):
        pass


@pytest.mark.parametrize(
    "name",
    ["other/config.json", "run_bench.py", "{key}/records/SHA256SUMS", "{key}/records/a\nb.parquet",
     "{key}/records/a b.parquet", "{key}/records/sub/a.parquet", "{key}/records/" + "a" * 250 + ".parquet",
     "{key}/samples/sigma0.npz", "{key}/checkpoint.pt", "{key}/records/.parquet"],
)  # fmt: skip
def test_what_is_no_file_of_a_trial_is_refused(tmp_path, capsys, name):
    view = trial(tmp_path / "runs", shift=0.1)
    path = rebuilt(exported(tmp_path, view), names={name.format(key=view.key): b"{}"})
    assert act("action=import", f"input={path}", f"paths.runs={tmp_path}/clone") == 2
    said = capsys.readouterr().err.replace("\n", "")
    assert "no file of a trial" in said or "leads elsewhere" in said
    assert not (tmp_path / "clone").exists()


def repacked(path, **changes):
    """The archive with some members replaced as they are, their sums in the manifest left alone."""
    with zipfile.ZipFile(path) as old:
        content = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in content.items():
            new.writestr(name, changes.get(name.replace(".", "_"), data), zipfile.ZIP_DEFLATED)
    return path


@pytest.mark.parametrize("text", [b"no JSON", b"[" * 100_000, b"[]", b"{}", b'{"a": \xff}'])
def test_a_manifest_that_cannot_be_read_is_bad_input(tmp_path, text):
    said = f"{hashlib.sha256(text).hexdigest()}  x".encode()
    path = repacked(exported(tmp_path), manifest_json=text, manifest_sha256=said)
    with pytest.raises(BadInput, match="out.zip"), archive.opened(path):
        pass


def test_of_a_sum_no_more_is_read_than_a_sum_has(tmp_path):
    path = repacked(exported(tmp_path), manifest_sha256=bytes(2**28))
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    with pytest.raises(BadInput, match="is not what"), archive.opened(path):
        pass
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_what_has_no_room_is_refused_before_it_is_unpacked(tmp_path, monkeypatch, capsys):
    path = exported(tmp_path)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("benchmarks.sharing.archive.shutil.disk_usage", lambda _: usage._replace(free=2000))
    monkeypatch.setattr(archive.Archive, "check", lambda self: pytest.fail("reads it all first"))
    assert act("action=import", f"input={path}", f"paths.runs={tmp_path}/clone") == 2
    assert "MiB free" in capsys.readouterr().err


@pytest.mark.parametrize("packed", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_packing_is_refused(tmp_path, packed):
    def change(entry):
        if entry.filename.endswith("config.json"):
            entry.compress_type = packed

    with pytest.raises(BadInput, match="packed otherwise"), archive.opened(rebuilt(exported(tmp_path), change)):
        pass


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("weights.safetensors", b"no tensors", "cannot be read"),
        ("records/sigma0-0.parquet", b"no table", "cannot be read"),
        ("done.json", b"{", "cannot be read"),
        ("config.json", b"[]", "is not what a trial was stored with"),
        ("config.json", b'{"method": {"name": "bright", "target": "x"}, "dataset": {"name": "other"}}', "describes"),
    ],
)
def test_content_that_was_broken_before_it_was_packed_is_refused(tmp_path, capsys, name, data, said):
    view = trial(tmp_path / "runs", shift=0.1)
    path = rebuilt(exported(tmp_path, view), names={f"{view.key}/{name}": data})
    assert act("action=import", f"input={path}", f"paths.runs={tmp_path}/clone") == 2
    assert said in capsys.readouterr().err.replace("\n", " ")
    assert not list((tmp_path / "clone/trials").glob("*")) and not list((tmp_path / "clone").glob(".importing-*"))


def test_an_import_that_is_killed_leaves_nothing_that_counts_and_the_next_one_does_it_all(tmp_path):
    views = [trial(tmp_path / "runs", seed=seed) for seed in range(3)]
    path = exported(tmp_path, *views)
    script = (
        "import os, sys, run_bench; from benchmarks.sharing import joining\n"
        "def rename(*names, n=[0]):\n"
        "    n[0] += 1\n"
        "    os.kill(os.getpid(), 9) if n[0] == 2 else os.replace(*names)\n"
        "joining.os.rename = rename\n"
        "run_bench.main(sys.argv[1:])\n"
    )
    words = ["action=import", f"input={path}", f"paths.runs={tmp_path}/clone"]
    assert subprocess.run([sys.executable, "-c", script, *words], cwd=ROOT).returncode == -9
    assert act("action=verify", f"paths.runs={tmp_path}/clone") == 0
    assert act(*words) == 0
    for view in views:
        assert files(tmp_path / "clone/trials" / view.key) == files(view.path)


def test_names_with_spaces_and_accents_are_names(tmp_path, capsys):
    place = tmp_path / "Größe 2, (neu)"
    view = trial(place / "runs")
    out = place / "mein Modell é.zip"
    assert act("action=export", f"trial={view.key}", f"output='{out}'", f"paths.runs='{place}/runs'") == 0
    assert act("action=import", f"input='{out}'", f"paths.runs='{place}/a b'") == 0
    assert act("action=merge", f"input=['{place}/a b','{place}/runs']", f"paths.runs='{place}/all é'") == 0
    assert act("action=store", f"paths.runs='{place}/all é'", f"output='{place}/list é.csv'") == 0
    assert act("action=leaderboard", f"input=['{place}/all é']", f"output='{place}/page é'") == 0
    assert files(place / "all é/trials" / view.key) == files(view.path)


def test_unknown_versions_and_other_zip_files_are_refused(tmp_path):
    path = rebuilt(exported(tmp_path), manifest=lambda said: said.update(version=99))
    with pytest.raises(BadInput, match="version 99"), archive.opened(path):
        pass
    with zipfile.ZipFile(tmp_path / "any.zip", "w") as other:
        other.writestr("a.txt", "a")
    with pytest.raises(BadInput, match="action=export"), archive.opened(tmp_path / "any.zip"):
        pass


def test_a_member_that_is_longer_than_announced_is_not_read_to_its_end(tmp_path):
    def shorter(said):
        for member in said["members"].values():
            member["bytes"] = min(member["bytes"], 10)

    with (
        archive.opened(rebuilt(exported(tmp_path), manifest=shorter)) as found,
        pytest.raises(BadInput, match="not what was"),
    ):
        found.check()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trial=nothing", "output={out}"], "is not known"),
        (["output={out}"], "trial=None"),
        (["trial=all"], "output=None"),
        (["trial=all", "output={runs}"], "is a folder"),
        (["trial=all", "output={out}", "weights=perhaps"], "true or false"),
    ],
)
def test_what_cannot_be_exported_is_named(tmp_path, capsys, words, said):
    trial(tmp_path / "runs")
    places = {"out": tmp_path / "t.zip", "runs": tmp_path / "runs"}
    assert act("action=export", f"paths.runs={tmp_path}/runs", *(word.format(**places) for word in words)) == 2
    assert said in capsys.readouterr().err


def test_damaged_records_are_not_exported(tmp_path, capsys):
    view = trial(tmp_path / "runs")
    path = next((view.path / "records").glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert act("action=export", "trial=all", f"output={tmp_path}/t.zip", f"paths.runs={tmp_path}/runs") == 2
    assert str(path) in capsys.readouterr().err and not (tmp_path / "t.zip").exists()
