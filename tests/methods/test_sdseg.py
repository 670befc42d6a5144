"""SDSeg: schedule, single step, losses, what each stage trains, agreement with the authors' code."""

import math
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from methods.base import Sampling
from methods.blocks.guided_unet import GuidedUNet
from methods.blocks.vision_encoder import VisionEncoder
from methods.diffusion.scaled_linear import scaled_linear_alpha_bar, single_step_pairs
from methods.diffusion.schedule import per_sample
from methods.sdseg import SDSeg

CONF = Path(__file__).parents[2] / "conf" / "method" / "sdseg.yaml"


def build(image_size=(32, 32), in_channels=3, classes=2, size="tiny", **settings) -> SDSeg:
    torch.manual_seed(0)
    return SDSeg(len(image_size), in_channels, classes, image_size, size=size, **settings)


def batch(count=3, image_size=(32, 32), channels=3, classes=2, seed=5):
    random = torch.Generator().manual_seed(seed)
    image = torch.rand(count, channels, *image_size, generator=random)
    return image, torch.randint(0, classes, (count, *image_size), generator=random)


def generators(count=3, first=0):
    return [torch.Generator().manual_seed(first + i) for i in range(count)]


def loss_of(model, stage, image, label, seed=7):
    torch.manual_seed(3)  # dropout
    return model.loss(image, label, stage, torch.Generator().manual_seed(seed))


def fit(model, stage, data, count):
    model.train()
    optimizer = model.optimizer(stage, 2e-3)
    for seed in range(count):
        optimizer.zero_grad()
        loss_of(model, stage, *data, seed=seed)["total"].backward()
        optimizer.step()


def trained(**settings) -> SDSeg:
    """After a few steps in both stages."""
    model, data = build(**settings), batch(4, classes=settings.get("classes", 2))
    for stage in model.stages:
        model.prepare_stage(stage, [data])
        fit(model, stage, data, 4)
    return model.eval()


def wave(*shape, speed=0.37, shift=None):
    """Numbers in [-1, 1] that are the same everywhere: a sine, with `shift` a cosine."""
    values = speed * torch.arange(math.prod(shape), dtype=torch.float64)
    return (values.sin() if shift is None else (values + shift).cos()).reshape(shape)


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
    """Stands in for the denoiser: knows the clean latent and returns the truth, be it "eps" or "x0"."""

    def __init__(self, z0, kind):
        super().__init__()
        self.z0, self.kind = z0, kind

    def forward(self, x, t):
        z = x[:, : self.z0.shape[1]].double()
        z0 = self.z0.double()
        if self.kind == "x0":
            return z0
        a = per_sample(scaled_linear_alpha_bar(t), z)
        return (z - a.sqrt() * z0) / (1 - a).sqrt()


# ---- agreement with the authors' code -------------------------------------------------------------------------------
# lin-tianyu/Stable-Diffusion-Seg at 0b0aa38, in float64, with the weights of `filled`.


def test_the_u_net_gives_what_the_authors_gives():
    """openaimodel.py in ldm/modules/diffusionmodules: UNetModel as configured, 32 channels, three levels, 4 heads."""
    network = filled(GuidedUNet(2, 4, 2, (32, 64, 64), 2, (0, 1), 4, 32, 0.2, residual=True))
    with torch.no_grad():
        mean, std, values = summary(network(wave(2, 4, 8, 12), torch.tensor([7, 999])))
    assert (mean, std) == pytest.approx((0.566659608, 0.804153900), abs=2e-6)
    # Their time features are float32, ours are taken in float64.
    assert values == pytest.approx([1.6864236, 0.4977935, 0.0445949, 1.9205207, 0.4948886, 0.1415044], abs=1e-5)


def test_the_vision_encoder_gives_what_the_authors_gives():
    """model.py in ldm/modules/diffusionmodules: Encoder, 32 channels and three levels, the conv1 of AEEncoderEmbedder;
    query, key and value were cut from one tensor."""
    encoder = filled(VisionEncoder(2, 3, 4, 32, (32, 64, 64), 32, 0.2))
    with torch.no_grad():
        mean, std, values = summary(encoder(wave(2, 3, 16, 24)))
    assert (mean, std) == pytest.approx((0.245293516, 2.362359112), abs=1e-8)
    assert values == pytest.approx([-2.0721895, 0.9985783, 2.5008891, -2.0559838, 1.005303, 2.4981009], abs=1e-6)


def test_the_schedule_is_the_authors():
    """make_beta_schedule("linear", 1000, 0.0015, 0.0155) and its cumulative product."""
    times = torch.tensor([0, 1, 499, 998, 999])
    recorded = [0.9985, 0.9969956023143622, 0.1510774233475671, 0.0006791926599693249, 0.0006686651737398004]
    assert scaled_linear_alpha_bar(times).tolist() == pytest.approx(recorded, rel=1e-10)


@pytest.mark.parametrize("kind", ["eps", "x0"])
def test_the_loss_is_the_authors_whatever_the_denoiser_returns(kind):
    """SDSeg.p_losses with a network of 0.9 z_t + 0.1 z_i that estimates the noise."""
    model = build(prediction=kind)
    z0, z_i = wave(3, 4, 2, 2), torch.cos(5 * wave(3, 4, 2, 2))
    noise, t = torch.cos(9 * wave(3, 4, 2, 2) + 1), torch.tensor([0, 400, 999])
    alpha_bar = scaled_linear_alpha_bar(t)
    a = per_sample(alpha_bar, z0)
    z_t = a.sqrt() * z0 + (1 - a).sqrt() * noise

    class Network(torch.nn.Module):
        def forward(self, x, t):
            eps_hat = 0.9 * x[:, :4] + 0.1 * x[:, 4:]
            return eps_hat if kind == "eps" else (x[:, :4] - (1 - a).sqrt() * eps_hat) / a.sqrt()

    model.denoiser = Network()
    eps_hat, z0_hat = model._estimates(z_t, z_i, t, alpha_bar)
    parts = (eps_hat - noise).abs().mean().item(), (z0_hat - z0).abs().mean().item()
    assert parts == pytest.approx((0.4829949574717807, 1.2843708619539569), rel=1e-10)
    assert sum(parts) == pytest.approx(1.7673658194257376, rel=1e-10)


@pytest.mark.parametrize(
    ("spatial_dims", "in_channels", "size", "parts"),
    [
        # The last two are those of the authors' configurations; the first is ours.
        (2, 3, "paper", (261_502, 34_163_628, 294_973_828)),
        (2, 3, "small", (261_502, 541_340, 2_366_596)),
        (2, 3, "tiny", (66_438, 46_804, 213_172)),
        (3, 1, "small", (231_246, 260_356, 1_991_764)),
        (3, 1, "tiny", (228_238, 135_508, 506_932)),
    ],
)
def test_number_of_parameters(spatial_dims, in_channels, size, parts):
    with torch.device("meta"):
        model = build((256,) * spatial_dims, in_channels, size=size)
    assert tuple(sum(p.numel() for p in part.parameters()) for part in model.children()) == parts


# ---- schedule -------------------------------------------------------------------------------------------------------


def test_schedule_is_its_formula_and_noise_free_at_minus_one():
    betas = [(0.0015**0.5 + i / 999 * (0.0155**0.5 - 0.0015**0.5)) ** 2 for i in range(1000)]
    expected = math.prod(1 - beta for beta in betas[:301])
    assert scaled_linear_alpha_bar(300).item() == pytest.approx(expected, rel=1e-12)
    assert scaled_linear_alpha_bar(-1) == 1
    assert scaled_linear_alpha_bar(1000) == scaled_linear_alpha_bar(999)
    between = scaled_linear_alpha_bar(torch.tensor([5.0, 5.5, 6.0])).log()
    assert between[1].item() == pytest.approx((between[0] + between[2]).item() / 2)


@pytest.mark.parametrize("t", [-1.5, 1000.5])
def test_times_outside_the_schedule_are_refused(t):
    with pytest.raises(ValueError, match="expected values from -1 to 1000"):
        scaled_linear_alpha_bar(t)


def test_two_points_are_one_step_from_the_noisiest_time_to_the_noise_free_one():
    assert single_step_pairs(2) == [(999, -1)]
    assert single_step_pairs(5) == [(999, 749), (749, 499), (499, 249), (249, -1)]
    with pytest.raises(ValueError, match="expected 2 or more"):
        single_step_pairs(1)


# ---- training -------------------------------------------------------------------------------------------------------


def test_autoencoder_loss_is_ce_plus_twice_dice_plus_a_little_divergence():
    parts = loss_of(build(), "autoencoder", *batch())
    assert set(parts) == {"total", "ce", "dice", "kl"}
    expected = parts["ce"].double() + 2 * parts["dice"].double() + 1e-6 * parts["kl"].double()
    torch.testing.assert_close(parts["total"].double(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["eps", "x0"])
def test_denoiser_loss_is_the_sum_of_both_absolute_errors(kind):
    model, data = build(prediction=kind), batch()
    model.prepare_stage("denoiser", [data])
    model.eval()
    z0 = model.encode(data[1])
    given = {}

    class Zero(torch.nn.Module):
        def forward(self, x, t):
            given.update(z=x[:, :4], t=t)
            return torch.zeros_like(x[:, :4])

    model.denoiser = Zero()
    parts = loss_of(model, "denoiser", *data)
    a = scaled_linear_alpha_bar(given["t"])[:, None, None, None]
    z = given["z"].double()
    noise = (z - a.sqrt() * z0) / (1 - a).sqrt()
    eps_hat, z0_hat = (0 * z, z / a.sqrt()) if kind == "eps" else (z / (1 - a).sqrt(), 0 * z)
    wanted = ((eps_hat - noise).abs().mean(), (z0_hat - z0).abs().mean())
    assert (parts["noise"].item(), parts["latent"].item()) == pytest.approx([v.item() for v in wanted], rel=1e-4)
    torch.testing.assert_close(parts["total"], parts["noise"] + parts["latent"])


@pytest.mark.parametrize("kind", ["eps", "x0"])
def test_the_truth_has_no_loss(kind):
    model, data = build(prediction=kind), batch()
    model.prepare_stage("denoiser", [data])
    model.denoiser = Oracle(model.eval().encode(data[1]).detach(), kind)
    assert loss_of(model, "denoiser", *data)["total"] < 1e-3


def test_second_stage_leaves_the_autoencoder_bitwise_unchanged():
    model, data = build(), batch()
    fit(model, "autoencoder", data, 2)
    model.prepare_stage("denoiser", [data])
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.zero_grad()
    fit(model, "denoiser", data, 3)
    same = {k for k, value in model.state_dict().items() if torch.equal(value, before[k])}
    assert {k for k in before if k.startswith("autoencoder.")} <= same
    assert not any(k.startswith(("vision_encoder.", "denoiser.")) and k.endswith("conv1.weight") for k in same)


def test_stages_train_and_average_their_own_components():
    model = build()
    groups = {stage: [g["name"] for g in model.parameter_groups(stage)] for stage in model.stages}
    assert groups == {"autoencoder": ["autoencoder"], "denoiser": ["vision_encoder", "denoiser"]}
    assert model.averaged("autoencoder") == () and model.averaged("denoiser") == ("vision_encoder", "denoiser")


def test_training_latents_have_mean_zero_and_standard_deviation_one():
    model = build(classes=3)
    data = [batch(count, classes=3, seed=count) for count in (4, 4, 1)]
    fit(model, "autoencoder", data[0], 5)
    model.prepare_stage("denoiser", data)
    z = torch.cat([model.encode(label) for _, label in data]).double()
    assert z.shape[1] == 4
    assert z.mean().item() == pytest.approx(0, abs=1e-4)
    assert z.std(correction=0).item() == pytest.approx(1, abs=1e-4)
    assert model.autoencoder.bound.item() == pytest.approx(z.abs().max().item(), rel=1e-4)
    torch.testing.assert_close(model.autoencoder.scale(model.autoencoder.unscale(z)), z)
    assert {"autoencoder.mean", "autoencoder.std", "autoencoder.bound"} <= set(model.state_dict())


def test_the_first_stage_starts_at_the_class_frequencies():
    model = build()
    label = torch.zeros(2, 32, 32, dtype=torch.int64)
    label[0, :8] = 1
    model.prepare_stage("autoencoder", [(None, label)])
    bias = model.autoencoder.decoder.norm.bias
    torch.testing.assert_close(bias[0] - bias[1], torch.tensor(7.0).log())
    assert model.autoencoder.bound == torch.inf


# ---- sampling -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["ddim", "ddpm", "dpm_solver++"])
@pytest.mark.parametrize("kind", ["eps", "x0"])
@pytest.mark.parametrize("steps", [2, 3, 10])
def test_perfect_denoiser_recovers_the_label_latent_and_so_the_ceiling(steps, kind, solver):
    model = trained(prediction=kind)
    image, label = batch()
    z0 = model.encode(label).double()
    model.autoencoder.bound.fill_(torch.inf)  # of the training labels, which are others
    model.denoiser = Oracle(z0, kind)
    visited = []
    probability = model.segment(
        image, Sampling(steps, solver), generators(), lambda k, t, x: visited.append((k, t, x)), torch.zeros_like(z0)
    )
    torch.testing.assert_close(visited[-1][2], z0, atol=1e-8, rtol=0)
    torch.testing.assert_close(probability, model.reconstruct(label), atol=1e-5, rtol=0)
    assert [k for k, _, _ in visited] == list(range(steps))
    assert visited[0][1] == 999 and visited[-1][1] == -1


def test_a_single_step_is_the_estimate_at_the_last_time():
    model, (image, _) = trained(prediction="eps"), batch()
    model.autoencoder.bound.fill_(torch.inf)
    noise, a = None, scaled_linear_alpha_bar(999)

    def keep(k, t, x):
        nonlocal noise
        noise = x if k == 0 else noise

    found = model.segment(image, Sampling(2), generators(), keep)
    with torch.no_grad():
        eps_hat = model.denoiser(torch.cat([noise.float(), model.embed(image)], 1), torch.full((3,), 999.0)).double()
    expected = model.decode((noise - (1 - a).sqrt() * eps_hat) / a.sqrt())
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["eps", "x0"])
def test_sampled_latents_stay_within_those_of_the_training_set(kind):
    model = trained(prediction=kind)
    with torch.no_grad():
        model.denoiser.out.weight.mul_(1e3)
    visited = []
    model.segment(batch()[0], Sampling(4), generators(), lambda k, t, x: visited.append(x))
    assert visited[-1].abs().max() <= model.autoencoder.bound


@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(5, "ddpm"), Sampling(3, "dpm_solver++"), Sampling(ensemble=2)]
)
def test_network_evaluations_are_those_made_and_the_image_is_encoded_once(sampling):
    model = build().eval()
    calls, images = [], []
    model.denoiser.register_forward_hook(lambda *_: calls.append(1))
    model.vision_encoder.register_forward_hook(lambda *_: images.append(1))
    model.segment(batch()[0], sampling, generators())
    assert len(calls) == model.network_evaluations(sampling) == sampling.ensemble * (sampling.steps - 1)
    assert len(images) == 1


@pytest.mark.parametrize(
    ("image_size", "size", "factor"),
    [((32, 48), "tiny", 8), ((32, 64), "small", 8), ((16, 16, 32), "tiny", 8), ((16, 32, 16), "small", 4)],
)
def test_latents_have_four_channels_and_segmentations_the_shape_of_the_mask(image_size, size, factor):
    model = build(image_size, classes=4, size=size).eval()
    image, label = batch(2, image_size, classes=4)
    latent = (2, 4, *(n // factor for n in image_size))
    assert model.embed(image).shape == model.encode(label).shape == latent
    for probability in (model.reconstruct(label), model.segment(image, Sampling(), generators(2))):
        assert probability.shape == (2, 4, *image_size) and probability.dtype == torch.float32
        torch.testing.assert_close(probability.sum(1), torch.ones(2, *image_size))


# ---- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": "huge"}, r"method\.size is 'huge', expected one of tiny, small, paper"),
        ({"prediction": "v"}, r"method\.prediction is 'v', expected one of eps, x0, None"),
        ({"image_size": (32, 40)}, r"image_size is \(32, 40\).*multiple of 16"),
        ({"image_size": (32, 48), "size": "small"}, r"image_size is \(32, 48\).*multiple of 32"),
        ({"image_size": (256, 192), "size": "paper"}, r"image_size is \(256, 192\).*multiple of 128"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        build(**settings)


def test_other_than_two_or_three_dimensions_are_declined_with_a_reason():
    assert SDSeg.supports(2, 4) is None and SDSeg.supports(3, 4) is None
    with pytest.raises(ValueError, match="4D"):
        SDSeg(4, 1, 2, (32, 32, 32, 32), size="tiny")


def test_configuration_builds_the_published_single_step():
    config = OmegaConf.to_container(OmegaConf.load(CONF), resolve=False)
    assert "own autoencoder" in config["title"] and "own autoencoder" in config["summary"]
    notes = {"_target_", "title", "summary", "loss", "training", "sampling"}
    arguments = {key: config[key] for key in config.keys() - notes}
    assert arguments == {"size": "${profile.size}", "prediction": None}
    assert build().network_evaluations(Sampling(**config["sampling"])) == 1
    with torch.device("meta"):
        assert build((128, 128), size="paper").prediction == "eps" and build().prediction == "x0"
