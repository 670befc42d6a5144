"""Extractors give the same features to everyone, under names that say whose they are."""

import hashlib
import sys

import numpy as np
import pytest
import torch

from benchmarks.errors import BadInput
from benchmarks.synthesis.extractors import extractors, inception, own_encoder, random_network
from benchmarks.synthesis.perceptual import perceptual
from methods.resunet import ResUNet

IMAGES = np.random.default_rng(0).uniform(-1, 1, (5, 1, 32, 32)).astype(np.float32)


def resunet(seed=0):
    torch.manual_seed(seed)
    return ResUNet(spatial_dims=2, in_channels=1, classes=3, image_size=(32, 32), size="tiny").eval()


def test_the_random_network_is_the_same_every_time_and_another_for_another_seed():
    torch.manual_seed(1)
    first = random_network(2, 1)(IMAGES)
    torch.manual_seed(2)
    np.testing.assert_array_equal(first, random_network(2, 1)(IMAGES))
    assert first.shape == (5, 64)
    assert not np.allclose(first, random_network(2, 1, seed=1)(IMAGES))
    assert random_network(2, 1, seed=1).name == "random-seed1"


def test_features_do_not_depend_on_the_batch():
    whole = random_network(2, 1)(np.concatenate([IMAGES] * 8))
    np.testing.assert_allclose(whole[:5], random_network(2, 1)(IMAGES), rtol=1e-5, atol=1e-6)


def test_volumes_are_seen_whole_and_plane_by_plane_under_other_names():
    volumes = np.random.default_rng(0).uniform(-1, 1, (3, 1, 8, 10, 12)).astype(np.float32)
    whole, planes = extractors(3, 1, [], None)
    assert (whole.metric(3), planes.metric(3)) == ("3dfid@random-seed0", "fid@random-seed0")
    assert whole(volumes).shape == (3, 64) and planes(volumes).shape == (3 * 12, 64)
    one = random_network(3, 1, planes=True)(volumes[:, :, :, :, 4:5])
    np.testing.assert_allclose(planes(volumes)[4::12], one, rtol=1e-5, atol=1e-6)


def test_the_own_encoder_is_named_by_its_weights():
    first, same, other = (own_encoder(resunet(seed), "Res-UNet") for seed in (0, 0, 1))
    assert first.name == same.name != other.name
    assert first.name.startswith("own-encoder-") and first.name.removeprefix("own-encoder-") in first.about
    np.testing.assert_array_equal(first(IMAGES), same(IMAGES))


def test_the_own_encoders_features_are_the_pooled_coarsest_maps():
    model, seen = resunet(), []
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda m, given, found: seen.append(found))
    features = own_encoder(model, "Res-UNet")(IMAGES)
    coarsest = min(found.shape[2] for found in seen)
    pooled = [found.mean((2, 3)) for found in seen if found.shape[2] == coarsest]
    np.testing.assert_allclose(features, pooled[-1].detach(), rtol=1e-5)
    assert not any(m._forward_hooks and len(m._forward_hooks) > 1 for m in model.modules()), "hooks are taken off again"


def test_weights_that_do_not_fit_are_named(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(BadInput, match="suite.inception=.*weights.pth.*inception_v3"):
        inception(path)
    with pytest.raises(BadInput, match="suite.lpips=.*weights.pth.*vgg16"):
        perceptual(path)
    path.write_text("none")
    with pytest.raises(BadInput, match="suite.inception=.*weights.pth.*inception_v3"):
        inception(path)
    assert perceptual(None) is None


def test_lpips_without_its_package_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(BadInput, match=r"suite.lpips=.*needs the package lpips.*\[perceptual\]"):
        perceptual(tmp_path / "vgg16.pth")


def test_inception_is_there_where_its_weights_are(tmp_path):
    from torchvision.models import inception_v3

    torch.manual_seed(0)
    torch.save(inception_v3(weights=None, init_weights=False).state_dict(), tmp_path / "inception.pth")
    found = extractors(2, 1, [], tmp_path / "inception.pth")[-1]
    short = hashlib.sha256((tmp_path / "inception.pth").read_bytes()).hexdigest()[:8]
    assert found.metric(2) == f"fid@inception-{short}" and "inception.pth" in found.about
    assert found(IMAGES[:2]).shape == (2, 2048)


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    """A file laid out as torchvision's VGG-16 is, of other weights: its convolutions alone, at random."""
    from torchvision.models import vgg16

    torch.manual_seed(0)
    layers = {f"features.{name}": value for name, value in vgg16(weights=None).features.state_dict().items()}
    path = tmp_path_factory.mktemp("weights") / "vgg16.pth"
    torch.save(layers, path)
    return path


@pytest.fixture(scope="module")
def lpips(vgg):
    return perceptual(vgg)


def test_lpips_is_measured_where_weights_are_there_and_named_by_them(vgg, lpips):
    assert lpips.name == f"lpips@vgg-{hashlib.sha256(vgg.read_bytes()).hexdigest()[:8]}"
    first, second = (torch.from_numpy(IMAGES[a:b]) for a, b in ((0, 2), (2, 4)))
    far = lpips(first, second)
    assert far.shape == (2,) and (far > 0).all() and (lpips(first, first) == 0).all()
    np.testing.assert_allclose(lpips(second, first), far, rtol=1e-4)
    # By the network of the package itself, with the weights of the file.
    weight = torch.load(vgg, weights_only=True)["features.28.weight"]
    assert torch.equal(lpips.network.state_dict()["net.slice5.28.weight"], weight)


def test_lpips_of_a_volume_is_the_mean_over_its_planes(lpips):
    first, second = torch.rand(2, 1, 1, 16, 16, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    planes = [lpips(first[..., k], second[..., k]).item() for k in range(3)]
    assert lpips(first, second).item() == pytest.approx(np.mean(planes), rel=1e-4)


def test_all_weights_of_lpips_may_be_in_the_file_too(lpips, tmp_path):
    torch.save(lpips.network.state_dict(), tmp_path / "whole.pth")
    first, second = (torch.from_numpy(IMAGES[a:b]) for a, b in ((0, 2), (2, 4)))
    one, two = lpips, perceptual(tmp_path / "whole.pth")
    np.testing.assert_array_equal(one(first, second), two(first, second))
    assert one.name != two.name
