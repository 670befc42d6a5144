"""LSegDiff of volumes: sizes, its two stages, sampling and the clean-up of volumes."""

import numpy as np
import pytest
import torch

from methods.base import Sampling
from methods.blocks.morphology import clean, clean_mask
from methods.diffusion.schedule import cosine_alpha_bar
from methods.lsegdiff import LSegDiff

SHAPE = (16, 32, 16)
AUTOENCODER = ("label_encoder.", "label_decoder.")


def build(image_size=SHAPE, size="tiny", **settings) -> LSegDiff:
    torch.manual_seed(0)
    return LSegDiff(spatial_dims=3, in_channels=1, classes=3, image_size=image_size, size=size, **settings)


def batch(count=2):
    random = torch.Generator().manual_seed(5)
    return torch.rand(count, 1, *SHAPE, generator=random), torch.randint(3, (count, *SHAPE), generator=random)


def generators(count=2):
    return [torch.Generator().manual_seed(i) for i in range(count)]


def fit(model, stage, count=2):
    model.prepare_stage(stage, [batch()])
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.train()
    optimizer = model.optimizer(stage, 2e-3)
    for seed in range(count):
        torch.manual_seed(seed)
        optimizer.zero_grad()
        model.loss(*batch(), stage, torch.Generator().manual_seed(seed))["total"].backward()
        optimizer.step()
    return before


def trained(**settings) -> LSegDiff:
    model = build(**settings)
    for stage in model.stages:
        fit(model, stage)
    return model.eval()


@pytest.mark.parametrize(
    ("size", "image_size", "total", "trainable"),
    [("paper", (128, 128, 256), 3_924_327, 3_921_919), ("tiny", (32, 32, 32), 786_663, 785_839)],
)
def test_numbers_of_weights(size, image_size, total, trainable):
    with torch.device("meta"):
        model = build(image_size, size)
    networks = [model.label_encoder, model.label_decoder, model.image_encoder, model.denoiser]
    state = {key: value for network in networks for key, value in network.state_dict(prefix=f"{id(network)}.").items()}
    assert sum(value.numel() for key, value in state.items() if not key.endswith("num_batches_tracked")) == total
    assert sum(p.numel() for p in model.parameters()) == trainable


def test_latents_keep_the_axes_of_the_volume():
    model, (image, label) = build().eval(), batch()
    latent = (2, 1, 2, 4, 2)
    assert model.embed(image).shape == latent and all(part.shape == latent for part in model.encode(label))


@pytest.mark.parametrize("image_size", [(32, 24, 32), (16, 16, 16), (1, 32, 32)])
def test_volumes_that_cannot_be_halved_are_refused(image_size):
    with pytest.raises(ValueError, match=rf"image_size is \({image_size[0]}, {image_size[1]}.*LSegDiff of size 'tiny'"):
        build(image_size)


def test_each_stage_trains_its_own_networks_and_leaves_the_others_bitwise_unchanged():
    model = build()
    for stage in model.stages:
        before = fit(model, stage)
        changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
        assert changed and {key.startswith(AUTOENCODER) for key in changed} == {stage == "autoencoder"}


def test_training_latents_have_mean_zero_and_standard_deviation_one():
    model = trained()
    z = model.scale(model.encode(batch()[1])[0]).double()
    assert z.mean().item() == pytest.approx(0, abs=1e-4)
    assert z.std(correction=0).item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("objective", ["x0", "eps"])
def test_perfect_denoiser_recovers_the_label_latent_and_so_the_ceiling(objective):
    model, (image, label) = trained(objective=objective, postprocess="none"), batch()
    z0 = model.scale(model.encode(label)[0]).double()

    class Oracle(torch.nn.Module):
        def forward(self, z, embedding, t):
            a = cosine_alpha_bar(t)[:, None, None, None, None]
            return (z - a.sqrt() * z0) / (1 - a).sqrt() if objective == "eps" else z0

    model.denoiser = Oracle()
    probability = model.segment(image, Sampling(5), generators(), embedding=torch.zeros_like(z0))
    torch.testing.assert_close(probability, model.reconstruct(label), atol=1e-5, rtol=0)


def test_segmentations_are_cleaned_probabilities_that_do_not_depend_on_their_batch():
    model, image = trained(), batch()[0]
    cleaned = model.segment(image, Sampling(3), generators())
    model.postprocess = "none"
    raw = model.segment(image, Sampling(3), generators())
    assert torch.equal(cleaned, clean(raw)) and not torch.equal(cleaned, raw)
    torch.testing.assert_close(cleaned.sum(1), torch.ones(2, *SHAPE))
    torch.testing.assert_close(raw[1:], model.segment(image[1:], Sampling(3), generators()[1:]), atol=1e-4, rtol=0)


# ---- clean-up -------------------------------------------------------------------------------------------------------


def ball(radius, shape=(24, 28, 24)):
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    return sum((axis - n // 2) ** 2 for axis, n in zip(axes, shape, strict=True)) <= radius**2


def test_specks_vanish_and_holes_are_filled():
    mask = ball(8) & ~ball(3)
    mask[[2, 3, 21], [2, 25, 3], [3, 20, 20]] = True
    assert np.array_equal(clean_mask(mask), ball(8))


def test_the_cross_reaches_the_six_neighbours_only():
    """One voxel grown is the cross of seven; an opening keeps that and nothing smaller."""
    cross = np.zeros((9, 9, 9), bool)
    cross[4, 4, 3:6] = cross[4, 3:6, 4] = cross[3:6, 4, 4] = True
    assert np.array_equal(clean_mask(cross), cross)
    plate = np.zeros((9, 9, 9), bool)
    plate[4, 2:7, 2:7] = True
    assert not clean_mask(plate).any()
