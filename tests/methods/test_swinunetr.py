"""Swin UNETR: the published size, and the border that lets MONAI's network take any volume."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch.nn import functional as F

from methods.base import Sampling
from methods.blocks.intensity import min_max
from methods.swinunetr import SwinUNETR, borders_of

CONF = Path(__file__).parents[2] / "conf" / "method" / "swinunetr.yaml"


def build(size="tiny", image_size=(32, 32, 32), classes=3, in_channels=1) -> SwinUNETR:
    torch.manual_seed(0)
    return SwinUNETR(spatial_dims=3, in_channels=in_channels, classes=classes, image_size=image_size, size=size)


def count(model) -> int:
    return sum(p.numel() for p in model.parameters())


def test_the_published_network_has_62_million_weights():
    model = build("paper", (128, 128, 128), classes=3, in_channels=4)
    # Table 1 of the paper has 61.98 M; its equation 2 has no tables of relative positions.
    tables = sum(p.numel() for name, p in model.named_parameters() if name.endswith("bias_table"))
    assert count(model) == 62_191_941 and tables == 13**3 * 2 * (3 + 6 + 12 + 24)
    assert count(model) - tables == pytest.approx(61.98e6, rel=3e-4)
    assert count(build("paper", (128, 128, 256))) == 62_186_757
    blocks = [stage[0].blocks for stage in (getattr(model.network.swinViT, f"layers{i}") for i in range(1, 5))]
    assert [len(stage) for stage in blocks] == [2, 2, 2, 2]
    assert [stage[0].attn.num_heads for stage in blocks] == [3, 6, 12, 24]
    assert all(block.window_size == (7, 7, 7) for stage in blocks for block in stage)
    assert [stage[1].shift_size for stage in blocks] == [(3, 3, 3)] * 4


@pytest.mark.parametrize(("size", "weights"), [("tiny", 3_890_637), ("small", 3_911_217)])
def test_smaller_sizes(size, weights):
    assert count(build(size)) == weights


@pytest.mark.parametrize(
    ("size", "borders"),
    [
        ((64, 96, 32), [(0, 0), (0, 0), (0, 0)]),
        ((48, 64, 48), [(8, 8), (0, 0), (8, 8)]),
        ((35, 51, 35), [(14, 15), (6, 7), (14, 15)]),
        # The last axis too, where the network's coarsest grid would be a single voxel.
        ((32, 32, 32), [(0, 0), (0, 0), (16, 16)]),
    ],
)
def test_a_border_makes_every_axis_a_multiple_of_32(size, borders):
    assert borders_of(size) == borders


def test_logits_are_those_of_the_network_inside_the_border():
    model = build(image_size=(33, 32, 40)).eval()
    image = torch.rand(1, 1, 33, 32, 40)
    with torch.no_grad():
        whole = model.network(F.pad(min_max(image), (12, 12, 0, 0, 15, 16)))
        assert torch.equal(model(image), whole[:, :, 15:48, :, 12:52])


def test_merging_takes_every_voxel_once():
    merging = build().network.swinViT.layers1[0].downsample
    merging.norm, merging.reduction = torch.nn.Identity(), torch.nn.Identity()
    x = torch.arange(64.0).reshape(1, 4, 4, 4, 1)
    merged = merging(x)
    assert merged.shape == (1, 2, 2, 2, 8)
    assert sorted(merged.flatten().tolist()) == list(range(64))
    assert sorted(merged[0, 0, 0, 0].tolist()) == [0, 1, 4, 5, 16, 17, 20, 21]


def test_a_dimmer_copy_of_an_image_gets_the_same_segmentation():
    model = build().eval()
    image = torch.rand(1, 1, 32, 32, 32)
    with torch.no_grad():
        bright, dim = (model.segment(x, Sampling(), []) for x in (image, 0.4 * image + 0.1))
    torch.testing.assert_close(bright, dim, atol=1e-4, rtol=0)


@pytest.mark.parametrize("image_size", [(31, 32, 32), (32, 64, 1), (64, 64)])
def test_an_image_size_below_32_is_refused(image_size):
    with pytest.raises(ValueError, match=r"image_size is \(.*three entries of 32 or more"):
        build(image_size=image_size)


def test_an_unknown_size_and_two_dimensions_are_refused():
    with pytest.raises(ValueError, match="method.size is 'huge', expected one of tiny, small, paper"):
        build("huge")
    assert SwinUNETR.supports(3, 4) is None
    with pytest.raises(ValueError, match="published for volumes; the data are 2D.*method swinunet"):
        SwinUNETR(2, 1, 2, (64, 64), size="tiny")


def test_configuration_builds_the_method():
    config = OmegaConf.to_container(OmegaConf.load(CONF), resolve=False)
    for key in ("title", "summary", "loss", "training"):
        assert config.pop(key)
    standard = dict(spatial_dims=3, in_channels=1, classes=3, image_size=(48, 64, 48))
    model = instantiate(config | {"size": "tiny"}, **standard)
    assert isinstance(model, SwinUNETR) and count(model) == count(build())
