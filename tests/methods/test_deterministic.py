import pytest
import torch
from torch import nn
from torch.nn import functional as F

from methods.base import Sampling
from methods.deterministic import Deterministic, check_image_size, he_initialise, layout_of, segmentation_loss


class Pixelwise(Deterministic):
    """The simplest method of its kind: a linear classifier of the colour."""

    def __init__(self, channels=3, classes=3):
        super().__init__()
        self.layer = nn.Conv2d(channels, classes, 1)

    def forward(self, image):
        return self.layer(image)


def test_loss_is_cross_entropy_plus_twice_the_mean_dice_of_the_foreground_classes():
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, generator=random)
    label = torch.randint(3, (2, 8, 8), generator=random)
    losses = segmentation_loss(logits, label)
    p = logits.softmax(1)
    dice = []
    for k in (1, 2):
        y = (label == k).float()
        dice.append(1 - 2 * (p[:, k] * y).sum() / (p[:, k].sum() + y.sum()))
    torch.testing.assert_close(losses["ce"], F.cross_entropy(logits, label))
    torch.testing.assert_close(losses["dice"], sum(dice) / 2, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(losses["total"], losses["ce"] + 2 * losses["dice"])


@pytest.mark.parametrize("shape", [(2, 6, 4), (2, 4, 4, 4)])
def test_a_certain_and_right_answer_costs_nothing_and_a_wrong_one_much(shape):
    label = torch.randint(4, shape, generator=torch.Generator().manual_seed(0))
    logits = 100.0 * F.one_hot(label, 4).movedim(-1, 1)
    assert segmentation_loss(logits, label)["total"].item() == pytest.approx(0, abs=1e-5)
    wrong = segmentation_loss(logits.roll(1, 1), label)
    assert wrong["ce"].item() == pytest.approx(100) and wrong["dice"].item() == pytest.approx(1, abs=1e-4)


def test_loss_and_segmentation_come_from_one_forward_pass():
    model = Pixelwise().eval()
    calls = []
    model.layer.register_forward_hook(lambda *_: calls.append(1))
    image, label = torch.rand(2, 3, 8, 8), torch.randint(3, (2, 8, 8))
    loss = model.loss(image, label, "train", torch.Generator())
    probabilities = model.segment(image, Sampling(steps=5, ensemble=3), [])
    assert len(calls) == 2 and model.network_evaluations(Sampling(steps=5, ensemble=3)) == 1
    assert not model.generative
    torch.testing.assert_close(loss["total"], segmentation_loss(model(image), label)["total"])
    torch.testing.assert_close(probabilities, model(image).softmax(1))


def test_layouts_are_found_by_name_and_others_refused():
    assert layout_of("small", {"tiny": 1, "small": 2}) == 2
    with pytest.raises(ValueError, match="method.size is 'huge', expected one of tiny, small"):
        layout_of("huge", {"tiny": 1, "small": 2})


@pytest.mark.parametrize("image_size", [(16, 16), (48, 64), (512, 96)])
def test_multiples_are_accepted(image_size):
    check_image_size(image_size, 2, 16, "a network")


@pytest.mark.parametrize("image_size", [(16, 24), (8, 16), (0, 16), (16, 16, 16), (16,)])
def test_other_sizes_are_refused_with_what_would_do(image_size):
    with pytest.raises(ValueError, match=r"image_size is \(.*a network in 2D needs 2 entries.*multiple of 16"):
        check_image_size(image_size, 2, 16, "a network")


@pytest.mark.parametrize("layer", [nn.Conv2d(64, 32, 3), nn.Conv3d(32, 32, 3), nn.ConvTranspose2d(64, 128, 2)])
def test_initial_weights_have_the_variance_that_keeps_the_signal_through_relu(layer):
    torch.manual_seed(0)
    he_initialise(layer)
    fan_in = layer.weight[0].numel()
    assert layer.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.05)
    assert abs(layer.weight.mean().item()) < 0.05 * layer.weight.std().item()
    assert not layer.bias.any()
