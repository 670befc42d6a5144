import pytest
import torch

from methods.base import Sampling
from methods.resunet import ResUNet


def build(size="tiny", spatial_dims=2, in_channels=3, classes=2, image_size=(32, 32)):
    torch.manual_seed(0)
    return ResUNet(
        spatial_dims=spatial_dims, in_channels=in_channels, classes=classes, image_size=image_size, size=size
    )


def trainable(method):
    return sum(p.numel() for p in method.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("size", "plane", "volume"),
    [("tiny", 101_729, 298_788), ("small", 1_628_173, 4_809_920), ("paper", 6_411_641, 18_953_676)],
)
def test_parameter_counts(size, plane, volume):
    assert trainable(build(size)) == plane
    with torch.device("meta"):
        assert trainable(build(size, 3, in_channels=1, classes=3, image_size=(32, 32, 32))) == volume


@pytest.mark.parametrize(
    ("size", "image_size"), [("small", (40, 32)), ("tiny", (32, 4)), ("paper", (32, 36)), ("tiny", (32, 32, 32))]
)
def test_an_image_size_that_cannot_be_halved_is_refused(size, image_size):
    with pytest.raises(ValueError, match=r"image_size is \(.*multiple of"):
        build(size, image_size=image_size)


def test_an_unknown_size_is_refused():
    with pytest.raises(ValueError, match="method.size is 'huge', expected one of tiny, small, paper"):
        build("huge")


def test_three_dimensional_images_are_segmented():
    method = build(spatial_dims=3, in_channels=1, classes=3, image_size=(16, 16, 24)).eval()
    with torch.no_grad():
        probabilities = method.segment(torch.rand(2, 1, 16, 16, 24), Sampling(), [])
    assert probabilities.shape == (2, 3, 16, 16, 24)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(2, 16, 16, 24))


def test_a_dimmer_copy_of_an_image_gets_the_same_segmentation():
    method = build().eval()
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        bright, dim = (method.segment(x, Sampling(), []) for x in (image, 0.4 * image + 0.1))
    torch.testing.assert_close(bright, dim, atol=1e-4, rtol=0)
