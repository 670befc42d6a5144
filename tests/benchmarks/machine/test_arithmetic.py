"""The `small` sizes: one rule for all methods, a training step of about the same arithmetic."""

import pytest
import torch

from benchmarks.machine import arithmetic
from benchmarks.machine.arithmetic import BAND, DATA, REFERENCE
from benchmarks.plan import building
from benchmarks.store.config import DatasetConfig
from methods.base import Segmenter

NETWORKS = arithmetic.networks()


class Product(Segmenter):
    """Two stages of one matrix product each, the second twice as wide."""

    stages = ("first", "second")

    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Conv2d(3, 5, 1, bias=False), torch.nn.Conv2d(3, 10, 1, bias=False)

    def loss(self, image, label, stage, generator):
        return {"total": getattr(self, stage)(image).sum()}


def test_operations_are_counted_forwards_and_backwards_and_averaged_over_the_stages():
    """Of a convolution: 2 x pixels x inputs x outputs, and as many for the gradient of its weights."""
    data = DatasetConfig("any", (8, 8), channels=3, class_names=("one",))
    assert arithmetic.training_step(Product(), data) == 2 * (2 * 64 * 3 * 5 + 2 * 64 * 3 * 10) / 2


@pytest.fixture(scope="module", params=[2, 3], ids=["images", "volumes"])
def data(request):
    """Data, and the arithmetic of the reference on them."""
    found = DATA[request.param]
    return found, arithmetic.of(NETWORKS[REFERENCE], "small", found)[1]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_small_network_trains_at_the_cost_of_ldsegs(data, name):
    found, reference = data
    if reason := building.reason_against(NETWORKS[name], found):
        pytest.skip(reason)
    share = arithmetic.of(NETWORKS[name], "small", found)[1] / reference
    assert BAND[0] <= share <= BAND[1]


WIDER = {
    "unet": ("methods.unet", "WIDTHS", lambda widths: {2: widths[2] | {"small": (32, 64, 128, 256, 512)}}),
    "resunet": ("methods.resunet", "WIDTHS", lambda widths: widths | {"small": widths["paper"]}),
    "nnunet": ("methods.nnunet", "BASE_WIDTHS", lambda widths: widths | {"small": widths["paper"]}),
    "vnet": ("methods.vnet", "LAYOUTS", lambda layouts: layouts | {"small": layouts["paper"]}),
    "swinunet": ("methods.swinunet", "LAYOUTS", lambda layouts: layouts | {"small": layouts["paper"]}),
    "sdf_ddpm": (
        "methods.sdf_ddpm", "SIZES", lambda sizes: {2: sizes[2] | {"small": sizes[2]["small"]._replace(base=32)}},
    ),
    "medsegdiff": (
        "methods.medsegdiff", "SIZES", lambda sizes: {2: sizes[2] | {"small": sizes[2]["small"]._replace(base=16)}},
    ),
    "flowsdf": (
        "methods.flowsdf", "SIZES",
        lambda sizes: {
            2: sizes[2] | {"small": sizes[2]["small"]._replace(widths=(32, 32, 64, 64, 128, 128), encoder=(16, 8, 2))}
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WIDER)
def test_networks_of_twice_the_width_would_cost_more(monkeypatch, name):
    module, attribute, wider = WIDER[name]
    loaded = __import__(module, fromlist=[attribute])
    monkeypatch.setattr(loaded, attribute, wider(getattr(loaded, attribute)))
    reference = arithmetic.of(NETWORKS[REFERENCE], "small", DATA[2])[1]
    assert arithmetic.of(NETWORKS[name], "small", DATA[2])[1] > BAND[1] * reference
