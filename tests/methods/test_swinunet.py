"""Swin-UNet: the published size, where windows are shifted, and what image sizes it takes."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from methods.swinunet import DROP_PATH, SwinUNet

CONF = Path(__file__).parents[2] / "conf" / "method" / "swinunet.yaml"


def build(size="tiny", image_size=(32, 32), classes=2, in_channels=3) -> SwinUNet:
    torch.manual_seed(0)
    return SwinUNet(spatial_dims=2, in_channels=in_channels, classes=classes, image_size=image_size, size=size)


def count(model) -> int:
    return sum(p.numel() for p in model.parameters())


# ---- the network ----------------------------------------------------------------------------------------------------


def test_second_block_of_a_level_is_shifted_where_there_are_several_windows():
    model = build("paper", (224, 224))
    shifts = [[block.shift for block in level] for level in model.encoder]
    assert shifts == [[(0, 0), (3, 3)]] * 3 + [[(0, 0), (0, 0)]]
    windows = [[block.window for block in level] for level in build("paper", (128, 64)).encoder]
    assert windows == [[(7, 7)] * 2, [(7, 7)] * 2, [(7, 4)] * 2, [(4, 2)] * 2]


def test_the_published_network_has_27_million_weights():
    assert count(build("paper", (224, 224), classes=9)) == 27_168_900
    # The window of 7 fits into every level at both sizes, so that the tables of offsets are equally long.
    assert count(build("paper", (224, 224))) == count(build("paper", (512, 512))) == 27_168_228


@pytest.mark.parametrize(("size", "side", "weights"), [("small", 128, 6_810_276), ("tiny", 32, 430_392)])
def test_smaller_sizes(size, side, weights):
    assert count(build(size, (side, side))) == weights


@pytest.mark.parametrize(
    ("size", "image_size"),
    [("tiny", (32, 32)), ("tiny", (48, 80)), ("small", (64, 96)), ("small", (96, 96)), ("paper", (64, 96))],
)
def test_segments_square_and_oblong_images(size, image_size):
    model = build(size, image_size, classes=3, in_channels=1).eval()
    with torch.no_grad():
        logits = model(torch.rand(1, 1, *image_size))
    assert logits.shape == (1, 3, *image_size) and logits.isfinite().all()


@pytest.mark.parametrize(("size", "image_size", "multiple"), [("tiny", (32, 40), 16), ("small", (48, 64), 32)])
def test_an_image_size_that_cannot_be_halved_is_refused(size, image_size, multiple):
    words = rf"image_size is \({image_size[0]}, {image_size[1]}\).*multiple of {multiple}"
    with pytest.raises(ValueError, match=words):
        build(size, image_size)


def test_an_unknown_size_and_three_dimensions_are_refused():
    with pytest.raises(ValueError, match="method.size is 'huge', expected one of tiny, small, paper"):
        build("huge")
    assert SwinUNet.supports(2, 4) is None
    with pytest.raises(ValueError, match="published for 2D images; the data are 3D.*swinunetr"):
        SwinUNet(3, 1, 2, (32, 32, 32), size="tiny")


def test_stochastic_depth_grows_with_depth_and_acts_in_training_only():
    model = build("paper", (64, 64))
    rates = [block.drop.p for level in model.encoder for block in level]
    assert rates == pytest.approx([DROP_PATH * i / 7 for i in range(8)])
    upwards = [[block.drop.p for block in level] for level in model.decoder]
    assert upwards == [[block.drop.p for block in level] for level in model.encoder][-2::-1]
    model, image = build(), torch.rand(8, 3, 32, 32)
    with torch.no_grad():
        drawn = [(torch.manual_seed(seed), model.train()(image))[1] for seed in (1, 1, 2)]
        still = [(torch.manual_seed(seed), model.eval()(image))[1] for seed in (1, 2)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert torch.equal(*still)


def test_far_pixels_reach_each_other():
    """Through the coarse levels, although every window is small."""
    model = build(image_size=(64, 64)).eval()
    image = torch.rand(1, 3, 64, 64)
    image[0, :, 0, :2] = torch.tensor([0.0, 1.0])  # the range stays, so that scaling does
    other = image.clone()
    other[0, :, 40:, 40:] = torch.rand(3, 24, 24)
    with torch.no_grad():
        difference = (model(image) - model(other)).abs().amax(1)[0]
    assert (difference[:24, :24] > 0).all()


def test_configuration_builds_the_method():
    config = OmegaConf.to_container(OmegaConf.load(CONF), resolve=False)
    for key in ("title", "summary", "loss", "training"):
        assert config.pop(key)
    standard = dict(spatial_dims=2, in_channels=1, classes=2, image_size=(32, 32))
    model = instantiate(config | {"size": "tiny"}, **standard)
    assert isinstance(model, SwinUNet) and count(model) == count(build(in_channels=1))
