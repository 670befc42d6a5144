"""Strided and transposed convolutions pad and crop as TensorFlow's do."""

import pytest
import torch

from methods.blocks.convolution import StridedConv, TransposedConv


@pytest.mark.parametrize(("tf_padding", "row"), [(True, 2), (False, 1)])
def test_strided_convolution_samples_the_grid_as_tensorflow_does(tf_padding, row):
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    layer = StridedConv(2, 1, 1, tf_padding)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        # Copies the upper left voxel of every window.
        layer.conv.weight[..., 0, 0] = 1
    y = layer(x)
    assert y.shape == (1, 1, 2, 2) and y[0, 0, 1, 1] == x[0, 0, row, row]


def test_transposed_convolution_keeps_the_first_outputs():
    layers = TransposedConv(1, 1, True), TransposedConv(1, 1, False)
    layers[1].load_state_dict(layers[0].state_dict())
    x = torch.randn(1, 1, 3, 3)
    first, last = (layer(x) for layer in layers)
    assert first.shape == last.shape == (1, 1, 6, 6)
    torch.testing.assert_close(first[..., 1:, 1:], last[..., :-1, :-1])


@pytest.mark.parametrize("tf_padding", [True, False])
def test_transposed_convolution_as_a_convolution_is_the_same(tf_padding):
    layer = TransposedConv(3, 5, tf_padding).double()
    x = torch.randn(2, 3, 4, 6, dtype=torch.float64)
    whole = layer.conv(x)
    assert whole.shape[2:] == ((9, 13) if tf_padding else (8, 12))
    torch.testing.assert_close(layer(x), whole[..., :8, :12])
