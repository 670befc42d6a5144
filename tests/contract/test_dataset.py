"""What every data source must do. Your own: pytest tests/contract --dataset my_package.MySource"""

from types import SimpleNamespace

import numpy as np
import pytest

from datasets.base import SPLITS, Source
from datasets.fingerprint import fingerprint
from datasets.prepare import resized


def differences(a, b):
    """Names of the fields in which two cases differ."""
    same = {
        "id": a.id == b.id,
        "group": a.group == b.group,
        "image": a.image.dtype == b.image.dtype and np.array_equal(a.image, b.image),
        "label": a.label.dtype == b.label.dtype and np.array_equal(a.label, b.label),
        "spacing": a.spacing == b.spacing,
        "place in a video": (a.video, a.time) == (b.video, b.time),
        "instances": np.array_equal(a.instances, b.instances),
    }
    return [name for name, equal in same.items() if not equal]


SUBJECTS: dict[str, SimpleNamespace] = {}
"""By name: pytest takes each test's parameter for another one and would read all cases again for each."""


@pytest.fixture(scope="module")
def subject(dataset):
    """The source, all its entries, and some read cases of each split: up to three images or two volumes."""
    if dataset.absent:
        pytest.skip(dataset.absent)
    if dataset.name not in SUBJECTS:
        source = dataset.build()
        folder = getattr(source, "folder", None)
        if folder is not None and not folder.is_dir():
            pytest.skip(f"{folder}: not there")
        entries, chosen, most = source.entries(), source.selected(), 5 - source.spatial_dims
        few = [entry for split in SPLITS for entry in [e for e in chosen if e.split == split][:most]]
        cases = [source.read(entry) for entry in few]
        SUBJECTS[dataset.name] = SimpleNamespace(source=source, entries=entries, few=few, cases=cases)
    return SUBJECTS[dataset.name]


def test_it_is_a_source_that_introduces_itself(dataset, subject):
    source = subject.source
    assert isinstance(source, Source)
    assert all(isinstance(text, str) and text for text in (source.name, source.title, *source.class_names))
    assert "\n" not in source.title
    assert len(set(source.class_names)) == len(source.class_names) >= 1
    assert "all" not in source.class_names, "the records use this name for all classes together"
    assert source.spatial_dims in (2, 3)
    assert source.fit == "resize" or (source.fit == "pad" and source.spatial_dims == 3)
    assert source.channels >= 1


def test_entries_are_sorted_by_ids_that_are_unique(subject):
    ids = [entry.id for entry in subject.entries]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert all(isinstance(id, str) and id for id in ids)


def test_every_split_has_cases_and_nothing_else_is_a_split(subject):
    assert {entry.split for entry in subject.entries} == set(SPLITS)


def test_no_patient_is_in_two_splits_but_by_an_official_split(subject):
    splits = {}
    if subject.source.official_split:
        pytest.skip("the split is the one its owners released")
    for entry in subject.entries:
        assert splits.setdefault(entry.group, entry.split) == entry.split, entry.group


def test_entries_in_use_are_among_all_entries(subject):
    everything = set(subject.entries)
    assert everything.issuperset(subject.source.selected())


def test_images_are_float32_from_0_to_1_with_the_channels_stated(subject):
    for case in subject.cases:
        assert case.image.dtype == np.float32
        assert case.image.shape == (subject.source.channels, *case.label.shape)
        assert case.label.ndim == subject.source.spatial_dims
        assert np.isfinite(case.image).all()
        assert case.image.min() >= 0 and case.image.max() <= 1
        assert case.image.std() > 0


def test_labels_are_int64_class_indices_and_every_class_occurs(subject):
    classes = len(subject.source.class_names)
    for case in subject.cases:
        assert case.label.dtype == np.int64
        assert case.label.min() >= 0 and case.label.max() <= classes
    assert {int(value) for case in subject.cases for value in np.unique(case.label)} == set(range(classes + 1))


def test_spacing_is_positive_along_every_axis_or_unknown(subject):
    for case in subject.cases:
        assert case.spacing is None or (len(case.spacing) == case.label.ndim and min(case.spacing) > 0)


def test_instances_are_the_foreground_where_they_are_told_apart(subject):
    for case in subject.cases:
        assert (case.instances is not None) == subject.source.instances
        if case.instances is not None:
            assert np.array_equal(case.instances > 0, case.label > 0)


def test_a_case_belongs_to_its_entry(subject):
    for entry, case in zip(subject.few, subject.cases, strict=True):
        assert (case.id, case.group) == (entry.id, entry.group)
        assert (case.video, case.time) == (entry.video, entry.time)


def test_frames_of_a_video_have_one_patient_and_each_its_own_time(subject):
    videos = {}
    for entry in subject.entries:
        assert (entry.video is None) == (entry.time is None)
        if entry.video is not None:
            videos.setdefault(entry.video, []).append(entry)
    for frames in videos.values():
        assert len({entry.group for entry in frames}) == 1
        assert len({entry.time for entry in frames}) == len(frames)


def test_cases_differ_from_each_other(subject):
    images = {case.image.tobytes() for case in subject.cases}
    assert len(images) == len(subject.cases)


def test_reading_depends_neither_on_the_order_nor_on_what_was_read_before(dataset, subject):
    again = dataset.build()
    assert again.entries() == subject.entries
    for entry, case in reversed(list(zip(subject.few, subject.cases, strict=True))):
        np.random.seed(len(case.id))
        assert differences(again.read(entry), case) == []


def test_what_is_read_may_be_changed_without_harm(dataset, subject):
    entry, case = subject.few[0], subject.cases[0]
    image, label = case.image.copy(), case.label.copy()
    taken = subject.source.read(entry)
    taken.image[...] = 0
    taken.label[...] = 0
    fresh = subject.source.read(entry)
    assert np.array_equal(fresh.image, image) and np.array_equal(fresh.label, label)


def test_the_fingerprint_is_that_of_another_instance(dataset, subject, tmp_path):
    assert fingerprint(subject.source, tmp_path / "a") == fingerprint(dataset.build(), tmp_path / "b")


def test_cases_can_be_resized_for_the_methods(subject):
    size = (32,) * subject.source.spatial_dims
    case = resized(subject.cases[0], size)
    assert case.image.shape == (subject.source.channels, *size)
    assert case.label.shape == size
    assert 0 <= case.image.min() <= case.image.max() <= 1
    assert case.label.max() <= len(subject.source.class_names)


def test_volumes_are_more_than_one_voxel_thick(subject):
    if subject.source.spatial_dims == 3:
        assert all(min(case.label.shape) > 1 for case in subject.cases)


def test_the_augmentation_fits_the_image(subject):
    policy = subject.source.augmentation
    assert all(0 <= axis < subject.source.spatial_dims for axis in policy.flips)
    assert policy.intensity >= 0
