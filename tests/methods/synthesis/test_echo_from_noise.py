"""Echo from Noise: its network, its codes and what it draws."""

import pytest
import torch

from methods.diffusion.schedule import cosine_alpha_bar
from methods.synthesis.base import scaled
from methods.synthesis.echo_from_noise import SIZES, EchoFromNoise

SIDE = 16


def method(**more):
    torch.manual_seed(0)
    return EchoFromNoise(2, 1, 4, (SIDE, SIDE), **{"size": "tiny"} | more)


def label(seed=0):
    return torch.randint(0, 4, (2, SIDE, SIDE), generator=torch.Generator().manual_seed(seed))


def generators(count=2):
    return [torch.Generator().manual_seed(i) for i in range(count)]


def randomised(model):
    """With weights in all layers, those that start at zero as well."""
    torch.manual_seed(1)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return model.eval()


def test_published_size_has_the_parameters_of_the_authors_network():
    with torch.device("meta"):
        model = EchoFromNoise(2, 3, 4, (256, 256), size="paper")
    assert sum(p.numel() for p in model.parameters()) == 652_198_918


@pytest.mark.parametrize("share", [32, pytest.param(1, marks=pytest.mark.long)])
def test_the_published_recipe_takes_a_training_step_at_reduced_size(share, monkeypatch):
    """All of its levels, blocks and losses on 32x32 pixels, of which five halvings leave one; a share of the widths,
    and by hand all of them (652 M parameters)."""
    layout = SIZES["paper"]
    if share > 1:
        narrow = {"widths": tuple(width // share for width in layout.widths), "head": 8, "groups": 8, "hidden": 8}
        monkeypatch.setitem(SIZES, "paper", layout._replace(**narrow))
    torch.manual_seed(0)
    model = EchoFromNoise(2, 1, 4, (32, 32), size="paper")
    image, map_ = torch.rand(1, 1, 32, 32), torch.randint(0, 4, (1, 32, 32))
    found = model.loss(image, map_, "train", torch.Generator().manual_seed(0))
    found["total"].backward()
    assert found["total"].item() == pytest.approx(found["mse"].item() + 1e-3 * found["vlb"].item(), rel=1e-5)
    grad = model.network.out.weight.grad
    assert grad[:1].any() and grad[1:].any()  # eps and v


def test_an_untrained_network_returns_zero():
    model = method()
    x = torch.randn(2, 1, SIDE, SIDE)
    assert not model.network(x, torch.rand(2, 5, SIDE, SIDE), torch.tensor([3.0, 100.0])).any()


def test_the_encoder_never_sees_the_map_and_the_output_does():
    model = randomised(method())
    x, t = torch.randn(2, 1, SIDE, SIDE), torch.tensor([10.0, 90.0])
    seen = []
    for step in model.network.down:
        step.register_forward_hook(lambda module, inputs, output: seen.append(output))
    out = [model.network(x, torch.nn.functional.one_hot(label(s), 5).movedim(-1, 1).float(), t) for s in (0, 1)]
    half = len(seen) // 2
    assert half and all(torch.equal(a, b) for a, b in zip(seen[:half], seen[half:], strict=True))
    assert not torch.allclose(*out)


def test_four_codes_become_five_and_four_again_given_the_sector():
    model, image = method(), torch.zeros(1, 1, SIDE, SIDE)
    image[..., 2:14, 4:12] = 0.5
    plain = torch.zeros(1, SIDE, SIDE, dtype=torch.int64)
    plain[:, 4:8, 5:9], plain[:, 9:12, 5:9], plain[:, 8, 5:9] = 1, 3, 2
    five = model.condition(image, plain)
    assert five.unique().tolist() == [0, 1, 2, 3, 4]
    inside = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    inside[2:14, 4:12] = True
    assert torch.equal(five[0] == 4, ~inside)
    assert torch.equal(model.labels(five), plain)
    assert torch.equal(model.condition(image, model.labels(five)), five)


@pytest.mark.parametrize("prediction", ["eps", "v"])
@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_a_perfect_network_is_sampled_to_the_image(prediction, sampler):
    model, clean = method(prediction=prediction, sampler=sampler), torch.rand(2, 1, SIDE, SIDE).double() * 1.6 - 0.8

    def perfect(x, condition, t):
        a = cosine_alpha_bar(t, model.timesteps).reshape(-1, 1, 1, 1)
        eps = (x.double() - a.sqrt() * clean) / (1 - a).sqrt()
        return eps if prediction == "eps" else a.sqrt() * eps - (1 - a).sqrt() * clean

    model.network.forward = perfect
    found = model.synthesize(label(), generators(), 20)
    torch.testing.assert_close(found, clean.float(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("prediction", ["eps", "v"])
def test_a_perfect_network_has_no_loss(prediction):
    model, image = method(prediction=prediction), torch.rand(2, 1, SIDE, SIDE)
    clean = scaled(image)

    def perfect(x, condition, t):
        a = cosine_alpha_bar(t, model.timesteps).reshape(-1, 1, 1, 1)
        eps = (x.double() - a.sqrt() * clean) / (1 - a).sqrt()
        return (eps if prediction == "eps" else a.sqrt() * eps - (1 - a).sqrt() * clean).float()

    model.network.forward = perfect
    assert model.loss(image, label(), "train", torch.Generator().manual_seed(0))["total"] < 1e-4


def test_a_learnt_variance_is_used_where_steps_are_ancestral(monkeypatch):
    monkeypatch.setitem(SIZES, "tiny", SIZES["tiny"]._replace(learned=True, prediction="eps"))
    found = {}
    for name in ("ddpm", "ddim"):
        model = randomised(method(sampler=name))
        with torch.no_grad():
            for v in (-3.0, 3.0):
                model.network.out.bias[1] = v
                found[name, v] = model.synthesize(label(), generators(), 6)
    assert not torch.allclose(found["ddpm", -3.0], found["ddpm", 3.0])
    assert torch.equal(found["ddim", -3.0], found["ddim", 3.0])


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"size": "huge"}, "method.size is 'huge', expected one of tiny, small, paper"),
        ({"prediction": "x0"}, "method.prediction is 'x0', expected one of eps, v, None"),
        ({"sampler": "euler"}, "method.sampler is 'euler', expected one of ddpm, ddim, None"),
        ({"size": "paper"}, r"image_size is \(16, 16\), .* needs multiples of 32"),
    ],
)
def test_what_cannot_be_is_refused_by_name(changed, message):
    with pytest.raises(ValueError, match=message):
        method(**changed)


def test_volumes_are_declined():
    assert "2D" in EchoFromNoise.supports(3, 4)
    with pytest.raises(ValueError, match="2D"):
        EchoFromNoise(3, 1, 4, (16, 16, 16), size="tiny")
