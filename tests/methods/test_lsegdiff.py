"""LSegDiff: sizes, what each stage trains, scaled latents, and what is sampled."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from methods.base import Sampling
from methods.blocks.morphology import clean
from methods.diffusion.schedule import cosine_alpha_bar
from methods.ldseg import LDSeg
from methods.lsegdiff import LSegDiff, kl_divergence

CONF = Path(__file__).parents[2] / "conf" / "method" / "lsegdiff.yaml"
COMPONENTS = ("label_encoder", "label_decoder", "image_encoder", "denoiser")


def build(image_size=(32, 32), classes=2, size="tiny", **settings) -> LSegDiff:
    torch.manual_seed(0)
    return LSegDiff(spatial_dims=2, in_channels=3, classes=classes, image_size=image_size, size=size, **settings)


def batch(count=3, image_size=(32, 32), classes=2, seed=5):
    random = torch.Generator().manual_seed(seed)
    image = torch.rand(count, 3, *image_size, generator=random)
    return image, torch.randint(0, classes, (count, *image_size), generator=random)


def generators(count=3, first=0):
    return [torch.Generator().manual_seed(first + i) for i in range(count)]


def loss_of(model, stage, image, label, seed=7):
    torch.manual_seed(3)  # dropout
    return model.loss(image, label, stage, torch.Generator().manual_seed(seed))


def trained(**settings) -> LSegDiff:
    """After a few steps in both stages."""
    model = build(**settings)
    data = batch(4, classes=settings.get("classes", 2))
    for stage in model.stages:
        step(model, stage, data, 4)
    return model.eval()


def step(model, stage, data, count):
    model.prepare_stage(stage, [data])
    fit(model, stage, data, count)


def fit(model, stage, data, count):
    model.train()
    optimizer = model.optimizer(stage, 2e-3)
    for seed in range(count):
        optimizer.zero_grad()
        loss_of(model, stage, *data, seed=seed)["total"].backward()
        optimizer.step()


# ---- networks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "side", "encoder", "total", "trainable"),
    [("paper", 512, 184_850, 1_764_508, 1_762_102), ("tiny", 64, None, 367_700, 366_878)],
)
def test_numbers_of_weights(size, side, encoder, total, trainable):
    model = build((side, side), size=size)
    counts = [_total(getattr(model, name)) for name in COMPONENTS]
    assert sum(counts) == total
    assert encoder is None or counts[0] == encoder
    assert sum(p.numel() for p in model.parameters()) == trainable


@pytest.mark.parametrize("size", ["paper", "small", "tiny"])
def test_networks_are_ldsegs_but_for_the_head_of_the_label_encoder(size):
    side = 64
    torch.manual_seed(0)
    ldseg = LDSeg(spatial_dims=2, in_channels=3, classes=2, image_size=(side, side), size=size)
    ours = {name: value.shape for name, value in build((side, side), size=size).state_dict().items()}
    theirs = {name: value.shape for name, value in ldseg.state_dict().items()}
    different = {name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name)}
    heads = {f"label_encoder.{layer}.{kind}" for layer in ("head", "norm") for kind in ("weight", "bias")}
    assert different == heads | {"latent_mean", "latent_std", "latent_bound"}


def _total(module) -> int:
    """Weights and running statistics, as Keras counts them."""
    state = module.state_dict()
    return sum(tensor.numel() for key, tensor in state.items() if not key.endswith("num_batches_tracked"))


@pytest.mark.parametrize("image_size", [(32, 32), (64, 96), (48, 80)])
def test_shapes(image_size):
    model = build(image_size, classes=4).eval()
    image, label = batch(2, image_size, classes=4)
    latent = (2, 1, *(n // 8 for n in image_size))
    assert model.embed(image).shape == latent
    assert all(part.shape == latent for part in model.encode(label))
    for probability in (model.reconstruct(label), model.segment(image, Sampling(), generators(2))):
        assert probability.shape == (2, 4, *image_size) and probability.dtype == torch.float32
        torch.testing.assert_close(probability.sum(1), torch.ones(2, *image_size))


@pytest.mark.parametrize(("size", "image_size", "multiple"), [("tiny", (32, 40), 16), ("paper", (96, 128), 64)])
def test_image_sizes_that_cannot_be_halved_are_refused(size, image_size, multiple):
    with pytest.raises(
        ValueError, match=rf"image_size is \({image_size[0]}, {image_size[1]}\).*multiple of {multiple}"
    ):
        build(image_size, size=size)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": "huge"}, "method.size is 'huge', expected one of paper, small, tiny"),
        ({"objective": "u"}, "method.objective is 'u', expected one of v, x0, eps"),
        ({"t_sampling": "late"}, "method.t_sampling is 'late', expected one of both, sample"),
        ({"embedding_norm": "slow"}, "method.embedding_norm is 'slow', expected one of fast, keras"),
        ({"kl_weight": -1.0}, "method.kl_weight is -1.0, expected a number from 0"),
        ({"dropout": 1.0}, "method.dropout is 1.0, expected a number from 0 to below 1"),
        ({"postprocess": "crf"}, "method.postprocess is 'crf', expected one of morph, none"),
    ],
)
def test_unknown_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        build(**settings)


def test_other_than_two_or_three_dimensions_are_declined_with_a_reason():
    assert LSegDiff.supports(2, 4) is None and LSegDiff.supports(3, 4) is None
    assert "4D" in LSegDiff.supports(4, 2)
    with pytest.raises(ValueError, match="4D"):
        LSegDiff(4, 1, 2, (32, 32, 32, 32), size="tiny")


def test_the_configured_method_is_the_default():
    config = OmegaConf.to_container(OmegaConf.load(CONF), resolve=False)
    notes = {"_target_", "title", "summary", "loss", "training", "sampling", "search"}
    arguments = {key: config[key] for key in config.keys() - notes}
    assert arguments.pop("size") == "${profile.size}" and arguments.pop("dropout") == "${profile.dropout}"
    assert arguments == {
        "objective": "v",
        "postprocess": "morph",
        "t_sampling": "both",
        "embedding_norm": "fast",
        "kl_weight": 1e-2,
    }
    sampling = Sampling(**config["sampling"])
    assert (sampling.steps, sampling.sampler, sampling.stochasticity, sampling.ensemble) == (10, "ddim", 0, 1)


# ---- first stage ----------------------------------------------------------------------------------------------------


def test_divergence_vanishes_for_the_standard_normal():
    assert kl_divergence(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)) == 0


def test_divergence_agrees_with_a_monte_carlo_estimate():
    random = torch.Generator().manual_seed(0)
    mu, log_var = torch.randn(2, 5, dtype=torch.float64, generator=random)
    z = mu + (0.5 * log_var).exp() * torch.randn(400_000, 5, dtype=torch.float64, generator=random)
    posterior = torch.distributions.Normal(mu, (0.5 * log_var).exp()).log_prob(z)
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(z)
    assert kl_divergence(mu, log_var).item() == pytest.approx((posterior - prior).mean().item(), rel=5e-3)


def test_autoencoder_loss_is_ce_plus_twice_dice_plus_a_little_divergence():
    parts = loss_of(build(), "autoencoder", *batch())
    assert set(parts) == {"total", "ce", "dice", "kl"}
    expected = parts["ce"].double() + 2 * parts["dice"].double() + 1e-2 * parts["kl"].double()
    torch.testing.assert_close(parts["total"].double(), expected, atol=1e-6, rtol=0)


def test_autoencoder_draws_its_latents_with_the_encoders_variance():
    model, data = build().eval(), batch()
    first, again, other = (loss_of(model, "autoencoder", *data, seed=seed)["total"] for seed in (7, 7, 8))
    assert first == again and first != other
    with torch.no_grad():
        model.label_encoder.head.weight[1].zero_()
        model.label_encoder.head.bias[1] = -100  # no variance
    first, other = (loss_of(model, "autoencoder", *data, seed=seed)["ce"] for seed in (7, 8))
    assert first == other


def test_autoencoder_learns_to_reconstruct_and_its_mean_is_the_ceiling():
    model = build()
    label = torch.zeros(4, 32, 32, dtype=torch.long)
    for b, (row, column) in enumerate([(4, 4), (4, 14), (14, 4), (14, 14)]):
        label[b, row : row + 12, column : column + 14] = 1
    step(model, "autoencoder", (batch(4)[0], label), 60)
    model.prepare_stage("denoiser", [(None, label)])
    assert (model.reconstruct(label).argmax(1) == label).float().mean() > 0.98
    torch.testing.assert_close(model.reconstruct(label), model.decode(model.encode(label)[0]))


# ---- second stage ---------------------------------------------------------------------------------------------------


def test_second_stage_leaves_the_autoencoder_bitwise_unchanged():
    model, data = build(), batch()
    step(model, "autoencoder", data, 2)
    model.prepare_stage("denoiser", [data])
    names = ("label_encoder.", "label_decoder.")
    before = {k: v.clone() for k, v in model.state_dict().items() if k.startswith(names)}
    moving = {k: v.clone() for k, v in model.state_dict().items() if not k.startswith(names)}
    model.zero_grad()
    fit(model, "denoiser", data, 3)
    after = model.state_dict()
    assert any("running_mean" in k for k in before)
    assert all(torch.equal(value, after[k]) for k, value in before.items())
    assert any(not torch.equal(value, after[k]) for k, value in moving.items())
    assert all(p.grad is None for name, p in model.named_parameters() if name.startswith(names))


def test_first_stage_leaves_the_image_encoder_and_the_denoiser_unchanged():
    model = build()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    step(model, "autoencoder", batch(), 2)
    for key, value in model.state_dict().items():
        if not key.startswith(("label_encoder.", "label_decoder.")):
            assert torch.equal(value, before[key]), key


def test_second_stage_needs_no_decoder_and_has_neither_dropout_nor_batch_statistics_in_its_targets():
    model, data = build().train(), batch()
    seen = []
    model.label_decoder.register_forward_hook(lambda *_: seen.append("decoder"))
    model.label_encoder.register_forward_hook(lambda m, _, out: seen.append(out.clone()))
    for torch_seed in (0, 1):
        torch.manual_seed(torch_seed)
        model.loss(*data, "denoiser", torch.Generator())
    first, again = seen
    assert torch.equal(first, again) and not first.requires_grad
    torch.testing.assert_close(model.label_encoder(data[1][:1, None].float()), first[:1])


def test_stages_train_and_average_their_own_components():
    model = build()
    groups = {stage: [g["name"] for g in model.parameter_groups(stage)] for stage in model.stages}
    assert groups == {
        "autoencoder": ["label_encoder", "label_decoder"],
        "denoiser": ["image_encoder", "denoiser"],
    }
    assert model.averaged("autoencoder") == () and model.averaged("denoiser") == ("image_encoder", "denoiser")


@pytest.mark.parametrize("t_sampling", ["sample", "both"])
@pytest.mark.parametrize("objective", ["eps", "x0", "v"])
def test_denoiser_loss_is_the_mean_squared_error_of_what_it_estimates(objective, t_sampling):
    model, data = build(objective=objective, t_sampling=t_sampling).eval(), batch()
    given = {}

    class Zero(torch.nn.Module):
        def forward(self, z, embedding, t):
            given.update(z=z, t=t)
            return torch.zeros_like(z)

    model.denoiser = Zero()
    loss = loss_of(model, "denoiser", *data)["total"]
    z0 = model.scale(model.encode(data[1])[0])
    if t_sampling == "both":
        z0 = torch.cat([z0, z0])
        assert (given["t"][len(data[0]) :] == 999).all() and (given["t"] < 999).any()
    a = cosine_alpha_bar(given["t"])[:, None, None, None].float()
    # What an estimate of zero lacks: of v it says that the clean latent is alpha_t z_t.
    wanted = {"x0": z0, "v": z0 - a.sqrt() * given["z"], "eps": (given["z"] - a.sqrt() * z0) / (1 - a).sqrt()}
    torch.testing.assert_close(loss, wanted[objective].square().mean(), atol=1e-4, rtol=1e-4)


def test_the_frozen_autoencoder_normalises_as_on_the_training_set_without_dropout():
    """With one batch as training set its own statistics are those that count, in evaluation mode, too."""
    model, data = build(classes=3), batch(8, classes=3)
    step(model, "autoencoder", data, 5)
    lagging = model.eval().reconstruct(data[1])
    model.prepare_stage("denoiser", [data])
    measured = model.eval().reconstruct(data[1])
    for part in model.train().modules():
        if isinstance(part, torch.nn.Dropout):
            part.eval()
    with torch.no_grad():
        by_batch = model.decode(model.encode(data[1])[0])
    # Not equal: PyTorch normalises a batch by its biased variance, later by the unbiased one.
    assert (measured - by_batch).abs().mean() < 0.1 * (lagging - by_batch).abs().mean()


def test_training_latents_have_mean_zero_and_standard_deviation_one():
    model = build(classes=3)
    data = [batch(count, classes=3, seed=count) for count in (4, 4, 1)]
    step(model, "autoencoder", data[0], 5)
    model.prepare_stage("denoiser", data)
    z = torch.cat([model.scale(model.encode(label)[0]) for _, label in data]).double()
    assert z.mean().item() == pytest.approx(0, abs=1e-4)
    assert z.std(correction=0).item() == pytest.approx(1, abs=1e-4)
    assert model.latent_bound.item() == pytest.approx(z.abs().max().item(), rel=1e-4)
    assert {"latent_mean", "latent_std", "latent_bound"} <= set(model.state_dict())


def test_latents_that_are_all_equal_are_scaled_to_zero():
    model = build()
    with torch.no_grad():
        model.label_encoder.head.weight.zero_()
        model.label_encoder.head.bias.fill_(0.3)
    model.prepare_stage("denoiser", [batch()])
    z = model.scale(model.encode(batch()[1])[0])
    assert z.abs().max() < 0.1


def test_the_first_stage_starts_at_the_class_frequencies_and_the_second_keeps_what_was_learnt():
    model = build()
    label = torch.zeros(2, 32, 32, dtype=torch.int64)
    label[0, :8] = 1
    model.prepare_stage("autoencoder", [(None, label)])
    bias = model.label_decoder.norm.bias.detach().clone()
    torch.testing.assert_close(bias[0] - bias[1], torch.tensor(7.0).log())
    model.prepare_stage("denoiser", [batch()])
    assert torch.equal(model.label_decoder.norm.bias, bias)


def test_only_the_second_stage_measures_latents():
    model = build()
    model.prepare_stage("autoencoder", [batch()])
    assert model.latent_mean == 0 and model.latent_std == 1 and model.latent_bound == torch.inf


@pytest.mark.parametrize("objective", ["eps", "x0", "v"])
def test_sampled_latents_stay_within_those_of_the_training_set(objective):
    model = trained(objective=objective)
    with torch.no_grad():
        model.denoiser.head.weight.mul_(1e3)
    visited = []
    model.segment(batch()[0], Sampling(4), generators(), lambda k, t, x: visited.append(x))
    assert visited[-1].abs().max() <= model.latent_bound
    model.latent_bound.fill_(torch.inf)
    model.segment(batch()[0], Sampling(4), generators(), lambda k, t, x: visited.append(x))
    assert visited[-1].abs().max() > 10


def test_scaling_and_its_inverse():
    model = trained()
    mu = torch.randn(2, 1, 4, 4, dtype=torch.float64)
    assert model.latent_std != 1
    torch.testing.assert_close(model.unscale(model.scale(mu)), mu)


# ---- sampling -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["ddim", "dpm_solver++"])
@pytest.mark.parametrize("objective", ["eps", "x0", "v"])
@pytest.mark.parametrize("steps", [2, 3, 10])
def test_perfect_denoiser_recovers_the_label_latent_and_so_the_ceiling(steps, objective, solver):
    model = trained(objective=objective, postprocess="none")
    image, label = batch()
    z0 = model.scale(model.encode(label)[0]).double()

    class Oracle(torch.nn.Module):
        def forward(self, z, embedding, t):
            a = cosine_alpha_bar(t)[:, None, None, None]
            noise = (z - a.sqrt() * z0) / (1 - a).sqrt()
            return {"eps": noise, "x0": z0, "v": a.sqrt() * noise - (1 - a).sqrt() * z0}[objective]

    model.denoiser = Oracle()
    visited = []
    probability = model.segment(
        image,
        Sampling(steps, solver),
        generators(),
        lambda k, t, x: visited.append(x),
        torch.zeros_like(z0),
    )
    torch.testing.assert_close(visited[-1], z0, atol=1e-9, rtol=0)
    torch.testing.assert_close(probability, model.reconstruct(label), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(5, "ddpm"), Sampling(3, "dpm_solver++"), Sampling(ensemble=2)]
)
def test_network_evaluations_are_those_made_and_the_image_is_encoded_once(sampling):
    model = build().eval()
    calls = []
    model.denoiser.register_forward_hook(lambda *_: calls.append("denoiser"))
    model.image_encoder.register_forward_hook(lambda *_: calls.append("image"))
    model.segment(batch()[0], sampling, generators())
    assert calls.count("denoiser") == model.network_evaluations(sampling) and calls.count("image") == 1


def test_post_processing_is_a_switch_that_leaves_the_weights_as_they_are():
    cleaned, raw = build(classes=3).eval(), build(classes=3, postprocess="none").eval()
    raw.load_state_dict(cleaned.state_dict())
    image = batch()[0]
    before, after = (m.segment(image, Sampling(3, ensemble=2), generators()) for m in (raw, cleaned))
    assert torch.equal(after, clean(before))
    assert not torch.equal(after, before)
