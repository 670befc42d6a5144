"""From raw files of one's own, as ISIC and ACDC have them, to a report: the commands that the README shows."""

from pathlib import Path
from subprocess import CompletedProcess

import nibabel
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests import commands
from tests.commands import ROOT

TINY = ["suite=accuracy", "profile=tiny", "tracking=none", "device=cpu", "methods=[unet]", "seeds=[0]"]
SHORT = ["training.steps=4", "profile.limit={train: 3, val: 1, test: 2}"]


def bench(runs: Path, *words: str) -> CompletedProcess:
    return commands.bench(runs, *TINY, *SHORT, *words)


@pytest.fixture(scope="module")
def isic(tmp_path_factory) -> Path:
    """Lesions in JPEG of different sizes, some turned by their EXIF tag, with masks in PNG of rough edges; by split."""
    root, random = tmp_path_factory.mktemp("isic"), np.random.default_rng(0)
    for number in range(10):
        split = "train" if number < 7 else "test"
        rows, columns = 60 + 4 * number, 80
        y, x = np.mgrid[:rows, :columns]
        lesion = np.hypot(y - rows / 2, x - 30) < 18
        skin = np.where(lesion[..., None], (110, 60, 50), (220, 170, 150)) + random.normal(0, 8, (rows, columns, 3))
        picture = Image.fromarray(skin.clip(0, 255).astype(np.uint8))
        exif = Image.Exif()
        if number % 3 == 0:
            exif[274] = 6
            lesion = np.rot90(lesion, -1)
        images, masks = root / split / "images", root / split / "masks"
        for folder in (images, masks):
            folder.mkdir(parents=True, exist_ok=True)
        picture.save(images / f"ISIC_{number:07d}.jpg", exif=exif, quality=95)
        rough = np.where(lesion, 255 - random.integers(0, 9, lesion.shape), random.integers(0, 9, lesion.shape))
        Image.fromarray(rough.astype(np.uint8)).save(masks / f"ISIC_{number:07d}_segmentation.png")
    return root


@pytest.fixture(scope="module")
def acdc(tmp_path_factory) -> Path:
    """Two frames of each of six hearts in NIfTI with their labels, beside the whole film and a text file."""
    root, random = tmp_path_factory.mktemp("acdc"), np.random.default_rng(0)
    for number in range(1, 7):
        folder = root / f"patient{number:03d}"
        folder.mkdir()
        (folder / "Info.cfg").write_text("Group: NOR\n")
        shape = (40 + number, 36, 8)
        distance = np.hypot(*(np.mgrid[: shape[0], : shape[1]] - np.array([20, 18])[:, None, None]))
        label = np.select([distance < 5, distance < 8, distance < 12], [3, 2, 1], 0).astype(np.uint8)
        label = np.repeat(label[..., None], 8, axis=2)
        affine = np.diag([1.5, 1.5, 5.0, 1.0])
        frames = []
        for frame in (1, 8):
            frames.append((100 * label + random.normal(200, 20, shape)).astype(np.int16))
            nibabel.save(nibabel.Nifti1Image(frames[-1], affine), folder / f"{folder.name}_frame{frame:02d}.nii.gz")
            nibabel.save(nibabel.Nifti1Image(label, affine), folder / f"{folder.name}_frame{frame:02d}_gt.nii.gz")
        nibabel.save(nibabel.Nifti1Image(np.stack(frames, -1), affine), folder / f"{folder.name}_4d.nii.gz")
    return root


def acdc_settings(acdc: Path) -> list[str]:
    return [
        f"+dataset.acdc={{images: {acdc}, masks: {acdc}, mask_suffix: _gt, pattern: frame}}",
        "dataset.acdc.classes={RV: 1, myocardium: 2, LV: 3}",
        'dataset.acdc.group="(patient[0-9]+)"',
        "dataset.acdc.image_size.tiny=[32,32,32]",
    ]


def test_isic_and_acdc_come_from_raw_files_to_one_report(isic, acdc, tmp_path):
    lesions = f"+dataset.isic={{images: {isic}/*/images, masks: {isic}/*/masks, mask_suffix: _segmentation}}"
    done = bench(tmp_path, lesions, "dataset.isic.threshold=127", *acdc_settings(acdc), "datasets=[isic,acdc]")
    assert done.returncode == 0, done.stderr + done.stdout
    report = Path(done.stdout.rpartition("Report: ")[2].split("\n")[0].strip())
    records = pd.read_csv((ROOT / report).parent / "records.csv")
    assert set(records.dataset) == {"isic", "acdc"}
    assert set(records[records.dataset == "acdc"]["class"]) == {"RV", "myocardium", "LV", "all"}
    assert set(records[records.dataset == "isic"].case) <= {f"ISIC_{n:07d}" for n in (7, 8, 9)}
    assert records[records.dataset == "acdc"].group.str.fullmatch(r"patient\d{3}").all()
    text = (ROOT / report).read_text()
    assert "isic" in text and "acdc" in text


def test_volumes_for_which_nothing_is_set_say_all_of_it_at_once(acdc, tmp_path):
    done = bench(tmp_path, acdc_settings(acdc)[0], "datasets=[acdc]")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    for words in ("image_size.PROFILE=", "41x36x8 to 46x36x8", "values 0, 1, 2, 3", "dataset.acdc.group", "patient001"):
        assert words in " ".join(done.stderr.split()), words
