"""A user's own volumes."""

import numpy as np
import pytest

from datasets.base import DataError
from datasets.fingerprint import fingerprint
from datasets.folder import Folder
from datasets.integrity import check
from datasets.prepare import prepare

NAMES = [f"case{n}" for n in range(5)]
CLASSES = {"one": 1, "two": 2}


@pytest.fixture
def source(volumes):
    """source(**settings): a Folder of five volumes of shapes (8 to 10, 9, 7 to 8)."""
    root = volumes(NAMES)
    return lambda **settings: Folder(root / "images", root / "masks", **{"classes": CLASSES} | settings)


def read(source, place=0):
    return source.read(source.entries()[place])


def test_volumes_are_found_by_the_first_image(source):
    subject = source()
    check(subject)
    assert subject.spatial_dims == 3 and subject.channels == 1
    case = read(subject, 1)
    assert case.image.shape == (1, 9, 9, 8) and case.image.dtype == np.float32
    assert case.label.shape == (9, 9, 8) and case.label[2, 3, 2] == 1 and case.label[6, 5, 4] == 2
    assert case.spacing == (0.5, 1.0, 2.0), "the order of the file's axes is kept"


def test_volumes_in_npz_with_a_spacing(tmp_path):
    mask = np.zeros((6, 7, 8), np.uint8)
    mask[:3] = 1
    for name in "abc":
        voxels = np.random.default_rng(ord(name)).random((6, 7, 8))
        np.savez(tmp_path / f"{name}.npz", image=voxels, mask=mask, spacing=[3.0, 0.5, 0.5])
    subject = Folder(tmp_path, tmp_path)
    check(subject)
    assert subject.spatial_dims == 3 and read(subject).spacing == (3.0, 0.5, 0.5)
    np.testing.assert_array_equal(read(subject).label, mask)


def test_npz_with_a_short_last_axis_is_a_colour_picture(tmp_path):
    for name in "abc":
        np.savez(tmp_path / f"{name}.npz", image=np.ones((6, 7, 3)), mask=np.ones((6, 7), np.uint8))
    assert Folder(tmp_path, tmp_path).spatial_dims == 2


def test_a_fixed_window_and_the_percentiles_scale_differently(source):
    assert not np.array_equal(read(source()).image, read(source(window=[100, 300])).image)
    assert fingerprint(source()) != fingerprint(source(window=[100, 300]))


@pytest.mark.parametrize("fit", ["resize", "pad"])
def test_volumes_can_be_prepared_and_scored_on_their_own_grid(source, tmp_path, fit):
    data = prepare(source(fit=fit), (8, 8, 8), tmp_path / "cache")
    image, label = data.training_case(2, np.random.default_rng(0))
    assert image.shape == (1, 8, 8, 8) and label.shape == (8, 8, 8)
    truth, spacing = data.truth(2)
    assert truth.shape == (10, 9, 7) and spacing == (0.5, 1.0, 2.0)


def test_a_case_without_foreground_is_used_like_any_other(source, save_nifti, tmp_path):
    subject = source(fit="pad")
    path = subject.entries()[2].files[1]
    save_nifti(path, np.zeros((10, 9, 7), np.uint8), (0.5, 1.0, 2.0))
    data = prepare(subject, (4, 4, 4), tmp_path / "cache")
    assert not data.truth(2)[0].any() and data.truth(1)[0].any()
    for seed in range(9):
        assert not data.training_case(2, np.random.default_rng(seed))[1].any()


@pytest.mark.parametrize("shape", [(1, 9, 7), (8, 1, 7), (8, 9, 1)])
def test_one_voxel_thick_is_refused(source, save_nifti, shape):
    subject = source()
    save_nifti(subject.entries()[3].files[0], np.ones(shape, np.int16))
    with pytest.raises(DataError, match=r"case3\.nii\.gz has the shape .*one voxel thick along axis \d.* 2D images"):
        check(subject)


def test_values_that_are_not_finite_are_refused(source, save_nifti):
    subject = source()
    voxels = np.ones((10, 9, 7), np.float32)
    voxels[1, 2, 3], voxels[0, 0, 0] = np.nan, np.inf
    save_nifti(subject.entries()[2].files[0], voxels, (0.5, 1.0, 2.0))
    with pytest.raises(DataError, match=r"images/case2\.nii\.gz with .*: the image holds 2 values that are not finite"):
        check(subject)


def test_a_volume_of_time_points_is_refused(source, save_nifti):
    subject = source()
    save_nifti(subject.entries()[0].files[0], np.ones((8, 9, 7, 5), np.int16))
    with pytest.raises(
        DataError, match=r"case0\.nii\.gz is a volume with 5 value.*folder\.channels=5 if.*Save each time"
    ):
        check(subject)


def test_a_label_elsewhere_is_refused(source, save_nifti):
    subject = source()
    image, label = subject.entries()[0].files
    save_nifti(label, np.ones((8, 9, 7), np.uint8), (0.5, 1.0, 2.0), offset=(0, 0, 2.5))
    with pytest.raises(DataError, match=r"masks/case0.* than its image .*images/case0.* up to 2\.5 mm"):
        check(subject)


def test_an_image_among_volumes_is_refused(source, save):
    subject = source()
    subject.entries()[4].files[0].unlink()
    save(subject.images / "case4.png", np.ones((8, 9), np.uint8))
    with pytest.raises(DataError, match=r"case4\.png is a picture, expected a volume"):
        check(subject)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"channels": 3}, r"with 1 value.* dataset\.folder\.channels is 3, expected 1 or null"),
        ({"augmentation": {"flips": [3]}}, r"augmentation\.flips has \[3\], expected axes from 0 to 2"),
        ({"fit": "crop"}, r"dataset\.folder\.fit is 'crop'"),
    ],
)
def test_settings_that_do_not_fit_volumes_are_refused(source, settings, message):
    with pytest.raises(DataError, match=message):
        check(source(**settings))


def test_settings_for_volumes_do_not_fit_images(folders):
    images, masks = folders(NAMES)
    with pytest.raises(DataError, match=r"dataset\.folder\.fit is 'pad', which is for volumes only"):
        check(Folder(images, masks, fit="pad"))
    with pytest.raises(DataError, match=r"flips has \[2\], expected axes from 0 to 1"):
        check(Folder(images, masks, augmentation={"flips": [2]}))


def test_image_size_of_images_is_refused_by_its_key(source, tmp_path):
    with pytest.raises(DataError, match=r"dataset\.folder\.image_size is \[64, 64\].*image_size\.PROFILE=\[64,64,64\]"):
        prepare(source(), (64, 64), tmp_path / "cache")


def test_truncated_volume_is_named(source):
    subject = source()
    path = subject.entries()[0].files[0]
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"case0\.nii\.gz cannot be read.*truncated or damaged"):
        check(subject)
