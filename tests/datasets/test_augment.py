import numpy as np

from datasets.augment import augment
from datasets.base import Augmentation

IMAGE = np.random.default_rng(0).random((2, 6, 6), np.float32)
LABEL = (IMAGE[0] > 0.5).astype(np.int64)


def variants(policy, image=IMAGE, label=LABEL, count=64):
    return [augment(image, label, policy, np.random.default_rng(seed)) for seed in range(count)]


def test_no_policy_changes_nothing():
    image, label = augment(IMAGE, LABEL, Augmentation(), np.random.default_rng(0))
    np.testing.assert_array_equal(image, IMAGE)
    np.testing.assert_array_equal(label, LABEL)


def test_label_moves_with_the_image():
    for image, label in variants(Augmentation((0, 1), True)):
        np.testing.assert_array_equal(image[0] > 0.5, label == 1)
        assert image.flags.c_contiguous and label.flags.c_contiguous


def test_flips_and_turns_reach_all_eight_positions():
    assert len({label.tobytes() for _, label in variants(Augmentation((0, 1), True))}) == 8


def test_only_the_named_axis_is_mirrored():
    found = {label.tobytes() for _, label in variants(Augmentation((1,)))}
    assert found == {LABEL.tobytes(), np.ascontiguousarray(LABEL[:, ::-1]).tobytes()}


def test_oblong_images_keep_their_shape():
    image, label = IMAGE[:, :4], LABEL[:4]
    results = variants(Augmentation(rotations=True), image, label)
    assert {turned.shape for turned, _ in results} == {(2, 4, 6)}
    assert len({turned.tobytes() for turned, _ in results}) == 2


def test_volumes_turn_in_the_last_two_axes():
    volume = np.random.default_rng(1).random((1, 3, 4, 4), np.float32)
    label = (volume[0] > 0.5).astype(np.int64)
    for image, turned in variants(Augmentation((0,), True), volume, label, 16):
        np.testing.assert_array_equal(image[0] > 0.5, turned == 1)
        assert {plane.sum() for plane in turned} == {plane.sum() for plane in label}


def test_volumes_are_mirrored_along_each_of_their_axes():
    volume = np.random.default_rng(1).random((1, 2, 3, 4), np.float32)
    label = (volume[0] > 0.5).astype(np.uint8)
    results = variants(Augmentation((0, 1, 2)), volume, label)
    assert len({image.tobytes() for image, _ in results}) == 8
    for image, mirrored in results:
        np.testing.assert_array_equal(image[0] > 0.5, mirrored == 1)


def test_intensity_stays_in_range_and_leaves_the_label():
    results = variants(Augmentation(intensity=0.3))
    assert all(image.min() >= 0 and image.max() <= 1 and image.dtype == np.float32 for image, _ in results)
    assert all((label == LABEL).all() for _, label in results)
    means = np.array([image.mean() for image, _ in results])
    assert 0.05 < means.std() < 0.35


def test_generator_decides_and_the_input_is_left_alone():
    before = IMAGE.copy()
    policy = Augmentation((0, 1), True, 0.1)
    first, second = (augment(IMAGE, LABEL, policy, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    first[0][:] = 9
    np.testing.assert_array_equal(IMAGE, before)
