import nibabel
import numpy as np
import pytest

from datasets.base import DataError
from datasets.volumes import Scaling, by_value, load_pair, load_volume, spatial_axes

VOXELS = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
LABEL = (VOXELS > 60).astype(np.uint8)


@pytest.fixture
def pair(tmp_path, save_nifti):
    """pair(image={}, label={}) writes a volume and its label with these further settings and returns their paths."""

    def write(image=None, label=None):
        written = []
        for name, array, settings in (("image", VOXELS, image), ("label", LABEL, label)):
            settings = {"array": array, "spacing": (0.5, 0.6, 3.0)} | (settings or {})
            written.append(save_nifti(tmp_path / f"{name}.nii.gz", **settings))
        return written

    return write


def test_axes_and_spacing_stay_as_stored(pair):
    volume = load_volume(pair()[0])
    np.testing.assert_array_equal(volume.voxels, VOXELS)
    assert volume.spacing == pytest.approx((0.5, 0.6, 3.0)) and volume.affine[2, 2] == 3.0


def test_a_last_axis_of_one_is_left_out(tmp_path, save_nifti):
    assert load_volume(save_nifti(tmp_path / "a.nii", VOXELS[..., None])).voxels.shape == (4, 5, 6)


def test_scale_factors_of_the_header_are_applied(tmp_path):
    image = nibabel.Nifti1Image(VOXELS, np.eye(4))
    image.header.set_slope_inter(2.0, 1.0)
    nibabel.save(image, tmp_path / "a.nii.gz")
    np.testing.assert_allclose(load_volume(tmp_path / "a.nii.gz").voxels, VOXELS * 2.0 + 1)


def test_modalities_become_channels_each_scaled_on_its_own(pair):
    both = np.stack([VOXELS, 1000 + 10 * VOXELS], axis=-1)
    image, label, spacing = load_pair(*pair({"array": both}), Scaling(), channels=2)
    assert image.shape == (2, 4, 5, 6) and image.dtype == np.float32 and label.dtype == np.int64
    np.testing.assert_allclose(image[0], image[1], atol=1e-6)
    assert spacing == pytest.approx((0.5, 0.6, 3.0))


@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5, 6, 3)])
def test_other_numbers_of_modalities_are_refused(pair, shape):
    with pytest.raises(DataError, match=r"image\.nii\.gz has the shape .*, expected \(X, Y, Z, 2\).*dataset\.json"):
        load_pair(*pair({"array": np.ones(shape, np.int16)}), Scaling(), channels=2)


def test_a_4d_image_is_refused_with_what_to_do(pair):
    path = pair({"array": np.ones((4, 5, 6, 3), np.int16)})[0]
    message = r"image\.nii\.gz is a 4D image of shape \(4, 5, 6, 3\), expected a volume.*Save each.*decathlon"
    with pytest.raises(DataError, match=message):
        load_volume(path)


def test_other_shapes_and_types_are_refused(tmp_path, save_nifti):
    with pytest.raises(DataError, match=r"a\.nii is a 2D image of shape \(4, 5\)"):
        load_volume(save_nifti(tmp_path / "a.nii", VOXELS[:, :, 0]))
    with pytest.raises(DataError, match=r"b\.nii holds values of the type complex64.*one number a voxel"):
        load_volume(save_nifti(tmp_path / "b.nii", VOXELS.astype(np.complex64)))
    np.savez(tmp_path / "c.npz", image=VOXELS, spacing=[1.0, 0.0, 1.0])
    with pytest.raises(DataError, match=r"c\.npz has the spacing .*three lengths above 0"):
        load_volume(tmp_path / "c.npz")


def test_rounding_of_the_affine_is_allowed_and_more_is_not(pair):
    load_pair(*pair(label={"offset": (0, 0.0009, 0)}), Scaling())
    with pytest.raises(DataError) as error:
        load_pair(*pair(label={"offset": (0, 0.0011, 0)}), Scaling())
    text = str(error.value)
    assert "image.nii.gz" in text and "label.nii.gz" in text and "0.0011 mm" in text and "row 1, column 3" in text


def test_another_spacing_of_the_label_is_refused(pair):
    with pytest.raises(DataError, match=r"differ by up to 0\.1 mm \(row 0, column 0: 0\.6 and 0\.5\)"):
        load_pair(*pair(label={"spacing": (0.6, 0.6, 3.0)}), Scaling())


def test_another_shape_of_the_label_is_refused(pair):
    with pytest.raises(DataError, match=r"label\.nii\.gz has the shape \(5, 4, 6\) and its image .*\(4, 5, 6\)"):
        load_pair(*pair(label={"array": LABEL.transpose(1, 0, 2)}), Scaling())


def test_labels_that_are_no_whole_numbers_are_refused(pair):
    with pytest.raises(DataError, match=r"label\.nii\.gz holds values that are no whole numbers"):
        load_pair(*pair(label={"array": LABEL * np.float32(0.5)}), Scaling())


def test_percentiles_clip_what_is_rare():
    values = np.linspace(0, 100, 1001)
    values[-1] = 1e6
    scaled = Scaling()(values)
    assert scaled.dtype == np.float32 and scaled.min() == 0 and scaled.max() == 1
    assert scaled[500] == pytest.approx((50 - 0.5) / 99, abs=1e-3) and (scaled >= 1).sum() == 6
    np.testing.assert_allclose(Scaling(percentiles=(0, 100))(values)[500], 50 / 1e6, rtol=1e-4)


def test_a_window_is_the_same_for_all_volumes():
    np.testing.assert_allclose(Scaling((-100.0, 300.0))(np.array([-500, -100, 100, 300, 900])), [0, 0, 0.5, 1, 1])


def test_volumes_of_nearly_or_only_one_value_are_scaled_too():
    sparse = np.zeros((10, 10, 10))
    sparse[0, 0, 0] = 7
    assert Scaling()(sparse).max() == 1 and Scaling()(sparse).sum() == 1
    assert not Scaling()(np.full((3, 3, 3), 5)).any()


@pytest.mark.parametrize(
    "window, percentiles", [([3, 3], (0, 100)), ([1], (0, 100)), (None, (50, 50)), (None, (-1, 99)), (None, [99])]
)
def test_scaling_that_cannot_be_used_names_its_key(window, percentiles):
    with pytest.raises(DataError, match=r"dataset\.mine\.(window|percentiles) is"):
        Scaling.of("mine", window, percentiles)


def test_values_are_numbered_in_the_order_given_and_others_refused(tmp_path):
    np.testing.assert_array_equal(by_value(np.array([0, 5, 3]), [3, 5], tmp_path), [0, 2, 1])
    with pytest.raises(DataError, match=r"label holds the value\(s\) \[-1, 4\], expected 0 and 3, 5"):
        by_value(np.array([0, 5, 4, -1]), [3, 5], tmp_path / "label")


def test_axes_are_counted_by_what_the_file_holds(tmp_path, save, save_nifti):
    assert spatial_axes(save_nifti(tmp_path / "a.nii", VOXELS)) == 3
    assert spatial_axes(save_nifti(tmp_path / "b.nii", VOXELS[:, :, :1])) == 2
    assert spatial_axes(save(tmp_path / "c.png", VOXELS[0].astype(np.uint8))) == 2
