"""LDSeg: sizes, losses, switches, and what sampling may and may not depend on."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from methods.base import Sampling
from methods.blocks.intensity import min_max
from methods.diffusion.schedule import cosine_alpha_bar
from methods.ldseg import COMPONENTS, SWITCHES, LDSeg
from tests.methods.discs import assert_it_reads_the_image

CONF = Path(__file__).parents[2] / "conf" / "method" / "ldseg.yaml"
CHOICES = [(name, option) for name, switch in SWITCHES.items() for option in switch.options]


def build(image_size=(32, 32), classes=2, size="tiny", **settings) -> LDSeg:
    torch.manual_seed(0)
    return LDSeg(spatial_dims=2, in_channels=3, classes=classes, image_size=image_size, size=size, **settings)


def shaken(model: LDSeg) -> LDSeg:
    """As after some training: no weight at zero, running statistics of some data; in evaluation mode."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=random)
        image, label = batch(image_size=tuple(n * 2 ** len(model.label_decoder.ups) for n in model.latent_size))
        for _ in range(3):
            model.train().loss(image, label, "train", torch.Generator().manual_seed(2))
    return model.eval()


def batch(count=3, image_size=(32, 32), classes=2, seed=5):
    random = torch.Generator().manual_seed(seed)
    image = torch.rand(count, 3, *image_size, generator=random)
    return image, torch.randint(0, classes, (count, *image_size), generator=random)


def generators(count=3, first=0):
    return [torch.Generator().manual_seed(first + i) for i in range(count)]


def loss_of(model, image, label, seed=7):
    torch.manual_seed(3)  # dropout
    return model.loss(image, label, "train", torch.Generator().manual_seed(seed))


# ---- networks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "side", "totals", "trainable"),
    [
        ("paper", 512, (186_865, 271_722, 294_063, 1_013_873), 1_764_117),
        ("tiny", 64, (27_225, 39_610, 45_215, 255_761), 366_989),
    ],
)
def test_published_numbers_of_weights(size, side, totals, trainable):
    model = build((side, side), size=size)
    assert tuple(_total(getattr(model, name)) for name in COMPONENTS) == totals
    assert sum(p.numel() for p in model.parameters()) == trainable


def test_small_has_the_denoiser_of_tiny_and_wider_encoders():
    small, tiny = build(size="small"), build(size="tiny")
    assert _total(small.denoiser) == _total(tiny.denoiser)
    for name in ("label_encoder", "label_decoder", "image_encoder"):
        assert 3 < _total(getattr(small, name)) / _total(getattr(tiny, name)) < 4.2


def _total(module) -> int:
    """Weights and running statistics, as Keras counts them."""
    state = module.state_dict()
    return sum(tensor.numel() for key, tensor in state.items() if not key.endswith("num_batches_tracked"))


@pytest.mark.parametrize("image_size", [(32, 32), (48, 80)])
def test_shapes(image_size):
    model = build(image_size, classes=4).eval()
    image, label = batch(2, image_size, classes=4)
    latent = tuple(n // 8 for n in image_size)
    assert model.embed(image).shape == (2, 1, *latent)
    assert model.label_encoder(label[:, None].float()).shape == (2, 1, *latent)
    for probability in (model.reconstruct(label), model.segment(image, Sampling(), generators(2))):
        assert probability.shape == (2, 4, *image_size) and probability.dtype == torch.float32
        torch.testing.assert_close(probability.sum(1), torch.ones(2, *image_size))


@pytest.mark.parametrize("norm", ["affine", "plain"])
def test_label_latents_start_standardised_per_sample(norm):
    model = build(latent_norm=norm)
    z = model.label_encoder(batch()[1][:, None].float())
    torch.testing.assert_close(z.mean((1, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(z.std((1, 2, 3), correction=0), torch.ones(3), atol=0.02, rtol=0)


def test_plain_latent_norm_has_no_weights_and_keeps_latents_standardised():
    model = shaken(build(latent_norm="plain"))
    assert not list(model.label_encoder.norm.parameters())
    z = model.label_encoder(batch()[1][:, None].float())
    torch.testing.assert_close(z.std((1, 2, 3), correction=0), torch.ones(3), atol=0.02, rtol=0)


# ---- training -------------------------------------------------------------------------------------------------------


def test_total_is_ce_plus_twice_dice_plus_l2():
    parts = loss_of(build(), *batch())
    assert set(parts) == {"total", "ce", "dice", "l2", "embedding_variance"}
    torch.testing.assert_close(parts["total"], parts["ce"] + 2 * parts["dice"] + parts["l2"])


def test_gradients_reach_all_four_components():
    model = build()
    loss_of(model, *batch())["total"].backward()
    for name in COMPONENTS:
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in getattr(model, name).parameters()), name


def test_segmentation_loss_alone_reaches_encoders_and_denoiser():
    model = shaken(build())
    parts = loss_of(model, *batch())
    (parts["ce"] + parts["dice"]).backward()
    for name in COMPONENTS:
        assert all(p.grad is not None and p.grad.isfinite().all() for p in getattr(model, name).parameters()), name
        assert sum(p.grad.abs().sum() for p in getattr(model, name).parameters()) > 0, name


def test_same_generator_same_loss_other_generator_other_loss():
    model, data = build(), batch()
    first, again, other = (loss_of(model, *data, seed=seed)["total"] for seed in (7, 7, 8))
    assert first == again and first != other


def test_parameter_groups_are_the_four_components_once_each():
    model = build(lr_factors={"denoiser": 0.1})
    groups = model.parameter_groups("train")
    assert [(g["name"], g["lr_factor"]) for g in groups] == [
        ("label_encoder", 1),
        ("label_decoder", 1),
        ("image_encoder", 1),
        ("denoiser", 0.1),
    ]
    grouped = [id(p) for g in groups for p in g["params"]]
    assert len(grouped) == len(set(grouped)) and set(grouped) == {id(p) for p in model.parameters()}
    assert [g["lr"] for g in model.optimizer("train", 1e-2).param_groups] == pytest.approx([1e-2, 1e-2, 1e-2, 1e-3])


def test_min_max_is_per_image_and_survives_a_constant_one():
    image = torch.rand(2, 3, 4, 4) * 0.5 + 0.2
    image[1] = 0.7
    scaled = min_max(image)
    assert scaled[0].min() == 0 and scaled[0].max() == 1 and torch.equal(scaled[1], torch.zeros(3, 4, 4))
    assert torch.equal(scaled[:1], min_max(image[:1]))


# ---- switches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "option"), CHOICES)
def test_every_switch_trains_and_segments(name, option):
    model = build(classes=3, **{name: option})
    image, label = batch(2, classes=3)
    parts = loss_of(model, image, label)
    parts["total"].backward()
    assert all(value.isfinite() for value in parts.values())
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    probability = model.eval().segment(image, Sampling(steps=3), generators(2))
    torch.testing.assert_close(probability.sum(1), torch.ones(2, 32, 32))


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("decoder_input", "x0"),
        ("noise_sharing", "batch"),
        ("t_sampling", "batch"),
        ("dice_mode", "per_class"),
        ("dice_mode", "pooled"),
        ("noise_estimate", "plain"),
        ("decode", "state"),
        ("t_sampling", "sample"),
        ("l2_reduction", "sum"),
        ("tf_padding", False),
        ("attn_residual", "raw"),
    ],
)
def test_switch_changes_the_training_loss(name, option):
    default, switched = shaken(build()), shaken(build(**{name: option}))
    switched.load_state_dict(default.state_dict())
    data = batch()
    assert loss_of(default, *data)["total"] != loss_of(switched, *data)["total"]


@pytest.mark.parametrize(("settings", "rate"), [({}, 0.0), ({"dropout": 0.2}, 0.2), ({"preset": "official"}, 0.2)])
def test_every_dropout_has_the_rate_of_the_switch(settings, rate):
    layers = [m for m in build(**settings).modules() if isinstance(m, torch.nn.Dropout)]
    assert len(layers) > 6 and all(layer.p == rate for layer in layers)


@pytest.mark.parametrize(
    ("name", "option"), [("sampler_norm", "batch"), ("sampler_norm", "none"), ("time_grid", "round1")]
)
def test_switch_changes_the_sampling(name, option):
    default, switched = shaken(build()), shaken(build(**{name: option}))
    switched.load_state_dict(default.state_dict())
    results = [m.segment(batch()[0], Sampling(steps=3), generators()) for m in (default, switched)]
    assert (results[0] - results[1]).abs().max() > 1e-6


@pytest.mark.parametrize("settings", [{}, {"label_downsampling": True}, {"image_downsampling": True}])
def test_logits_start_at_the_class_frequencies_of_the_training_labels(settings):
    model = build(classes=4, **settings)
    first, second = torch.zeros(2, 2, 32, 32, dtype=torch.int64)
    first[:, :4, :8], second[0, 3, :2] = 1, 3
    model.prepare_stage("train", iter([(None, first), (None, second)]))
    z = torch.randn(2, 1, *model.latent_size, generator=torch.Generator().manual_seed(1))
    mean = model.train().label_decoder(z).mean((0, 2, 3))
    expected = torch.tensor([4 * 1024 - 66.0, 64, 1, 2]).log()  # class 2 is absent and counts as one voxel
    torch.testing.assert_close(mean - mean[0], expected - expected[0], atol=1e-3, rtol=0)


@pytest.mark.parametrize("settings", [{"decoder_bias": "zero"}, {"preset": "official"}])
def test_logits_start_at_zero_if_asked_to(settings):
    model = build(**settings)
    model.prepare_stage("train", [(None, torch.zeros(1, 32, 32, dtype=torch.int64))])
    assert not model.label_decoder.norm.bias.any()


def test_summed_l2_is_the_mean_times_the_latent_size():
    mean, total = (loss_of(build(l2_reduction=r), *batch())["l2"] for r in ("mean", "sum"))
    torch.testing.assert_close(total, 16 * mean)


def test_shared_noise_and_shared_times():
    _, noise = build(noise_sharing="batch")._draw(torch.Size((3, 1, 4, 4)), torch.Generator())
    assert torch.equal(noise[0], noise[2])
    t, noise = build(t_sampling="batch")._draw(torch.Size((3, 1, 4, 4)), torch.Generator())
    assert t[0] == t[2] and not torch.equal(noise[0], noise[2])


def test_times_of_training_cover_the_schedule():
    random = torch.Generator().manual_seed(0)
    t, _ = build()._draw(torch.Size((20_000, 1, 1, 1)), random)
    assert (t.min(), t.max()) == (0, 999)
    drawn = [build(t_sampling="batch")._draw(torch.Size((1, 1, 1, 1)), random)[0].item() for _ in range(5)]
    assert all(1 <= time <= 1000 for time in drawn)


def test_two_attentions_leave_out_the_third_and_onehot_labels_enter_by_class():
    assert _total(build().image_encoder) - _total(build(image_attention="two").image_encoder) == 10
    assert build(classes=5, label_input="onehot").label_encoder.blocks[0].conv1.in_channels == 5


def test_moving_average_covers_the_denoiser_or_everything():
    assert build().averaged("train") == ("denoiser",)
    assert build(ema_scope="all").averaged("train") == COMPONENTS


def test_preset_is_the_code_and_an_explicit_switch_wins():
    official = build(preset="official")
    assert official.switches == {name: switch.official for name, switch in SWITCHES.items()}
    assert build(preset="official", sampler_norm="none").switches["sampler_norm"] == "none"
    assert build(preset="official", sampler_norm=None).switches["sampler_norm"] == "batch"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": "papre"}, r"method\.size is 'papre'.*paper, small, tiny.*did you mean paper"),
        ({"preset": "oficial"}, r"method\.preset is 'oficial'.*did you mean official"),
        (
            {"sampler_norm": "samples"},
            r"method\.sampler_norm is 'samples'.*sample, estimate, batch, none.*did you mean sample",
        ),
        ({"tf_padding": 1}, r"method\.tf_padding is 1, expected one of True, False"),
        ({"sampler_nrom": "none"}, r"sampler_nrom.*did you mean sampler_norm"),
        ({"lr_factors": {"denoisr": 2}}, r"method\.lr_factors is 'denoisr'.*did you mean denoiser"),
    ],
)
def test_unknown_settings_are_refused_with_the_nearest_known(settings, words):
    with pytest.raises(ValueError, match=words):
        build(**settings)


@pytest.mark.parametrize(("size", "image_size", "multiple"), [("tiny", (32, 40), 16), ("paper", (96, 128), 64)])
def test_image_sizes_that_cannot_be_halved_are_refused(size, image_size, multiple):
    with pytest.raises(ValueError, match=f"multiple of {multiple}"):
        build(image_size, size=size)


def test_other_than_two_or_three_dimensions_are_declined_with_a_reason():
    assert LDSeg.supports(2, 4) is None and LDSeg.supports(3, 4) is None
    assert "4D" in LDSeg.supports(4, 2)
    with pytest.raises(ValueError, match="4D"):
        LDSeg(4, 1, 2, (32, 32, 32, 32), size="tiny")


def test_configuration_names_every_switch_and_builds_the_default():
    config = OmegaConf.to_container(OmegaConf.load(CONF), resolve=False)
    for key in ("_target_", "title", "summary", "loss", "search", "training"):
        config.pop(key)
    assert config.pop("dropout") == "${profile.dropout}"
    config["dropout"] = None
    assert set(SWITCHES) <= set(config)
    model = LDSeg(2, 1, 2, (32, 32), **config | {"size": "tiny"})
    assert model.switches == {name: switch.default for name, switch in SWITCHES.items()}


# ---- sampling -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    return shaken(build())


@pytest.mark.parametrize("sampling", [Sampling(steps=2), Sampling(steps=4, sampler="ddpm", ensemble=2)])
def test_result_does_not_depend_on_the_batch(trained, sampling):
    image, _ = batch()
    together = trained.segment(image, sampling, generators())
    alone = trained.segment(image[2:], sampling, generators(1, first=2))
    torch.testing.assert_close(together[2:], alone, atol=1e-4, rtol=0)
    assert (together[0] - together[1]).abs().max() > 1e-3


def test_official_normalisation_depends_on_the_batch():
    model = shaken(build(preset="official"))
    image, _ = batch()
    together = model.segment(image, Sampling(steps=3), generators())
    alone = model.segment(image[2:], Sampling(steps=3), generators(1, first=2))
    assert (together[2:] - alone).abs().max() > 1e-4


def test_segmentation_depends_on_image_and_seed(trained):
    image, _ = batch()
    first = trained.segment(image, Sampling(), generators())
    assert not torch.equal(first, trained.segment(image.flip(0), Sampling(), generators()))
    assert not torch.equal(first, trained.segment(image, Sampling(), generators(first=50)))


def test_image_contrast_is_irrelevant(trained):
    image, _ = batch()
    results = [trained.segment(x, Sampling(), generators()) for x in (image, 0.3 * image + 0.1)]
    torch.testing.assert_close(*results, atol=1e-3, rtol=0)


def test_ensemble_is_the_mean_of_samples_drawn_one_after_the_other(trained):
    image, _ = batch()
    own = generators()
    singles = [trained.segment(image, Sampling(steps=3), own) for _ in range(3)]
    mean = trained.segment(image, Sampling(steps=3, ensemble=3), generators())
    torch.testing.assert_close(mean, sum(singles) / 3)


@pytest.mark.parametrize("grid", ["real0", "round1"])
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(steps=5, sampler="ddpm"), Sampling(steps=3, ensemble=2)])
def test_network_evaluations_are_those_made(grid, sampling):
    model = build(time_grid=grid).eval()
    calls = []
    model.denoiser.register_forward_hook(lambda *_: calls.append(1))
    model.segment(batch()[0], sampling, generators())
    assert len(calls) == model.network_evaluations(sampling)


def test_latents_are_standardised_at_every_time(trained):
    visited = []
    trained.segment(batch()[0], Sampling(steps=4, sampler="ddpm"), generators(), lambda k, t, x: visited.append((k, x)))
    assert [k for k, _ in visited] == [0, 1, 2, 3]
    for _, x in visited:
        assert x.dtype == torch.float64 and x.shape == (3, 1, 4, 4)
        torch.testing.assert_close(x.mean((1, 2, 3)), torch.zeros(3).double(), atol=1e-6, rtol=0)
        torch.testing.assert_close(x.std((1, 2, 3), correction=0), torch.ones(3).double(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("steps", [2, 3, 10])
def test_perfect_denoiser_recovers_the_label_latent(steps):
    model = shaken(build(sampler_norm="none", noise_estimate="plain"))
    z0 = torch.randn(3, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(4))

    class Oracle(torch.nn.Module):
        def forward(self, z, embedding, t):
            a = cosine_alpha_bar(t)[:, None, None, None]
            return (z - a.sqrt() * z0) / (1 - a).sqrt()

    model.denoiser = Oracle()
    visited = []
    model.segment(
        batch()[0], Sampling(steps=steps), generators(), lambda k, t, x: visited.append(x), torch.zeros_like(z0)
    )
    torch.testing.assert_close(visited[-1], z0, atol=1e-10, rtol=0)


@pytest.mark.long
def test_learns_to_read_the_segmentation_off_the_image_in_two_steps():
    assert_it_reads_the_image(build(), 4e-3, lambda done: 0.03**done, Sampling(steps=2))
