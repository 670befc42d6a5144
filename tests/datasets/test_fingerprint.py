import os
import shutil
import time

import pytest

import datasets.fingerprint as module
from datasets.camus import Camus
from datasets.fingerprint import fingerprint
from datasets.folder import Folder
from datasets.glas import Glas
from datasets.phantom_glands import PhantomGlands


def age(root, seconds=60):
    """Lets all files look as if they were written a while ago."""
    then = time.time() - seconds
    for path in root.rglob("*"):
        os.utime(path, (then, then))


def test_moving_the_folder_changes_nothing(glas_root, tmp_path):
    before = fingerprint(Glas(glas_root))
    shutil.move(glas_root, tmp_path / "elsewhere")
    assert fingerprint(Glas(tmp_path / "elsewhere")) == before


def test_content_split_limit_and_class_mapping_count(glas_root, folders):
    prints = {fingerprint(Glas(glas_root))}
    prints.add(fingerprint(Glas(glas_root, seed=1)))
    prints.add(fingerprint(Glas(glas_root, limit={"train": 3})))
    path = glas_root / "train_1.bmp"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    prints.add(fingerprint(Glas(glas_root)))
    images, masks = folders("abcdef", values=(0, 1, 2))
    for classes in ({"one": 1, "two": 2}, {"one": 2, "two": 1}, {"one": [1, 2]}):
        prints.add(fingerprint(Folder(images, masks, classes=classes)))
    assert len(prints) == 7


def test_limit_that_leaves_all_cases_changes_nothing(glas_root):
    assert fingerprint(Glas(glas_root, limit={"train": 99})) == fingerprint(Glas(glas_root))


def test_cache_gives_the_same_hash_and_notices_an_edit_of_the_same_size(glas_root, tmp_path):
    cache = tmp_path / "cache"
    age(glas_root)
    before = fingerprint(Glas(glas_root), cache)
    assert before == fingerprint(Glas(glas_root), cache) == fingerprint(Glas(glas_root))
    path = glas_root / "train_1.bmp"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert fingerprint(Glas(glas_root), cache) != before
    assert fingerprint(Glas(glas_root), cache) == fingerprint(Glas(glas_root))


def test_cache_spares_reading_settled_files_only(glas_root, tmp_path, monkeypatch):
    hashed = []
    original = module._hash
    monkeypatch.setattr(module, "_hash", lambda path: hashed.append(path) or original(path))
    fingerprint(Glas(glas_root), tmp_path / "cache")
    fingerprint(Glas(glas_root), tmp_path / "cache")
    assert len(hashed) == 2 * 28  # written a moment ago: a change within the clock's tick could go unnoticed
    age(glas_root)
    fingerprint(Glas(glas_root), tmp_path / "cache")
    fingerprint(Glas(glas_root), tmp_path / "cache")
    assert len(hashed) == 3 * 28


def test_damaged_cache_is_replaced(glas_root, tmp_path):
    age(glas_root)
    (tmp_path / "file_hashes.json").write_text("{")
    assert fingerprint(Glas(glas_root), tmp_path) == fingerprint(Glas(glas_root))


def test_a_flipped_bit_in_a_remembered_hash_makes_no_other_data_of_the_same_files(glas_root, tmp_path):
    age(glas_root)
    expected = fingerprint(Glas(glas_root), tmp_path)
    path = tmp_path / "file_hashes.json"
    content = path.read_text()
    for at in range(len(content) // 2, len(content), len(content) // 40):
        path.write_text(content[:at] + ("1" if content[at] != "1" else "2") + content[at + 1 :])
        assert fingerprint(Glas(glas_root), tmp_path) == expected
        path.write_text(content)


def test_seed_and_size_of_a_phantom_count():
    settings = [{}, {"seed": 1}, {"size": 64}, {"cases": {"train": 1, "val": 1, "test": 1}}]
    assert len({fingerprint(PhantomGlands(**setting)) for setting in settings}) == 4


@pytest.mark.shared
def test_real_data(shared_data, tmp_path):
    for source in (Glas(shared_data("glas")), Camus(shared_data("camus"))):
        assert fingerprint(source, tmp_path) == fingerprint(source, tmp_path) == fingerprint(source)
