import json
import tarfile
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from monai.apps import DecathlonDataset, utils

from datasets.base import DataError
from datasets.decathlon import Decathlon, fetch
from datasets.fingerprint import fingerprint
from datasets.integrity import check
from datasets.prepare import prepare

TASK = "Task04_Hippocampus"
NAMES = [f"case_{n:03d}" for n in range(10)]
DESCRIPTION = {
    "name": "Hippocampus",
    "modality": {"0": "MRI"},
    "labels": {"0": "background", "1": "Anterior", "2": "Posterior"},
    "training": [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in NAMES],
    "test": ["./imagesTs/case_900.nii.gz"],
}


def describe(root: Path, **changes) -> Path:
    path = root / TASK / "dataset.json"
    path.write_text(json.dumps({key: value for key, value in (DESCRIPTION | changes).items() if value is not None}))
    return path


@pytest.fixture
def root(volumes):
    """The release's layout of one task, with ten training cases and no test images."""
    root = volumes(NAMES, TASK + "/imagesTr/{}.nii.gz", TASK + "/labelsTr/{}.nii.gz")
    describe(root)
    return root


def test_description_gives_classes_channels_and_training_pairs(root):
    source = Decathlon(root)
    entries = check(source)
    assert source.class_names == ("Anterior", "Posterior") and source.channels == 1
    assert [sum(entry.split == split for entry in entries) for split in ("train", "val", "test")] == [7, 1, 2]
    assert [entry.id for entry in entries] == NAMES
    assert source.name == "decathlon" and TASK in source.title
    case = source.read(entries[1])
    assert case.image.shape == (1, 9, 9, 8) and case.spacing == (0.5, 1.0, 2.0)
    assert set(np.unique(case.label)) == {0, 1, 2}


def test_label_values_are_numbered_in_their_own_order(root):
    describe(root, labels={"2": "second", "1": "first", "0": "background"})
    source = Decathlon(root)
    assert source.class_names == ("first", "second")
    assert source.read(source.entries()[0]).label[2, 3, 2] == 1
    describe(root, labels={"0": "background", "1": "only"})
    with pytest.raises(DataError, match=r"labelsTr/case_000\.nii\.gz holds the value\(s\) \[2\], expected 0 and 1"):
        check(Decathlon(root))


def test_modalities_are_channels(root, save_nifti):
    describe(root, modality={"0": "T1", "1": "T2"})
    assert Decathlon(root).channels == 2
    with pytest.raises(DataError, match=r"case_000\.nii\.gz has the shape \(8, 9, 7\), expected \(X, Y, Z, 2\)"):
        check(Decathlon(root))
    voxels = np.random.default_rng(0).random((8, 9, 7, 2), np.float32)
    save_nifti(root / TASK / "imagesTr" / "case_000.nii.gz", voxels, (0.5, 1.0, 2.0))
    source = Decathlon(root)
    assert source.read(source.entries()[0]).image.shape == (2, 8, 9, 7)


def test_own_grids_by_default_and_one_grid_if_wanted(root, tmp_path):
    few = {"train": 2, "val": 1, "test": 1}
    own = prepare(Decathlon(root, limit=few), (12, 12, 12), tmp_path / "cache")
    assert own.fit == "pad" and own.batch([0, 1])[0].shape == (2, 1, 12, 12, 12)
    one = prepare(Decathlon(root, limit=few, fit="resize"), (12, 12, 12), tmp_path / "cache")
    assert one.images.shape == (4, 1, 12, 12, 12) and one.truth(0)[0].shape == own.truth(0)[0].shape
    assert own.fingerprint != one.fingerprint != fingerprint(Decathlon(root, limit=few, fit="resize", window=[0, 9]))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"labels": None}, r"dataset\.json is not a decathlon description \(KeyError: 'labels'\)"),
        ({"training": [3]}, r"dataset\.json is not a decathlon description \(TypeError"),
        ({"training": []}, r"dataset\.json lists 0 training pairs"),
        ({"labels": {"0": "background", "1": "a", "2": "a"}}, r"no class name twice"),
    ],
)
def test_malformed_descriptions_are_refused(root, changes, message):
    describe(root, **changes)
    with pytest.raises(DataError, match=message):
        Decathlon(root).entries()


def test_missing_files_are_named(root):
    (root / TASK / "labelsTr" / "case_003.nii.gz").unlink()
    with pytest.raises(DataError, match=r"labelsTr/case_003\.nii\.gz does not exist, though dataset\.json names it"):
        Decathlon(root).entries()


def test_missing_task_names_what_to_set(root):
    with pytest.raises(DataError, match=r"Task09_Spleen/dataset\.json does not exist.*decathlon\.root.*download=true"):
        Decathlon(root, "Task09_Spleen").entries()


@pytest.fixture
def server(root, tmp_path, monkeypatch):
    """The task as an archive in the place of its address; the folder itself is gone."""
    archive = tmp_path / "server" / f"{TASK}.tar"
    archive.parent.mkdir()
    with tarfile.open(archive, "w") as tar:
        tar.add(root / TASK, TASK)
    monkeypatch.setitem(DecathlonDataset.resource, TASK, archive.as_uri())
    monkeypatch.setitem(DecathlonDataset.md5, TASK, utils.hashlib.md5(archive.read_bytes()).hexdigest())
    return archive


def test_a_missing_task_is_downloaded_when_wanted(server, tmp_path):
    target = tmp_path / "data"
    assert len(Decathlon(target, TASK, download=True).entries()) == 10
    server.unlink()
    assert len(Decathlon(target, TASK, download=True).entries()) == 10, "what is there is not fetched again"
    assert [path.name for path in target.iterdir()] == [TASK]


def test_a_download_with_another_checksum_is_not_used(server, tmp_path, monkeypatch):
    monkeypatch.setitem(DecathlonDataset.md5, TASK, "0" * 32)
    with pytest.raises(DataError, match="md5 hash check"):
        fetch(TASK, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_without_a_network_one_line_says_so(tmp_path, monkeypatch, capfd):
    def offline(*_, **__):
        raise URLError("Name or service not known")

    monkeypatch.setattr(utils, "urlretrieve", offline)
    with pytest.raises(
        DataError, match=r"could not be downloaded from http.*Name or service not known.*online"
    ) as error:
        Decathlon(tmp_path, TASK, download=True).entries()
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_a_task_without_an_address_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"dataset\.decathlon\.task is 'Task11'.*Task01_BrainTumour"):
        Decathlon(tmp_path, "Task11", download=True).entries()


@pytest.mark.shared
def test_real_hippocampus(shared_data, tmp_path):
    source = Decathlon(shared_data(TASK).parent, limit={"train": 6, "val": 2, "test": 3})
    everything = source.entries()
    assert [sum(entry.split == split for entry in everything) for split in ("train", "val", "test")] == [182, 26, 52]
    data = prepare(source, (48, 64, 48), tmp_path)
    images, labels = data.batch(range(11))
    assert images.shape == (11, 1, 48, 64, 48) and set(np.unique(labels)) == {0, 1, 2}
    for index in range(11):
        truth, spacing = data.truth(index)
        assert spacing == (1.0, 1.0, 1.0) and truth.sum() == labels[index].sum(), "the whole case is in the window"
