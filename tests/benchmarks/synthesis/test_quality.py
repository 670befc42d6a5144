"""Every definition on a case worked by hand, and the Fréchet distance against the matrix square root of scipy."""

import numpy as np
import pytest
import torch
from monai.metrics import FIDMetric
from scipy.linalg import sqrtm

from benchmarks.synthesis import quality
from benchmarks.synthesis.quality import frechet, mmd, nearest, paired, projected, set_scores

RANDOM = np.random.default_rng(0)


def test_the_frechet_distance_of_numbers_is_that_of_means_and_deviations():
    # Means 1 and 4, variances 2 and 8: 9 + 2 + 8 - 2 * sqrt(16) = 11.
    assert frechet(np.array([[0.0], [2.0]]), np.array([[2.0], [6.0]])) == pytest.approx(9 + 2 + 8 - 8)


def test_the_frechet_distance_is_that_by_scipys_matrix_square_root():
    one, two = RANDOM.normal(size=(40, 6)), RANDOM.normal(0.5, 2, (50, 6)) @ RANDOM.normal(size=(6, 6))
    first, second = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    apart = one.mean(0) - two.mean(0)
    expected = apart @ apart + np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert frechet(one, two) == pytest.approx(expected)
    assert frechet(one, two) == pytest.approx(float(FIDMetric()(torch.from_numpy(one), torch.from_numpy(two))))
    assert frechet(one, two) == pytest.approx(frechet(two, one))


def test_the_frechet_distance_of_a_set_to_itself_is_0_even_where_its_covariance_is_singular():
    few = RANDOM.normal(size=(5, 30))
    assert frechet(few, few) == pytest.approx(0, abs=1e-9)
    assert frechet(few, few + 2) == pytest.approx(4 * 30)
    assert frechet(np.ones((4, 3)), np.zeros((4, 3))) == pytest.approx(3)
    with pytest.raises(ValueError, match="two or more"):
        frechet(few[:1], few)


def test_mmd_is_unbiased_and_linear():
    # Unbiased: mean of x_i x_j over i != j is 0 and 3; mean of x_i y_j is (0 + 2) / 2 * (1 + 3) / 2 = 2.
    assert mmd(np.array([[0.0], [2.0]]), np.array([[1.0], [3.0]])) == pytest.approx(0 + 3 - 2 * 2)
    with pytest.raises(ValueError, match="as many in either"):
        mmd(np.zeros((3, 1)), np.zeros((4, 1)))


@pytest.mark.parametrize("count, features, components", [(9, 4, None), (8, 4, 2), (40, 64, 10), (6, 64, 1)])
def test_sets_of_at_most_twice_as_many_images_as_features_are_projected_and_flagged(count, features, components):
    real, made = RANDOM.normal(size=(2, count, features))
    (one, two), found = projected(real, [made])
    assert found == components
    assert one.shape == two.shape == (count, components or features)


def test_the_projection_is_on_the_real_images_own_directions():
    real = np.zeros((8, 4))
    real[:, 2] = np.arange(8)
    made = RANDOM.normal(size=(8, 4))
    (one, two), components = projected(real, [made])
    assert components == 2
    np.testing.assert_allclose(np.abs(one[:, 0]), np.abs(np.arange(8) - 3.5))
    np.testing.assert_allclose(np.abs(two[:, 0]), np.abs(made[:, 2] - 3.5))


def test_a_set_is_measured_beside_other_real_images_and_named_by_the_extractor():
    real, other = RANDOM.normal(size=(2, 50, 3))
    distance, discrepancy = set_scores("3dfid@random-seed0", real, real + 1, other)
    assert (distance.metric, discrepancy.metric) == ("3dfid@random-seed0", "3dmmd@random-seed0")
    assert distance.value == pytest.approx(3) and distance.reference == pytest.approx(frechet(other, real))
    assert (distance.images, distance.features, distance.components) == (50, 3, None)
    assert discrepancy.reference == pytest.approx(mmd(other, real))


def test_of_fewer_than_four_images_no_distance_is_told():
    scores = set_scores("fid@x", *RANDOM.normal(size=(3, 3, 8)))
    assert [(score.value, score.reference) for score in scores] == [(None, None)] * 2


@pytest.mark.parametrize("shape", [(16, 16), (12, 12, 12), (8, 16)])
def test_images_are_scored_on_the_scale_from_minus_1_to_1(shape):
    real = torch.rand(2, 1, *shape) * 2 - 1
    same, apart = paired(real, real), paired(real + 0.5, real)
    np.testing.assert_allclose(same["ssim"], 1, atol=1e-5)
    np.testing.assert_allclose(same["rmse"], 0)
    np.testing.assert_allclose(apart["rmse"], 0.5, rtol=1e-5)
    # 20 log10 2 - 10 log10 0.25
    np.testing.assert_allclose(apart["psnr"], 12.0412, rtol=1e-4)


def test_ssim_of_flat_images_is_that_of_their_brightness_for_a_range_of_2():
    one, two = torch.full((1, 1, 16, 16), 0.5), torch.full((1, 1, 16, 16), -0.5)
    c1 = (0.01 * 2) ** 2
    expected = (2 * -0.25 + c1) / (0.5 + c1)
    assert paired(one, two)["ssim"][0] == pytest.approx(expected, abs=1e-4)


def test_the_nearest_training_image_of_a_copy_lies_at_no_distance():
    training = torch.rand(5, 1, 4, 4)
    found = nearest(torch.cat([training[3:4], training[1:2] + 0.25]), training)
    assert found[0] == 0 and found[1] <= 0.25 + 1e-6


def test_every_paired_score_says_whether_more_is_better():
    assert set(paired(torch.zeros(1, 1, 12, 12), torch.zeros(1, 1, 12, 12))) == set(quality.PAIRED)
