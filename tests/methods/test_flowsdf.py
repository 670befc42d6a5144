"""FlowSDF: the path, Euler's method, sizes, agreement with the authors' code, several classes."""

import math
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from methods.base import Sampling
from methods.blocks.guided_unet import GuidedUNet, SelfAttention, time_features
from methods.blocks.rrdb import DenseEncoder
from methods.blocks.signed_distance import probabilities, signed_distances
from methods.diffusion import flow
from methods.flowsdf import FlowSDF

CONF = Path(__file__).parents[2] / "conf" / "method" / "flowsdf.yaml"


def build(image_size=(32, 32), in_channels=3, classes=2, size="tiny", **settings) -> FlowSDF:
    torch.manual_seed(0)
    settings.setdefault("per_class_sdf", classes > 2)
    return FlowSDF(len(image_size), in_channels, classes, image_size, size=size, **settings)


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


def wave(*shape, speed=0.37, shift=None):
    """Numbers in [-1, 1] that are the same everywhere: a sine, with `shift` a cosine."""
    values = speed * torch.arange(math.prod(shape), dtype=torch.float64)
    return (values.sin() if shift is None else (values + shift).cos()).reshape(shape)


def folded(*shape):
    """cos(9 sin(0.37 i) + 1), as it was fed to the authors' code."""
    return torch.cos(9 * wave(*shape) + 1)


def filled(module):
    """Weights of a module in float64 by their place alone, as they were put into the authors' networks."""
    for place, parameter in enumerate(module.double().eval().parameters()):
        values = wave(*parameter.shape, speed=0.7, shift=float(place))
        fan = math.prod(parameter.shape[1:])
        parameter.data.copy_(1.5 * values / fan**0.5 if parameter.ndim > 1 else 0.5 + 0.3 * values)
    return module


def summary(y):
    """(mean, standard deviation, six values) of a tensor."""
    values = y.double().flatten()
    return values.mean().item(), values.std().item(), values[:: len(values) // 6][:6].tolist()


class Oracle(torch.nn.Module):
    """Stands in for the network: knows the distances and returns the velocity of the path that leads through x."""

    def __init__(self, clean):
        super().__init__()
        self.clean = clean

    def forward(self, x, t, features):
        # Lipman et al. 2023, eq. 21.
        t = t.double()[:, None, None, None]
        rest = 1 - flow.SIGMA_MIN
        return (self.clean.to(x.double()) - rest * x.double()) / (1 - rest * t)


# ---- agreement with the authors' code -------------------------------------------------------------------------------
# leabogensperger/FlowSDF at ec3a53e, in float64, with the weights of `filled`.


def test_the_image_encoder_gives_what_the_authors_gives():
    """models/RRDB.py: RRDBNet(nb=1, out_nc=32)."""
    with torch.no_grad():
        mean, std, values = summary(filled(DenseEncoder(2, 3, 32, 64, 32, 1))(wave(2, 3, 8, 12)))
    assert (mean, std) == pytest.approx((0.370202767, 9.894062482), abs=1e-8)
    assert values == pytest.approx([-9.0976488, 0.5977564, 0.2181827, -9.1468793, 0.7453409, 0.1094459], abs=1e-6)


def test_the_network_gives_what_the_authors_gives():
    """models/unet_segdiff.py: UNetModel of 32 channels, two levels of attention and two blocks per level."""
    encoder = filled(DenseEncoder(2, 3, 32, 64, 32, 1))
    network = filled(GuidedUNet(2, 2, 2, (32, 64, 64), 2, (1,)))
    with torch.no_grad():
        t = torch.tensor([0.25, 0.8], dtype=torch.float64)
        mean, std, values = summary(network(wave(2, 2, 8, 12), t, encoder(wave(2, 3, 8, 12))))
    assert (mean, std) == pytest.approx((0.781781035, 0.822414209), abs=1e-6)
    assert values == pytest.approx([1.4854012, -0.2922013, 0.3039864, 1.7465923, -0.0679975, 0.6378813], abs=1e-6)


def test_the_sampler_with_state_code_gives_what_the_authors_gives():
    """sampler.py: Sampling.sample with ode_steps 4 and a velocity of cos(x) + t."""
    end = flow.euler(lambda x, t: x.cos() + t, folded(1, 1, 2, 3), 4, "code")
    recorded = [1.61222785, 0.83970663, 1.67723755, 0.08967940, 0.22318141, 0.01743055]
    assert end.flatten().tolist() == pytest.approx(recorded, abs=2e-7)  # their times are float32
    plain = flow.euler(lambda x, t: x.cos() + t, folded(1, 1, 2, 3), 4)
    assert (plain - end).abs().max() > 0.05


def test_the_loss_is_the_authors():
    """trainer.py: one step of TrainFlow.do with a network of (0.5 x + 0.1) (1 + t)."""
    clean, noise, t = wave(2, 1, 2, 3).tanh(), folded(2, 1, 2, 3), torch.tensor([0.2, 0.7], dtype=torch.float64)
    state = flow.noised(clean, t, noise)
    found = (0.5 * state + 0.1) * (1 + t)[:, None, None, None]
    loss = (found - flow.velocity(clean, noise)).square().mean()
    assert loss.item() == pytest.approx(1.6507864773334298, rel=1e-12)


@pytest.mark.parametrize(
    ("spatial_dims", "in_channels", "size", "parameters"),
    [
        (2, 3, "paper", 160_607_745),  # the authors' network of cfg/glas.yaml
        (2, 3, "small", 1_834_833),
        (2, 3, "tiny", 700_633),
        (3, 1, "small", 1_837_721),
        (3, 1, "tiny", 491_481),
    ],
)
def test_number_of_parameters(spatial_dims, in_channels, size, parameters):
    with torch.device("meta"):
        model = build((32,) * spatial_dims, in_channels, size=size)
    assert sum(p.numel() for p in model.parameters()) == parameters


# ---- network --------------------------------------------------------------------------------------------------------


def test_time_features_are_their_formula():
    t = torch.tensor([0.0, 0.3, 999.0], dtype=torch.float64)
    expected = [
        [math.cos(x * 1e4 ** (-i / 4)) for i in range(4)] + [math.sin(x * 1e4 ** (-i / 4)) for i in range(4)]
        for x in t.tolist()
    ]
    torch.testing.assert_close(time_features(t, 8), torch.tensor(expected), atol=1e-6, rtol=0)


def test_attention_is_its_formula():
    torch.manual_seed(0)
    layer = SelfAttention(2, 8, heads=2, groups=4, start_at_zero=False).double()
    x = torch.randn(2, 8, 3, 5, dtype=torch.float64)
    per_head = layer.qkv(layer.norm(x)).reshape(2, 2, 3, 4, 15)
    q, k, v = per_head.unbind(2)
    weight = (torch.einsum("bhdi,bhdj->bhij", q, k) / 4**0.5).softmax(3)
    mixed = torch.einsum("bhij,bhdj->bhdi", weight, v)
    torch.testing.assert_close(layer(x), x + layer.out(mixed.reshape(2, 8, 3, 5)))


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("size", [(8, 12), (4, 8, 4)])
def test_the_u_net_returns_the_shape_it_is_given_and_starts_at_zero(size, residual):
    network = GuidedUNet(len(size), 3, 2, (8, 16, 16), 1, (1, 2), heads=2, groups=4, residual=residual)
    found = network(torch.randn(2, 3, *size), torch.tensor([0.0, 1.0]))
    assert found.shape == (2, 2, *size) and not found.any()


@pytest.mark.parametrize(
    ("image_size", "channels", "classes", "size"),
    [((32, 48), 1, 2, "tiny"), ((32, 32), 3, 2, "small"), ((36, 40), 3, 4, "tiny"), ((8, 8, 12), 1, 3, "tiny")],
)
def test_segmentations_have_the_shape_of_the_mask(image_size, channels, classes, size):
    model = build(image_size, channels, classes, size).eval()
    image, label = batch(2, image_size, channels, classes)
    found = model.segment(image, Sampling(steps=2), generators(2))
    assert found.shape == (2, classes, *image_size) and found.dtype == torch.float32
    torch.testing.assert_close(found.sum(1), torch.ones(label.shape))


# ---- path and training ----------------------------------------------------------------------------------------------


def test_the_path_runs_from_noise_to_the_distances():
    clean, noise = wave(2, 1, 3, 3), folded(2, 1, 3, 3)
    ends = [flow.noised(clean, torch.tensor(t, dtype=torch.float64), noise) for t in (0.0, 1.0)]
    assert torch.equal(ends[0], noise)
    torch.testing.assert_close(ends[1], clean + flow.SIGMA_MIN * noise)


def test_the_velocity_is_the_derivative_of_the_path():
    clean, noise = wave(2, 1, 3, 3), folded(2, 1, 3, 3)
    for t in (0.0, 0.4, 0.9):
        here, next_ = (flow.noised(clean, torch.tensor(s, dtype=torch.float64), noise) for s in (t, t + 1e-4))
        torch.testing.assert_close((next_ - here) / 1e-4, flow.velocity(clean, noise), atol=1e-9, rtol=0)


@pytest.mark.parametrize("classes", [2, 4])
def test_loss_vanishes_for_the_truth_alone(classes):
    model = build(classes=classes)
    image, label = batch(classes=classes)
    clean = signed_distances(label, classes, model.truncation)
    model.network = Oracle(clean)
    assert loss_of(model, image, label) < 1e-6
    model.network = Oracle(torch.zeros_like(clean))
    assert loss_of(model, image, label) > 0.01


def test_loss_is_a_naive_formula():
    model, (image, label) = build().eval(), batch()
    random = torch.Generator().manual_seed(7)
    clean = model.encode(label)
    noise = torch.randn(clean.shape, generator=random)
    t = torch.rand(3, generator=random, dtype=torch.float64)
    squares = []
    for b in range(3):
        state = (t[b] * clean[b] + (1 - 0.999 * t[b]) * noise[b]).float()
        found = model.network(state[None], t[b : b + 1], model.embed(image[b : b + 1]))
        squares.append((found[0] - (clean[b] - 0.999 * noise[b])).square())
    torch.testing.assert_close(loss_of(model, image, label), torch.stack(squares).mean(), atol=1e-5, rtol=1e-5)


def test_same_generator_same_loss_other_generator_other_loss():
    model, data = build(), batch()
    first, again, other = (loss_of(model, *data, seed=seed) for seed in (7, 7, 8))
    assert first == again and first != other


# ---- sampling -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [2, 3, 4, 10])
def test_the_true_velocity_leads_to_the_distances_in_any_number_of_steps(steps):
    model = build(classes=3)
    image, label = batch(classes=3)
    clean = signed_distances(label, 3, model.truncation).double()
    model.network = Oracle(clean)
    visited = []
    found = model.segment(
        image,
        Sampling(steps),
        generators(),
        lambda k, t, x: visited.append((k, t, x)),
        torch.zeros(3, 16, 32, 32, dtype=torch.float64),
    )
    noise = visited[0][2]
    torch.testing.assert_close(visited[-1][2], clean + flow.SIGMA_MIN * noise, atol=1e-9, rtol=0)
    assert torch.equal(found.argmax(1), label)
    assert [k for k, _, _ in visited] == list(range(steps))
    assert [t for _, t, _ in visited] == pytest.approx(torch.linspace(1, 0, steps).tolist(), abs=1e-6)


def test_state_code_shows_the_network_more_noise_from_the_second_step_on():
    seen = {}
    noise = folded(1, 1, 2, 2)
    for state in flow.STATES:
        seen[state] = []
        flow.euler(lambda x, t: seen[state].append(x) or -x, noise, 3, state)  # noqa: B023
    assert torch.equal(seen["ode"][0], seen["code"][0])
    torch.testing.assert_close(seen["ode"][1], 0.5 * noise)
    torch.testing.assert_close(seen["code"][1], (0.5 * 0.5 + 1 - 0.5 * 0.999) * noise)


@pytest.mark.parametrize(
    ("threshold", "voxels", "found"), [(0, 0.01, 0), (0, 0.0, 1), (None, 0.49, 1), (None, 0.51, 0)]
)
def test_foreground_reaches_up_to_the_threshold(threshold, voxels, found):
    model = build(threshold=threshold)
    assert model.decode(torch.full((1, 1, 1, 1), voxels / model.truncation)).argmax(1).item() == found


def test_size_paper_is_as_published_and_the_others_are_for_short_runs():
    def settings(**given):
        model = build(**given)
        return model.truncation, model.threshold * model.truncation

    with torch.device("meta"):
        paper = build(size="paper")
        assert (paper.truncation, paper.threshold) == pytest.approx((15, 0.03))
        assert settings(size="tiny") == settings(size="small") == (8, 0.5)
        assert settings(image_size=(8, 8, 8)) == (4, 0.5)
        assert settings(truncation=5, threshold=0.2) == pytest.approx((5, 0.2))


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(5, "ddpm"), Sampling(3, "dpm_solver++", ensemble=2)])
def test_network_evaluations_are_those_made_and_the_image_is_encoded_once(sampling):
    model = build().eval()
    calls, images = [], []
    model.network.register_forward_hook(lambda *_: calls.append(1))
    model.image_encoder.register_forward_hook(lambda *_: images.append(1))
    model.segment(batch()[0], sampling, generators())
    assert len(calls) == model.network_evaluations(sampling) == sampling.ensemble * (sampling.steps - 1)
    assert len(images) == 1


def test_ensemble_averages_distances_before_the_threshold():
    model, (image, _) = build(classes=3).eval(), batch()
    features, own = model.embed(image), generators()
    singles = [model._sample(features, Sampling(steps=3), own, None) for _ in range(3)]
    expected = probabilities(sum(singles) / 3, 0.5 / 8)
    torch.testing.assert_close(model.segment(image, Sampling(steps=3, ensemble=3), generators()), expected)


def test_there_is_one_sampler():
    model, (image, _) = build().eval(), batch()
    results = [model.segment(image, Sampling(3, name), generators()) for name in ("ddim", "ddpm", "dpm_solver++")]
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


def test_what_is_shown_ends_at_the_distances():
    model, (_, label) = build(), batch()
    process = model.process()
    x0, noise = process.encode(label), torch.randn(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(process.noised(x0, 1.0, noise), noise)
    torch.testing.assert_close(process.noised(x0, 0.0, 0 * noise), x0)
    assert torch.equal(process.decode(x0).argmax(1), label)
    shares = process.alpha_bar(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    assert shares.tolist() == pytest.approx([1, 0.5, 0], abs=1e-3) and not process.latent


# ---- classes and settings -------------------------------------------------------------------------------------------


def test_several_classes_need_the_opt_in():
    for dims in (2, 3):
        assert FlowSDF.supports(dims, 2) is None
        assert "per_class_sdf" in FlowSDF.supports(dims, 4)
        assert FlowSDF.supports(dims, 4, per_class_sdf=True, size="tiny") is None
    assert "4D" in FlowSDF.supports(4, 2)
    with pytest.raises(ValueError, match="per_class_sdf"):
        build(classes=3, per_class_sdf=False)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": "large"}, r"method\.size is 'large', expected one of tiny, small, paper"),
        ({"state": "true"}, r"method\.state is 'true', expected one of ode, code"),
        ({"threshold": 1}, r"method\.threshold is 1, expected voxels from 0"),
        ({"truncation": 0}, r"method\.truncation is 0, expected a number of voxels above 0, or null for 8"),
        ({"image_size": (32, 34)}, r"image_size is \(32, 34\).*multiple of 4"),
        ({"image_size": (32, 48), "size": "small"}, r"image_size is \(32, 48\).*multiple of 32"),
        ({"image_size": (128, 0), "size": "paper"}, r"image_size is \(128, 0\).*multiple of 32"),
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
    model = FlowSDF(2, 1, 2, (32, 32), **config | {"size": "tiny"})
    assert (model.state, model.truncation, model.classes) == ("ode", 8.0, 2)
    assert model.network_evaluations(Sampling(**sampling)) == 3
    assert training["validation_steps"] == sampling["steps"] == 4
