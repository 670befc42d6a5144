"""MedSegDiff: sizes, masks and classes, sampling and fusion of samples."""

from inspect import signature
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf

from methods.base import Sampling
from methods.blocks.embedding import sinusoid
from methods.blocks.medsegdiff_network import LinearAttention, MedSegDiffNetwork, SoftmaxAttention
from methods.diffusion.schedule import linear_alpha_bar
from methods.medsegdiff import OPTIONS, MedSegDiff, normalise
from tests.methods.discs import assert_it_reads_the_image
from tests.methods.tensors import shaken

CONF = Path(__file__).parents[2] / "conf" / "method" / "medsegdiff.yaml"
SAMPLINGS = [
    Sampling(),
    Sampling(steps=3, sampler="ddpm", ensemble=2),
    Sampling(steps=4, sampler="dpm_solver++"),
    Sampling(steps=3, eta=0.5),
]


def build(image_size=(32, 32), classes=2, size="tiny", **settings) -> MedSegDiff:
    torch.manual_seed(0)
    return MedSegDiff(spatial_dims=2, in_channels=3, classes=classes, image_size=image_size, size=size, **settings)


def batch(count=3, image_size=(32, 32), classes=2, seed=5):
    random = torch.Generator().manual_seed(seed)
    image = torch.rand(count, 3, *image_size, generator=random)
    return image, torch.randint(0, classes, (count, *image_size), generator=random)


def generators(count=3, first=0):
    return [torch.Generator().manual_seed(first + i) for i in range(count)]


# ---- network -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "masks", "channels", "image_size", "base", "multipliers", "options"),
    [
        (130_470_017, 1, 3, (256, 256), 128, (1, 1, 2, 2, 4, 4), {}),
        (51_374_657, 1, 3, (128, 128), 64, (1, 2, 4, 8), {}),
        (51_333_697, 1, 3, (128, 128), 64, (1, 2, 4, 8), {"ff_weights": "real_full"}),
        (1_082_705, 1, 3, (64, 64), 16, (1, 2, 4), {}),
        (951_675, 3, 1, (32, 32, 32), 8, (1, 2, 4), {"stem_kernel": 3}),
    ],
    ids=["paper", "reimplementation", "reimplementation-real", "tiny-2d", "tiny-3d"],
)
def test_known_numbers_of_weights(parameters, masks, channels, image_size, base, multipliers, options):
    with torch.device("meta"):
        network = MedSegDiffNetwork(masks, channels, image_size, base, multipliers, **options)
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize(
    ("size", "image_size", "parameters"),
    [("paper", (256, 256), 130_470_017), ("tiny", (64, 64), 1_082_705), ("small", (128, 128), 1_000_393)],
)
def test_numbers_of_weights_by_size(size, image_size, parameters):
    with torch.device("meta"):
        model = build(image_size, size=size)
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize("spatial", [(16, 24), (8, 16, 8)])
@pytest.mark.parametrize("ff_weights", ["complex", "real_full"])
def test_network_keeps_the_shape_of_the_mask(spatial, ff_weights):
    network = MedSegDiffNetwork(2, 1, spatial, 8, (1, 2), head_channels=4, ff_weights=ff_weights)
    x, image, t = torch.randn(2, 2, *spatial), torch.rand(2, 1, *spatial), torch.tensor([0.0, 998.5])
    assert network(x, image, t).shape == x.shape


def test_estimate_depends_on_mask_image_and_time():
    network = shaken(build().network)
    x, image, t = torch.randn(1, 1, 32, 32), torch.rand(1, 3, 32, 32), torch.tensor([500.0])
    first = network(x, image, t)
    for other in (network(x.flip(2), image, t), network(x, image.flip(2), t), network(x, image, t - 400)):
        assert (first - other).abs().max() > 1e-3


def test_image_stream_is_steered_by_the_mask_on_every_level():
    network = build().network
    x, image, t = torch.randn(1, 1, 32, 32), torch.rand(1, 3, 32, 32), torch.tensor([500.0])
    seen = []
    for fused in network.fused:
        fused.register_forward_hook(lambda _, __, out: seen.append(out))
    network(x, image, t), network(-x, image, t)
    for one, other in zip(seen[: len(seen) // 2], seen[len(seen) // 2 :], strict=True):
        assert (one - other).abs().max() > 1e-3


def test_time_features_are_bounded_by_one_and_tell_times_apart():
    features = sinusoid(torch.arange(-1, 1001).double() / 1.0, 16)
    assert features.abs().max() <= 1
    assert torch.pdist(features).min() > 1e-3


def test_attention_compares_all_pairs_up_to_512_voxels():
    network = MedSegDiffNetwork(1, 1, (64, 32), 8, (1, 2, 4))
    assert [type(level["attention"]) for level in network.mask_levels] == [
        LinearAttention,
        SoftmaxAttention,
        SoftmaxAttention,
    ]


# ---- masks and classes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classes", "encoding", "channels"),
    [(2, "onehot", 1), (2, "fg_channels", 1), (4, "onehot", 4), (4, "fg_channels", 3)],
)
def test_labels_survive_encoding_and_decoding(classes, encoding, channels):
    model = build(classes=classes, class_encoding=encoding)
    _, label = batch(classes=classes)
    mask = model.encode(label)
    assert mask.shape == (3, channels, 32, 32) and mask.dtype == torch.float32
    assert set(mask.unique().tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(model.decode(mask), F.one_hot(label, classes).movedim(-1, 1).float())


def test_mask_of_two_classes_is_the_foreground():
    mask = build().encode(torch.tensor([[[0, 1], [1, 0]]]))
    assert mask.tolist() == [[[[-1, 1], [1, -1]]]]


def test_binary_probability_is_half_of_one_plus_the_mask():
    mask = torch.linspace(-1, 1, 9).reshape(1, 1, 3, 3)
    p = (mask + 1) / 2
    torch.testing.assert_close(build().decode(mask), torch.cat([1 - p, p], 1))


def test_onehot_masks_are_decoded_to_their_largest_channel():
    mask = torch.rand(2, 4, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    decoded = build(classes=4).decode(mask)
    assert torch.equal(decoded.argmax(1), mask.argmax(1))
    torch.testing.assert_close(decoded.sum(1), torch.ones(2, 16, 16))
    torch.testing.assert_close(decoded, (mask + 1) / (mask + 1).sum(1, keepdim=True))


def test_foreground_channels_win_above_one_half_only():
    mask = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    best, channel = mask.max(1)
    decoded = build(classes=4, class_encoding="fg_channels").decode(mask)
    assert torch.equal(decoded.argmax(1), torch.where(best > 0, channel + 1, 0))
    torch.testing.assert_close(decoded.sum(1), torch.ones(2, 16, 16))


def test_a_voxel_that_no_class_claims_is_shared_equally():
    decoded = build(classes=4).decode(torch.full((1, 4, 2, 2), -1.0))
    assert torch.equal(decoded, torch.full((1, 4, 2, 2), 0.25)) and not decoded.argmax(1).any()
    assert torch.equal(normalise(torch.zeros(1, 2, 1)), torch.full((1, 2, 1), 0.5))


@pytest.mark.parametrize("fusion", OPTIONS["fusion"])
@pytest.mark.parametrize(("classes", "encoding"), [(2, "onehot"), (4, "onehot"), (4, "fg_channels")])
def test_an_ensemble_of_identical_samples_is_one_sample(fusion, classes, encoding):
    model = build(classes=classes, class_encoding=encoding, fusion=fusion)
    mask = model.encode(batch(classes=classes)[1]).double() * 0.8
    one, three = model.fuse([mask]), model.fuse([mask] * 3)
    assert one.dtype == torch.float32
    torch.testing.assert_close(three, one)
    assert torch.equal(one.argmax(1), model.decode(mask).argmax(1))


def test_mean_fusion_averages_the_masks_before_normalising():
    model = build(classes=3)
    masks = [torch.rand(1, 3, 8, 8, generator=g, dtype=torch.float64) * 2 - 1 for g in generators(4)]
    fused = model.fuse(masks)
    assert torch.equal(fused.argmax(1), (sum(masks) / 4).argmax(1))


@pytest.mark.parametrize("encoding", OPTIONS["class_encoding"])
def test_staple_fusion_ignores_a_sample_that_is_always_wrong(encoding):
    """Four samples with a few errors each, in other places, and one that is noise."""
    model = build(classes=3, class_encoding=encoding, fusion="staple")
    random = torch.Generator().manual_seed(0)
    label = torch.zeros(1, 32, 32, dtype=torch.long)
    label[:, 4:20, 4:20], label[:, 20:, 16:] = 1, 2

    def rater(errors):
        wrong = torch.rand(label.shape, generator=random) < errors
        other = torch.randint(0, 3, label.shape, generator=random)
        return model.encode(torch.where(wrong, other, label)).double()

    fused = model.fuse([rater(0.1), rater(0.1), rater(0.1), rater(1.0), rater(1.0)])
    torch.testing.assert_close(fused.sum(1), torch.ones(1, 32, 32))
    assert (fused.argmax(1) != label).float().mean() < 0.03


# ---- training ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prediction", ["eps", "x0"])
def test_loss_is_the_squared_error_of_the_prediction(prediction):
    model, (image, label) = build(prediction=prediction), batch()
    seen = {}

    class Spy(torch.nn.Module):
        def forward(self, x, image, t):
            seen.update(x=x, image=image, t=t)
            return torch.full_like(x, 0.5)

    model.network = Spy()
    total = model.loss(image, label, "train", torch.Generator().manual_seed(7))["total"]
    x0, a = model.encode(label), linear_alpha_bar(seen["t"])[:, None, None, None]
    noise = (seen["x"] - a.sqrt() * x0) / (1 - a).sqrt()
    assert noise.std() == pytest.approx(1, abs=0.05)
    expected = ((noise if prediction == "eps" else x0.double()) - 0.5).square().mean()
    torch.testing.assert_close(total.double(), expected, atol=1e-4, rtol=0)
    assert len(set(seen["t"].tolist())) == 3 and (noise[0] - noise[1]).abs().max() > 1
    assert seen["image"].amin((1, 2, 3)).tolist() == [-1] * 3 and seen["image"].amax((1, 2, 3)).tolist() == [1] * 3


def test_the_noise_is_predicted_in_the_published_size_and_the_mask_in_smaller_ones():
    with torch.device("meta"):
        assert build((64, 64), size="paper").prediction == "eps"
        assert build((64, 64), size="paper", prediction="x0").prediction == "x0"
    assert [build(size=size).prediction for size in ("tiny", "small")] == ["x0", "x0"]


def test_times_of_training_cover_the_schedule():
    model, times = build((4, 4)), []

    class Spy(torch.nn.Module):
        def forward(self, x, image, t):
            times.append(t)
            return x

    model.network = Spy()
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        model.loss(*batch(500, (4, 4)), "train", generator)
    assert (torch.cat(times).min(), torch.cat(times).max()) == (0, 999)


def test_same_generator_same_loss_other_generator_other_loss():
    model, data = build(), batch()
    first, again, other = (
        model.loss(*data, "train", torch.Generator().manual_seed(seed))["total"] for seed in (7, 7, 8)
    )
    assert first == again and first != other


def test_weights_do_not_decay():
    optimizer = build().optimizer("train", 1e-3)
    assert all(group["weight_decay"] == 0 and group["lr"] == 1e-3 for group in optimizer.param_groups)
    assert build().averaged("train") == ("network",) and MedSegDiff.ema_decay == 0.9999


# ---- sampling ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    return shaken(build())


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("settings", [{"prediction": "eps"}, {}, {"threshold": "dynamic", "fusion": "staple"}])
def test_result_does_not_depend_on_the_batch(sampling, settings):
    """In double precision, because dividing by sqrt(alpha_bar) at t = T-1 enlarges rounding errors 157 times."""
    model, image = shaken(build(classes=3, **settings)).double(), batch()[0].double()
    together = model.segment(image, sampling, generators())
    alone = model.segment(image[2:], sampling, generators(1, first=2))
    torch.testing.assert_close(together.sum(1), torch.ones(3, 32, 32))
    torch.testing.assert_close(together[2:], alone, atol=1e-6, rtol=0)
    assert (together[0] - together[1]).abs().max() > 1e-3


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


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_network_evaluations_are_those_made(sampling):
    model = build().eval()
    calls = []
    model.network.register_forward_hook(lambda *_: calls.append(1))
    model.segment(batch()[0], sampling, generators())
    assert len(calls) == model.network_evaluations(sampling) == sampling.steps * sampling.ensemble


def test_the_callback_sees_the_first_sample_at_every_time(trained):
    visited = []
    sampling = Sampling(steps=4, ensemble=2)
    trained.segment(batch()[0], sampling, generators(), lambda k, t, x: visited.append((k, t, x.shape, x.abs().max())))
    assert [(k, t) for k, t, *_ in visited] == [(0, 999), (1, 749), (2, 499), (3, 249), (4, -1)]
    assert all(shape == (3, 1, 32, 32) for *_, shape, _ in visited)
    assert visited[-1][-1] <= 1


@pytest.mark.parametrize("threshold", OPTIONS["threshold"])
@pytest.mark.parametrize("sampling", [*SAMPLINGS, Sampling(steps=50), Sampling(steps=20, sampler="dpm_solver++")])
@pytest.mark.parametrize(("classes", "prediction"), [(2, "eps"), (4, "eps"), (4, "x0")])
def test_perfect_network_recovers_the_label(classes, prediction, sampling, threshold):
    model = build(classes=classes, prediction=prediction, threshold=threshold)
    image, label = batch(classes=classes)
    x0 = model.encode(label).double()

    class Oracle(torch.nn.Module):
        def forward(self, x, image, t):
            a = linear_alpha_bar(t)[:, None, None, None]
            return (x - a.sqrt() * x0) / (1 - a).sqrt() if prediction == "eps" else x0

    model.network = Oracle()
    visited = []
    # In single precision the network's input is rounded, and at t = T-1 dividing by sqrt(alpha_bar) enlarges that.
    segmentation = model.segment(image.double(), sampling, generators(), lambda *step: visited.append(step[2]))
    torch.testing.assert_close(visited[-1], x0, atol=1e-10, rtol=0)
    assert torch.equal(segmentation.argmax(1), label)


# ---- settings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_size", [(32, 32), (64, 96), (40, 32)])
def test_shapes(image_size):
    model = build(image_size, classes=4, size="small").eval()
    probability = model.segment(batch(2, image_size)[0], Sampling(), generators(2))
    assert probability.shape == (2, 4, *image_size) and probability.dtype == torch.float32
    torch.testing.assert_close(probability.sum(1), torch.ones(2, *image_size))


@pytest.mark.parametrize(
    ("size", "image_size", "multiple"), [("tiny", (32, 42), 4), ("small", (32, 36), 8), ("paper", (96, 48), 32)]
)
def test_image_sizes_that_cannot_be_halved_are_refused(size, image_size, multiple):
    with pytest.raises(ValueError, match=rf"image_size is .*multiple of {multiple}"):
        build(image_size, size=size)


def test_an_image_of_another_size_is_refused_by_name(trained):
    image, label = batch(image_size=(32, 64))
    words = r"size \(32, 64\).*built for image_size \(32, 32\)"
    with pytest.raises(ValueError, match=words):
        trained.loss(image, label, "train", torch.Generator())
    with pytest.raises(ValueError, match=words):
        trained.segment(image, Sampling(), generators())


@pytest.mark.parametrize("key", OPTIONS)
def test_unknown_options_are_refused_by_name(key):
    with pytest.raises(
        ValueError, match=rf"method\.{key} is 'nonsense', expected one of {', '.join(map(str, OPTIONS[key]))}"
    ):
        build(**{key: "nonsense"})


def test_configuration_names_every_option_with_its_default():
    config = OmegaConf.to_container(OmegaConf.load(CONF), resolve=False)
    for key in ("_target_", "title", "summary", "loss", "training", "sampling"):
        config.pop(key)
    assert set(config) == set(OPTIONS)
    defaults = {name: p.default for name, p in signature(MedSegDiff).parameters.items() if name in OPTIONS}
    assert config == defaults | {"size": "${profile.size}"}


@pytest.mark.long
def test_learns_to_read_the_segmentation_off_the_image():
    assert_it_reads_the_image(build(size="small"), 2e-3, lambda done: (1 - done) ** 0.9, Sampling(steps=10))
