"""Engines: the same probabilities as PyTorch's, for every method they are offered for."""

from importlib import import_module
from importlib.util import find_spec

import pytest
import torch
from torch import nn

from benchmarks.errors import BadInput
from benchmarks.machine.engines import CLOSE, engaged, placed
from benchmarks.plan.inference import Inference
from benchmarks.speed.parts import METHODS
from methods.base import Sampling, Segmenter

pytestmark = pytest.mark.filterwarnings("ignore")
CPU = torch.device("cpu")
QUICK = ("resunet", "unet", "nnunet", "sdf_ddpm")
"""The others take ten seconds and more to convert."""
OPENVINO = pytest.param(
    Inference("openvino", "f32"),
    marks=pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed"),
    id="openvino",
)


def method(name, **more):
    """A `tiny` network for images of 32x32, every weight drawn: what starts at 0 would hide what an engine does."""
    module, kind = METHODS[name].split(".")
    size = {"spatial_dims": 2, "in_channels": 1, "classes": 2, "image_size": (32, 32), "size": "tiny"}
    torch.manual_seed(0)
    model = getattr(import_module(f"methods.{module}"), kind)(**size | more)
    with torch.no_grad():
        for weight in model.parameters():
            if not weight.any():
                weight.normal_(0, 0.05)
    return model


@torch.inference_mode()
def probabilities(model, number=2, size=(32, 32)):
    image = torch.rand(number, 1, *size, generator=torch.Generator().manual_seed(1))
    draws = [torch.Generator().manual_seed(n) for n in range(number)]
    return model.segment(image, Sampling(3), draws)


@pytest.mark.parametrize("how", [OPENVINO])
@pytest.mark.parametrize("name", [m if m in QUICK else pytest.param(m, marks=pytest.mark.long) for m in METHODS])
def test_float32_is_pytorchs(name, how):
    model = placed(method(name), CPU, how)
    found, expected = probabilities(model), probabilities(method(name).eval())
    assert engaged(model), "no network was evaluated by the engine"
    assert (found - expected).abs().max() <= CLOSE


@pytest.mark.long
@pytest.mark.parametrize("name", ["ldseg", "unet"])
def test_what_is_compiled_is_pytorchs(name):
    model = placed(method(name), CPU, Inference("compile", "f32"))
    assert (probabilities(model) - probabilities(method(name).eval())).abs().max() <= CLOSE
    assert engaged(model)


@pytest.mark.parametrize("name", METHODS)
def test_bf16_rounds_and_returns_float32(name):
    model = placed(method(name), CPU, Inference("eager", "bf16"))
    found, expected = probabilities(model), probabilities(method(name).eval())
    assert found.dtype == torch.float32 and engaged(model)
    assert 0 < (found - expected).abs().max() < 0.5


def test_volumes_and_other_shapes_are_compiled_for_themselves():
    pytest.importorskip("openvino")
    model = placed(method("resunet", spatial_dims=3, image_size=(16, 16, 16)), CPU, Inference("openvino", "f32"))
    own = method("resunet", spatial_dims=3, image_size=(16, 16, 16)).eval()
    for number in (1, 2):
        apart = probabilities(model, number, (16, 16, 16)) - probabilities(own, number, (16, 16, 16))
        assert apart.abs().max() <= CLOSE


def test_pytorch_in_float32_changes_nothing():
    model = method("resunet")
    assert placed(model, CPU, None) is model and not model.training and engaged(model) == []


class Branching(Segmenter):
    """What a tracer cannot see: a branch by values."""

    def __init__(self):
        super().__init__()
        self.body = Doubling()

    def segment(self, image, sampling, generators, callback=None, embedding=None):
        return self.body(image)


class Doubling(nn.Module):
    def forward(self, x):
        return 2 * x if float(x.sum()) > 1e6 or torch.jit.is_tracing() else x


def test_other_results_than_pytorchs_are_refused():
    pytest.importorskip("openvino")
    model = placed(Branching(), CPU, Inference("openvino", "f32"))
    with pytest.raises(BadInput, match=r"Branching\.body differs from PyTorch by .*inference\.engine=eager"):
        probabilities(model)


def test_openvino_wants_a_cpu():
    with pytest.raises(BadInput, match=r"inference\.engine=openvino: computes on CPUs only, and device is meta"):
        placed(nn.Identity(), torch.device("meta"), Inference("openvino", "f32"))
