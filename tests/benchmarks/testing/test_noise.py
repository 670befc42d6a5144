import numpy as np
import pytest

from benchmarks.testing.noise import add_noise


@pytest.fixture
def image():
    return np.random.default_rng(0).uniform(0.2, 0.7, (3, 64, 64)).astype(np.float32)


@pytest.mark.parametrize("sigma", [0.025, 0.2, 0.5])
def test_sigma_is_the_standard_deviation_of_what_is_added(image, sigma):
    added = add_noise(image, sigma, "case", 0, rescale="none") - image
    assert added.std() == pytest.approx(sigma, rel=0.03)
    assert abs(added.mean()) < 4 * sigma / added.size**0.5
    assert abs(np.corrcoef(added[0].ravel(), added[1].ravel())[0, 1]) < 0.06
    assert abs(np.corrcoef(added[0, :, 1:].ravel(), added[0, :, :-1].ravel())[0, 1]) < 0.06


@pytest.mark.parametrize("rescale", ["image", "none"])
def test_sigma_zero_leaves_the_image_untouched(image, rescale):
    assert np.array_equal(add_noise(image, 0, "case", 0, rescale), image)


def test_the_image_given_is_not_changed(image):
    before = image.copy()
    add_noise(image, 0.3, "case", 0)
    assert np.array_equal(image, before)


def test_realisation_depends_on_case_sigma_and_seed_and_on_nothing_else(image):
    def field(case, sigma, seed):
        return (add_noise(image, sigma, case, seed, "none") - image) / sigma

    first = field("a", 0.1, 0)
    np.random.seed(5)
    add_noise(image[:1], 0.4, "z", 3)
    assert np.array_equal(first, field("a", 0.1, 0))
    for other in [field("b", 0.1, 0), field("a", 0.2, 0), field("a", 0.1, 1)]:
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.05


def test_whole_numbers_and_their_floats_give_the_same_noise(image):
    assert np.array_equal(add_noise(image, 1, "a", 0), add_noise(image, np.float64(1.0), "a", np.int64(0)))


def test_rescaling_by_image_fills_the_unit_interval_and_keeps_the_order_of_values(image):
    raw, scaled = (add_noise(image, 0.2, "case", 0, rescale) for rescale in ("none", "image"))
    assert raw.min() < 0 and raw.max() > 1
    assert (scaled.min(), scaled.max()) == (0, 1)
    np.testing.assert_allclose(scaled, (raw - raw.min()) / (raw.max() - raw.min()), atol=1e-6)
    assert scaled.dtype == raw.dtype == np.float32


def test_rescaling_by_array_uses_the_limits_given(image):
    raw = add_noise(image, 0.2, "case", 0, "none")
    np.testing.assert_allclose(add_noise(image, 0.2, "case", 0, "array", (-1.0, 3.0)), (raw + 1) / 4, atol=1e-6)


def test_noise_works_in_three_dimensions():
    volume = np.full((1, 8, 8, 8), 0.5, np.float32)
    assert add_noise(volume, 0.1, "case", 0).shape == volume.shape


@pytest.mark.parametrize(
    ("sigma", "rescale", "message"),
    [
        (-0.1, "image", "suite.sigmas: -0.1 is not a standard deviation"),
        (float("nan"), "image", "suite.sigmas: nan"),
        (float("inf"), "image", "suite.sigmas: inf"),
        (0.1, "clip", "noise.rescale is 'clip', expected one of image, array, none"),
        (0.1, "array", "noise.rescale=array needs limits"),
    ],
)
def test_bad_input_names_the_key(image, sigma, rescale, message):
    with pytest.raises(ValueError, match=message):
        add_noise(image, sigma, "case", 0, rescale)
