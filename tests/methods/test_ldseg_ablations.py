"""The ablations of LDSeg: an encoder replaced by nearest-neighbour downsampling, everything else as it was."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from methods.base import Sampling
from methods.ldseg import COMPONENTS, LDSeg

CONF = Path(__file__).parents[2] / "conf" / "method"
ABLATIONS = {
    "ldseg_ld": {"label_downsampling": True},
    "ldseg_id": {"image_downsampling": True},
    "ldseg_ld_id": {"label_downsampling": True, "image_downsampling": True},
}
REPLACED = {"label_downsampling": "label_encoder", "image_downsampling": "image_encoder"}


def build(classes=3, **settings) -> LDSeg:
    torch.manual_seed(0)
    return LDSeg(spatial_dims=2, in_channels=3, classes=classes, image_size=(32, 48), size="tiny", **settings)


def batch(classes=3):
    random = torch.Generator().manual_seed(5)
    image = torch.rand(2, 3, 32, 48, generator=random)
    return image, torch.randint(0, classes, (2, 32, 48), generator=random)


@pytest.mark.parametrize("flags", ABLATIONS.values(), ids=ABLATIONS)
def test_replaced_encoders_have_no_weights_and_the_others_all_of_theirs(flags):
    full, ablated = build(), build(**flags)
    gone = tuple(f"{REPLACED[flag]}." for flag in flags)
    shapes = {name: value.shape for name, value in full.state_dict().items() if not name.startswith(gone)}
    assert {name: value.shape for name, value in ablated.state_dict().items()} == shapes


@pytest.mark.parametrize("flags", ABLATIONS.values(), ids=ABLATIONS)
def test_groups_averages_and_rates_are_those_of_the_trained_components(flags):
    trained = [name for name in COMPONENTS if name not in [REPLACED[flag] for flag in flags]]
    model = build(ema_scope="all", lr_factors={"denoiser": 0.5}, **flags)
    groups = model.parameter_groups("train")
    assert [group["name"] for group in groups] == trained == list(model.averaged("train"))
    assert [group["lr_factor"] for group in groups] == [0.5 if name == "denoiser" else 1.0 for name in trained]
    assert {id(p) for group in groups for p in group["params"]} == {id(p) for p in model.parameters()}


def test_a_rate_for_a_replaced_component_is_refused():
    with pytest.raises(ValueError, match=r"method\.lr_factors is 'label_encoder', expected one of label_decoder"):
        build(label_downsampling=True, lr_factors={"label_encoder": 2.0})


@pytest.mark.parametrize("flags", ABLATIONS.values(), ids=ABLATIONS)
def test_loss_trains_every_component_that_is_left(flags):
    model = build(**flags)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape)
    model.loss(*batch(), "train", torch.Generator().manual_seed(0))["total"].backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    for name in model.components:
        assert any(p.grad.any() for p in getattr(model, name).parameters()), name


def test_latents_are_the_downsampled_index_and_the_downsampled_scaled_image():
    model = build(label_downsampling=True, image_downsampling=True).eval()
    image, label = batch()
    rows, columns = slice(4, None, 8), slice(4, None, 8)
    for latent, source in (
        (model.label_encoder(model._label_input(label)), label[:, rows, columns].float()),
        (model.embed(image), image.mean(1)[:, rows, columns]),
    ):
        centred = source - source.mean((1, 2), keepdim=True)
        expected = centred / source.std((1, 2), correction=0, keepdim=True)
        torch.testing.assert_close(latent[:, 0], expected, atol=1e-5, rtol=1e-5)


def test_the_index_enters_the_downsampling_whatever_the_label_input():
    label = batch()[1]
    latents = [
        m.label_encoder(m._label_input(label))
        for m in (build(label_downsampling=True, label_input=how) for how in ("index", "onehot"))
    ]
    assert torch.equal(*latents)


@pytest.mark.parametrize("flags", ABLATIONS.values(), ids=ABLATIONS)
def test_ceiling_and_segmentation_go_through_the_decoder(flags):
    model = build(**flags).eval()
    image, label = batch()
    generators = [torch.Generator().manual_seed(i) for i in range(2)]
    ceiling = model.reconstruct(label)
    torch.testing.assert_close(ceiling, model.decode(model.label_encoder(model._label_input(label))))
    for probability in (ceiling, model.segment(image, Sampling(steps=3), generators)):
        torch.testing.assert_close(probability.sum(1), torch.ones(2, 32, 48))


@pytest.mark.parametrize(("key", "flags"), ABLATIONS.items(), ids=ABLATIONS)
def test_configuration_differs_from_ldsegs_in_nothing_but_the_flags(key, flags):
    ours, full = (OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml")) for name in (key, "ldseg"))
    assert {
        name: value for name, value in ours.items() if name in ("label_downsampling", "image_downsampling")
    } == flags
    notes = ("title", "summary", "search", *flags)
    assert {k: v for k, v in ours.items() if k not in notes} == {
        k: v for k, v in full.items() if k not in notes and v is not None
    }
