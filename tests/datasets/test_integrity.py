from dataclasses import replace

import numpy as np
import pytest

from datasets.base import DataError, Entry
from datasets.glas import Glas
from datasets.integrity import check, checked, shared_cases

IMAGE = np.full((1, 6, 5), 0.5, np.float32)
LABEL = np.ones((6, 5), np.int64)


def cases(**changes):
    """Three sound cases; changes replace (split, group, image, label) of a, b or c."""
    sound = {name: [split, name, IMAGE, LABEL] for name, split in (("a", "train"), ("b", "val"), ("c", "test"))}
    for name, change in changes.items():
        for place, value in change.items():
            sound[name][("split", "group", "image", "label").index(place)] = value
    return [(name, group, split, image, label) for name, (split, group, image, label) in sound.items()]


def problems(source, cache=None) -> str:
    with pytest.raises(DataError) as error:
        check(source, cache)
    return str(error.value)


def test_sound_data_pass_and_entries_come_back_sorted(memory):
    assert [entry.id for entry in check(memory(cases()))] == ["a", "b", "c"]


def test_patient_in_train_and_test_is_refused(memory):
    text = problems(memory(cases(a={"group": "p7"}, c={"group": "p7"})))
    assert "'p7'" in text and "test (case c) and train (case a)" in text and "Move all cases" in text


def test_an_official_split_may_share_patients_and_says_how_many_test_cases_that_concerns(memory):
    source = memory(cases(a={"group": "p7"}, c={"group": "p7"}))
    source.official_split = True
    assert shared_cases(check(source)) == 1
    assert shared_cases(check(memory(cases()))) == 0


@pytest.mark.parametrize(
    ("instances", "message"),
    [
        (None, "case a: the instances are not the label's foreground"),
        (np.zeros((6, 5), int), "case a: the instances are not the label's foreground"),
        (np.ones((6, 4), int), "case a: the instances are not the label's foreground"),
        (np.full((6, 5), 70000), "case a: an instance has the number 70000, expected 1 to 65535"),
    ],
)
def test_instances_that_do_not_fit_the_label_are_refused(memory, instances, message):
    source = memory(cases())
    source.instances, read = True, source.read
    source.read = lambda entry: replace(read(entry), instances=instances if entry.id == "a" else LABEL)
    assert message in problems(source)


def test_mask_of_another_size_is_refused(memory):
    text = problems(memory(cases(b={"label": np.ones((6, 4), np.int64)})))
    assert "case b" in text and "6x5" in text and "6x4" in text


def test_unexpected_label_value_is_refused(memory):
    text = problems(memory(cases(c={"label": LABEL * 7})))
    assert "case c" in text and "[7]" in text and "expected 0 (background) to 2 (one, two)" in text


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(memory, value):
    image = IMAGE.copy()
    image[0, 0, 0] = value
    assert "case a: the image holds 1 values that are not finite" in problems(memory(cases(a={"image": image})))


def test_images_outside_zero_to_one_are_refused(memory):
    assert "from 127.5 to 127.5, expected 0 to 1" in problems(memory(cases(a={"image": IMAGE * 255})))


def test_wrong_number_of_channels_is_refused(memory):
    assert "expected 1 channel(s)" in problems(memory(cases(a={"image": np.repeat(IMAGE, 3, 0)})))


def test_empty_split_is_refused(memory):
    assert "'val' is empty" in problems(memory(cases(b={"split": "train"})))


def test_unknown_split_is_refused(memory):
    assert "'training'" in problems(memory(cases(a={"split": "training"})))


def test_double_id_is_refused(memory):
    source = memory(cases())
    source.listed.append(Entry("a", "other", "train"))
    assert "'a' is used by 2 cases" in problems(source)


def test_no_cases_are_refused(memory):
    assert "has no cases" in problems(memory([]))


def test_training_labels_without_foreground_are_refused(memory):
    assert "no training label holds any foreground" in problems(memory(cases(a={"label": LABEL * 0})))


def test_all_problems_come_in_one_error_of_ten_at_most(memory):
    many = [(f"x{n:02d}", f"p{n}", "train", IMAGE, LABEL * 9) for n in range(25)]
    text = problems(memory(cases() + many))
    assert text.count("\n  - ") == 10
    both = problems(memory(cases(a={"label": LABEL * 9}, b={"image": IMAGE * 3})))
    assert "case a" in both and "case b" in both


def test_truncated_image_is_named(glas_root):
    path = glas_root / "train_3.bmp"
    path.write_bytes(path.read_bytes()[:300])
    text = problems(Glas(glas_root))
    assert str(path) in text and "truncated" in text


def test_files_are_read_once_and_again_after_a_change(glas_root, tmp_path, monkeypatch):
    read = []
    original = Glas.read
    monkeypatch.setattr(Glas, "read", lambda self, entry: read.append(entry.id) or original(self, entry))
    check(Glas(glas_root), tmp_path / "cache")
    check(Glas(glas_root), tmp_path / "cache")
    assert len(read) == 14
    path = glas_root / "train_3.bmp"
    path.write_bytes(path.read_bytes()[:300])
    assert str(path) in problems(Glas(glas_root), tmp_path / "cache")


def test_failed_check_is_not_remembered(glas_root, tmp_path):
    path = glas_root / "testA_1_anno.bmp"
    path.write_bytes(path.read_bytes()[:300])
    for _ in range(2):
        assert str(path) in problems(Glas(glas_root), tmp_path / "cache")


def test_cases_are_read_only_a_little_ahead_of_their_use(memory):
    source = memory([(f"x{n:02d}", f"p{n}", "train", IMAGE, LABEL) for n in range(40)])
    for used, _ in enumerate(checked(source, source.entries()), 1):
        assert source.reads <= used + 8, "volumes that wait for their use would fill the memory"
    assert used == source.reads == 40


def test_volume_and_label_of_different_sizes_are_refused_by_their_axes(memory):
    source = memory(cases(b={"image": np.full((1, 6, 5, 4), 0.5, np.float32), "label": np.ones((6, 4, 5), np.int64)}))
    source.spatial_dims = 3
    assert "the image has the size 6x5x4 and the mask 6x4x5, expected the same (X x Y x Z)" in problems(source)
