"""LDSeg against numbers computed by the authors' own code, component by component and for whole sampler runs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from methods.base import Sampling
from methods.blocks.intensity import min_max
from methods.diffusion import sampler
from methods.diffusion.schedule import cosine_alpha_bar, linear_alpha_bar
from methods.ldseg import COMPONENTS
from methods.released import _channel_first, _keras_order, _slots, load_ldseg

FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures" / "ldseg2d"
pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not FIXTURES.is_dir(), reason="needs ../shared/fixtures/ldseg2d beside the checkout"),
]
RUNS = [("ddim_k2", 2, "ddim"), ("ddim_k10", 10, "ddim"), ("ddpm_k10", 10, "ddpm")]


@pytest.fixture(scope="module")
def model():
    return load_ldseg(FIXTURES / "released")


@pytest.fixture(scope="module")
def io():
    return np.load(FIXTURES / "io.npz")


@pytest.fixture(scope="module")
def trace():
    return np.load(FIXTURES / "sampler_trace.npz")


@pytest.fixture(scope="module")
def embedding(io):
    return grid(io["z_i"])


def grid(array) -> torch.Tensor:
    """A single-channel map (H, W) as a float32 batch of one."""
    return torch.from_numpy(np.array(array, np.float32))[None, None]


def image_of(io) -> torch.Tensor:
    """The demo image as the harness delivers it: channel first, in [0, 1], not yet stretched."""
    return torch.from_numpy(io["image_u8"] / np.float32(255)).permute(2, 0, 1)[None]


def difference(ours: torch.Tensor, theirs) -> float:
    return float(np.abs(ours.detach().squeeze().double().numpy() - np.asarray(theirs, np.float64)).max())


@pytest.mark.parametrize("component", COMPONENTS)
def test_released_file_holds_the_tensors_of_the_reference(model, component):
    stored = np.load(FIXTURES / f"{component}.npz")
    slots = [slot for layer in _keras_order(getattr(model, component)) for slot in _slots(layer)]
    assert len(slots) == len(stored.files)
    for key, (kind, tensor) in zip(stored.files, slots, strict=True):
        assert key.endswith(f"/{kind}")
        assert torch.equal(_channel_first(stored[key], kind), tensor)


@torch.no_grad()
def test_label_encoder(model, io):
    label = torch.from_numpy(io["label_u8"].astype(np.float32))[None, None]
    assert difference(model.label_encoder(label), io["z_l0"]) < 1e-5


@torch.no_grad()
def test_image_encoder_agrees_with_the_float64_graph(model, io):
    z_i = model.embed(image_of(io))
    assert difference(z_i, io["z_i_ref64"]) < 1e-5
    assert difference(z_i, io["z_i"]) < 1e-3


def test_min_max_reproduces_the_input_of_the_reference(io):
    expected = (io["image_u8"].astype(np.float64) - io["image_min"]) / io["image_range"]
    assert difference(min_max(image_of(io)), expected.transpose(2, 0, 1)) < 1e-6


@pytest.mark.parametrize(("latent", "output"), [("z_l0", "dec_zl0"), ("dec_rand_z", "dec_rand")])
def test_label_decoder(model, io, latent, output):
    foreground = model.decode(grid(io[latent]))[:, 1]
    assert difference(foreground[:, 224:288, 224:288], io[f"{output}_softmax1_crop_f32"]) < 1e-5
    assert difference(foreground, io[f"{output}_softmax1"]) < 5e-4


def test_reconstruction_is_nearly_the_label(model, io):
    label = torch.from_numpy(io["label_u8"].astype(np.int64))
    predicted = model.reconstruct(label[None]).argmax(1)[0]
    dice = 2 * (predicted * label).sum() / (predicted + label).sum()
    assert dice.item() == pytest.approx(0.985, abs=5e-4)


@torch.no_grad()
def test_denoiser(model, io):
    times = torch.from_numpy(np.asarray(io["den_t"], np.float64))
    latent, embedding = (grid(io[key]).expand(len(times), -1, -1, -1) for key in ("den_z_t", "den_z_i"))
    assert difference(model.denoiser(latent, embedding, times), io["den_out"]) < 5e-5


@pytest.mark.parametrize(("name", "alpha_bar"), [("cosine", cosine_alpha_bar), ("linear", linear_alpha_bar)])
def test_schedule(name, alpha_bar):
    expected = np.load(FIXTURES / "schedule.npz")[f"{name}_alpha_bar"]
    assert difference(alpha_bar(torch.arange(1000)), expected) < 1e-12


@pytest.mark.parametrize("steps", [2, 3, 10, 50])
def test_time_grid_and_its_alpha_bar(steps):
    stored = np.load(FIXTURES / "schedule.npz")
    pairs = sampler.time_pairs(steps)
    times = [0.0, *[t for t, _ in reversed(pairs)]]
    np.testing.assert_allclose(times, stored[f"K{steps}_times"], atol=1e-10)
    ours = cosine_alpha_bar(torch.tensor(times, dtype=torch.float64))
    np.testing.assert_allclose(ours, stored[f"K{steps}_alpha_bar"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("run", "steps", "kind"), RUNS)
def test_sampler_visits_the_latents_of_the_reference(model, trace, embedding, monkeypatch, run, steps, kind):
    latents, final, draws = _sampled(model, trace, embedding, monkeypatch, run, steps, kind)
    theirs = trace[f"{run}_latents"]
    assert len(latents) == steps
    for ours, reference in zip(latents, theirs, strict=False):
        assert difference(ours, reference) < 1e-4
    # The reference also calls the denoiser at t = 0, which the schedule makes ineffective up to rounding.
    assert difference(latents[-1], theirs[-1]) < 1e-4
    assert draws == (1 if kind == "ddim" else steps - 1)
    assert np.mean(final.argmax(1)[0].numpy() == trace[f"{run}_final_label"]) > 0.9999


def _sampled(model, trace, embedding, monkeypatch, run, steps, kind):
    """Visited latents, probabilities and number of draws of `segment`, fed with the draws of the reference."""
    stored = [trace["init_raw"], *(trace[f"{run}_noise"] if kind == "ddpm" else [])]
    draws = iter(stored)
    used = []

    def replay(shape, generators, device=None):
        used.append(1)
        return torch.from_numpy(np.asarray(next(draws), np.float64))[None, None]

    monkeypatch.setattr(sampler, "draw_normal", replay)
    latents = []
    image = torch.zeros(1, 3, 512, 512)
    sampling = Sampling(steps=steps, sampler=kind)
    final = model.segment(image, sampling, [torch.Generator()], lambda k, t, x: latents.append(x), embedding)
    return latents, final, len(used)
