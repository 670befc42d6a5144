"""SDF-DDPM on volumes: sizes, truncation, and one signed distance for each of several classes."""

import pytest
import torch

from methods.base import Sampling
from methods.blocks.signed_distance import signed_distances
from methods.diffusion.schedule import linear_alpha_bar, per_sample
from methods.sdf_ddpm import SDFDDPM, VE_SCALE

SIZE = (8, 12, 16)


def build(classes=3, size="tiny", image_size=SIZE, **settings) -> SDFDDPM:
    torch.manual_seed(0)
    settings.setdefault("per_class_sdf", classes > 2)
    return SDFDDPM(3, 1, classes, image_size, size=size, **settings)


def generators(count=2):
    return [torch.Generator().manual_seed(i) for i in range(count)]


def two_boxes():
    """Images (2, 1, *SIZE) and labels (2, *SIZE) with two touching boxes, in other places in the second case."""
    label = torch.zeros(2, *SIZE, dtype=torch.long)
    for b in range(2):
        label[b, 1 + b : 5 + b, 2:7, 3:9], label[b, 3:7, 7:11, 8 + b : 14 + b] = 1, 2
    noise = torch.rand(2, *SIZE, generator=torch.Generator().manual_seed(1))
    return (0.2 + 0.3 * label + 0.1 * noise)[:, None], label


class Oracle(torch.nn.Module):
    """Stands in for the network: knows x0 and returns the truth, be it "eps", "x0" or, for "ve", the score."""

    def __init__(self, x0, kind):
        super().__init__()
        self.x0, self.kind, self.image_stem = x0, kind, torch.nn.Identity()

    def forward(self, x, features, t):
        if self.kind == "x0":
            return self.x0
        if self.kind == "ve":
            return (self.x0 - x.double()) / per_sample(t.double(), x) ** 2
        a = per_sample(linear_alpha_bar(t), x)
        return (x.double() - a.sqrt() * self.x0) / (1 - a).sqrt()


@pytest.mark.parametrize(
    ("size", "parameters", "truncation"), [("tiny", 559_457, 4), ("small", 1_466_753, 4), ("paper", 190_655_065, 15)]
)
def test_numbers_of_weights_and_truncation_by_size(size, parameters, truncation):
    with torch.device("meta"):
        model = build(classes=2, size=size, image_size=(32, 32, 32))
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert model.truncation == truncation


def test_the_paper_size_is_the_published_network_with_3d_layers():
    with torch.device("meta"):
        plane = SDFDDPM(2, 1, 2, (128, 128), size="paper")
        volume = build(classes=2, size="paper", image_size=(32, 32, 32))
    shapes = [[(name, tuple(p.shape[:2])) for name, p in model.named_parameters()] for model in (plane, volume)]
    assert shapes[0] == shapes[1]
    assert volume.network.stem.kernel_size == (7, 7, 7)


@pytest.mark.parametrize("kind", ["eps", "x0", "ve"])
def test_true_distances_of_several_classes_give_the_label(kind):
    settings = {"process": "ve"} if kind == "ve" else {"prediction": kind}
    model, (image, label) = build(**settings), two_boxes()
    x0 = signed_distances(label, 3, model.truncation).double()
    assert x0.shape == (2, 2, *SIZE)
    model.network = Oracle(x0 / VE_SCALE if kind == "ve" else x0, kind)
    steps = 100 if kind == "ve" else 5
    found = model.segment(image, Sampling(steps=steps), generators())
    assert (found.argmax(1) == label).double().mean() > (0.99 if kind == "ve" else 0.9999)


@pytest.mark.parametrize(("classes", "process"), [(2, "vp"), (3, "vp"), (3, "ve")])
def test_an_ensemble_is_a_segmentation_that_does_not_depend_on_the_batch(classes, process):
    model, (image, _) = build(classes, process=process).eval(), two_boxes()
    sampling = Sampling(steps=2, sampler="ddpm", ensemble=2)
    together = model.segment(image, sampling, generators())
    assert together.shape == (2, classes, *SIZE)
    torch.testing.assert_close(together.sum(1), torch.ones(2, *SIZE))
    torch.testing.assert_close(model.segment(image[1:], sampling, generators()[1:]), together[1:], atol=1e-4, rtol=0)
    assert not torch.equal(together[0], together[1])


@pytest.mark.parametrize("process", ["vp", "ve"])
def test_several_classes_are_trained_with_the_opt_in_alone(process):
    image, label = two_boxes()
    model = build(process=process)
    losses = []
    optimizer = model.optimizer("train", 1e-3)
    for _ in range(4):
        loss = model.loss(image, label, "train", torch.Generator().manual_seed(0))["total"]
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in model.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    with pytest.raises(ValueError, match="per_class_sdf"):
        build(per_class_sdf=False)


def test_a_volume_that_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match=r"image_size is \(8, 12, 1\).*in 3D needs 3 entries, each a multiple of 4"):
        build(image_size=(8, 12, 1))
