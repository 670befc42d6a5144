import pytest
import torch
from torch import nn

from methods.unet import UNet


def build(size="tiny", spatial_dims=2, in_channels=3, classes=2, image_size=(32, 32)):
    torch.manual_seed(0)
    return UNet(spatial_dims=spatial_dims, in_channels=in_channels, classes=classes, image_size=image_size, size=size)


def trainable(method):
    return sum(p.numel() for p in method.parameters() if p.requires_grad)


def test_the_paper_size_has_the_published_parameters_once_biases_are_counted_as_such():
    """The published network has a bias where this one has the two parameters of batch normalisation."""
    method = build("paper", in_channels=1)
    normalised = sum(layer.num_features for layer in method.modules() if isinstance(layer, nn.BatchNorm2d))
    assert trainable(method) - normalised == 31_030_658


@pytest.mark.parametrize(("size", "count"), [("tiny", 121_186), ("small", 1_942_594), ("paper", 31_037_698)])
def test_parameter_counts(size, count):
    assert trainable(build(size)) == count


def test_the_paper_size_has_the_published_parameters_in_3d_too():
    """Published: biases instead of batch normalisation, none in the up-convolutions."""
    with torch.device("meta"):
        method = build("paper", 3, in_channels=3, classes=3, image_size=(32, 32, 32))
    normalised = sum(layer.num_features for layer in method.modules() if isinstance(layer, nn.BatchNorm3d))
    biases = sum(layer.bias.numel() for layer in method.modules() if isinstance(layer, nn.ConvTranspose3d))
    assert trainable(method) - normalised - biases == 19_069_955


@pytest.mark.parametrize(("size", "count"), [("tiny", 72_031), ("small", 1_193_211), ("paper", 19_071_459)])
def test_parameter_counts_in_3d(size, count):
    with torch.device("meta"):
        assert trainable(build(size, 3, in_channels=1, classes=3, image_size=(32, 32, 32))) == count


def test_in_3d_channels_double_before_the_pooling_and_up_convolutions_keep_them():
    with torch.device("meta"):
        method = build("paper", 3, in_channels=1, image_size=(32, 32, 32))
    layers = [m for m in method.modules() if isinstance(m, (nn.Conv3d, nn.ConvTranspose3d))]
    assert [layer.out_channels for layer in layers] == [
        32, 64, 64, 128, 128, 256, 256, 512, 512, 256, 256, 256, 128, 128, 128, 64, 64, 2,
    ]  # fmt: skip
    assert [layer.in_channels for layer in layers if layer.out_channels == 256][-3:-1] == [512 + 256, 256]
    assert method.dropout.p == 0


def test_it_has_23_convolutional_layers():
    layers = [m for m in build("paper").modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    assert len(layers) == 23
    assert sorted({layer.kernel_size for layer in layers}) == [(1, 1), (2, 2), (3, 3)]


def test_every_up_convolution_halves_the_channels_and_joins_the_encoder_level_of_its_size():
    method = build("small").eval()
    seen = []
    for up in method.up:
        up.register_forward_hook(lambda m, inputs, out: seen.append((*(tuple(x.shape) for x in inputs), out.shape)))
    with torch.no_grad():
        method(torch.rand(1, 3, 32, 64))
    for (below, skip, out), up in zip(seen, method.up, strict=True):
        assert skip == out and [2 * n for n in below[2:]] == list(out[2:]) and below[1] == 2 * out[1]
        convolution = next(m for m in up.modules() if isinstance(m, nn.ConvTranspose2d))
        assert (convolution.in_channels, convolution.out_channels) == (below[1], out[1])
    assert [skip[1] for _, skip, _ in seen] == [128, 64, 32, 16]


def test_the_two_deepest_levels_are_dropped_out_in_training_only():
    method = build("small")
    inputs = []
    method.dropout.register_forward_hook(lambda m, x, out: inputs.append((x[0].shape[1], (out == 0).float().mean())))
    method(torch.rand(2, 3, 64, 64))
    assert [channels for channels, _ in inputs] == [128, 256] and all(share > 0.5 for _, share in inputs)
    method.eval()
    with torch.no_grad():
        torch.testing.assert_close(method(torch.ones(1, 3, 64, 64)), method(torch.ones(1, 3, 64, 64)))
