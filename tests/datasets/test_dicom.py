"""DICOM files as pictures, and series of them as volumes that lie where NIfTI has them."""

import nibabel
import numpy as np
import pytest

from datasets.base import DataError
from datasets.files import load
from datasets.folder import Folder
from datasets.integrity import check
from datasets.volumes import Scaling, load_pair, load_volume
from tests.datasets.fuzz import slice_file

VOXELS = np.arange(5 * 4 * 3).reshape(5, 4, 3).astype(np.uint16)
"""X, Y, Z."""


def series(folder, voxels=VOXELS, **changes):
    """The slices of a volume (X, Y, Z), 2 mm apart, last slice first."""
    folder.mkdir(parents=True, exist_ok=True)
    order = range(voxels.shape[2])
    return [slice_file(folder / f"{9 - z}.dcm", voxels[..., z].T, place=2.0 * z, **changes) for z in order][::-1]


def test_a_series_is_sorted_by_place_and_rescaled(tmp_path):
    volume = load_volume(series(tmp_path / "a"))
    np.testing.assert_array_equal(volume.voxels, VOXELS.astype(np.float32) - 1024)
    assert volume.spacing == (0.75, 0.5, 2.0)
    np.testing.assert_allclose(volume.affine, np.diag([-0.75, -0.5, 2, 1]))


def test_a_label_stored_from_the_other_end_is_brought_into_the_order_of_its_image(tmp_path):
    label = (VOXELS > 20).astype(np.uint8)
    # As a converter stores it: Y from the other end, with the affine that says so.
    affine = np.array([[-0.75, 0, 0, 0], [0, 0.5, 0, -1.5], [0, 0, 2, 0], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(label[:, ::-1], affine), tmp_path / "mask.nii.gz")
    _, found, spacing = load_pair(series(tmp_path / "a"), tmp_path / "mask.nii.gz", Scaling())
    np.testing.assert_array_equal(found, label)
    assert spacing == (0.75, 0.5, 2.0)


def test_a_file_is_a_picture_with_its_spacing(tmp_path):
    array, spacing = load(slice_file(tmp_path / "a.dcm", VOXELS[..., 0]))
    np.testing.assert_array_equal(array, VOXELS[..., 0].astype(np.float32) - 1024)
    assert spacing == (0.5, 0.75)
    dark = slice_file(tmp_path / "b.dcm", VOXELS[..., 0], PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(load(dark)[0], 65535 - VOXELS[..., 0] - 1024.0)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"series": "9.9"}, "has another series than"),
        ({"PixelSpacing": [1, 1]}, "has another spacing than"),
        ({"place": 3.0}, "mm apart, expected two or more at equal distances"),
        ({"place": 0.0}, "slices are missing or there twice"),
    ],
)
def test_slices_that_are_no_even_volume_are_refused(tmp_path, change, message):
    files = series(tmp_path / "a")
    slice_file(files[1], VOXELS[..., 1].T, **{"place": 2.0} | change)
    with pytest.raises(DataError, match=message):
        load_volume(files)


def test_folders_of_slices_are_the_volumes_of_a_data_set(tmp_path):
    for number in range(4):
        series(tmp_path / "images" / f"P{number}", VOXELS + number)
        (tmp_path / "masks").mkdir(exist_ok=True)
        mask = nibabel.Nifti1Image((VOXELS > 30).astype(np.uint8), np.diag([-0.75, -0.5, 2, 1]))
        nibabel.save(mask, tmp_path / "masks" / f"P{number}.nii.gz")
    source = Folder(tmp_path / "images", tmp_path / "masks")
    entries = check(source)
    assert [entry.id for entry in entries] == ["P0", "P1", "P2", "P3"] and source.spatial_dims == 3
    assert source.read(entries[0]).image.shape == (1, 5, 4, 3)
    assert len(entries[0].files) == 4, "each slice is part of the fingerprint"
