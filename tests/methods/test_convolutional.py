"""What the convolutional baselines have in common: the images they take and those they refuse."""

import pytest
import torch

from methods.base import Sampling
from methods.nnunet import NNUNet
from methods.resunet import ResUNet
from methods.unet import UNet
from methods.unetpp import UNetPlusPlus
from methods.vnet import VNet

PLANES = [NNUNet, ResUNet, UNet, UNetPlusPlus, VNet]
HALVED = [(ResUNet, "Res-UNet"), (UNet, "U-Net"), (UNetPlusPlus, r"U-Net\+\+"), (VNet, "V-Net")]


def build(method, size="tiny", spatial_dims=2, in_channels=3, classes=2, image_size=(32, 32)):
    torch.manual_seed(0)
    return method(spatial_dims, in_channels, classes, image_size, size=size)


def segment(model, image):
    with torch.no_grad():
        return model.eval().segment(image, Sampling(), [])


@pytest.mark.parametrize("method", PLANES)
@pytest.mark.parametrize(("in_channels", "classes"), [(1, 4), (3, 2), (5, 2)])
@pytest.mark.parametrize("image_size", [(32, 32), (64, 96)])
def test_images_of_any_admitted_shape_are_segmented(method, in_channels, classes, image_size):
    model = build(method, "small", in_channels=in_channels, classes=classes, image_size=image_size)
    probabilities = segment(model, torch.rand(2, in_channels, *image_size))
    assert probabilities.shape == (2, classes, *image_size)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(2, *image_size))


@pytest.mark.parametrize("method", [NNUNet, ResUNet, UNet, VNet])
def test_volumes_are_segmented(method):
    model = build(method, spatial_dims=3, in_channels=1, classes=3, image_size=(16, 16, 24))
    probabilities = segment(model, torch.rand(2, 1, 16, 16, 24))
    assert probabilities.shape == (2, 3, 16, 16, 24)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(2, 16, 16, 24))


@pytest.mark.parametrize(("method", "title"), HALVED)
@pytest.mark.parametrize(
    ("size", "image_size"), [("small", (36, 32)), ("paper", (32, 36)), ("tiny", (32, 4)), ("tiny", (32, 32, 32))]
)
def test_an_image_size_that_cannot_be_halved_is_refused(method, title, size, image_size):
    with pytest.raises(ValueError, match=rf"image_size is \(.*{title} of size.*multiple of"):
        build(method, size, image_size=image_size)


@pytest.mark.parametrize("method", PLANES)
def test_an_unknown_size_is_refused(method):
    with pytest.raises(ValueError, match="method.size is 'huge', expected one of tiny, small, paper"):
        build(method, "huge")


@pytest.mark.parametrize("method", PLANES)
def test_a_dimmer_copy_of_an_image_gets_the_same_segmentation(method):
    model, image = build(method), torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(segment(model, image), segment(model, 0.4 * image + 0.1), atol=1e-4, rtol=0)
