"""Folders as people have them: beside each other, inside each other, by patient, by split."""

import numpy as np
import pytest

from datasets.base import DataError
from datasets.folder import Folder
from datasets.integrity import check

GREY = np.arange(80, dtype=np.uint8).reshape(8, 10)
MASK = (GREY > 40).astype(np.uint8) * 255


@pytest.fixture
def tree(tmp_path, save):
    """tree(paths, masks) writes a grey image at each path and a mask at each of the others."""

    def write(images, masks, mask=MASK):
        for number, path in enumerate(images):
            save(tmp_path / path, GREY + number)
        for path in masks:
            save(tmp_path / path, mask)
        return tmp_path

    return write


def splits(source):
    return {entry.id: entry.split for entry in check(source)}


def test_sub_folders_are_looked_through_and_names_stay_short_where_they_can(tree):
    names = [f"p{n}/p{n}_{k}" for n in range(4) for k in "ab"]
    root = tree([f"i/{name}.png" for name in names], [f"m/{name}.png" for name in names])
    source = Folder(root / "i", root / "m", group=r"^(p\d)/")
    assert {entry.id: entry.group for entry in check(source)} == {name[3:]: name[:2] for name in names}


def test_files_of_the_same_name_are_told_apart_by_their_folders(tree):
    names = [f"p{n}/slice" for n in range(4)]
    root = tree([f"i/{name}.png" for name in names], [f"m/{name}.png" for name in names])
    assert [entry.id for entry in check(Folder(root / "i", root / "m"))] == [f"p{n}_slice" for n in range(4)]


def test_masks_beside_the_images_and_other_files_left_out_by_pattern(tree):
    names = [f"patient{n}/patient{n}_frame{k}" for n in range(4) for k in (1, 2)]
    others = [f"patient{n}/patient{n}_4d.png" for n in range(4)]
    root = tree([f"{name}.png" for name in names] + others, [f"{name}_gt.png" for name in names])
    with pytest.raises(DataError, match=r"4 of 12 image\(s\) without a mask: .*4d\.png.*dataset\.folder\.pattern"):
        Folder(root, root, mask_suffix="_gt").entries()
    source = Folder(root, root, mask_suffix="_gt", pattern="frame", group=r"(patient\d+)")
    assert len(check(source)) == 8
    with pytest.raises(DataError, match=r"holds no image whose name matches dataset\.folder\.pattern='nothing'"):
        Folder(root, root, mask_suffix="_gt", pattern="nothing").entries()


@pytest.mark.parametrize("layout", ["{kind}/{split}/{name}.png", "{split}/{kind}/{name}.png"])
def test_folders_of_splits_are_the_split(tree, layout):
    cases = {"a": "train", "b": "train", "c": "val", "d": "test"}
    folders = {"train": "Training", "val": "validation", "test": "test"}
    paths = {
        kind: [layout.format(kind=kind, split=folders[split], name=name) for name, split in cases.items()]
        for kind in ("images", "masks")
    }
    root = tree(paths["images"], paths["masks"])
    star = layout.startswith("{split}")
    source = Folder(root / ("*/images" if star else "images"), root / ("*/masks" if star else "masks"))
    assert splits(source) == cases


def test_without_a_validation_part_one_is_taken_from_training_patient_by_patient(tree):
    names = [
        f"{split}/p{n}_{k}" for split, numbers in (("train", range(8)), ("test", (8, 9))) for n in numbers for k in "ab"
    ]
    root = tree([f"i/{name}.png" for name in names], [f"m/{name}.png" for name in names])
    found = splits(Folder(root / "i", root / "m", group=r"(p\d)_"))
    assert {name for name, split in found.items() if split == "test"} == {"p8_a", "p8_b", "p9_a", "p9_b"}
    held = {name for name, split in found.items() if split == "val"}
    assert len(held) == 2 and len({name[:2] for name in held}) == 1


def test_a_star_without_folders_of_splits_or_a_second_star_is_refused(tree):
    root = tree(["x/images/a.png"], ["x/masks/a.png"])
    with pytest.raises(DataError, match="has no folder train, val or test"):
        Folder(root / "*/images", root / "*/masks").entries()
    with pytest.raises(DataError, match=r"expected a \* in both"):
        Folder(root / "*/images", root / "masks").entries()


def test_a_split_file_may_name_patients_and_endings(tree, tmp_path):
    names = [f"p{n}_{k}" for n in range(3) for k in "ab"]
    root = tree([f"i/{name}.png" for name in names], [f"m/{name}.png" for name in names])
    (tmp_path / "split.csv").write_text("id,split\np0,train\np1,val\np2_a.png,test\np2_b.png,test\n")
    found = splits(Folder(root / "i", root / "m", group=r"(p\d)", split=tmp_path / "split.csv"))
    assert list(found.values()) == ["train", "train", "val", "val", "test", "test"]


def test_values_above_a_threshold_are_foreground(tree):
    rough = np.clip(MASK.astype(int) + np.arange(80).reshape(8, 10) % 7 - 3, 0, 255).astype(np.uint8)
    root = tree([f"i/{name}.png" for name in "abc"], [f"m/{name}.png" for name in "abc"], rough)
    with pytest.raises(DataError, match=r"holds the value\(s\) .*255\], expected .*dataset\.folder\.threshold"):
        check(Folder(root / "i", root / "m"))
    source = Folder(root / "i", root / "m", threshold=127)
    check(source)
    np.testing.assert_array_equal(source.read(source.entries()[0]).label, MASK > 0)


def test_classes_may_be_ranges_of_values(tree):
    root = tree([f"i/{name}.png" for name in "abc"], [f"m/{name}.png" for name in "abc"], GREY)
    source = Folder(root / "i", root / "m", classes={"low": "1-39", "high": [40, "50-79"]}, background=[0, "41-49"])
    label = source.read(source.entries()[0]).label
    assert label[0, 0] == 0 and set(label[GREY > 49]) == {2} and set(label[(GREY > 0) & (GREY < 40)]) == {1}
    for wrong in ({"a": "9-3"}, {"a": "x"}, {"a": True}, ["a"], {"a": "0-3"}, {"a": "1-3", "b": 2}):
        with pytest.raises(DataError, match=r"dataset\.folder\.classes"):
            Folder(root / "i", root / "m", classes=wrong)


def test_volumes_say_all_that_is_missing_at_once_with_what_was_found(volumes):
    root = volumes([f"patient{n}_{k}" for n in range(3) for k in "ab"])
    source = Folder(root / "images", root / "masks", name="heart")
    size, classes, patients = source.lacking([64, 64])
    assert "8x9x7 to 10x9x8 voxels" in size and "dataset.heart.image_size.PROFILE=[32,32,32]" in size
    assert "values 0, 1, 2" in classes and "'dataset.heart.classes={class_1: 1, class_2: 2}'" in classes
    assert "2 of 6 names begin with 'patient0'" in patients and "dataset.heart.group" in patients
    settled = Folder(root / "images", root / "masks", classes={"a": 1, "b": 2})
    assert settled.lacking([32, 32, 32]) == []


def test_a_missing_folder_is_named_once(tmp_path):
    with pytest.raises(DataError) as caught:
        Folder(tmp_path / "images", tmp_path / "masks").entries()
    assert "cannot be read" not in str(caught.value) and str(caught.value).count("dataset.folder.") <= 2
