import fcntl
import os
import threading
import time

import numpy as np
import pytest

from datasets.base import Case, DataError
from datasets.glas import Glas
from datasets.prepare import AT_WORK, prepare, resized


def test_what_is_prepared_matches_the_cases(memory, tmp_path):
    source = memory(spacing=(2.0, 1.0))
    data = prepare(source, (5, 4), tmp_path)
    assert data.images.shape == (6, 1, 5, 4) and data.images.dtype == np.float32
    assert data.labels.shape == (6, 5, 4) and data.labels.dtype == np.uint8
    assert isinstance(data.images, np.memmap) and not data.images.flags.writeable
    assert data.ids == [f"c{n}" for n in range(6)] and data.groups == [f"p{n}" for n in range(6)]
    assert {split: [*index] for split, index in data.split.items()} == {"train": [0, 1, 2], "val": [3], "test": [4, 5]}
    assert data.spacing == [(4.0, 2.0)] * 6
    assert data.class_names == ["one", "two"] and data.image_size == (5, 4)


def test_own_size_is_left_as_it_is(memory, tmp_path):
    source = memory()
    data = prepare(source, (10, 8), tmp_path)
    for number, (_, image, label) in enumerate(source.cases.values()):
        np.testing.assert_array_equal(data.images[number], image)
        np.testing.assert_array_equal(data.labels[number], label)


def test_shrinking_averages_the_image_and_keeps_labels_whole():
    checks = np.indices((64, 64)).sum(0) % 2
    label = np.zeros((64, 64), np.int64)
    label[:32] = 5
    small = resized(Case("a", "a", checks[None].astype(np.float32), label, (1.0, 0.5)), (16, 8))
    np.testing.assert_allclose(small.image, 0.5, atol=0.02)
    assert set(np.unique(small.label)) == {0, 5} and (small.label[:8] == 5).all() and (small.label[8:] == 0).all()
    assert small.spacing == (4.0, 4.0)


def test_image_and_label_stay_aligned():
    label = np.zeros((60, 40), np.int64)
    label[20:40, 10:30] = 1
    for size in ((30, 20), (45, 50), (128, 128)):
        case = resized(Case("a", "a", label[None].astype(np.float32), label), size)
        assert np.mean((case.image[0] > 0.5) != (case.label == 1)) < 0.04


def test_volumes_are_resized_along_three_axes():
    label = np.zeros((8, 12, 10), np.int64)
    label[:4] = 1
    case = resized(Case("a", "a", label[None].astype(np.float32), label, (1.0, 1.0, 2.0)), (4, 24, 10))
    assert case.image.shape == (1, 4, 24, 10) and case.spacing == (2.0, 0.5, 2.0)
    np.testing.assert_array_equal(case.image[0] > 0.5, case.label == 1)


def test_second_call_reads_no_case_and_content_decides(memory, tmp_path):
    source = memory()
    first = prepare(source, (5, 4), tmp_path)
    limited = memory(limit={"train": 1})
    assert len(prepare(limited, (5, 4), tmp_path).ids) == 4
    assert len(prepare(source, (5, 4), tmp_path).ids) == 6 == len(first.ids)
    root_reads = source.reads
    prepare(source, (5, 4), tmp_path)
    assert source.reads == root_reads == 6


def test_changed_file_is_prepared_again(glas_root, save, tmp_path):
    before = prepare(Glas(glas_root), (16, 16), tmp_path / "cache")
    save(glas_root / "train_1.bmp", np.zeros((24, 30, 3), np.uint8))
    after = prepare(Glas(glas_root), (16, 16), tmp_path / "cache")
    place = after.ids.index("train_1")
    assert after.fingerprint != before.fingerprint
    assert after.images[place].max() == 0 < before.images[place].max()


def test_progress_counts_to_the_end(memory, tmp_path):
    seen = []
    prepare(memory(), (5, 4), tmp_path, lambda done, total: seen.append((done, total)))
    assert seen == [(n, 6) for n in range(1, 7)]


def test_broken_case_leaves_nothing_behind(glas_root, tmp_path):
    path = glas_root / "testB_2.bmp"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="testB_2.bmp"):
        prepare(Glas(glas_root), (16, 16), tmp_path / "cache")
    assert [found.name for found in (tmp_path / "cache").iterdir() if found.is_dir()] == []


def test_values_that_are_not_finite_are_refused(memory, tmp_path):
    image, label = np.full((1, 4, 4), np.nan, np.float32), np.ones((4, 4), np.int64)
    cases = [(split, split, split, image, label) for split in ("train", "val", "test")]
    with pytest.raises(DataError, match="case train: the image holds 16 values that are not finite"):
        prepare(memory(cases), (4, 4), tmp_path)


def test_two_runs_at_once_end_with_the_same_folder(memory, tmp_path):
    """Both write; the second to finish finds the folder there and uses it."""
    barrier, results = threading.Barrier(2), []

    def run():
        source = memory()
        original = source.read
        source.read = lambda entry: (barrier.wait(120) if entry.id == "c0" else None, original(entry))[1]
        results.append(prepare(source, (5, 4), tmp_path))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    np.testing.assert_array_equal(results[0].images, results[1].images)
    assert len([path for path in tmp_path.iterdir() if path.name.startswith("memory-")]) == 1
    assert not list(tmp_path.glob(".preparing-*"))


def test_remains_of_a_killed_process_are_cleared_after_a_day(memory, tmp_path):
    for name, hours in (("old", 30), ("new", 1)):
        remains = tmp_path / f".preparing-{name}"
        remains.mkdir()
        then = time.time() - hours * 3600
        os.utime(remains, (then, then))
    prepare(memory(), (5, 4), tmp_path)
    assert [path.name for path in tmp_path.glob(".preparing-*")] == [".preparing-new"]


@pytest.mark.parametrize("size", [(32,), (32, 32, 32), (0, 32)])
def test_image_size_must_fit_the_data(memory, tmp_path, size):
    with pytest.raises(DataError, match="image_size"):
        prepare(memory(), size, tmp_path)


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "own_labels.bin", "cases.json", "SHA256SUMS"])
def test_a_damaged_cache_is_noticed_and_made_again(memory, tmp_path, name, damage):
    source = memory()
    first = prepare(source, (5, 4), tmp_path)
    images, labels = np.array(first.images), np.array(first.labels)
    (folder,) = (path for path in tmp_path.iterdir() if path.name.startswith("memory-"))
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content if damage == "flip" else content[:-5])
    if damage == "delete":
        (folder / name).unlink()
    if (name, damage) == ("SHA256SUMS", "delete"):
        prepare(source, (5, 4), tmp_path)  # as of a version that wrote no sums
        assert source.reads == 6
        return
    with pytest.warns(UserWarning, match=f"{name} damaged since written .*prepared again"):
        again = prepare(source, (5, 4), tmp_path)
    assert source.reads == 12
    np.testing.assert_array_equal(again.images, images)
    np.testing.assert_array_equal(again.labels, labels)
    prepare(source, (5, 4), tmp_path)
    assert source.reads == 12 and not list(tmp_path.glob(".preparing-*"))


def test_remains_of_a_killed_process_are_cleared_at_once_and_those_of_one_at_work_stay(memory, tmp_path):
    for name in ("killed", "working"):
        (tmp_path / f".preparing-{name}").mkdir()
        (tmp_path / f".preparing-{name}" / AT_WORK).touch()
    with open(tmp_path / ".preparing-working" / AT_WORK, "rb") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        prepare(memory(), (5, 4), tmp_path)
    assert [path.name for path in tmp_path.glob(".preparing-*")] == [".preparing-working"]
