"""Volumes brought to one size: resampled, or padded and cropped on their own grids."""

import numpy as np
import pytest

from datasets.base import Case, DataError, Entry, Source
from datasets.fingerprint import fingerprint
from datasets.phantom_echo import PhantomEcho
from datasets.prepare import prepare
from datasets.prepared import Prepared, Ragged

SHAPES = [(6, 9, 7), (8, 8, 8), (13, 5, 11), (7, 20, 4)]
SPACING = (0.5, 1.0, 2.0)


class Volumes(Source):
    """Four volumes of different shapes; the foreground is what is bright."""

    name = "volumes"
    title = "Volumes in memory"
    spatial_dims = 3
    channels = 2
    class_names = ("bright",)

    def __init__(self, fit="resize"):
        super().__init__(fit=fit)

    def entries(self):
        return [Entry(f"v{n}", f"v{n}", split) for n, split in enumerate(("train", "train", "val", "test"))]

    def read(self, entry):
        number = int(entry.id[1:])
        image = np.random.default_rng(number).random((2, *SHAPES[number]), np.float32)
        return Case(entry.id, entry.group, image, (image[0] > 0.5).astype(np.int64), SPACING)

    def content(self):
        return b"volumes"


@pytest.fixture
def padded(tmp_path):
    return prepare(Volumes("pad"), (8, 8, 8), tmp_path)


@pytest.fixture
def resampled(tmp_path):
    return prepare(Volumes(), (8, 8, 8), tmp_path)


def test_padded_cases_keep_their_own_grid(padded):
    assert padded.fit == "pad" and len(padded.images) == len(padded.labels) == 4
    for number, entry in enumerate(Volumes().entries()):
        case = Volumes().read(entry)
        np.testing.assert_array_equal(padded.images[number], case.image)
        np.testing.assert_array_equal(padded.labels[number], case.label)
        label, spacing = padded.truth(number)
        np.testing.assert_array_equal(label, case.label)
        assert label.dtype == np.uint8 and spacing == SPACING == padded.spacing[number]
    assert isinstance(padded.images[0], np.memmap) and not padded.images[0].flags.writeable


def test_resampled_cases_keep_their_own_labels_for_scoring(resampled):
    assert resampled.fit == "resize" and resampled.images.shape == (4, 2, 8, 8, 8)
    for number, entry in enumerate(Volumes().entries()):
        label, spacing = resampled.truth(number)
        np.testing.assert_array_equal(label, Volumes().read(entry).label)
        assert label.dtype == np.uint8 and spacing == SPACING
    assert resampled.spacing[0] == pytest.approx((0.5 * 6 / 8, 9 / 8, 2.0 * 7 / 8))


@pytest.mark.parametrize("fit", ["pad", "resize"])
def test_batches_have_the_image_size(tmp_path, fit):
    data = prepare(Volumes(fit), (8, 8, 8), tmp_path)
    images, labels = data.batch(np.array([3, 1]))
    assert images.shape == (2, 2, 8, 8, 8) and images.dtype == np.float32
    assert labels.shape == (2, 8, 8, 8) and labels.dtype == np.uint8
    np.testing.assert_array_equal(images[1], data.images[1])  # its own size is the image size
    images[:] = 0  # copies may be written to


def test_training_cases_of_padded_data_are_random_crops(padded):
    crops = {padded.training_case(3, np.random.default_rng(seed))[1].tobytes() for seed in range(40)}
    assert len(crops) == 13  # 20 voxels along the second axis, 8 of them in a crop
    for seed in range(5):
        image, label = padded.training_case(2, np.random.default_rng(seed))
        assert image.shape == (2, 8, 8, 8)
        inside = image.sum(0) > 0
        np.testing.assert_array_equal(inside.sum((0, 2)) > 0, [0, 1, 1, 1, 1, 1, 0, 0])  # 5 voxels, padded
        np.testing.assert_array_equal((image[0] > 0.5), label)


def test_training_cases_of_resampled_data_are_the_stored_ones_without_a_draw(resampled):
    generator = np.random.default_rng(0)
    image, label = resampled.training_case(2, generator)
    np.testing.assert_array_equal(image, resampled.images[2])
    np.testing.assert_array_equal(label, resampled.labels[2])
    assert generator.random() == np.random.default_rng(0).random()


def test_own_grids_are_stored_once_for_all_image_sizes(tmp_path):
    for size in ((8, 8, 8), (4, 4, 16)):
        assert prepare(Volumes("pad"), size, tmp_path).image_size == size
    assert len([path for path in tmp_path.iterdir() if path.name.startswith("volumes-own-")]) == 1


def test_images_keep_the_truth_on_their_own_grid_too(memory, tmp_path):
    source = memory(spacing=(2.0, 1.0))
    data = prepare(source, (5, 4), tmp_path)
    label, spacing = data.truth(2)
    np.testing.assert_array_equal(label, source.cases["c2"][2])
    assert data.labels[2].shape == (5, 4) and label.dtype == np.uint8 and isinstance(label.base, np.memmap)
    assert data.unit(2) == "mm" and prepare(memory(), (5, 4), tmp_path / "none").unit(2) == "px"
    assert spacing == (2.0, 1.0) and data.spacing[2] == (4.0, 2.0)
    assert data.videos == data.times == [None] * 6
    assert any("-5x4-v2-" in path.name for path in tmp_path.iterdir()), "images of before lack the own grids"
    images, labels = data.batch([4, 0])
    np.testing.assert_array_equal(images, data.images[[4, 0]])
    np.testing.assert_array_equal(labels, data.labels[[4, 0]])


def test_frames_know_their_video_and_time(tmp_path):
    data = prepare(PhantomEcho({"train": 1, "val": 1, "test": 1}, frames=3, size=32), (32, 32), tmp_path)
    assert data.videos == [video for video in ("test_000", "train_000", "val_000") for _ in range(3)]
    assert data.times == [0, 1, 2] * 3


def test_how_volumes_are_fitted_is_in_the_fingerprint():
    assert fingerprint(Volumes("pad")) != fingerprint(Volumes())


def test_padding_is_for_volumes_and_other_words_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"dataset\.volumes\.fit is 'crop', expected one of resize, pad"):
        Volumes("crop")

    class Flat(Volumes):
        spatial_dims = 2

    with pytest.raises(DataError, match=r"dataset\.volumes\.fit is 'pad', which is for volumes only"):
        Flat("pad")


def test_image_size_of_images_is_refused_for_volumes(tmp_path):
    with pytest.raises(DataError, match=r"dataset\.volumes\.image_size is \[64, 64\] and the images have 3 spatial"):
        prepare(Volumes(), (64, 64), tmp_path)


def test_ragged_arrays_come_in_order_and_end():
    ragged = Ragged(np.arange(10), [(2, 3), (4,)])
    assert [array.tolist() for array in ragged] == [[[0, 1, 2], [3, 4, 5]], [6, 7, 8, 9]]
    np.testing.assert_array_equal(ragged[-1], [6, 7, 8, 9])
    with pytest.raises(IndexError):
        ragged[2]
    with pytest.raises(ValueError, match="need 9 values and there are 10"):
        Ragged(np.arange(10), [(9,)])


def test_prepared_data_name_no_video_where_none_is_given():
    arrays = np.zeros((1, 1, 4, 4)), np.zeros((1, 4, 4))
    data = Prepared("one", ["a"], (4, 4), "0", ["x"], ["x"], {}, *arrays, [None], None)
    assert data.videos == [None] and data.times == [None] and data.fit == "resize"
