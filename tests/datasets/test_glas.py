import numpy as np
import pytest

from datasets.base import DataError
from datasets.glas import Glas
from datasets.integrity import check
from datasets.prepare import prepare


def split_sizes(entries):
    return {split: sum(entry.split == split for entry in entries) for split in ("train", "val", "test")}


def test_official_split_with_a_part_of_train_for_validation(glas_root):
    entries = check(Glas(glas_root, val_fraction=0.2))
    assert split_sizes(entries) == {"train": 8, "val": 2, "test": 4}
    assert all(entry.id.startswith("test") == (entry.split == "test") for entry in entries)


def test_instances_become_one_class(glas_root):
    source = Glas(glas_root)
    case = source.read(source.entries()[0])
    assert case.image.shape == (3, 24, 30) and case.image.dtype == np.float32
    assert 0 <= case.image.min() < case.image.max() <= 1
    assert set(np.unique(case.label)) == {0, 1} and case.label.sum() == 6 * 6 + 8 * 13


def test_any_picture_format_is_accepted(glas_root, save):
    for name in ("train_1", "train_1_anno"):
        (glas_root / f"{name}.bmp").unlink()
    save(glas_root / "train_1.JPG", np.zeros((24, 30, 3), np.uint8))
    save(glas_root / "train_1_anno.png", np.ones((24, 30), np.uint8))
    assert len(check(Glas(glas_root))) == 14


def test_missing_root_names_folder_and_key(tmp_path):
    with pytest.raises(DataError, match=r"nowhere does not exist.*dataset\.glas\.root"):
        Glas(tmp_path / "nowhere").entries()


def test_folder_without_glas_is_refused(tmp_path, save):
    save(tmp_path / "cat.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match=r"holds no image named train_N.*1 other picture"):
        Glas(tmp_path).entries()


def test_image_without_mask_is_named_with_the_mask_expected(glas_root):
    (glas_root / "train_4_anno.bmp").unlink()
    with pytest.raises(DataError, match=r"train_4\.bmp.*train_4_anno\.bmp"):
        Glas(glas_root).entries()


def test_mask_of_another_size_is_named(glas_root, save):
    save(glas_root / "train_4_anno.bmp", np.ones((24, 29), np.uint8))
    with pytest.raises(DataError, match=r"train_4_anno\.bmp: the image has the size 24x30 and the mask 24x29"):
        check(Glas(glas_root))


def test_same_case_in_two_formats_is_refused(glas_root, save):
    save(glas_root / "train_4.png", np.zeros((24, 30, 3), np.uint8))
    with pytest.raises(DataError, match=r"train_4\.bmp and .*train_4\.png"):
        Glas(glas_root).entries()


@pytest.mark.parametrize("fraction", [0, 1, -0.1])
def test_validation_fraction_out_of_range_is_refused(glas_root, fraction):
    with pytest.raises(DataError, match="val_fraction"):
        Glas(glas_root, val_fraction=fraction).entries()


@pytest.mark.shared
def test_real_glas(shared_data, tmp_path):
    source = Glas(shared_data("glas"), limit={"train": 4, "val": 2, "test": 4})
    everything = source.entries()
    assert split_sizes(everything) == {"train": 72, "val": 13, "test": 80}
    data = prepare(source, (64, 64), tmp_path)
    assert data.images.shape == (10, 3, 64, 64)
    assert 0.3 < data.labels.mean() < 0.7
