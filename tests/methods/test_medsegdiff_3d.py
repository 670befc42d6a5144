"""MedSegDiff on volumes: sizes, attention by level, several classes and the fusion of samples."""

import pytest
import torch

from methods.base import Sampling
from methods.blocks.medsegdiff_network import LinearAttention, SoftmaxAttention
from methods.diffusion.schedule import linear_alpha_bar, per_sample
from methods.medsegdiff import OPTIONS, MedSegDiff

SIZE = (8, 12, 16)


def build(image_size=SIZE, classes=3, size="tiny", **settings) -> MedSegDiff:
    torch.manual_seed(0)
    return MedSegDiff(spatial_dims=3, in_channels=1, classes=classes, image_size=image_size, size=size, **settings)


def count(model) -> int:
    return sum(p.numel() for p in model.parameters())


def generators(count=2):
    return [torch.Generator().manual_seed(i) for i in range(count)]


def two_boxes(count=2):
    """Labels (count, *SIZE) with a box of class 1 and one of class 2, in other places from case to case."""
    label = torch.zeros(count, *SIZE, dtype=torch.long)
    for b in range(count):
        label[b, 1 + b : 5 + b, 2:7, 3:9], label[b, 3:7, 7:11, 8 + b : 14 + b] = 1, 2
    return label


@pytest.mark.parametrize(
    ("size", "image_size", "parameters"),
    [
        ("tiny", (32, 32, 32), 951_675),
        ("small", (48, 64, 48), 3_568_923),
        ("paper", (128, 128, 256), 937_795_971),
    ],
)
def test_numbers_of_weights_by_size(size, image_size, parameters):
    with torch.device("meta"):
        model = build(image_size, size=size)
    assert model.mask_channels == 3
    assert count(model) == parameters


def test_the_paper_size_is_the_published_network_with_3d_layers():
    with torch.device("meta"):
        plane = MedSegDiff(2, 3, 2, (256, 256), size="paper").network
        volume = build((32, 32, 32), size="paper").network
    # Frequencies follow the image, and how voxels attend to each other follows their number.
    shapes = [
        [(name, p.shape[:2]) for name, p in network.named_parameters() if not ("parser" in name or "attention" in name)]
        for network in (plane, volume)
    ]
    assert len(shapes[0]) > 200 and dict(shapes[0]).keys() == dict(shapes[1]).keys()
    differing = {name for (name, a), (_, b) in zip(*shapes) if a != b}
    assert differing == {"mask_stem.weight", "image_stem.weight", "head.weight", "head.bias"}  # channels and classes
    assert volume.mask_stem.kernel_size == (7, 7, 7) and plane.mask_stem.kernel_size == (7, 7)


def test_attention_compares_all_pairs_on_grids_of_up_to_512_voxels():
    with torch.device("meta"):
        network = build((32, 32, 32)).network
    kinds = [type(level["attention"]) for level in network.mask_levels]
    assert kinds == [LinearAttention, LinearAttention, SoftmaxAttention]


@pytest.mark.parametrize("encoding", OPTIONS["class_encoding"])
@pytest.mark.parametrize("classes", [2, 4])
def test_labels_survive_encoding_and_decoding(classes, encoding):
    model = build(classes=classes, class_encoding=encoding)
    label = torch.randint(0, classes, (2, *SIZE), generator=torch.Generator().manual_seed(0))
    mask = model.encode(label)
    assert mask.shape == (2, model.mask_channels, *SIZE)
    assert torch.equal(model.decode(mask).argmax(1), label)


@pytest.mark.parametrize(("classes", "encoding"), [(2, "onehot"), (3, "onehot"), (3, "fg_channels")])
@pytest.mark.parametrize("fusion", OPTIONS["fusion"])
def test_an_ensemble_is_a_segmentation_that_does_not_depend_on_the_batch(classes, encoding, fusion):
    model = build(classes=classes, class_encoding=encoding, fusion=fusion).double().eval()
    image = torch.rand(2, 1, *SIZE, generator=torch.Generator().manual_seed(1)).double()
    sampling = Sampling(steps=2, sampler="ddpm", ensemble=3)
    together = model.segment(image, sampling, generators())
    assert together.shape == (2, classes, *SIZE) and together.dtype == torch.float32
    torch.testing.assert_close(together.sum(1), torch.ones(2, *SIZE))
    torch.testing.assert_close(model.segment(image[1:], sampling, generators()[1:]), together[1:])
    assert not torch.equal(together[0], together[1])


def test_staple_fusion_ignores_samples_that_are_always_wrong():
    model, random, label = build(fusion="staple"), torch.Generator().manual_seed(0), torch.zeros(2, *SIZE).long()
    label[:, :, :6, :8], label[:, 2:, 6:, 6:] = 1, 2

    def rater(errors):
        wrong = torch.rand(label.shape, generator=random) < errors
        other = torch.randint(0, 3, label.shape, generator=random)
        return model.encode(torch.where(wrong, other, label)).double()

    fused = model.fuse([rater(0.1), rater(0.1), rater(0.1), rater(1.0), rater(1.0)])
    assert fused.shape == (2, 3, *SIZE)
    assert (fused.argmax(1) != label).float().mean() < 0.03


@pytest.mark.parametrize("prediction", ["eps", "x0"])
@pytest.mark.parametrize("sampling", [Sampling(steps=5), Sampling(steps=4, sampler="dpm_solver++", ensemble=2)])
def test_perfect_network_recovers_the_label(prediction, sampling):
    model, label = build(prediction=prediction), two_boxes()
    x0 = model.encode(label).double()

    class Oracle(torch.nn.Module):
        def forward(self, x, image, t):
            a = per_sample(linear_alpha_bar(t), x)
            return (x - a.sqrt() * x0) / (1 - a).sqrt() if prediction == "eps" else x0

    model.network = Oracle()
    image = torch.rand(2, 1, *SIZE).double()
    assert torch.equal(model.segment(image, sampling, generators()).argmax(1), label)


def test_gradients_of_one_step_reach_every_parameter():
    model = build()
    image = torch.rand(2, 1, *SIZE, generator=torch.Generator().manual_seed(1))
    model.loss(image, two_boxes(), "train", torch.Generator().manual_seed(0))["total"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


def test_a_volume_of_another_size_is_refused_by_name():
    with pytest.raises(ValueError, match=r"size \(8, 8, 8\).*built for image_size \(8, 12, 16\)"):
        build().segment(torch.rand(2, 1, 8, 8, 8), Sampling(), generators())
    with pytest.raises(ValueError, match=r"image_size is \(8, 12, 1\).*in 3D needs 3 entries, each a multiple of 4"):
        build((8, 12, 1))
    with pytest.raises(ValueError, match=r"image_size is \(8, 12\).*in 3D needs 3 entries"):
        build((8, 12))
