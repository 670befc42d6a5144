import numpy as np
import pytest
from monai.inferers import sliding_window_inference
from torch import from_numpy

from datasets.crops import centred, fitted, random_start

IMAGE = np.random.default_rng(0).random((2, 7, 5, 9), np.float32)
LABEL = (IMAGE[0] > 0.5).astype(np.uint8)


def starts(label, size, count=300, classes=2):
    return [tuple(random_start(label, size, classes, np.random.default_rng(seed))) for seed in range(count)]


def test_own_size_changes_nothing():
    image, label = fitted(IMAGE, LABEL, (7, 5, 9))
    np.testing.assert_array_equal(image, IMAGE)
    np.testing.assert_array_equal(label, LABEL)
    image[:] = 0
    assert IMAGE.any(), "the arrays are new"


def test_smaller_axes_are_padded_with_zeros_and_longer_ones_cropped_in_the_middle():
    image, label = fitted(IMAGE, LABEL, (4, 8, 9))
    assert image.shape == (2, 4, 8, 9) and label.shape == (4, 8, 9)
    assert image.dtype == np.float32 and label.dtype == np.uint8
    np.testing.assert_array_equal(image[:, :, 1:6], IMAGE[:, 1:5])
    np.testing.assert_array_equal(label[:, 1:6], LABEL[1:5])
    assert not image[:, :, :1].any() and not image[:, :, 6:].any() and not label[:, 6:].any()


@pytest.mark.parametrize("size", [(8, 8, 12), (9, 6, 10), (10, 5, 9)])
def test_padding_is_where_sliding_window_inference_puts_it(size):
    seen = []
    sliding_window_inference(from_numpy(IMAGE[None]), size, 1, lambda x: seen.append(x.numpy()) or x)
    np.testing.assert_array_equal(fitted(IMAGE, LABEL, size)[0], seen[0][0])


def test_a_start_can_be_given_inside_and_outside():
    image, label = fitted(IMAGE, LABEL, (3, 3, 3), (-1, 3, 4))
    np.testing.assert_array_equal(image[:, 1:, :2], IMAGE[:, :2, 3:5, 4:7])
    assert not image[:, 0].any() and not image[:, :, 2].any() and not label[0].any()


def test_random_crops_stay_inside_and_reach_both_borders():
    found = starts(LABEL, (4, 8, 5))
    assert {start[0] for start in found} == {0, 1, 2, 3}
    assert {start[1] for start in found} == {centred(LABEL.shape, (4, 8, 5))[1]} == {-1}
    assert {start[2] for start in found} == {0, 1, 2, 3, 4}


def test_a_third_of_the_crops_are_centred_on_the_foreground():
    label = np.zeros((40, 6, 6), np.uint8)
    label[30, 2, 2] = 2
    share = np.mean([start[0] == 28 for start in starts(label, (4, 6, 6), 2000)])
    assert share == pytest.approx(1 / 3 + 2 / 3 / 37, abs=0.04)
    label[30] = 0
    label[0, 0, 0] = 1
    share = np.mean([start[0] == 0 for start in starts(label, (4, 6, 6), 2000)])
    assert share == pytest.approx(1 / 3 + 2 / 3 / 37, abs=0.04), "near a border the crop is moved inside"


def test_a_rare_class_is_seen_as_often_as_a_frequent_one():
    label = np.zeros((60, 4, 4), np.uint8)
    label[:20], label[50, 0, 0] = 1, 2
    found = np.array([start[0] for start in starts(label, (4, 4, 4), 2000)])
    assert np.mean(found == 48) == pytest.approx(1 / 6 + 2 / 3 / 57, abs=0.03)


def test_a_case_without_foreground_is_cropped_anywhere():
    assert {start[0] for start in starts(LABEL * 0, (4, 5, 9))} == {0, 1, 2, 3}


def test_nothing_is_drawn_for_a_case_that_fits():
    generator = np.random.default_rng(0)
    assert random_start(LABEL, (8, 8, 9), 2, generator) == [0, -1, 0]
    assert generator.random() == np.random.default_rng(0).random()
