import pytest
import torch
from torch import nn

from methods.base import Sampling
from methods.deterministic import segmentation_loss
from methods.unetpp import UNetPlusPlus


def build(size="tiny", spatial_dims=2, in_channels=3, classes=2, image_size=(32, 32), deep_supervision=True):
    torch.manual_seed(0)
    return UNetPlusPlus(spatial_dims, in_channels, classes, image_size, size, deep_supervision)


def trainable(method):
    return sum(p.numel() for p in method.parameters() if p.requires_grad)


def test_the_paper_size_has_the_published_parameters_once_biases_are_counted_as_such():
    """The published network has a bias where this one has the two parameters of batch normalisation, and one output."""
    method = build("paper", in_channels=1, classes=1, deep_supervision=False)
    normalised = sum(layer.num_features for layer in method.modules() if isinstance(layer, nn.BatchNorm2d))
    assert trainable(method) - normalised == 9_041_601


@pytest.mark.parametrize(("size", "count"), [("tiny", 138_854), ("small", 567_120), ("paper", 9_046_056)])
def test_parameter_counts(size, count):
    assert trainable(build(size)) == count


@pytest.mark.parametrize(("size", "depth"), [("tiny", 3), ("small", 4)])
def test_every_node_sees_all_nodes_before_it_on_its_level_and_the_one_below(size, depth):
    method = build(size).eval()
    outputs, inputs = {}, {}

    def watch(block, at):
        def hook(module, given, result):
            inputs[at], outputs[at] = given, result

        block.register_forward_hook(hook)

    for i, block in enumerate([method.stem, *method.down]):
        watch(block, (i, 0))
    for j, column in enumerate(method.columns, start=1):
        for i, node in enumerate(column):
            watch(node, (i, j))
    with torch.no_grad():
        method(torch.rand(1, 3, 32, 64))
    assert set(outputs) == {(i, j) for i in range(depth + 1) for j in range(depth + 1 - i)}
    for i, j in [at for at in outputs if at[1] > 0]:
        below, level = inputs[i, j]
        assert torch.equal(below, outputs[i + 1, j - 1])
        assert torch.equal(level, torch.cat([outputs[i, k] for k in range(j)], dim=1))
        assert outputs[i, j].shape == outputs[i, 0].shape


def test_deep_supervision_has_a_head_on_every_node_of_full_resolution_and_averages_them():
    method = build(classes=3).eval()
    image = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        heads = [logits.softmax(1) for logits in method.branches(image)]
        probabilities = method.segment(image, Sampling(), [])
    assert len(heads) == 3 and (heads[0] - heads[2]).abs().max() > 1e-3
    torch.testing.assert_close(probabilities, sum(heads) / 3)


def test_loss_of_deep_supervision_is_the_mean_over_the_heads():
    method = build().eval()
    image, label = torch.rand(2, 3, 32, 32), torch.randint(2, (2, 32, 32))
    with torch.no_grad():
        losses = method.loss(image, label, "train", torch.Generator())
        parts = [segmentation_loss(logits, label) for logits in method.branches(image)]
    assert set(losses) == {"total", "ce", "dice"}
    for key, value in losses.items():
        torch.testing.assert_close(value, sum(part[key] for part in parts) / 3)


def test_without_deep_supervision_only_the_last_node_has_a_head():
    method, deep = build(deep_supervision=False).eval(), build().eval()
    state = deep.state_dict()
    kept = {key: value for key, value in state.items() if not key.startswith("heads.")}
    last = {f"heads.0.{name}": state[f"heads.2.{name}"] for name in ("weight", "bias")}
    method.load_state_dict(kept | last)
    image = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(method(image).softmax(1), deep.branches(image)[-1].softmax(1))


@pytest.mark.parametrize("deep_supervision", [True, False])
def test_every_parameter_takes_part(deep_supervision):
    method = build(deep_supervision=deep_supervision)
    method.loss(torch.rand(2, 3, 32, 32), torch.randint(2, (2, 32, 32)), "train", torch.Generator())["total"].backward()
    assert all(p.grad is not None and p.grad.any() for p in method.parameters())


def test_three_dimensions_are_declined_with_what_there_is_instead():
    assert UNetPlusPlus.supports(2, 4) is None
    assert "3D" in UNetPlusPlus.supports(3, 2) and "nnunet" in UNetPlusPlus.supports(3, 2)
    with pytest.raises(ValueError, match="published for 2D images; the data are 3D"):
        build(spatial_dims=3, image_size=(16, 16, 16))
