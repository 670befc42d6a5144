"""The promise that a class of a user's own package joins the contract tests by its name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = """
import torch
from methods.base import Segmenter


class MyMethod(Segmenter):
    def __init__(self, spatial_dims, in_channels, classes, image_size):
        super().__init__()
        layer = torch.nn.Conv2d if spatial_dims == 2 else torch.nn.Conv3d
        self.head = layer(in_channels, classes, 3, padding=1)

    def loss(self, image, label, stage, generator):
        return {"total": torch.nn.functional.cross_entropy(self.head(image), label)}

    def segment(self, image, sampling, generators, callback=None, embedding=None):
        return self.head(image).softmax(1)


class Unnormalised(MyMethod):
    def segment(self, image, sampling, generators, callback=None, embedding=None):
        return self.head(image)
"""


@pytest.fixture
def contract(tmp_path):
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").write_text(PACKAGE)

    def run(*options):
        command = [sys.executable, "-m", "pytest", "tests/contract", "-p", "no:cacheprovider", *options]
        environment = os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    return run


def test_a_sound_method_of_ones_own_passes(contract):
    result = contract("--method", "my_package.MyMethod")
    assert result.returncode == 0, result.stdout
    assert "test_dataset" not in result.stdout


def test_a_faulty_method_of_ones_own_fails(contract):
    result = contract("--method", "my_package.Unnormalised", "-k", "segment_gives_probabilities")
    assert result.returncode == 1, result.stdout
    assert "8 failed" in result.stdout


@pytest.mark.parametrize("option", ["--method", "--dataset"])
def test_a_name_that_cannot_be_imported_is_explained(contract, option):
    result = contract(option, "nowhere.Nothing")
    assert result.returncode != 0
    group = option.removeprefix("--")
    assert f"no file conf/{group}/nowhere.Nothing.yaml, and not importable" in result.stdout
