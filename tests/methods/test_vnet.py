import pytest
import torch
from torch import nn
from torch.nn import functional as F

from methods.vnet import Stage, VNet


def build(size="tiny", spatial_dims=2, in_channels=3, classes=2, image_size=(32, 32)):
    torch.manual_seed(0)
    return VNet(spatial_dims=spatial_dims, in_channels=in_channels, classes=classes, image_size=image_size, size=size)


def trainable(method):
    return sum(p.numel() for p in method.parameters() if p.requires_grad)


def convolutions(stage):
    return [layer for layer in stage.modules() if isinstance(layer, nn.Conv2d)]


@pytest.mark.parametrize(("spatial_dims", "in_channels"), [(2, 3), (3, 1)])
def test_the_paper_size_has_the_parameters_of_figure_2(spatial_dims, in_channels):
    def normalised(kernel, i, o):
        """Convolution without bias; scale and shift of batch normalisation and slope of PReLU per channel."""
        return kernel**spatial_dims * i * o + 3 * o

    count = normalised(5, in_channels, 16)
    for width, depth in ((32, 2), (64, 3), (128, 3), (256, 3)):
        count += normalised(2, width // 2, width) + depth * normalised(5, width, width)
    for below, width, depth in ((256, 256, 3), (256, 128, 3), (128, 64, 2), (64, 32, 1)):
        count += normalised(2, below, width // 2) + depth * normalised(5, width, width)
    count += 2 * 32 + 2
    method = build("paper", spatial_dims, in_channels, image_size=(32,) * spatial_dims)
    assert trainable(method) == count


@pytest.mark.parametrize(("size", "count"), [("tiny", 197_886), ("small", 3_322_810), ("paper", 13_279_602)])
def test_parameter_counts(size, count):
    assert trainable(build(size)) == count


@pytest.mark.parametrize(("size", "count"), [("tiny", 965_711), ("small", 4_076_015), ("paper", 65_178_803)])
def test_parameter_counts_in_3d(size, count):
    with torch.device("meta"):
        assert trainable(build(size, 3, in_channels=1, classes=3, image_size=(32, 32, 32))) == count


def test_receptive_fields_are_those_of_table_1():
    """Counted as the paper does, an up-convolution included."""
    method = build("paper")
    field, jump, fields = 1, 1.0, []

    def through(block):
        nonlocal field, jump
        for layer in block.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                if isinstance(layer, nn.ConvTranspose2d):
                    jump /= layer.stride[0]
                field += int((layer.kernel_size[0] - 1) * jump)
                if isinstance(layer, nn.Conv2d):
                    jump *= layer.stride[0]

    for change, stage in zip([nn.Identity(), *method.down, *method.up], [*method.left, *method.right], strict=True):
        through(change)
        through(stage)
        fields.append(field)
    assert fields == [5, 22, 72, 172, 372, 476, 528, 546, 551]


def test_a_stage_adds_its_input_before_the_last_activation():
    stage = Stage(2, 8, 8, depth=3).eval()
    for layer in convolutions(stage):
        nn.init.zeros_(layer.weight)
    x = torch.randn(2, 8, 6, 6)
    with torch.no_grad():
        torch.testing.assert_close(stage(x), F.prelu(x, stage.activation.weight))
    assert len(convolutions(stage)) == 3 and all(layer.kernel_size == (5, 5) for layer in convolutions(stage))
    activations = [layer for layer in stage.modules() if isinstance(layer, nn.PReLU)]
    assert [layer.num_parameters for layer in activations] == [8, 8, 8]


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_first_stage_repeats_the_image_channels_in_turn(channels):
    stage = Stage(2, channels, 4, depth=1).eval()
    nn.init.zeros_(convolutions(stage)[0].weight)
    x = torch.rand(1, channels, 6, 6)
    expected = torch.stack([x[:, k % channels] for k in range(4)], dim=1)
    with torch.no_grad():
        torch.testing.assert_close(stage(x), expected)


def test_a_right_stage_sees_the_left_stage_of_its_size():
    method = build("small").eval()
    left, right = [], []
    for stage in method.left:
        stage.register_forward_hook(lambda m, x, out: left.append(out))
    for stage in method.right:
        stage.register_forward_hook(lambda m, x, out: right.append(x[0]))
    with torch.no_grad():
        method(torch.rand(1, 3, 32, 64))
    for skip, joined in zip(left[-2::-1], right, strict=True):
        assert joined.shape[1] == 2 * skip.shape[1]
        assert torch.equal(joined[:, skip.shape[1] :], skip)
