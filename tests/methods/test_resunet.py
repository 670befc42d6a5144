import pytest
import torch

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
    [("tiny", 101_729, 298_788), ("small", 1_606_361, 4_744_044), ("paper", 6_411_641, 18_953_676)],
)
def test_parameter_counts(size, plane, volume):
    assert trainable(build(size)) == plane
    with torch.device("meta"):
        assert trainable(build(size, 3, in_channels=1, classes=3, image_size=(32, 32, 32))) == volume
