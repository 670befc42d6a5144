"""From raw folders as ISIC and ACDC have them to masks of new images, and on to others, by the README's commands."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.docs import checkout
from tests.docs.examples import Command, commands
from tests.test_own_folders import acdc, isic  # noqa: F401  (fixtures)

ACTIONS = ("segment", "export", "import", "merge", "leaderboard", "store", "gc")
TINY = ["profile=tiny", "tracking=none", "device=cpu", "seeds=[0]", "training.steps=6"]
LIMIT = "profile.limit={train: 3, val: 1, test: 2}"


def shown() -> list[Command]:
    """The commands of the README that use trials or pass them on."""
    found = [command for command in commands("README.md") if command.program == "python run_bench.py"]
    return [
        c for c in found if any(word.partition("=")[2] in ACTIONS for word in c.words if word.startswith("action="))
    ]


def sums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "segment.json")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def used(isic, acdc, tmp_path_factory) -> Path:  # noqa: F811
    """A copy of the checkout in which trials were trained from raw folders and the README's commands run in order."""
    folder = checkout.copy(tmp_path_factory.mktemp("used") / "clone")
    for split in ("test", "train"):
        shutil.copytree(isic / split, folder / "ISIC" / split)
    shutil.copytree(acdc, folder / "ACDC")
    shutil.copytree(isic / "test/images", folder / "new/lesions")
    shutil.copytree(acdc, folder / "new/hearts", ignore=shutil.ignore_patterns("*_gt*", "patient00[3-6]"))
    (own,) = [c for c in commands("README.md") if "datasets=[isic,acdc]" in c.words]
    train = [*own.words, *TINY, LIMIT, "methods=[ldseg,resunet]", "dataset.acdc.image_size.tiny=[32,32,16]"]
    steps = [own._replace(words=train), *(c._replace(words=[*c.words, "device=cpu"]) for c in shown())]
    for command, answer in zip(steps, checkout.run(folder, steps), strict=True):
        assert answer.code == 0, (command.words, answer.text)
    return folder


def test_the_readme_shows_every_action():
    assert {word[7:] for command in shown() for word in command.words if word.startswith("action=")} == set(ACTIONS)


def test_new_lesions_have_masks_of_their_own_size(used):
    for path in sorted((used / "new/lesions").glob("*.jpg")):
        mask = np.asarray(Image.open(used / f"lesions/masks/{path.stem}.png"))
        picture = Image.open(path)
        turned = picture.getexif().get(274) == 6
        assert mask.shape == (picture.size if turned else picture.size[::-1]) and set(np.unique(mask)) <= {0, 1}
        for name in (f"overlays/{path.stem}.png", f"uncertainty/{path.stem}_entropy.png"):
            assert Image.open(used / "lesions" / name).size == mask.shape[::-1]
    assert len(pd.read_csv(used / "lesions/sizes.csv")) == 3


def test_new_hearts_have_masks_at_their_place_and_maps_of_uncertainty(used):
    found = sorted((used / "hearts/masks").rglob("*.nii.gz"))
    assert [path.name for path in found] == [f"patient00{n}_frame0{f}.nii.gz" for n in (1, 2) for f in (1, 8)]
    for path in found:
        name = path.relative_to(used / "hearts/masks")
        image, mask = nibabel.load(used / "new/hearts" / name), nibabel.load(path)
        np.testing.assert_allclose(mask.affine, image.affine)
        assert mask.shape == image.shape and set(np.unique(np.asarray(mask.dataobj))) <= {0, 1, 2, 3}
        for what in ("entropy", "sd"):
            values = nibabel.load(used / "hearts/uncertainty" / str(name).replace(".nii", f"_{what}.nii"))
            assert values.shape == image.shape and np.isfinite(values.get_fdata()).all()
    sizes = pd.read_csv(used / "hearts/sizes.csv")
    assert set(sizes["class"]) == {"RV", "myocardium", "LV"} and set(sizes.unit) == {"mm3"}


def test_the_card_of_an_exported_trial_has_the_validation_score_of_its_cases(used):
    (folder,) = (used / "runs/trials").glob("acdc-ldseg-s0-*")
    with zipfile.ZipFile(used / "ldseg.zip") as found:
        card = found.read(f"{folder.name}/model_card.md").decode()
    cases = pd.read_parquet(folder / "validation.parquet")
    assert list(cases) == ["case", "group", "dsc"] and len(cases) > 0
    assert f"over {len(cases)} case" in card and "so there is no interval" not in card


def test_an_exported_file_gives_the_masks_of_its_trial(used):
    assert sums(used / "hearts_from_file") == sums(used / "hearts")


def test_a_trial_imported_on_a_clean_clone_gives_the_same_masks_bit_for_bit(used, tmp_path):
    clone = checkout.copy(tmp_path / "clean")
    shutil.copy(used / "ldseg.zip", clone / "ldseg.zip")
    shutil.copytree(used / "new/hearts", clone / "new/hearts")
    (trial,) = (used / "runs/trials").glob("acdc-ldseg-s0-*")
    segment = [
        "action=segment",
        f"weights={trial.name}",
        "input=new/hearts",
        "pattern=frame",
        "output=hearts",
        "samples=8",
    ]
    place = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    place |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    for words in (["action=import", "input=ldseg.zip"], [*segment, "device=cpu"]):
        script = [sys.executable, "run_bench.py", *words]
        done = subprocess.run(script, cwd=clone, env=place, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    name = "weights.safetensors"
    assert sums(clone / "runs/trials" / trial.name)[name] == sums(trial)[name]
    assert sums(clone / "hearts") == sums(used / "hearts")


def test_two_stores_become_one_report(used):
    merged = {path.name for path in (used / "everyone/trials").glob("[!.]*")}
    assert merged == {path.name for path in (used / "runs/trials").glob("[!.]*")} and len(merged) == 4
    (own,) = [c for c in commands("README.md") if "datasets=[isic,acdc]" in c.words]
    words = [*own.words, *TINY, LIMIT, "methods=[ldseg,resunet]", "dataset.acdc.image_size.tiny=[32,32,16]"]
    (answer,) = checkout.run(used, [own._replace(words=[*words, "action=report", "paths.runs=everyone"])])
    assert answer.code == 0, answer.text
    records = [
        pd.read_csv(next((used / s / "reports").glob("accuracy-*")) / "records.csv") for s in ("runs", "everyone")
    ]
    pd.testing.assert_frame_equal(*records)


def test_the_leaderboard_has_a_table_for_each_data_set(used):
    for dataset in ("isic", "acdc"):
        rows = pd.read_csv(used / f"leaderboard/tables/leaderboard_{dataset}.csv")
        assert set(rows.method) == {"ldseg", "resunet"} and rows.dsc.notna().all()
