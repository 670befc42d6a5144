import json

import nibabel
import numpy as np
import pytest
from PIL import Image

from datasets.base import DataError
from datasets.folder import Folder
from datasets.integrity import check
from datasets.prepare import prepare

NAMES = [f"case{n}" for n in range(10)]


def first(source):
    return source.read(source.entries()[0])


@pytest.mark.parametrize("values", [(0, 1), (0, 255)])
def test_binary_masks_need_no_settings(folders, values):
    source = Folder(*folders(NAMES, values))
    entries = check(source)
    assert [sum(entry.split == split for entry in entries) for split in ("train", "val", "test")] == [7, 1, 2]
    case = first(source)
    assert source.class_names == ("foreground",) and source.channels == 1
    assert set(np.unique(case.label)) == {0, 1} and case.image.shape == (1, 20, 16)


def test_classes_by_value_and_by_list(folders):
    source = Folder(*folders(NAMES, (0, 10, 20, 30)), classes={"polyp": 20, "tool": [10, 30]})
    label = first(source).label
    assert source.class_names == ("polyp", "tool")
    np.testing.assert_array_equal(label.ravel()[:20], np.repeat([0, 2, 1, 2], 5))
    check(source)


def test_values_can_be_background(folders):
    source = Folder(*folders(NAMES, (0, 10, 20)), classes={"polyp": 20}, background=[0, 10])
    np.testing.assert_array_equal(first(source).label.ravel()[:15], np.repeat([0, 0, 1], 5))


@pytest.mark.parametrize("classes, expected", [(None, "0 and 1, or 0 and 255"), ({"polyp": 7}, r"\{'polyp': \[7\]\}")])
def test_unexpected_value_names_file_values_and_key(folders, classes, expected):
    source = Folder(*folders(NAMES, (0, 7, 9)), classes=classes)
    message = rf"case0\.png holds the value\(s\) .*9\], expected .*{expected}.*dataset\.folder\.classes"
    with pytest.raises(DataError, match=message):
        check(source)


def test_jpeg_masks_get_their_own_advice(folders, tmp_path):
    images, masks = folders(NAMES)
    Image.open(masks / "case0.png").convert("L").save(masks / "case0.jpg", quality=50)
    (masks / "case0.png").unlink()
    with pytest.raises(DataError, match="JPEG changes label values"):
        check(Folder(images, masks))


def test_masks_beside_the_images_by_suffix(folders):
    images, masks = folders(NAMES)
    for path in masks.iterdir():
        path.rename(images / f"{path.stem}_mask.png")
    source = Folder(images, images, mask_suffix="_mask")
    assert [entry.id for entry in check(source)] == NAMES
    with pytest.raises(DataError, match=r"dataset\.folder\.mask_suffix"):
        Folder(images, images).entries()


def test_patients_stay_together(folders):
    names = [f"p{patient}_slice{n}" for patient in range(8) for n in range(3)]
    entries = check(Folder(*folders(names), group=r"(p\d+)_"))
    assert {entry.group for entry in entries} == {f"p{n}" for n in range(8)}
    assert all(len({entry.split for entry in entries if entry.group == f"p{n}"}) == 1 for n in range(8))


def test_name_without_patient_is_refused(folders):
    source = Folder(*folders(["p1_a", "p2_a", "other"]), group=r"(p\d+)_")
    with pytest.raises(DataError, match=r"other\.png does not match dataset\.folder\.group"):
        source.entries()


@pytest.fixture(params=["csv", "ids by split", "split by id"])
def split_file(request, tmp_path):
    """split_file({id: split}) writes the split in each of the three forms."""

    def write(splits):
        if request.param == "csv":
            path = tmp_path / "split.csv"
            path.write_text("id,split\n" + "".join(f"{name},{split}\n" for name, split in splits.items()))
            return path
        path = tmp_path / "split.json"
        by_split = {s: [name for name in splits if splits[name] == s] for s in dict.fromkeys(splits.values())}
        path.write_text(json.dumps(by_split if request.param == "ids by split" else splits))
        return path

    return write


SPLIT = {name: "train" if n < 6 else "val" if n < 8 else "test" for n, name in enumerate(NAMES)}


def test_split_file(folders, split_file):
    assert {entry.id: entry.split for entry in check(Folder(*folders(NAMES), split=split_file(SPLIT)))} == SPLIT


def test_split_file_that_does_not_fit_is_refused(folders, split_file):
    path = split_file({**{name: s for name, s in SPLIT.items() if name != "case3"}, "case99": "test"})
    with pytest.raises(DataError, match=r"no split for \['case3'\].*no image for \['case99'\]"):
        Folder(*folders(NAMES), split=path).entries()


def test_unknown_split_name_is_refused(folders, split_file):
    with pytest.raises(DataError, match="puts 'case0' in 'training', expected one of train, val, test"):
        Folder(*folders(NAMES), split=split_file(SPLIT | {"case0": "training"})).entries()


def test_split_file_with_a_patient_in_train_and_test_is_refused(folders, split_file):
    names = ["p1_a", "p1_b", "p2_a", "p3_a"]
    path = split_file(dict(zip(names, ("train", "test", "val", "test"))))
    with pytest.raises(DataError, match=r"patient \(group\) 'p1' is in test .*p1_b.* and train .*p1_a"):
        check(Folder(*folders(names), group=r"p\d+", split=path))


@pytest.mark.parametrize("text", ["{", "[1]", '{"train": 3}'])
def test_malformed_split_file_is_refused(folders, tmp_path, text):
    path = tmp_path / "split.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"split\.json"):
        Folder(*folders(NAMES), split=path).entries()


def test_colour_grey_and_alpha_images(folders, save):
    images, masks = folders(NAMES)
    colour = np.random.default_rng(0).integers(0, 256, (20, 16, 4), np.uint8)
    save(images / "case0.png", colour)
    grey = Folder(images, masks, channels=1)
    np.testing.assert_allclose(first(grey).image[0], colour[..., :3] @ [0.299, 0.587, 0.114] / 255, atol=1e-6)
    assert {case.image.shape for case in map(grey.read, grey.entries())} == {(1, 20, 16)}
    both = Folder(images, masks, channels=3)
    assert {case.image.shape for case in map(both.read, both.entries())} == {(3, 20, 16)}
    undecided = Folder(images, masks)
    assert undecided.channels == 3
    (images / "case0.png").unlink(), (masks / "case0.png").unlink()
    save(images / "case9.png", colour)
    with pytest.raises(DataError, match=r"case9\.png has 3 channel\(s\), expected 1 .*dataset\.folder\.channels"):
        check(Folder(images, masks))


@pytest.mark.parametrize("ending", [".png", ".tif", ".tiff", ".bmp", ".npz", ".nii.gz", ".nii"])
def test_every_format_holds_the_same_picture(tmp_path, save, ending):
    values = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    for name in ("a", "b", "c"):
        save(tmp_path / "masks" / f"{name}.png", np.eye(3, 4, dtype=np.uint8))
        path = tmp_path / "images" / f"{name}{ending}"
        path.parent.mkdir(exist_ok=True)
        if ending == ".npz":
            np.savez(path, image=values, other=values[0])
        elif "nii" in ending:
            nibabel.save(nibabel.Nifti1Image(values.T[..., None], np.diag([2.0, 3.0, 1, 1])), path)
        else:
            save(path, values)
    case = first(Folder(tmp_path / "images", tmp_path / "masks"))
    np.testing.assert_allclose(case.image[0], values / 255, atol=1e-6)
    assert case.spacing == ((3.0, 2.0) if "nii" in ending else None)


def test_image_and_mask_in_one_npz(tmp_path):
    for name in "abc":
        np.savez(tmp_path / f"{name}.npz", image=np.full((4, 4), 0.5), mask=np.eye(4, dtype=np.uint8))
    source = Folder(tmp_path, tmp_path, window=[0, 1])
    check(source)
    np.testing.assert_array_equal(first(source).label, np.eye(4))


def test_sixteen_bits_and_a_window(folders, save):
    images, masks = folders(NAMES)
    values = np.full((20, 16), 1000, np.uint16)
    for name in NAMES:
        save(images / f"{name}.png", values)
    assert first(Folder(images, masks)).image.max() == pytest.approx(1000 / 65535)
    assert first(Folder(images, masks, window=[500, 1500])).image.max() == pytest.approx(0.5)


def test_values_that_are_not_finite_are_refused(folders):
    images, masks = folders(NAMES)
    values = np.zeros((20, 16), np.float32)
    values[3, 3] = np.nan
    (images / "case0.png").unlink()
    np.savez(images / "case0.npz", values)
    with pytest.raises(DataError, match=r"case0\.npz.*values that are not finite"):
        check(Folder(images, masks))


def test_volumes_among_images_are_refused(folders, tmp_path):
    images, masks = folders(NAMES)
    (images / "case5.png").unlink()
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), np.uint8), np.eye(4)), images / "case5.nii.gz")
    with pytest.raises(DataError, match=r"case5\.nii\.gz is a volume of shape \(4, 5, 6\), expected a 2D image"):
        check(Folder(images, masks, channels=1))
    (images / "case5.nii.gz").unlink()
    pages = [Image.fromarray(np.zeros((20, 16), np.uint8)) for _ in range(3)]
    pages[0].save(images / "case5.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match=r"case5\.tif holds 3 pages.*save a volume as NIfTI or npz"):
        check(Folder(images, masks, channels=1))


def test_truncated_image_is_named(folders):
    images, masks = folders(NAMES)
    path = images / "case5.png"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(DataError, match=r"case5\.png cannot be read.*truncated or damaged"):
        check(Folder(images, masks))


def test_text_with_the_ending_of_an_image_is_named(folders):
    images, masks = folders(NAMES)
    (masks / "case5.png").write_text("no picture")
    with pytest.raises(DataError, match=r"masks/case5\.png cannot be read"):
        check(Folder(images, masks))


def test_colour_masks_are_refused_and_grey_ones_stored_as_colour_accepted(folders, save):
    images, masks = folders(NAMES)
    mask = np.zeros((20, 16, 3), np.uint8)
    mask[:5] = 255
    save(masks / "case0.png", mask)
    assert first(Folder(images, masks)).label.sum() == 5 * 16
    mask[:5, :, 1] = 0
    save(masks / "case0.png", mask)
    with pytest.raises(DataError, match=r"case0\.png is a colour picture"):
        first(Folder(images, masks))


def test_image_without_mask_is_named(folders):
    images, masks = folders(NAMES)
    (masks / "case2.png").unlink()
    with pytest.raises(DataError, match=r"1 of 10 image\(s\) without a mask: .*case2\.png.*folder\.mask_suffix"):
        Folder(images, masks).entries()


def test_mask_of_another_size_is_named(folders, save):
    images, masks = folders(NAMES)
    save(masks / "case2.png", np.ones((16, 20), np.uint8))
    with pytest.raises(DataError, match=r"case2\.png with .*case2\.png: .* the size 20x16 and the mask 16x20"):
        check(Folder(images, masks))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"images": None}, "dataset.mine.images is not set"),
        ({"masks": None}, "dataset.mine.masks is not set"),
        ({"channels": 0}, "dataset.mine.channels is 0"),
        ({"window": [1, 0]}, "dataset.mine.window"),
        ({"group": "("}, "dataset.mine.group"),
        ({"classes": {"a": 1, "b": [1]}}, "a value is used twice"),
        ({"classes": {"a": 0}}, "a value is used twice"),
    ],
)
def test_settings_that_cannot_be_used_name_their_key(settings, message):
    with pytest.raises(DataError, match=message):
        Folder(**{"images": "images", "masks": "masks", "name": "mine"} | settings)


def test_missing_folder_names_its_key(folders, tmp_path):
    images, _ = folders(NAMES)
    with pytest.raises(DataError, match=r"nowhere does not exist.*dataset\.folder\.masks"):
        Folder(images, tmp_path / "nowhere").entries()


def test_folder_can_be_prepared(folders, tmp_path):
    data = prepare(Folder(*folders(NAMES), name="mine"), (8, 8), tmp_path / "cache")
    assert data.name == "mine" and data.images.shape == (10, 1, 8, 8)
