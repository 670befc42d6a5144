import numpy as np
import pytest

from datasets.base import DataError
from datasets.fingerprint import fingerprint
from datasets.integrity import check
from datasets.knee import Knee
from datasets.prepare import prepare


@pytest.fixture
def root(volumes):
    """25 cases in the layout of the data set."""
    names = [f"Case{n}" for n in range(1, 26)]
    return volumes(names, "knee/Image/{}.nii.gz", "knee/Label/{}_label.nii.gz") / "knee"


def test_a_fifth_is_for_testing_and_a_tenth_of_the_rest_for_validation(root):
    entries = check(Knee(root))
    assert [sum(entry.split == split for entry in entries) for split in ("train", "val", "test")] == [18, 2, 5]
    assert Knee(root, seed=1).entries() != Knee(root).entries() == Knee(root).entries()


def test_femur_and_tibia_with_spacing(root):
    source = Knee(root)
    case = source.read(source.entries()[0])
    assert source.class_names == ("femur", "tibia")
    assert set(np.unique(case.label)) == {0, 1, 2} and case.image.shape == (1, 8, 9, 7)
    assert case.spacing == (0.5, 1.0, 2.0)


def test_image_without_label_is_named(root):
    (root / "Label" / "Case7_label.nii.gz").unlink()
    with pytest.raises(DataError, match=r"1 image\(s\) without a label: .*Case7\.nii\.gz.*Case7_label\.nii\.gz"):
        Knee(root).entries()


def test_other_label_values_are_named(root, save_nifti):
    save_nifti(root / "Label" / "Case1_label.nii.gz", np.full((8, 9, 7), 3, np.uint8), (0.5, 1.0, 2.0))
    with pytest.raises(DataError, match=r"Case1_label\.nii\.gz holds the value\(s\) \[3\], expected 0 and 1, 2"):
        check(Knee(root))


def test_missing_folder_names_its_key(tmp_path):
    with pytest.raises(DataError, match=r"Image does not exist.*dataset\.knee\.root"):
        Knee(tmp_path).entries()
    (tmp_path / "Image").mkdir(), (tmp_path / "Label").mkdir()
    with pytest.raises(DataError, match=r"Image holds no NIfTI file.*dataset\.knee\.root"):
        Knee(tmp_path).entries()


def test_what_changes_the_images_changes_the_fingerprint(root):
    settings = [{}, {"window": [0, 300]}, {"percentiles": [0, 100]}, {"fit": "pad"}]
    assert len({fingerprint(Knee(root, **setting)) for setting in settings}) == 4


def test_volumes_of_all_shapes_are_resized_and_scored_on_their_own_grid(root, tmp_path):
    data = prepare(Knee(root, limit={"train": 3, "val": 1, "test": 2}), (16, 16, 16), tmp_path / "cache")
    assert data.images.shape == (6, 1, 16, 16, 16)
    shapes = {data.truth(index)[0].shape for index in range(6)}
    assert len(shapes) > 1 and (16, 16, 16) not in shapes
