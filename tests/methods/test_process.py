"""How the generative methods show their diffusion: states of labels, noise on them, and what they are read as."""

import pytest
import torch

from methods.base import Sampling, Segmenter
from methods.blocks.morphology import clean
from methods.diffusion import ve
from methods.diffusion.schedule import cosine_alpha_bar, linear_alpha_bar
from methods.ldseg import LDSeg
from methods.lsegdiff import LSegDiff
from methods.medsegdiff import MedSegDiff
from methods.resunet import ResUNet
from methods.sdf_ddpm import SDFDDPM, VE_SCALE

SIZES = [(32, 48), (16, 16, 32)]
LATENT = [
    (LDSeg, {}),
    (LDSeg, {"label_input": "onehot"}),
    (LDSeg, {"label_downsampling": True}),
    (LDSeg, {"image_downsampling": True}),
    (LSegDiff, {}),
    (LSegDiff, {"postprocess": "none"}),
]
PICTURES = [
    (MedSegDiff, {}),
    (MedSegDiff, {"class_encoding": "fg_channels"}),
    (MedSegDiff, {"fusion": "staple"}),
    (SDFDDPM, {"per_class_sdf": True}),
    (SDFDDPM, {"per_class_sdf": True, "process": "ve"}),
]
ALL = LATENT + PICTURES


def named(parameters):
    kind, settings = parameters
    return "-".join([kind.__name__, *(f"{value}" if value is not True else key for key, value in settings.items())])


def build(kind, settings, size, classes=3):
    torch.manual_seed(0)
    model = kind(len(size), 1, classes, size, size="tiny", **settings).eval()
    with torch.no_grad():  # away from neutral starts
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape)
    if kind is LSegDiff:
        model.latent_mean.fill_(0.3)
        model.latent_std.fill_(1.7)
    return model


def random_label(size, classes=3):
    return torch.randint(0, classes, (2, *size), generator=torch.Generator().manual_seed(5))


def noise_like(x):
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64)


@pytest.mark.parametrize("size", SIZES, ids=len)
@pytest.mark.parametrize("method", ALL, ids=named)
@torch.inference_mode()
def test_states_have_the_shape_of_what_is_sampled_and_are_read_as_probabilities(method, size):
    model, label, seen = build(*method, size), random_label(size), []
    process = model.process()
    generators = [torch.Generator().manual_seed(i) for i in range(2)]
    model.segment(torch.rand(2, 1, *size), Sampling(steps=2), generators, lambda *step: seen.append(step[2]))
    x0 = process.encode(label)
    assert x0.shape == seen[0].shape and process.latent == (method in LATENT)
    for state in (x0, *seen):
        decoded = process.decode(state)
        assert decoded.shape == (2, 3, *size) and decoded.dtype == torch.float32
        torch.testing.assert_close(decoded.sum(1), torch.ones(2, *size))


@pytest.mark.parametrize("size", SIZES, ids=len)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("method", PICTURES, ids=named)
@torch.inference_mode()
def test_pictures_of_a_label_are_read_as_that_label(method, classes, size):
    process, label = build(*method, size, classes).process(), random_label(size, classes)
    assert torch.equal(process.decode(process.encode(label)).argmax(1), label)


@pytest.mark.parametrize("size", SIZES, ids=len)
@pytest.mark.parametrize("method", LATENT, ids=named)
@torch.inference_mode()
def test_latents_of_a_label_are_read_as_its_reconstruction(method, size):
    model, label = build(*method, size), random_label(size)
    process, ceiling = model.process(), model.reconstruct(label)
    expected = clean(ceiling) if getattr(model, "postprocess", None) == "morph" else ceiling
    # Scaling and back leaves rounding errors, which the decoder enlarges.
    torch.testing.assert_close(process.decode(process.encode(label)), expected, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_latents_are_those_the_denoiser_is_trained_on():
    label = random_label(SIZES[0])
    ldseg, onehot = (build(LDSeg, {"label_input": how}, SIZES[0]) for how in ("index", "onehot"))
    lsegdiff = build(LSegDiff, {}, SIZES[0])
    channels = torch.stack([label == k for k in range(3)], dim=1).float()
    assert torch.equal(ldseg.process().encode(label), ldseg.label_encoder(label[:, None].float()))
    assert torch.equal(onehot.process().encode(label), onehot.label_encoder(channels))
    mu = lsegdiff.label_encoder(label[:, None].float())[:, :1]
    torch.testing.assert_close(lsegdiff.process().encode(label), (mu - 0.3) / 1.7)


@pytest.mark.parametrize("method", ALL, ids=named)
@torch.inference_mode()
def test_noise_enters_by_the_methods_own_schedule(method):
    process = build(*method, SIZES[0]).process()
    x0 = process.encode(random_label(SIZES[0])).double()
    noise = noise_like(x0)
    if process.alpha_bar is None:
        for t, level in ((0.0, 0.001), (0.5, 0.005**0.5), (1.0, 5.0)):
            torch.testing.assert_close(process.noised(x0, t, noise), x0 + level * noise)
        assert ve.sigma(torch.tensor(0.0)) == 0.001  # what is left of the noise at the last time
        return
    schedule, clean_time = (cosine_alpha_bar, 0.0) if process.latent else (linear_alpha_bar, -1.0)
    assert torch.equal(process.noised(x0, clean_time, noise), x0)
    for t in (17.5, 500.0, 999.0):
        a = schedule(t)
        assert process.alpha_bar(t) == a
        torch.testing.assert_close(process.noised(x0, t, noise), a.sqrt() * x0 + (1 - a).sqrt() * noise)


@torch.inference_mode()
def test_variance_exploding_distances_are_diffused_in_the_scale_they_are_sampled_in():
    label = random_label(SIZES[0], classes=2)
    vp, exploding = (build(SDFDDPM, {"process": sde}, SIZES[0], 2).process() for sde in ("vp", "ve"))
    torch.testing.assert_close(VE_SCALE * exploding.encode(label), vp.encode(label))


@pytest.mark.parametrize("kind", [LDSeg, LSegDiff, MedSegDiff, SDFDDPM])
def test_that_a_method_shows_its_diffusion_is_told_by_its_class(kind):
    assert kind.process is not Segmenter.process


def test_a_method_that_does_not_say_how_shows_nothing():
    assert Segmenter().process() is None
    assert ResUNet.process is Segmenter.process
