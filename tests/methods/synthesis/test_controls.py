"""The controls: what they return is worked out by hand."""

import pytest
import torch

from methods.synthesis.base import scaled
from methods.synthesis.class_stats import ClassStats
from methods.synthesis.replay import Replay


def generators(count, seed=0):
    return [torch.Generator().manual_seed(100 * seed + i) for i in range(count)]


def blob(side, k=1, at=4):
    label = torch.zeros(side, side, dtype=torch.int64)
    label[at : at + 6, at : at + 6] = k
    return label


def test_class_stats_have_the_means_and_deviations_of_the_classes():
    random = torch.Generator().manual_seed(0)
    label = torch.stack([blob(64, at=8), blob(64, at=30)]).repeat(20, 1, 1)
    means, stds = torch.tensor([0.3, 0.6]), torch.tensor([0.02, 0.05])
    image = (means[label] + stds[label] * torch.randn(label.shape, generator=random))[:, None]
    image[..., 0, 0], image[..., 0, 1] = 0.0, 1.0  # so that scaling is the same for all: x -> 2x - 1
    model = ClassStats(2, 1, 2, (64, 64), field=False)
    model.prepare_stage("train", [(image[:20], label[:20]), (image[20:], label[20:])])
    torch.testing.assert_close(model.mean[:, 0], 2 * means - 1, atol=0.01, rtol=0)
    torch.testing.assert_close(model.std[:, 0], 2 * stds, atol=0.01, rtol=0)
    assert model.smoothness < 0.35  # white noise


@pytest.mark.parametrize("sigma", [0.7, 1.0, 2.0])
def test_its_noise_is_as_smooth_as_the_data(sigma):
    made = ClassStats(2, 1, 2, (64, 64), field=False)
    made.std.fill_(0.2)
    made.smoothness.fill_(sigma)
    label = blob(64)[None].repeat(16, 1, 1)
    image = made.synthesize(label, generators(16), 2)
    assert image.std().item() == pytest.approx(0.2, rel=0.1)
    again = ClassStats(2, 1, 2, (64, 64), field=False)
    again.prepare_stage("train", [((image + 1) / 2, label)])
    assert again.smoothness.item() == pytest.approx(sigma, rel=0.1)


def test_a_class_that_never_occurred_is_plain_grey():
    model = ClassStats(2, 1, 3, (16, 16), field=False)
    model.prepare_stage("train", [(torch.rand(2, 1, 16, 16), torch.stack([blob(16)] * 2))])
    image = model.synthesize(blob(16, 2)[None], generators(1), 2)
    assert (image[0, 0, 4:10, 4:10] == 0).all()


def test_replay_returns_the_training_image_whose_map_overlaps_best():
    image = torch.rand(3, 1, 24, 24, generator=torch.Generator().manual_seed(1))
    label = torch.stack([blob(24, at=at) for at in (0, 8, 16)])
    model = Replay(2, 1, 2, (24, 24), field=False)
    model.prepare_stage("train", [(image[:2], label[:2]), (image[2:], label[2:])])
    found = model.synthesize(torch.stack([blob(24, at=15), blob(24, at=2)]), generators(2), 2)
    assert torch.equal(found, scaled(image)[[2, 0]])


def test_replay_weighs_small_structures_like_large_ones():
    """Two maps: one shares the large structure, the other the small one and most of the large."""
    asked = blob(32, 1, at=2)
    asked[20:23, 20:23] = 2
    near = asked.clone()
    near[2] = 0  # a row of the large structure is missing
    far = torch.where(asked == 2, 0, asked)
    model = Replay(2, 1, 3, (32, 32), field=False)
    model.prepare_stage("train", [(torch.rand(2, 1, 32, 32), torch.stack([far, near]))])
    assert model.nearest(asked) == 1


def test_replay_before_any_training_says_so():
    with pytest.raises(ValueError, match="holds no training images yet"):
        Replay(2, 1, 2, (16, 16)).synthesize(blob(16)[None], generators(1), 2)
