"""Corruptions of test images: what each does, that a higher severity does more, and what the result depends on."""

import subprocess
import sys

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from benchmarks.plan.corruptions import SEVERITIES, Corruption, asked, kinds
from benchmarks.store.config import DatasetConfig
from benchmarks.testing.corruptions import EFFECTS, corrupt
from datasets.phantom_echo import PhantomEcho
from datasets.phantom_glands import PhantomGlands
from datasets.phantom_knee import PhantomKnee
from datasets.prepare import resized

SOURCES = {"glands": (PhantomGlands, (64, 64)), "echo": (PhantomEcho, (64, 64)), "knee": (PhantomKnee, (32, 32, 32))}


def image_of(name: str, number: int = 0) -> np.ndarray:
    """A test image of a phantom, as methods see it."""
    kind, size = SOURCES[name]
    source = kind()
    return resized(source.read([entry for entry in source.entries() if entry.split == "test"][number]), size).image


@pytest.fixture(scope="module", params=SOURCES)
def image(request) -> np.ndarray:
    return image_of(request.param)


def data(image: np.ndarray) -> DatasetConfig:
    return DatasetConfig("any", image.shape[1:], channels=len(image))


def levels(name: str) -> list[Corruption]:
    return [Corruption(name, level, kinds()[name].amounts[level - 1]) for level in SEVERITIES]


def fits(name: str, image: np.ndarray) -> bool:
    return kinds()[name].reason_against(data(image)) is None


def test_every_kind_of_the_file_does_something_and_has_five_severities_with_a_reason():
    assert set(kinds()) == set(EFFECTS) and len(EFFECTS) >= 8
    for one in kinds().values():
        assert len(one.amounts) == len(SEVERITIES) and one.title and one.unit and len(one.reason) > 40
        assert bool(one.only) == bool(one.otherwise)


@pytest.mark.parametrize("name", EFFECTS)
def test_a_higher_severity_leaves_less_of_the_image(name, image):
    if not fits(name, image):
        pytest.skip(kinds()[name].otherwise)
    corrupted = [corrupt(image, level, "a", 0) for level in levels(name)]
    noise_ratio = [peak_signal_noise_ratio(image, one, data_range=1) for one in corrupted]
    assert np.isfinite(noise_ratio).all() and (np.diff(noise_ratio) < 0).all()
    # JPEG's blocks may fall on edges: there similarity is compared from end to end.
    likeness = [structural_similarity(image, one, channel_axis=0, data_range=1) for one in corrupted]
    assert likeness[-1] < likeness[0] and (name == "jpeg" or (np.diff(likeness) < 0).all())


@pytest.mark.parametrize("name", EFFECTS)
def test_an_image_stays_an_image(name, image):
    if not fits(name, image):
        pytest.skip(kinds()[name].otherwise)
    before = image.copy()
    for level in levels(name):
        found = corrupt(image, level, "a", 0)
        assert found.shape == image.shape and found.dtype == np.float32
        assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("name", EFFECTS)
def test_the_same_case_kind_severity_and_seed_give_the_same_whatever_ran_before(name):
    image, level = image_of("glands"), levels(name)[2]
    first = corrupt(image, level, "a", 0)
    np.random.seed(7)
    for other in EFFECTS:
        corrupt(image, levels(other)[4], "b", 3)
    np.testing.assert_array_equal(first, corrupt(image, level, "a", 0))


def test_another_process_corrupts_alike():
    script = (
        "import numpy, sys; from benchmarks.plan.corruptions import Corruption, kinds\n"
        "from benchmarks.testing.corruptions import EFFECTS, corrupt\n"
        "image = numpy.random.default_rng(0).random((3, 24, 24), numpy.float32)\n"
        "found = [corrupt(image, Corruption(k, 4, kinds()[k].amounts[3]), 'a', 0) for k in EFFECTS]\n"
        "sys.stdout.buffer.write(numpy.stack(found).tobytes())"
    )
    elsewhere = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    image = np.random.default_rng(0).random((3, 24, 24), np.float32)
    here = np.stack([corrupt(image, Corruption(k, 4, kinds()[k].amounts[3]), "a", 0) for k in EFFECTS])
    assert elsewhere == here.tobytes()


@pytest.mark.parametrize("name", ["motion", "gamma", "bias_field", "stain", "speckle"])
def test_what_is_drawn_is_drawn_for_each_case_and_seed(name):
    image, level = image_of("glands"), levels(name)[3]
    found = {corrupt(image, level, case, seed).tobytes() for case in ("a", "b", "c", "d") for seed in (0, 1, 2)}
    assert len(found) > 1
    assert len(found) == (12 if name not in ("gamma", "stain") else 2)  # these two draw one of two directions


@pytest.mark.parametrize("name", ["motion", "speckle", "bias_field"])
def test_a_higher_severity_is_the_same_corruption_stronger(name):
    image = np.full((1, 32, 32), 0.5, np.float32)
    image[:, 12:20, 12:20] = 0.2
    weak, strong = (corrupt(image, level, "a", 0) - image for level in (levels(name)[1], levels(name)[2]))
    assert np.corrcoef(weak.ravel(), strong.ravel())[0, 1] > 0.8


def test_blur_has_the_width_that_it_says():
    image = np.zeros((1, 101, 101), np.float32)
    image[:, 50, 50] = 1
    found = corrupt(image, Corruption("blur", 3, 0.03), "a", 0)[0]
    assert found.sum() == pytest.approx(1, abs=1e-3)
    assert (found.sum(0) @ (np.arange(101) - 50) ** 2) ** 0.5 == pytest.approx(0.03 * 101, rel=0.01)


def test_motion_smears_a_point_over_the_path_that_it_says():
    image = np.zeros((1, 100, 100), np.float32)
    image[:, 50, 50] = 1
    found = corrupt(image, Corruption("motion", 5, 0.2), "a", 0)[0]
    y, x = np.nonzero(found > 0.3 * found.max())
    assert np.hypot(np.ptp(y), np.ptp(x)) == pytest.approx(20, abs=2)


def test_low_resolution_keeps_what_is_constant_over_its_pixels():
    image = np.repeat(np.repeat(np.random.default_rng(0).random((1, 8, 8), np.float32), 4, 1), 4, 2)
    found = corrupt(image, Corruption("low_resolution", 4, 4.0), "a", 0)
    assert found.mean() == pytest.approx(image.mean(), abs=0.02)
    fine = np.indices((32, 32)).sum(0)[None] % 2 * np.float32(1)
    assert np.ptp(corrupt(fine, Corruption("low_resolution", 4, 4.0), "a", 0)) < 1e-6


def test_contrast_leaves_the_mean_and_a_share_of_the_spread():
    image = image_of("echo")
    found = corrupt(image, Corruption("contrast", 2, 0.5), "a", 0)
    assert found.mean() == pytest.approx(image.mean(), abs=1e-3)
    assert found.std() == pytest.approx(0.5 * image.std(), rel=1e-2)
    assert len(np.unique(corrupt(image, Corruption("contrast", 5, 0.12), "a", 0))) <= 0.12 * 255 + 2


def test_gamma_keeps_the_range_and_the_order_of_intensities():
    image = image_of("echo")
    found = corrupt(image, Corruption("gamma", 5, 3.5), "a", 0)
    assert (found.min(), found.max()) == (image.min(), image.max())
    order = np.argsort(image.ravel(), kind="stable")
    assert (np.diff(found.ravel()[order]) >= 0).all()


def test_the_bias_field_spans_the_ratio_that_it_says_and_brightens_nothing():
    found = corrupt(np.full((3, 40, 40), 0.8, np.float32), Corruption("bias_field", 4, 3.2), "a", 0) / 0.8
    assert found.max() == pytest.approx(1) and found.max() / found.min() == pytest.approx(3.2, rel=1e-3)
    assert np.abs(np.diff(found, axis=2)).max() < 0.15  # smooth
    np.testing.assert_array_equal(found[0], found[1])  # the same in all channels


def test_a_stain_shift_leaves_glass_white_and_makes_one_stain_denser():
    image = image_of("glands")
    white = np.ones((3, 8, 8), np.float32)
    np.testing.assert_allclose(corrupt(white, Corruption("stain", 5, 2.6), "a", 0), white, atol=1e-5)
    back = corrupt(corrupt(image, Corruption("stain", 2, 1.4), "a", 0), Corruption("stain", 2, 1 / 1.4), "a", 0)
    assert np.abs(back - image).mean() < 0.01  # the same direction, undone


def test_speckle_multiplies():
    image = np.full((1, 64, 64), 0.4, np.float32)
    image[:, :32] = 0
    found = corrupt(image, Corruption("speckle", 2, 0.15), "a", 0)
    assert not found[:, :32].any()
    assert (found[:, 32:] / 0.4).std() == pytest.approx(0.15, rel=0.1)


def test_jpeg_keeps_grey_images_of_any_number_of_channels():
    image = np.random.default_rng(0).random((2, 24, 17), np.float32)
    found = corrupt(image, Corruption("jpeg", 1, 90.0), "a", 0)
    assert found.shape == image.shape and np.abs(found - image).mean() < 0.05


def test_kinds_that_are_for_other_images_are_left_out_with_a_reason():
    assert "RGB" in kinds()["stain"].reason_against(DatasetConfig("echo", (64, 64), channels=1))
    volume = DatasetConfig("knee", (32, 32, 32), channels=1)
    assert "JPEG" in kinds()["jpeg"].reason_against(volume)
    found = asked(list(kinds()), [2, 4], volume)
    assert {one.kind for one in found} == set(kinds()) - {"jpeg", "stain"}
    assert [(one.severity, one.amount) for one in found if one.kind == "blur"] == [(2, 0.017), (4, 0.032)]
