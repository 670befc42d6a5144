"""SDF-DDPM: sizes, attention, both processes, ensembles, several classes, and what a result may depend on."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from methods.base import Sampling
from methods.blocks.sdf_network import Attention, ResidualBlock, SDFNetwork
from methods.blocks.signed_distance import probabilities, signed_distances
from methods.diffusion import ve
from methods.diffusion.schedule import linear_alpha_bar, per_sample
from methods.sdf_ddpm import SDFDDPM, VE_SCALE, VE_THRESHOLD

CONF = Path(__file__).parents[2] / "conf" / "method" / "sdf_ddpm.yaml"


def build(image_size=(32, 32), in_channels=3, classes=2, size="tiny", **settings) -> SDFDDPM:
    torch.manual_seed(0)
    settings.setdefault("per_class_sdf", classes > 2)
    return SDFDDPM(len(image_size), in_channels, classes, image_size, size=size, **settings)


def batch(count=3, image_size=(32, 32), channels=3, classes=2, seed=5):
    """Random images, and labels of one stripe per foreground class."""
    random = torch.Generator().manual_seed(seed)
    image = torch.rand(count, channels, *image_size, generator=random)
    label = torch.zeros(count, *image_size, dtype=torch.int64)
    for b in range(count):
        for k in range(1, classes):
            start = 2 + b + (k - 1) * (image_size[0] - 8) // (classes - 1)
            label[b, start : start + 4] = k
    return image, label


def generators(count=3, first=0):
    return [torch.Generator().manual_seed(first + i) for i in range(count)]


def loss_of(model, image, label, seed=7):
    return model.loss(image, label, "train", torch.Generator().manual_seed(seed))["total"]


class Oracle(torch.nn.Module):
    """Stands in for the network: knows x0 and returns the truth, be it "eps", "x0" or, for "ve", the score."""

    def __init__(self, x0, kind):
        super().__init__()
        self.x0, self.kind, self.image_stem = x0, kind, torch.nn.Identity()

    def forward(self, x, features, t):
        x = x.double()
        x0 = self.x0.to(x)
        if self.kind == "x0":
            return x0
        if self.kind == "ve":
            return (x0 - x) / per_sample(t.double(), x) ** 2
        a = per_sample(linear_alpha_bar(t), x)
        return (x - a.sqrt() * x0) / (1 - a).sqrt()


def kinds(kind):
    """Settings of a model whose network is to return eps, x0 or the score."""
    return {"process": "ve"} if kind == "ve" else {"process": "vp", "prediction": kind}


# ---- network --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spatial_dims", "in_channels", "image_size", "size", "parameters"),
    [
        # The authors' network without the time layers of its stems, which they never feed: 63,685,525 - 10,260.
        (2, 1, 128, "paper", 63_675_265),
        (2, 3, 128, "small", 1_984_537),
        (2, 3, 64, "tiny", 627_801),
        (3, 1, 32, "tiny", 559_457),
    ],
)
def test_number_of_parameters(spatial_dims, in_channels, image_size, size, parameters):
    with torch.device("meta"):
        model = build((image_size,) * spatial_dims, in_channels, size=size)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_linear_attention_is_its_formula():
    torch.manual_seed(0)
    layer = Attention(2, 6, head=3, linear=True).double()
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64)
    q, k, v = layer.qkv(layer.norm(x)).reshape(2, 3, 4, 3, 20).unbind(1)
    expected = torch.zeros(2, 4, 3, 20, dtype=torch.float64)
    for b in range(2):
        for h in range(4):
            context = torch.einsum("dn,en->de", k[b, h].exp() / k[b, h].exp().sum(1, keepdim=True), v[b, h])
            query = q[b, h].exp() / q[b, h].exp().sum(0) / 3**0.5
            expected[b, h] = torch.einsum("de,dn->en", context, query)
    expected = x + layer.out_norm(layer.out(expected.reshape(2, 12, 4, 5)))
    torch.testing.assert_close(layer(x), expected)


def test_softmax_attention_is_its_formula():
    torch.manual_seed(0)
    layer = Attention(2, 6, head=3, linear=False).double()
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64)
    q, k, v = layer.qkv(layer.norm(x)).reshape(2, 3, 4, 3, 20).unbind(1)
    weight = (torch.einsum("bhdi,bhdj->bhij", q, k) / 3**0.5).softmax(3)
    mixed = torch.einsum("bhij,bhdj->bhdi", weight, v)
    torch.testing.assert_close(layer(x), x + layer.out(mixed.reshape(2, 12, 4, 5)))


def test_residual_block_adds_the_projected_time_between_its_convolutions():
    torch.manual_seed(0)
    block = ResidualBlock(2, 4, 4, time_dim=8).double()
    x, time = torch.randn(2, 4, 6, 6).double(), torch.randn(2, 8).double()
    silu = torch.nn.functional.silu
    h = silu(block.norm1(block.conv1(x))) + block.time(silu(time))[:, :, None, None]
    torch.testing.assert_close(block(x, time), silu(block.norm2(block.conv2(h))) + x)
    assert ResidualBlock(2, 4, 4).time is None


def test_the_finest_level_passes_nothing_across():
    network = SDFNetwork(2, 1, 3, base=8, multipliers=(1, 2, 4), head=4)
    assert [level.block1.conv1.in_channels for level in network.down] == [20, 8, 16]
    assert [level.block1.conv1.in_channels for level in network.up] == [64, 32]
    assert network.last.conv1.in_channels == 8


@pytest.mark.parametrize(
    ("image_size", "channels", "classes", "size"),
    [((32, 48), 1, 2, "tiny"), ((32, 32), 3, 2, "small"), ((36, 40), 3, 4, "tiny"), ((8, 8, 12), 1, 3, "tiny")],
)
@pytest.mark.parametrize("process", ["vp", "ve"])
def test_segmentations_have_the_shape_of_the_mask(process, image_size, channels, classes, size):
    model = build(image_size, channels, classes, size, process=process).eval()
    image, label = batch(2, image_size, channels, classes)
    found = model.segment(image, Sampling(steps=2), generators(2))
    assert found.shape == (2, classes, *image_size) and found.dtype == torch.float32
    assert found.argmax(1).shape == label.shape
    torch.testing.assert_close(found.sum(1), torch.ones(label.shape))


# ---- training -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("kind", ["eps", "x0", "ve"])
def test_loss_vanishes_for_the_truth_alone(kind, classes):
    model = build(classes=classes, **kinds(kind))
    image, label = batch(classes=classes)
    x0 = signed_distances(label, classes, model.truncation)
    model.network = Oracle(x0 / VE_SCALE if kind == "ve" else x0, kind)
    # A sum over 1024 voxels per class of squares of rounding errors up to 1e-4 in "ve"; a mean of much less in "vp".
    assert loss_of(model, image, label) < 1e-3
    model.network = Oracle(torch.zeros_like(x0), kind)
    assert loss_of(model, image, label) > 0.01


@pytest.mark.parametrize(("classes", "process"), [(2, "ve"), (4, "vp"), (4, "ve")])
def test_gradients_reach_every_parameter(classes, process):
    model = build(classes=classes, process=process)
    loss_of(model, *batch(classes=classes)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("process", ["vp", "ve"])
def test_same_generator_same_loss_other_generator_other_loss(process):
    model, data = build(process=process), batch()
    first, again, other = (loss_of(model, *data, seed=seed) for seed in (7, 7, 8))
    assert first == again and first != other


def test_training_times_cover_the_schedule():
    model, seen = build((4, 4)), []

    class Spy(Oracle):
        def forward(self, x, features, t):
            seen.append(t)
            return x

    model.network = Spy(None, "x0")
    loss_of(model, *batch(2000, (4, 4)))
    times = seen[0]
    assert not times.is_floating_point() and times.min() <= 5 and 994 <= times.max() <= 999
    assert abs(times.double().mean() - 499.5) < 25


def test_size_paper_is_as_published_and_the_others_are_for_short_runs():
    def settings(**given):
        model = build(**given)
        return model.truncation, model.prediction, model.threshold * model.truncation

    with torch.device("meta"):
        assert settings(image_size=(128, 128), size="paper") == (15, "eps", 0)
        assert settings(size="tiny") == settings(size="small") == (8, "x0", 0.5)
        assert settings(image_size=(8, 8, 8)) == (4, "x0", 0.5)
        assert settings(truncation=5, prediction="eps", threshold=0.2) == pytest.approx((5, "eps", 0.2))


# ---- variance-preserving sampling -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["eps", "x0"])
@pytest.mark.parametrize("name", ["ddim", "ddpm", "dpm_solver++"])
@pytest.mark.parametrize("steps", [2, 10])
def test_the_true_prediction_recovers_distances_and_label(steps, name, kind):
    model = build(classes=3, prediction=kind)
    image, label = batch(classes=3)
    x0 = signed_distances(label, 3, model.truncation).double()
    model.network = Oracle(x0, kind)
    visited = []
    found = model.segment(
        image,
        Sampling(steps, name),
        generators(),
        lambda k, t, x: visited.append((k, t, x)),
        torch.zeros(3, 10, 32, 32, dtype=torch.float64),
    )
    torch.testing.assert_close(visited[-1][2], x0, atol=1e-9, rtol=0)
    assert torch.equal(found.argmax(1), label)
    assert [k for k, _, _ in visited] == list(range(steps + 1))
    assert visited[0][1] == 999 and visited[-1][1] == -1


@pytest.mark.parametrize("kind", ["eps", "x0"])
def test_estimates_of_the_distances_are_clipped(kind):
    model = build(prediction=kind)
    model.network = Oracle(torch.full((3, 1, 32, 32), 4.0), kind)
    visited = []
    model.segment(batch()[0], Sampling(steps=3), generators(), lambda k, t, x: visited.append(x))
    assert visited[-1].max() <= 1


@pytest.mark.parametrize(
    ("threshold", "voxels", "found"), [(0, 0.01, 0), (0, 0.0, 1), (None, 0.49, 1), (None, 0.51, 0)]
)
def test_foreground_reaches_up_to_the_threshold(threshold, voxels, found):
    model = build(threshold=threshold)
    model._sample = lambda *_: torch.full((1, 1, 1, 1), voxels / model.truncation)
    result = model.segment(torch.rand(1, 3, 1, 1), Sampling(), generators(1), embedding=torch.zeros(1, 10, 1, 1))
    assert result.argmax(1).item() == found


# ---- variance-exploding process -------------------------------------------------------------------------------------


def test_true_score_points_back_to_the_distances():
    torch.manual_seed(0)
    x0 = torch.rand(2, 1, 6, 6).double() - 0.5
    for level in (0.001, 0.2, 5.0):
        x = x0 + level * torch.randn(x0.shape).double()
        score = Oracle(x0, "ve")(x, None, torch.full((2,), level))
        torch.testing.assert_close(x + level**2 * score, x0, atol=1e-6, rtol=0)


@pytest.mark.parametrize("classes", [2, 3])
def test_true_score_recovers_the_distances(classes):
    model = build(classes=classes, process="ve")
    image, label = batch(classes=classes)
    x0 = signed_distances(label, classes, model.truncation).double() / VE_SCALE
    model.network = Oracle(x0, "ve")
    visited = []
    found = model.segment(image, Sampling(steps=200), generators(), lambda k, t, x: visited.append(x))
    assert (visited[-1] - x0).abs().max() < 6 * ve.SIGMA_MIN
    assert (found.argmax(1) == label).double().mean() > 0.99


def test_a_boundary_may_lie_three_least_noise_levels_above_zero():
    assert pytest.approx(0.003) == VE_THRESHOLD / VE_SCALE
    model = build(process="ve")
    distance = torch.tensor([0.0149, 0.0151]).reshape(1, 1, 1, 2)
    model._sample = lambda *_: distance
    found = model.segment(torch.rand(1, 3, 1, 2), Sampling(), generators(1), embedding=torch.zeros(1, 10, 1, 2))
    assert found.argmax(1).flatten().tolist() == [1, 0]


def test_predictor_corrector_has_no_use_for_another_sampler():
    model, (image, _) = build(process="ve").eval(), batch()
    results = [model.segment(image, Sampling(3, name), generators()) for name in ("ddim", "ddpm", "dpm_solver++")]
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


# ---- both -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("classes", "process"), [(2, "ve"), (4, "vp"), (4, "ve")])
def test_result_does_not_depend_on_the_batch(classes, process):
    model = build(classes=classes, process=process).eval()
    image, _ = batch()
    sampling = Sampling(steps=3, sampler="ddpm", ensemble=2)
    together = model.segment(image, sampling, generators())
    alone = model.segment(image[2:], sampling, generators(1, first=2))
    torch.testing.assert_close(together[2:], alone, atol=1e-4, rtol=0)
    assert (together[0] - together[1]).abs().max() > 1e-3


@pytest.mark.parametrize("process", ["vp", "ve"])
def test_ensemble_averages_distances_before_the_threshold(process):
    model, (image, _) = build(classes=3, process=process).eval(), batch()
    features, own = model.embed(image), generators()
    singles = [model._sample(features, Sampling(steps=3), own, None) for _ in range(3)]
    expected = probabilities(sum(singles) / 3, VE_THRESHOLD if process == "ve" else 0.5 / 8)
    torch.testing.assert_close(model.segment(image, Sampling(steps=3, ensemble=3), generators()), expected)
    assert (singles[0] - singles[1]).abs().max() > 0.01


def test_identical_samples_make_an_ensemble_of_one():
    model, (image, label) = build(), batch()
    model.network = Oracle(signed_distances(label, 2, 8.0), "x0")
    one, five = (model.segment(image, Sampling(steps=4, ensemble=n), generators()) for n in (1, 5))
    torch.testing.assert_close(one, five, atol=2e-6, rtol=0)


@pytest.mark.parametrize("process", ["vp", "ve"])
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(5, "ddpm"), Sampling(3, "dpm_solver++", ensemble=2)])
def test_network_evaluations_are_those_made(process, sampling):
    model = build(process=process).eval()
    calls, stems = [], []
    model.network.register_forward_hook(lambda *_: calls.append(1))
    model.network.image_stem.register_forward_hook(lambda *_: stems.append(1))
    model.segment(batch()[0], sampling, generators())
    per_sample = sampling.steps if process == "vp" else 2 * sampling.steps - 1
    assert len(calls) == model.network_evaluations(sampling) == sampling.ensemble * per_sample
    assert len(stems) == 1


@pytest.mark.parametrize("process", ["vp", "ve"])
def test_stored_embedding_gives_the_identical_result(process):
    model, (image, _) = build(process=process).eval(), batch()
    results = [model.segment(image, Sampling(steps=3), generators(), embedding=e) for e in (None, model.embed(image))]
    assert torch.equal(*results)


def test_image_contrast_is_irrelevant():
    model, (image, _) = build().eval(), batch()
    results = [model.segment(x, Sampling(steps=3), generators()) for x in (image, 0.3 * image + 0.1)]
    torch.testing.assert_close(*results, atol=1e-3, rtol=0)


# ---- classes and settings -------------------------------------------------------------------------------------------


def test_several_classes_need_the_opt_in():
    for dims in (2, 3):
        assert SDFDDPM.supports(dims, 2) is None
        assert "per_class_sdf" in SDFDDPM.supports(dims, 4)
        assert SDFDDPM.supports(dims, 4, per_class_sdf=True, size="tiny") is None
    with pytest.raises(ValueError, match="per_class_sdf"):
        build(classes=3, per_class_sdf=False)
    with torch.device("meta"):
        assert build(classes=4).network.out.out_channels == 3
        one, two = (build(per_class_sdf=flag) for flag in (False, True))
    assert sum(p.numel() for p in one.parameters()) == sum(p.numel() for p in two.parameters())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": "large"}, r"method\.size is 'large', expected one of tiny, small, paper"),
        ({"process": "vpe"}, r"method\.process is 'vpe', expected one of vp, ve"),
        ({"prediction": "v"}, r"method\.prediction is 'v', expected one of eps, x0, None"),
        ({"threshold": 1}, r"method\.threshold is 1, expected voxels from 0"),
        ({"truncation": 0}, r"method\.truncation is 0, expected a number of voxels above 0, or null for 8"),
        ({"image_size": (32, 34)}, r"image_size is \(32, 34\).*multiple of 4"),
        ({"image_size": (32, 36), "size": "small"}, r"image_size is \(32, 36\).*multiple of 8"),
        ({"image_size": (128, 0), "size": "paper"}, r"image_size is \(128, 0\).*multiple of 8"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        build(**settings)


def test_configuration_builds_the_default():
    config = OmegaConf.to_container(OmegaConf.load(CONF), resolve=False)
    sampling, training = config.pop("sampling"), config.pop("training")
    for key in ("_target_", "title", "summary", "loss"):
        config.pop(key)
    model = SDFDDPM(2, 1, 2, (32, 32), **config | {"size": "tiny"})
    assert (model.sde, model.prediction, model.truncation, model.classes) == ("vp", "x0", 8.0, 2)
    assert model.network_evaluations(Sampling(**sampling)) == 200
    assert training["validation_steps"] == 2
