import numpy as np
import pytest

from datasets.integrity import check
from datasets.phantom import noise
from datasets.phantom_knee import PhantomKnee
from datasets.prepare import prepare

FEW = {"train": 8, "val": 1, "test": 4}


@pytest.fixture(scope="module")
def knees():
    """Thirteen knees of 40 voxels along each axis."""
    source = PhantomKnee(FEW, size=40)
    return [source.read(entry) for entry in source.entries()]


def dice(prediction, label):
    return 2 * np.sum(prediction & label) / max(np.sum(prediction) + np.sum(label), 1)


def test_cases_keep_to_the_contract(knees):
    check(PhantomKnee(FEW, size=40))
    for case in knees:
        assert case.image.shape == (1, 40, 40, 40) and case.image.dtype == np.float32
        assert case.image.min() >= 0 and case.image.max() <= 1
        assert case.label.dtype == np.int64 and set(np.unique(case.label)) == {0, 1, 2}
        assert case.spacing == pytest.approx((2.4, 3.2, 3.2))


def test_the_femur_is_above_the_tibia(knees):
    for case in knees:
        femur, tibia = (np.argwhere(case.label == value)[:, 2].mean() for value in (1, 2))
        assert femur > tibia + 8


def touches(label):
    """Whether a voxel of the femur has one of the tibia beside it."""
    planes = [np.moveaxis(label, axis, 0) for axis in range(3)]
    return any(np.any(plane[1:] * plane[:-1] == 2) for plane in planes)


def test_the_bones_touch_in_most_knees(knees):
    assert np.mean([touches(case.label) for case in knees]) > 0.5


def test_cases_depend_on_seed_and_name_alone():
    few, many = PhantomKnee(FEW, size=32), PhantomKnee({"train": 9, "val": 2, "test": 4}, size=32)
    entry = few.entries()[-1]
    first = few.read(entry)
    many.read(many.entries()[0])
    np.testing.assert_array_equal(many.read(entry).image, first.image)
    assert not np.array_equal(PhantomKnee(FEW, size=32, seed=1).read(entry).image, first.image)


def test_size_changes_sampling_and_not_anatomy():
    entry = PhantomKnee(FEW).entries()[0]
    small, large = (PhantomKnee(FEW, size=size).read(entry).label for size in (32, 64))
    for value in (1, 2):
        assert dice(small == value, large[::2, ::2, ::2] == value) > 0.85


def test_no_threshold_finds_the_bones(knees):
    """The best of all thresholds, chosen by the label itself, on either side."""
    scores = []
    for case in knees:
        image, bone = case.image[0], case.label > 0
        cuts = [image > level for level in np.linspace(0.1, 0.95, 18)]
        scores.append(max(dice(side, bone) for cut in cuts for side in (cut, ~cut)))
    assert 0.2 < np.mean(scores) < 0.5


def test_place_alone_does_badly(knees):
    """The mean label of the training part, the best guess without looking at the image."""
    training = [case for case in knees if case.id.startswith("train")]
    for value in (1, 2):
        mean = np.mean([case.label == value for case in training], axis=0)
        scores = [dice(mean > 0.4, case.label == value) for case in knees if case.id.startswith("test")]
        assert np.mean(scores) < 0.8


def test_much_of_the_background_is_as_bright_as_bone(knees):
    for case in knees:
        image = case.image[0]
        assert np.mean(image[case.label == 0] > np.median(image[case.label > 0])) > 0.05


def test_noise_in_three_axes_is_smooth_with_variance_one():
    fields = np.stack([noise(np.random.default_rng(seed), 32, 4, 3) for seed in range(30)])
    assert fields.shape == (30, 32, 32, 32) and fields.dtype == np.float32
    assert fields.mean() == pytest.approx(0, abs=0.1) and fields.std() == pytest.approx(1, abs=0.1)
    for axis in (1, 2, 3):
        assert np.abs(np.diff(fields, axis=axis)).max() < 1.2


def test_knees_are_prepared_and_scored_on_their_own_grid(tmp_path):
    data = prepare(PhantomKnee(FEW, size=40, limit={"train": 2, "test": 1}), (32, 32, 32), tmp_path)
    assert data.images.shape == (4, 1, 32, 32, 32) and data.labels.max() == 2
    label, spacing = data.truth(0)
    assert label.shape == (40, 40, 40) and spacing == pytest.approx((2.4, 3.2, 3.2))


def test_generator_draws_what_its_version_drew():
    """Whoever changes the volumes raises `version`, which keeps old and new trials apart, and these numbers."""
    source = PhantomKnee()
    case = source.read(source.entries()[-1])
    assert source.version == 1
    found = (case.image.mean(), case.image.std(), (case.label == 1).mean(), (case.label == 2).mean())
    assert found == pytest.approx((0.47493, 0.25433, 0.08063, 0.05326), abs=2e-3)
