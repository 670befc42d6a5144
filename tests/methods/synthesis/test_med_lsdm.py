"""Med-LSDM: scaling of latents, guidance, stages, and that what is published can be built and trained."""

import pytest
import torch

from benchmarks.training.recomputation import checkpoint_gradients
from methods.diffusion.schedule import cosine_alpha_bar
from methods.synthesis import med_lsdm
from methods.synthesis.med_lsdm import LATENT, SIZES, MedLSDM, depth_first, depth_last

SIZE = (16, 8, 12)


def method(**more):
    torch.manual_seed(0)
    return MedLSDM(3, 1, 3, SIZE, **{"size": "tiny"} | more)


def batch(count=2, seed=0, size=SIZE):
    random = torch.Generator().manual_seed(seed)
    return torch.rand(count, 1, *size, generator=random), torch.randint(0, 3, (count, *size), generator=random)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def toy(model):
    """A network whose answer is worked out by hand: the latent times the number of labelled voxels, plus the time."""

    def forward(z, label_map, t):
        labelled = label_map.sum((1, 2, 3, 4)) / label_map[0, 0].numel()
        return z * (1 + labelled)[:, None, None, None, None] + t[:, None, None, None, None].to(z)

    model.network.forward = forward
    return model


@pytest.mark.parametrize("decoder", ["normal", "spade"])
def test_shapes_from_volume_to_latent_and_back(decoder):
    model = MedLSDM(3, 1, 3, (48, 32, 32), size="small", decoder=decoder)
    image, label = batch(1, size=(48, 32, 32))
    z = model.encoder(depth_first(image))
    assert z.shape == (1, LATENT, 8, 12, 8)
    found = model.reconstruct(image, label)
    assert found.shape == image.shape and found.abs().max() <= 1


@pytest.mark.parametrize("share", [16, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("decoder", ["normal", "spade"])
def test_the_published_recipe_takes_a_training_step_at_reduced_size(decoder, share, monkeypatch):
    """All of its levels, stages and losses on 32x32x32 voxels, narrower and, by hand, at its widths."""
    layout = SIZES["paper"]._replace(join=0)
    if share > 1:
        narrow = {"widths": (8, 8, 16, 32), "map_widths": (8, 8), "codes": 64, "judge_width": 4, "hidden": 8}
        layout = layout._replace(**narrow)
    monkeypatch.setitem(SIZES, "paper", layout)
    torch.manual_seed(0)
    model = MedLSDM(3, 1, 37, (32, 32, 32), size="paper", decoder=decoder)
    image, label = batch(1, size=(32, 32, 32))
    for stage in model.stages:
        model.prepare_stage(stage, [(image, label)])
        optimizer = model.optimizer(stage, 1e-4)
        losses = model.loss(image, label, stage, generator())
        losses["total"].backward()
        optimizer.step()
        assert all(torch.isfinite(value) for value in losses.values())
    assert {"adversarial", "judges"} <= set(model.loss(image, label, "autoencoder", generator()))


def test_rates_and_moments_are_those_of_the_stage():
    model = MedLSDM(3, 1, 3, (32, 32, 8), size="paper")
    found = {stage: model.optimizer(stage, 1e-5).param_groups[0] for stage in model.stages}
    assert found["autoencoder"]["lr"] == pytest.approx(1.9e-5) and found["autoencoder"]["betas"] == (0.5, 0.9)
    assert found["diffusion"]["lr"] == pytest.approx(1e-5) and found["diffusion"]["betas"] == (0.9, 0.999)


def test_latents_are_scaled_by_the_extremes_of_the_codebook_and_back():
    model = method()
    image, label = batch()
    model.loss(image, label, "autoencoder", generator())
    model.prepare_stage("diffusion", [])
    low, high = model.codebook.codes.min(), model.codebook.codes.max()
    assert torch.equal(model.scale(torch.stack([low, high])), torch.tensor([-1.0, 1.0]))
    z = 5 * torch.randn(4, LATENT, 2, 2, 2)
    torch.testing.assert_close(model.unscale(model.scale(z)), z, atol=1e-5, rtol=1e-5)


def test_extremes_are_frozen_and_kept_with_the_weights():
    model = method()
    image, label = batch()
    model.loss(image, label, "autoencoder", generator())
    model.prepare_stage("diffusion", [])
    kept = model.low.item(), model.high.item()
    model.codebook.codes.mul_(3)
    model.loss(image, label, "diffusion", generator())
    assert (model.low.item(), model.high.item()) == kept
    other = method()
    other.load_state_dict(model.state_dict())
    assert (other.low.item(), other.high.item()) == kept


def test_the_diffusion_leaves_the_autoencoder_alone():
    model = method()
    image, label = batch()
    model.loss(image, label, "autoencoder", generator())
    before = {name: value.clone() for name, value in model.state_dict().items() if not name.startswith("network")}
    model.loss(image, label, "diffusion", generator())["total"].backward()
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    assert all(p.grad is None for part in (model.encoder, model.decoder, model.judges) for p in part.parameters())


def test_discriminators_join_when_they_are_due(monkeypatch):
    monkeypatch.setitem(SIZES, "tiny", SIZES["tiny"]._replace(join=2))
    model = method()
    image, label = batch()
    seen = ["judges" in model.loss(image, label, "autoencoder", generator(i)) for i in range(4)]
    assert seen == [False, False, True, True]


@pytest.mark.parametrize("count", [1, 3])
def test_guidance_follows_its_formula_at_any_batch_size(count):
    z, t = torch.randn(count, LATENT, 3, 4, 2), torch.full((count,), 7.0)
    condition = torch.rand(count, 3, 12, 16, 8)
    for weight in (0.0, 1.5):
        model = toy(method(guidance=weight))
        with_map, without = model.network(z, condition, t), model.network(z, torch.zeros_like(condition), t)
        torch.testing.assert_close(model.guided(z, condition, t), with_map + weight * (with_map - without))
    assert torch.equal(toy(method(guidance=0.0)).guided(z, condition, t), with_map)


def test_maps_are_dropped_in_training_and_never_in_validation():
    model, seen = method(), []
    image, label = batch(8)

    def forward(z, label_map, t):
        seen.append(label_map.sum((1, 2, 3, 4)) > 0)
        return z

    model.network.forward = forward
    for step in range(60):
        model.loss(image, label, "diffusion", generator(step))
    assert 1 - torch.cat(seen).float().mean().item() == pytest.approx(med_lsdm.DROPPED, abs=0.04)
    seen.clear()
    model.eval()
    for step in range(10):
        model.loss(image, label, "diffusion", generator(step))
    assert torch.cat(seen).all()


@pytest.mark.parametrize("prediction", ["eps", "v"])
@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_a_perfect_network_is_sampled_to_the_reconstruction(prediction, sampler):
    model = method(prediction=prediction, sampler=sampler)
    image, label = batch()
    for step in range(3):
        model.loss(image, label, "autoencoder", generator(step))
    model.eval()
    model.prepare_stage("diffusion", [])
    clean = model.scale(model.codebook.quantise(model.encoder(depth_first(2 * image - 1)))).double()

    def perfect(z, condition, t):
        a = cosine_alpha_bar(t, model.layout.timesteps).reshape(-1, 1, 1, 1, 1)
        eps = (z.double() - a.sqrt() * clean) / (1 - a).sqrt()
        return (eps if prediction == "eps" else a.sqrt() * eps - (1 - a).sqrt() * clean).float()

    model.network.forward = perfect
    label[0, 0, 0, 0] = 1
    found = model.synthesize(label, [generator(i) for i in range(2)], 20)
    expected = depth_last(model.decode(model.codebook.quantise(model.unscale(clean.float())), model._one_hot(label)))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_slices_are_those_along_the_last_axis():
    volume = torch.arange(2 * 3 * 4).reshape(1, 1, 2, 3, 4)
    assert torch.equal(depth_first(volume)[0, 0, 1], volume[0, 0, :, :, 1])
    assert torch.equal(depth_last(depth_first(volume)), volume)


def test_guidance_is_counted_twice_and_said():
    model, plain = method(), method(guidance=0.0)
    assert (model.network_evaluations(20), plain.network_evaluations(20)) == (38, 19)
    assert model.describe()["guidance"] == 1.5 and model.describe()["perceptual"] == "none"


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"size": "huge"}, "method.size is 'huge'"),
        ({"decoder": "SPADE"}, "method.decoder is 'SPADE', expected one of normal, spade"),
        ({"prediction": "x0"}, "method.prediction is 'x0'"),
        ({"sampler": "euler"}, "method.sampler is 'euler'"),
        ({"map_channels": 0}, "method.map_channels is 0, expected a whole number above 0"),
        ({"guidance": -1.0}, "method.guidance is -1.0, expected a number from 0"),
        ({"size": "paper"}, r"image_size is \(16, 8, 12\), .* needs multiples of 32, of 4 along the last axis"),
    ],
)
def test_what_cannot_be_is_refused_by_name(changed, message):
    with pytest.raises(ValueError, match=message):
        method(**changed)


def test_images_are_declined():
    with pytest.raises(ValueError, match="published for volumes; the data are 2D"):
        MedLSDM(2, 1, 3, (32, 32), size="tiny")


def test_activations_may_be_computed_again_instead_of_kept():
    """training.checkpointing, which here meets a gradient taken inside of the loss."""
    image, label = batch(size=(16, 16, 16))
    found = []
    for again in (False, True):
        torch.manual_seed(0)
        model = MedLSDM(3, 1, 3, (16, 16, 16), size="tiny", decoder="spade")
        model.batches.fill_(100)
        if again:
            assert checkpoint_gradients(model)
        for stage in model.stages:
            model.loss(image, label, stage, generator())["total"].backward()
        found.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient)
