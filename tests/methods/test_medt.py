"""MedT: the patches of the local branch, its two branches, the released size."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from methods.medt import MedT, from_patches, to_patches

CONF = Path(__file__).parents[2] / "conf" / "method" / "medt.yaml"


def build(size="tiny", image_size=(32, 32), classes=2, in_channels=3) -> MedT:
    torch.manual_seed(0)
    return MedT(spatial_dims=2, in_channels=in_channels, classes=classes, image_size=image_size, size=size)


def count(model) -> int:
    return sum(p.numel() for p in model.parameters())


# ---- branches -------------------------------------------------------------------------------------------------------


def test_patches_are_cut_row_by_row_and_go_back_in_place():
    image = torch.randn(2, 3, 32, 48)
    patches = to_patches(image)
    assert patches.shape == (32, 3, 8, 12)
    for b in range(2):
        for row in range(4):
            for column in range(4):
                cut = image[b, :, 8 * row : 8 * row + 8, 12 * column : 12 * column + 12]
                assert torch.equal(patches[16 * b + 4 * row + column], cut)
    assert torch.equal(from_patches(patches), image)


@torch.no_grad()
def test_the_local_branch_answers_in_the_patch_it_was_asked():
    model = build(image_size=(32, 64)).eval()
    image = torch.rand(2, 3, 32, 64)
    other = image.clone()
    other[1, :, 8:16, 48:64] = torch.rand(3, 8, 16)
    difference = [from_patches(model.local(to_patches(x))) for x in (image, other)]
    difference = (difference[0] - difference[1]).abs().sum(1) > 0
    assert difference[1, 8:16, 48:64].any()
    difference[1, 8:16, 48:64] = False
    assert not difference.any()


@torch.no_grad()
def test_the_global_branch_carries_a_change_across_the_image():
    model = build().eval()
    image = torch.rand(1, 3, 32, 32)
    other = image.clone()
    other[0, :, :4, :4] = torch.rand(3, 4, 4)
    assert ((model.whole(image) - model.whole(other)).abs().sum(1) > 0)[0, 24:, 24:].any()


@torch.no_grad()
def test_both_branches_add_up_before_the_head():
    model = build().eval()
    seen = {}
    for name in ("whole", "local", "head"):
        getattr(model, name).register_forward_hook(
            lambda module, inputs, output, name=name: seen.update({name: (inputs[0], output)})
        )
    logits = model(torch.rand(2, 3, 32, 32))
    assert seen["whole"][0].shape == (2, 3, 32, 32) and seen["local"][0].shape == (32, 3, 8, 8)
    torch.testing.assert_close(seen["head"][0], seen["whole"][1] + from_patches(seen["local"][1]))
    assert torch.equal(logits, seen["head"][1])


# ---- the network ----------------------------------------------------------------------------------------------------


def test_the_released_network_has_our_weights_and_some_that_do_nothing():
    """1,560,140 for colour images of 128 x 128 and two classes, counted from the authors' definition of the layers."""
    shifts = 3 * 2 * 3 * 8 + 8 * 2 * 8  # of batch-normalised scores: 3 global, 8 local blocks, 2 axes, 8 heads
    planes = (16, *2 * [32], *4 * [64], 128)
    unused = sum(p * p + p for p in planes) + 16 * 2 + 2  # a 1x1 convolution per local block, and a second head
    assert (shifts, unused) == (272, 35_536 + 34)
    assert count(build("paper", (128, 128))) == 1_560_140 - shifts - unused == 1_524_298


@pytest.mark.parametrize(("size", "side", "weights"), [("small", 128, 1_284_694), ("tiny", 32, 96_438)])
def test_smaller_sizes(size, side, weights):
    assert count(build(size, (side, side))) == weights


def test_only_the_global_branch_has_gates_and_positions():
    model = build("paper", (64, 64))
    names = [name for name, _ in model.named_parameters() if "gate_" in name or name.endswith("relative")]
    assert len(names) == 3 * 2 * 5 and all(name.startswith("whole.") for name in names)


@pytest.mark.parametrize(
    ("size", "image_size"),
    [("tiny", (32, 32)), ("tiny", (48, 80)), ("small", (64, 96)), ("small", (96, 96)), ("paper", (64, 64))],
)
def test_segments_square_and_oblong_images(size, image_size):
    model = build(size, image_size, classes=3, in_channels=1).eval()
    with torch.no_grad():
        logits = model(torch.rand(1, 1, *image_size))
    assert logits.shape == (1, 3, *image_size) and logits.isfinite().all()


@pytest.mark.parametrize(
    ("size", "image_size", "words"),
    [
        ("tiny", (32, 40), "each a multiple of 16"),
        ("tiny", (32, 16), "at least 32"),
        ("small", (128, 48), "at least 64"),
    ],
)
def test_an_image_size_that_does_not_fit_is_refused(size, image_size, words):
    with pytest.raises(ValueError, match=rf"image_size is \({image_size[0]}, {image_size[1]}\).*{words}"):
        build(size, image_size)


def test_an_unknown_size_and_three_dimensions_are_refused():
    with pytest.raises(ValueError, match="method.size is 'huge', expected one of tiny, small, paper"):
        build("huge")
    assert MedT.supports(2, 4) is None
    with pytest.raises(ValueError, match="published for 2D images; the data are 3D.*swinunetr"):
        MedT(3, 1, 2, (32, 32, 32), size="tiny")


def test_configuration_builds_the_method():
    config = OmegaConf.to_container(OmegaConf.load(CONF), resolve=False)
    for key in ("title", "summary", "loss", "training"):
        assert config.pop(key)
    standard = dict(spatial_dims=2, in_channels=1, classes=2, image_size=(32, 32))
    model = instantiate(config | {"size": "tiny"}, **standard)
    assert isinstance(model, MedT) and count(model) == count(build(in_channels=1))
