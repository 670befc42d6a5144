"""Small data sets on disk, and one in memory."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from datasets.base import Case, Entry, Source

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"


def picture(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


@pytest.fixture
def save():
    """save(path, array) writes a picture, making its folder."""
    return picture


def nifti(path: Path, array: np.ndarray, spacing=(1.0, 1.0, 1.0), offset=(0.0, 0.0, 0.0)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = offset
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    return path


@pytest.fixture
def save_nifti():
    """save_nifti(path, array, spacing=, offset=) writes a NIfTI file, making its folder."""
    return nifti


@pytest.fixture
def volumes(tmp_path: Path):
    """volumes(names, image, label) writes volumes with their labels 1 and 2 in three places into two folders.

    Shapes differ from case to case; image and label tell where these folders are and how a file is called.
    """

    def write(names, image="images/{}.nii.gz", label="masks/{}.nii.gz", spacing=(0.5, 1.0, 2.0)):
        random = np.random.default_rng(0)
        for number, name in enumerate(names):
            shape = (8 + number % 3, 9, 7 + number % 2)
            mask = np.zeros(shape, np.uint8)
            mask[2:5, 3:6, 2:5], mask[5:7, 3:6, 2:5] = 1, 2
            voxels = (mask * 200 + random.normal(100, 20, shape)).astype(np.int16)
            nifti(tmp_path / image.format(name), voxels, spacing)
            nifti(tmp_path / label.format(name), mask, spacing)
        return tmp_path

    return write


@pytest.fixture
def glas_root(tmp_path: Path) -> Path:
    """Ten training and four test images of 24 rows and 30 columns, as BMP, each with two gland instances."""
    random = np.random.default_rng(0)
    root = tmp_path / "glas"
    names = [f"train_{n}" for n in range(1, 11)] + ["testA_1", "testA_2", "testB_1", "testB_2"]
    for name in names:
        picture(root / f"{name}.bmp", random.integers(0, 256, (24, 30, 3), np.uint8))
        mask = np.zeros((24, 30), np.uint8)
        mask[2:8, 3:9], mask[12:20, 15:28] = 1, 2
        picture(root / f"{name}_anno.bmp", mask)
    return root


@pytest.fixture
def graded(glas_root: Path) -> Path:
    """The same with Grade.csv as released: seven patients, of whom 1 and 2 are in training and test."""
    patients = {f"train_{n}": str(1 + (n - 1) // 2) for n in range(1, 11)}
    patients |= {"testA_1": "1", "testA_2": "2", "testB_1": "6", "testB_2": "7"}
    lines = [f"{name},{patient}, benign, healthy" for name, patient in sorted(patients.items())]
    header = "name,patient ID, grade (GlaS), grade (Sirinukunwattana et al. 2015)"
    (glas_root / "Grade.csv").write_text("\n".join([header, *lines]) + "\n")
    return glas_root


@pytest.fixture
def folders(tmp_path: Path):
    """folders(names, values=...) writes grey images and masks into two folders and returns these."""

    def write(names, values=(0, 255), size=(20, 16), ending=".png"):
        random = np.random.default_rng(0)
        for name in names:
            picture(tmp_path / "images" / f"{name}{ending}", random.integers(0, 256, size, np.uint8))
            mask = np.resize(np.repeat(np.array(values, np.uint8), 5), size)
            picture(tmp_path / "masks" / f"{name}.png", mask)
        return tmp_path / "images", tmp_path / "masks"

    return write


class Memory(Source):
    """Cases given as a list of (entry, image, label); reads are counted."""

    name = "memory"
    title = "Cases in memory"
    spatial_dims = 2
    channels = 1
    class_names = ("one", "two")

    def __init__(self, cases, limit=None, spacing=None):
        super().__init__(limit)
        self.cases = {entry.id: (entry, image, label) for entry, image, label in cases}
        self.listed = [entry for entry, _, _ in cases]
        self.spacing = spacing
        self.reads = 0

    def entries(self):
        return sorted(self.listed, key=lambda entry: entry.id)

    def read(self, entry):
        self.reads += 1
        _, image, label = self.cases[entry.id]
        return Case(entry.id, entry.group, image, label, self.spacing)


@pytest.fixture
def memory():
    """memory(cases) is a source of [(id, group, split, image, label)]; without cases, six sound ones."""

    def make(cases=None, **settings):
        if cases is None:
            random = np.random.default_rng(0)
            splits = ["train", "train", "train", "val", "test", "test"]
            cases = [
                (f"c{n}", f"p{n}", split, random.random((1, 10, 8), np.float32), random.integers(0, 3, (10, 8)))
                for n, split in enumerate(splits)
            ]
        return Memory([(Entry(i, g, s), image, label) for i, g, s, image, label in cases], **settings)

    return make


@pytest.fixture
def shared_data():
    """shared_data(name): folder of a real data set beside the checkout; the test is skipped where there is none."""

    def find(name: str) -> Path:
        if not (SHARED / name).is_dir():
            pytest.skip(f"the real {name} data are not in ../shared/data")
        return SHARED / name

    return find
