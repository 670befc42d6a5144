"""README.md: its example of a method works, and its commands are understood."""

import os
import re
import subprocess
import sys

import nibabel
import numpy as np
import pytest
from PIL import Image

import run_bench
from benchmarks.plan.planning import make_plan
from tests.docs.examples import ROOT, commands, files

README = "README.md"
SUITES = [command.words for command in commands(README) if command.program == "python run_bench.py"]


@pytest.mark.parametrize("words", SUITES, ids=" ".join)
def test_its_commands_are_understood(words, tmp_path, monkeypatch):
    """Every key is known and every value can be used, as far as that is seen without data."""
    (tmp_path / "my_package.py").write_text(files(README)["my_package.py"])
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    config, kind = run_bench.checked(words)
    assert config.suite.name and kind.name


def test_its_method_passes_the_contract_tests(tmp_path):
    (tmp_path / "my_package.py").write_text(files(README)["my_package.py"])
    script = [sys.executable, "-m", "pytest", "tests/contract", "--method", "my_package.MyMethod"]
    place = os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*script, "-p", "no:cacheprovider"], cwd=ROOT, env=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 10


def test_every_file_it_links_is_there():
    links = re.findall(r"\]\(([^)\s:]+)\)", (ROOT / README).read_text())
    assert links and all((ROOT / link.partition("#")[0]).exists() for link in links)


def raw_folders(place):
    """Pictures as in ISIC, masks with values in between, and hearts as in ACDC beside films that have no mask."""
    random = np.random.default_rng(0)
    for split, count in (("train", 5), ("val", 2), ("test", 3)):
        for kind, ending in (("images", ".jpg"), ("masks", "_segmentation.png")):
            folder = place / "ISIC" / split / kind
            folder.mkdir(parents=True)
            for number in range(count):
                inside = np.hypot(*np.mgrid[-45:45, -60:60]) < 30
                channels = (3,) if kind == "images" else ()
                pixels = inside.reshape(90, 120, *(1,) * len(channels)) * 200 + random.integers(
                    0, 40, (90, 120, *channels)
                )
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"ISIC_{split}{number}{ending}")
    for number in range(8):
        folder = place / "ACDC" / ("training" if number < 6 else "testing") / f"patient{number:03d}"
        folder.mkdir(parents=True)
        label = np.zeros((60, 70, 8), np.uint8)
        label[10:20, 30:40], label[25:45, 20:50], label[30:40, 30:40] = 1, 2, 3
        for name, voxels in (
            ("4d", np.zeros((60, 70, 8, 3), np.int16)),
            ("frame01", label * 50),
            ("frame01_gt", label),
        ):
            image = nibabel.Nifti1Image(voxels, np.diag([1.5, 1.5, 8, 1]))
            nibabel.save(image, folder / f"patient{number:03d}_{name}.nii.gz")


def test_its_commands_for_raw_folders_plan_every_method(tmp_path, monkeypatch):
    """As a new user has the files: nothing is refused, and what cannot be used is a row that says why."""
    (words,) = [words for words in SUITES if any("ACDC" in word for word in words)]
    raw_folders(tmp_path)
    monkeypatch.chdir(tmp_path)
    trials = make_plan(run_bench.checked([*words, "seeds=[0]"])[0])
    methods = {trial.config.method.name for trial in trials}
    assert {"ldseg", "nnunet", "swinunetr"} <= methods and len(trials) == 2 * len(methods)
    for dataset, classes in (("isic", ("foreground",)), ("acdc", ("RV", "myocardium", "LV"))):
        mine = [trial for trial in trials if trial.config.dataset.name == dataset]
        assert {trial.config.dataset.class_names for trial in mine} == {classes}
        assert sum(trial.declined is None for trial in mine) > len(mine) / 2
    assert {len(t.config.dataset.image_size) for t in trials} == {2, 3}
    assert trials[-1].config.dataset.cases == {"train": 5, "val": 1, "test": 2}
