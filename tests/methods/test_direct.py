"""The twins without diffusion: what they share with their methods, and that nothing is sampled."""

import pytest
import torch

from methods.base import Sampling, Segmenter
from methods.direct import LDSegDirect, LSegDiffDirect, MedSegDiffDirect, SDFDDPMDirect
from methods.fixed_noise import LDSegTwin, LSegDiffTwin
from methods.ldseg import LDSeg
from methods.lsegdiff import LSegDiff
from methods.medsegdiff import MedSegDiff
from methods.sdf_ddpm import SDFDDPM

TWINS = {LDSegTwin: LDSeg, LSegDiffTwin: LSegDiff, MedSegDiffDirect: MedSegDiff, SDFDDPMDirect: SDFDDPM}
PAIRS = [pytest.param(*pair, id=pair[1].__name__) for pair in TWINS.items()]


def build(kind, spatial_dims=2, **more):
    torch.manual_seed(0)
    return kind(spatial_dims, 1, 2, (32,) * spatial_dims, size="tiny", **more).eval()


def segment(model, image, **how):
    generators = [torch.Generator().manual_seed(how.pop("seed", 0)) for _ in image]
    return model.segment(image, Sampling(**how), generators)


@pytest.mark.parametrize(("twin", "method"), PAIRS)
def test_a_twin_starts_from_the_weights_of_its_method(twin, method):
    own, other = build(twin).state_dict(), build(method).state_dict()
    assert set(own) <= set(other)
    assert all(torch.equal(value, other[name]) for name, value in own.items())
    missing = {name.partition(".")[0] for name in set(other) - set(own)}
    assert missing == ({"label_encoder"} if twin is LDSegTwin else set())


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize(("twin", "blind"), [(LDSegTwin, LDSegDirect), (LSegDiffTwin, LSegDiffDirect)])
def test_beside_noise_a_twin_starts_with_gradients_of_the_size_of_one(twin, blind, spatial_dims):
    # Beside zeros all is equal, and each normalisation on the way back multiplies gradients by up to 316.
    norms = []
    for kind in (twin, blind):
        model, random = build(kind, spatial_dims).train(), torch.Generator().manual_seed(0)
        shape = (2, *(32,) * spatial_dims)
        image, label = torch.rand(shape, generator=random)[:, None], torch.randint(2, shape, generator=random)
        model.loss(image, label, model.stages[-1], random)["total"].backward()
        norms.append(model.image_encoder.head.weight.grad.double().norm())
    assert 0 < norms[0] < 1e3 and norms[1] > 1e5


@pytest.mark.parametrize("twin", [LDSegTwin, LSegDiffTwin])
def test_the_field_of_noise_is_the_same_in_every_network_and_not_among_its_weights(twin):
    torch.manual_seed(1)
    other = twin(2, 1, 2, (32, 32), size="tiny")
    assert torch.equal(build(twin).noise, other.noise) and other.noise.std() > 0.5
    assert "noise" not in other.state_dict()


@pytest.mark.parametrize(("twin", "method"), PAIRS)
def test_nothing_is_sampled_and_one_evaluation_is_made(twin, method):
    model, image = build(twin), torch.rand(2, 1, 32, 32)
    assert not twin.generative and twin.process is Segmenter.process
    assert model.network_evaluations(Sampling(50, ensemble=5)) == 1
    first = segment(model, image, seed=0)
    assert torch.equal(first, segment(model, image, seed=7, steps=20, sampler="ddpm", ensemble=2))


@pytest.mark.parametrize(("twin", "method"), PAIRS)
def test_the_loss_draws_nothing(twin, method):
    model = build(twin)
    label = torch.randint(2, (2, 32, 32), generator=torch.Generator().manual_seed(0))
    image, stage = torch.rand(2, 1, 32, 32), model.stages[-1]
    losses = []
    for seed in (0, 1):
        torch.manual_seed(0)  # dropout
        losses.append(model.loss(image, label, stage, torch.Generator().manual_seed(seed))["total"])
    assert torch.equal(*losses)


def test_the_autoencoder_of_lsegdiff_is_trained_as_it_was():
    label = torch.randint(2, (2, 32, 32), generator=torch.Generator().manual_seed(0))
    losses = []
    for kind in (LSegDiff, LSegDiffTwin):
        model = build(kind)
        losses.append(model.loss(torch.rand(2, 1, 32, 32), label, "autoencoder", torch.Generator().manual_seed(0)))
    assert all(torch.equal(losses[0][key], losses[1][key]) for key in losses[0])


def test_the_mask_stream_of_medsegdiff_without_a_background_channel_gives_it_the_logit_0():
    model, image = build(MedSegDiffDirect), torch.rand(2, 1, 32, 32)
    logits = model._logits(image)
    assert logits.shape == (2, 2, 32, 32) and not logits[:, 0].any()
    torch.testing.assert_close(segment(model, image)[:, 1], logits[:, 1].sigmoid(), atol=1e-6, rtol=0)


def test_signed_distances_are_regressed():
    model = build(SDFDDPMDirect)
    label = torch.zeros(1, 32, 32, dtype=torch.long)
    label[:, 8:20, 8:20] = 1
    image = torch.rand(1, 1, 32, 32)
    expected = (model._distances(model._features(image)) - model.encode(label)).square().mean()
    torch.testing.assert_close(model.loss(image, label, "train", torch.Generator())["total"], expected)


def test_a_twin_of_the_variance_exploding_process_is_refused():
    with pytest.raises(ValueError, match="method.process is 've', expected vp"):
        build(SDFDDPMDirect, process="ve")


@pytest.mark.parametrize("twin", TWINS)
def test_volumes_work_as_well(twin):
    found = segment(build(twin, 3), torch.rand(1, 1, 32, 32, 32))
    assert found.shape == (1, 2, 32, 32, 32)
    torch.testing.assert_close(found.sum(1), torch.ones(1, 32, 32, 32), atol=1e-5, rtol=0)
