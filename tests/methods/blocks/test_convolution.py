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
    layers = TransposedConv(2, 1, 1, True), TransposedConv(2, 1, 1, False)
    layers[1].load_state_dict(layers[0].state_dict())
    x = torch.randn(1, 1, 3, 3)
    first, last = (layer(x) for layer in layers)
    assert first.shape == last.shape == (1, 1, 6, 6)
    torch.testing.assert_close(first[..., 1:, 1:], last[..., :-1, :-1])
