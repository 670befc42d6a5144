"""docs/robustness.md: its variants of two U-Nets exchange what they say, and its command runs with them."""

import subprocess
import sys

import pandas as pd

from tests.docs import checkout
from tests.docs.examples import commands, files, put

DOCUMENT = "docs/robustness.md"
EXCHANGE = """
from torch import nn
from unet_parts import NNUNetParts, ResUNetParts
from methods.nnunet import NNUNet
from methods.resunet import ResUNet

def norms(model):
    kinds = [type(layer) for layer in model.modules() if isinstance(layer, (nn.BatchNorm2d, nn.InstanceNorm2d))]
    assert len(set(kinds)) == 1
    return kinds

shape = (2, 1, 2, (32, 32), "tiny")
plain, other = norms(ResUNet(*shape)), norms(ResUNetParts(*shape, norm="instance"))
assert set(plain) == {nn.BatchNorm2d} and set(other) == {nn.InstanceNorm2d} and len(plain) == len(other)
plain, other = norms(NNUNet(*shape)), norms(NNUNetParts(*shape, norm="batch"))
assert set(plain) == {nn.InstanceNorm2d} and set(other) == {nn.BatchNorm2d} and len(plain) == len(other)
"""


def test_its_variants_are_trained_and_tested_by_its_command(tmp_path):
    folder = checkout.copy(tmp_path / "checkout")
    put(DOCUMENT, folder)
    done = subprocess.run([sys.executable, "-c", EXCHANGE], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (command,) = (one for one in commands(DOCUMENT) if any("nnunet_batch" in word for word in one.words))
    ours = [word for word in command.words if not word.startswith(("datasets=", "paths.data=", "suite.sigmas="))]
    words = [*ours, "datasets=[phantom_echo]", "seeds=[0]", "suite.sigmas=[0,0.2]"]
    small = checkout.small(command._replace(words=words))
    (answer,) = checkout.run(folder, [small._replace(words=[*small.words, "training.steps=4"])])
    assert answer.code == 0, answer.text
    records = pd.read_csv(folder / "runs/reports/noise_robustness/records.csv")
    named = next(word for word in words if word.startswith("methods=")).removeprefix("methods=[").rstrip("]").split(",")
    assert {name for name in files(DOCUMENT) if name.startswith("conf/")} == {
        f"conf/method/{name}.yaml" for name in named if name not in ("resunet", "nnunet")
    }
    assert set(records["method"]) == set(named) and set(records["sigma"]) == {0, 0.2}
