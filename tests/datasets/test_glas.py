import numpy as np
import pytest

from datasets.base import DataError
from datasets.glas import Glas
from datasets.integrity import check, check_entries, shared_cases
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
    assert case.spacing == (0.62, 0.62) and source.length_unit == "um"


def test_instances_are_kept_on_their_own_grid_beside_the_label(glas_root, tmp_path):
    data = prepare(Glas(glas_root), (12, 12), tmp_path)
    for index in range(len(data.ids)):
        label, spacing = data.truth(index)
        assert label.shape == data.instances[index].shape == (24, 30) and data.labels[index].shape == (12, 12)
        assert np.array_equal(label > 0, data.instances[index] > 0)
        assert set(np.unique(data.instances[index])) == {0, 1, 2}
        assert spacing == (0.62, 0.62) and data.unit(index) == "um"
    assert data.subsets == [{"A": "test A", "B": "test B"}.get(name.split("_")[0][-1]) for name in data.ids]


def test_cases_are_grouped_by_the_patients_of_the_release(graded):
    source = Glas(graded)
    entries = check(source)
    assert source.patients and source.official_split
    assert {entry.id: entry.group for entry in entries}["testB_2"] == "7"
    assert len({entry.group for entry in entries}) == 7 and shared_cases(entries) == 2


def test_without_a_table_of_patients_each_image_is_its_own_group(glas_root):
    source = Glas(glas_root)
    entries = check(source)
    assert not source.patients and shared_cases(entries) == 0
    assert all(entry.group == entry.id for entry in entries)


@pytest.mark.parametrize("seed", range(5))
def test_a_split_by_patient_uses_all_images_and_shares_nobody(graded, seed):
    source = Glas(graded, split="patients", seed=seed)
    entries = check(source)
    assert not source.official_split and len(entries) == 14 and shared_cases(entries) == 0
    assert min(split_sizes(entries).values()) >= 1
    assert all(entry.subset is None for entry in entries)
    assert entries == check(Glas(graded, split="patients", seed=seed))


def test_seeds_split_patients_differently(graded):
    assert len({str(check(Glas(graded, split="patients", seed=seed))) for seed in range(5)}) > 1


def test_a_split_by_patient_needs_the_table_of_patients(glas_root):
    with pytest.raises(DataError, match=r"Grade\.csv does not exist, and dataset\.glas\.split=patients needs it"):
        Glas(glas_root, split="patients").entries()


def test_another_split_is_refused(glas_root):
    with pytest.raises(DataError, match=r"dataset\.glas\.split is 'random', expected one of official, patients"):
        Glas(glas_root, split="random")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column name and none patient ID .found: nothing"),
        ("name,patient ID\n", "names no image"),
        ("name,patient ID\ntrain_1,3\ntrain_2,\n", r"line 3: patient ID is blank \(found 'train_2', ''\)"),
        ("name,patient ID\ntrain_1,3\n\n  ,4\n", r"line 4: name is blank .*restore it"),
        ("name,patient ID\ntrain_1,nan\n", r"line 2: patient ID is blank \(found 'train_1', 'nan'\)"),
        ("image,patient\ntrain_1,3\n", r"has no column name and none patient ID \(found: image, patient\)"),
        (
            "name,patient ID\ntrain_1,3\ntrain_2,3\ntrain_1,4\n",
            "line 4: train_1 is of patient 4, but of patient 3 in line 2.*remove the wrong line",
        ),
        ("name,patient ID\ntrain_1,3\n", r"names no patient for testA_1, .* \(13 of 14 images\)"),
    ],
)
def test_a_table_that_is_none_is_refused(graded, text, message):
    (graded / "Grade.csv").write_text(text)
    with pytest.raises(DataError, match=rf"Grade\.csv.*{message}"):
        Glas(graded).entries()


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
    if source.patients:
        assert len({entry.group for entry in everything}) == 16 and shared_cases(everything) == 79


@pytest.mark.shared
def test_patients_of_real_glas_are_dealt_out(shared_data):
    source = Glas(shared_data("glas"), split="patients")
    if not source.patients:
        pytest.skip("the real glas data come without Grade.csv")
    entries = check_entries(source)
    sizes = split_sizes(entries)
    assert len(entries) == 165 and shared_cases(entries) == 0
    assert 40 <= sizes["test"] <= 70 and sizes["val"] >= 5
