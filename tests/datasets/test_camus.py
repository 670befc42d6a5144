import gzip

import nibabel
import numpy as np
import pytest

from datasets.base import DataError
from datasets.camus import Camus
from datasets.camus_views import Camus2CH, Camus4CH
from datasets.integrity import check
from datasets.prepare import prepare

MASK = np.repeat(np.array([0, 1, 2, 3], np.uint8), 6)[:, None] * np.ones((1, 16), np.uint8)
"""24 rows (depth) and 16 columns."""
FRAMES = ("2CH_ED", "2CH_ES", "4CH_ED", "4CH_ES")


@pytest.fixture
def flat(tmp_path, save):
    """Picture layout: three training patients, one for validation, one for testing."""
    for split, patients in (("train", (1, 2, 3)), ("val", (4,)), ("test", (5,))):
        for patient in patients:
            for frame in FRAMES:
                save(tmp_path / "camus" / split / f"patient{patient:04d}_{frame}.png", MASK * 60)
                save(tmp_path / "camus" / split / f"patient{patient:04d}_{frame}_gt.png", MASK)
    return tmp_path / "camus"


@pytest.fixture
def nifti(tmp_path):
    """The release's layout: ten patients, x first, 0.3 mm across and 0.15 mm in depth, sequences among the frames."""
    root = tmp_path / "nifti"
    for patient in range(1, 11):
        for name in [*FRAMES, "2CH_half_sequence"]:
            folder = root / f"patient{patient:04d}"
            folder.mkdir(parents=True, exist_ok=True)
            for ending, array in (("", MASK * 60), ("_gt", MASK)):
                image = nibabel.Nifti1Image(array.T, np.diag([0.3, 0.15, 1, 1]))
                nibabel.save(image, folder / f"patient{patient:04d}_{name}{ending}.nii.gz")
    return root


def test_picture_layout(flat):
    entries = check(Camus(flat))
    assert [sum(entry.split == split for entry in entries) for split in ("train", "val", "test")] == [12, 4, 4]
    assert {entry.group for entry in entries if entry.split == "test"} == {"patient0005"}


def test_label_values_in_full(flat):
    source = Camus(flat)
    case = source.read(source.entries()[0])
    np.testing.assert_array_equal(case.label, MASK)
    assert source.class_names == ("LV", "wall", "LA") and case.spacing is None
    assert case.image.shape == (1, 24, 16) and case.image.max() == pytest.approx(180 / 255)


def test_wall_becomes_background_for_echo_tables(flat):
    source = Camus(flat, classes=["LV", "LA"])
    label = source.read(source.entries()[0]).label
    np.testing.assert_array_equal(label, np.select([MASK == 1, MASK == 3], [1, 2], 0))


def test_unknown_class_is_refused(flat):
    with pytest.raises(DataError, match=r"dataset\.camus\.classes is \['RV'\].*LV, wall, LA"):
        Camus(flat, classes=["RV"])


def test_release_layout_stands_upright_with_spacing(nifti):
    source = Camus(nifti)
    entries = source.entries()
    assert len(entries) == 40
    case = source.read(entries[0])
    np.testing.assert_array_equal(case.label, MASK)
    assert case.spacing == pytest.approx((0.15, 0.3))


def test_release_layout_without_split_is_split_by_patient_and_seed(nifti):
    entries = check(Camus(nifti, fractions={"train": 0.6, "val": 0.2, "test": 0.2}))
    assert [sum(entry.split == split for entry in entries) for split in ("train", "val", "test")] == [24, 8, 8]
    assert Camus(nifti, seed=1).entries() == Camus(nifti, seed=1).entries() != Camus(nifti, seed=0).entries()


@pytest.mark.parametrize("place", ["camus", "camus/database_split"])
def test_split_of_the_release_is_used(nifti, tmp_path, place):
    root = tmp_path / "camus"
    root.mkdir()
    nifti.rename(root / "database_nifti")
    (tmp_path / place).mkdir(exist_ok=True)
    for name, patients in (("training", range(1, 8)), ("validation", (8,)), ("testing", (9, 10))):
        text = "\n".join(f"patient{n:04d}" for n in patients)
        (tmp_path / place / f"subgroup_{name}.txt").write_text(text)
    for given in (root, root / "database_nifti"):
        entries = check(Camus(given))
        assert {entry.group for entry in entries if entry.split == "test"} == {"patient0009", "patient0010"}


def test_patient_in_two_split_files_is_refused(nifti):
    for name in ("training", "validation", "testing"):
        (nifti / f"subgroup_{name}.txt").write_text("patient0001")
    with pytest.raises(DataError, match="subgroup_validation.txt names patient0001, which is also in subgroup_train"):
        Camus(nifti).entries()


def test_patient_in_no_split_file_is_refused(nifti):
    for name, patient in (("training", 1), ("validation", 2), ("testing", 3)):
        (nifti / f"subgroup_{name}.txt").write_text(f"patient{patient:04d}")
    with pytest.raises(DataError, match=r"patient0004 is in none of.*7 such patient"):
        Camus(nifti).entries()


def test_patient_in_train_and_test_folders_is_refused(flat):
    for path in (flat / "train").glob("patient0001_2CH*"):
        path.rename(flat / "test" / path.name)
    with pytest.raises(DataError, match=r"'patient0001' is in test .* and train"):
        check(Camus(flat))


def test_missing_split_folder_is_an_empty_split(flat):
    for path in (flat / "val").iterdir():
        path.unlink()
    (flat / "val").rmdir()
    with pytest.raises(DataError, match="the split 'val' is empty"):
        check(Camus(flat))


def test_missing_mask_is_named(flat):
    (flat / "val" / "patient0004_2CH_ED_gt.png").unlink()
    with pytest.raises(DataError, match=r"patient0004_2CH_ED\.png has no mask.*patient0004_2CH_ED_gt\.png"):
        Camus(flat).entries()


def test_unexpected_value_is_named(flat, save):
    path = save(flat / "val" / "patient0004_2CH_ED_gt.png", MASK * 80)
    with pytest.raises(DataError, match=r"holds the value\(s\) \[80, 160, 240\], expected 0 background, 1 LV") as error:
        check(Camus(flat))
    assert str(path) in str(error.value)


def test_truncated_nifti_is_named(nifti):
    path = nifti / "patient0003" / "patient0003_4CH_ES.nii.gz"
    noise = np.random.default_rng(0).integers(0, 255, (160, 240), np.uint8)
    nibabel.save(nibabel.Nifti1Image(noise, np.eye(4)), path)
    path.write_bytes(path.read_bytes()[:20000])
    with pytest.raises((EOFError, OSError)):
        gzip.decompress(path.read_bytes())
    with pytest.raises(DataError, match=r"patient0003_4CH_ES\.nii\.gz cannot be read.*truncated or damaged"):
        check(Camus(nifti))


def test_missing_or_empty_root_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"nowhere does not exist.*dataset\.camus\.root"):
        Camus(tmp_path / "nowhere").entries()
    with pytest.raises(DataError, match="neither patientNNNN folders nor"):
        Camus(tmp_path).entries()


@pytest.mark.shared
def test_real_camus(shared_data, tmp_path):
    source = Camus(shared_data("camus"), limit={"train": 8, "val": 4, "test": 4})
    everything = source.entries()
    assert [sum(entry.split == split for entry in everything) for split in ("train", "val", "test")] == [1600, 200, 200]
    data = prepare(source, (64, 64), tmp_path)
    assert data.images.shape == (16, 1, 64, 64) and set(np.unique(data.labels)) == {0, 1, 2, 3}


def test_a_view_alone_has_its_frames_and_the_same_split_of_patients(flat, nifti):
    for root in (flat, nifti):
        whole = Camus(root).entries()
        for kind, view in ((Camus2CH, "2CH"), (Camus4CH, "4CH")):
            assert kind(root).entries() == [entry for entry in whole if f"_{view}_" in entry.id]
            assert 2 * len(kind(root).entries()) == len(whole)
