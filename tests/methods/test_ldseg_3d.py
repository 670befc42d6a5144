"""LDSeg of volumes: the sizes of its networks, what differs from those for images, training and sampling."""

import pytest
import torch

from methods.base import Sampling
from methods.blocks.attention import Attention
from methods.blocks.convolution import UpsampledConv
from methods.diffusion.schedule import cosine_alpha_bar
from methods.ldseg import COMPONENTS, LDSeg

SHAPE = (16, 32, 16)
LATENT = (2, 4, 2)
ABLATIONS = {
    "ld": {"label_downsampling": True},
    "id": {"image_downsampling": True},
    "ld+id": {"label_downsampling": True, "image_downsampling": True},
}


def build(image_size=SHAPE, classes=3, size="tiny", **settings) -> LDSeg:
    torch.manual_seed(0)
    return LDSeg(spatial_dims=3, in_channels=1, classes=classes, image_size=image_size, size=size, **settings)


def batch(count=2, classes=3):
    random = torch.Generator().manual_seed(5)
    return torch.rand(count, 1, *SHAPE, generator=random), torch.randint(classes, (count, *SHAPE), generator=random)


def generators(count=2):
    return [torch.Generator().manual_seed(i) for i in range(count)]


def loss_of(model, seed=7):
    torch.manual_seed(3)  # dropout
    return model.loss(*batch(), "train", torch.Generator().manual_seed(seed))


def shaken(model: LDSeg) -> LDSeg:
    """No weight at zero, running statistics of some data; in evaluation mode."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=random)
        loss_of(model.train())
    return model.eval()


# ---- networks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "image_size", "totals", "trainable"),
    [
        ("paper", (128, 128, 256), (788_897, 788_431, 138_853, 2_209_937), 3_923_710),
        ("tiny", (32, 32, 32), (113_361, 113_647, 20_277, 539_377), 785_838),
    ],
)
def test_published_numbers_of_weights(size, image_size, totals, trainable):
    with torch.device("meta"):
        model = build(image_size, size=size)
    assert tuple(_total(getattr(model, name)) for name in COMPONENTS) == totals
    assert sum(p.numel() for p in model.parameters()) == trainable


def _total(module) -> int:
    """Weights and running statistics, as Keras counts them."""
    state = module.state_dict()
    return sum(tensor.numel() for key, tensor in state.items() if not key.endswith("num_batches_tracked"))


@pytest.mark.parametrize(("size", "image_size", "latent"), [("small", (16, 24, 8), (4, 6, 2)), ("tiny", SHAPE, LATENT)])
def test_latents_keep_the_axes_of_the_image(size, image_size, latent):
    model = build(image_size, size=size).eval()
    image, label = torch.rand(1, 1, *image_size), torch.zeros((1, *image_size), dtype=torch.long)
    z = model.embed(image)
    assert z.shape == model.label_encoder(model._label_input(label)).shape == (1, 1, *latent)
    assert model.segment(image, Sampling(), generators(1)).shape == (1, 3, *image_size)


@pytest.mark.parametrize("tf_padding", [True, False])
def test_label_encoder_is_reduced_by_convolutions_that_look_ahead(tf_padding):
    encoder = build(tf_padding=tf_padding).label_encoder
    for layer, below in zip(encoder.shrink, encoder.blocks, strict=False):
        assert layer.conv.stride == (2, 2, 2)
        assert layer.conv.in_channels == layer.conv.out_channels == below.conv1.out_channels
        _first_tap_only(layer.conv)
    x = torch.arange(8.0).expand(1, encoder.shrink[0].conv.in_channels, 2, 2, 8)
    sampled = encoder.shrink[0](x)[0, 0]
    assert sampled.shape == (1, 1, 4)
    assert sampled[0, 0].tolist() == ([0, 2, 4, 6] if tf_padding else [0, 0, 0, 0])


def _first_tap_only(conv):
    """The convolution passes on the voxel of the window's lowest corner, channel by channel."""
    with torch.no_grad():
        conv.weight.zero_()
        conv.bias.zero_()
        for channel in range(len(conv.weight)):
            conv.weight[channel, channel, 0, 0, 0] = 1


def test_last_convolution_of_the_label_encoder_pads_after_the_last_voxel():
    encoder = build(latent_norm="plain").label_encoder
    with torch.no_grad():
        encoder.head.weight.zero_()
        encoder.head.weight[0, 0, 1, 1, 1] = 1
    seen = {}
    encoder.head.register_forward_hook(lambda layer, inputs, output: seen.update(x=inputs[0], y=output))
    encoder.eval()(torch.rand(1, 1, *SHAPE))
    assert seen["x"].shape[2:] == (3, 5, 3) and seen["y"].shape[2:] == LATENT
    for axis in (2, 3, 4):
        assert not seen["x"].select(axis, -1).any() and seen["x"].select(axis, 0).any()


def test_decoder_enlarges_by_repetition():
    decoder = build().label_decoder
    layer = decoder.ups[1]
    assert all(isinstance(up, UpsampledConv) for up in decoder.ups)
    with torch.no_grad():
        layer.conv.weight.zero_()
        layer.conv.bias.zero_()
        layer.conv.weight[0, 0, 1, 1, 1] = 1
    x = torch.rand(1, layer.conv.in_channels, 2, 3, 2)
    y = layer(x)[0, 0]
    assert torch.equal(y, x[0, 0].repeat_interleave(2, 0).repeat_interleave(2, 1).repeat_interleave(2, 2))


def test_image_encoder_has_grouped_convolutions_pooling_and_no_attention():
    encoder = build().image_encoder
    assert not any(isinstance(module, Attention) for module in encoder.modules())
    for block in encoder.blocks:
        assert block.conv1.groups == block.conv2.groups == 4 and block.shortcut.groups == 1
        assert isinstance(block.down, torch.nn.MaxPool3d)
    assert encoder.head.kernel_size == (3, 3, 3)


def test_denoiser_has_as_many_blocks_up_as_down_with_a_skip_each():
    denoiser = build().denoiser
    assert [len(level) for level in denoiser.down] == [len(level) for level in denoiser.up] == [2, 2]
    widths = [[block["residual"].conv1.in_channels for block in level] for level in denoiser.up]
    # From the coarse level up: running width plus the width of the block's counterpart on the way down.
    assert widths == [[32 + 32, 32 + 32], [32 + 16, 16 + 16]]


@pytest.mark.parametrize(
    ("image_size", "words"),
    [
        ((32, 40, 32), r"image_size is \(32, 40, 32\).*3 entries, each a multiple of 16"),
        ((32, 32), r"image_size is \(32, 32\).*in 3D needs 3 entries"),
        ((1, 32, 32), r"image_size is \(1, 32, 32\).*multiple of 16"),
        ((16, 16, 16), r"image_size is \(16, 16, 16\).*single voxel: make at least one entry 32"),
    ],
)
def test_volumes_that_cannot_be_halved_are_refused(image_size, words):
    with pytest.raises(ValueError, match=words):
        build(image_size)


# ---- switches -------------------------------------------------------------------------------------------------------


def test_image_attention_has_no_effect():
    two, code = (build(image_attention=option).image_encoder for option in ("two", "code"))
    assert two.state_dict().keys() == code.state_dict().keys()
    image = batch()[0]
    assert torch.equal(two(image), code(image))


def test_padding_matters_to_label_encoder_and_denoiser_only():
    ours, theirs = (build(tf_padding=option) for option in (True, False))
    shaken(ours)
    theirs.load_state_dict(ours.state_dict())
    theirs.eval()
    image, label = batch()
    z, t = torch.randn(2, 1, *LATENT), torch.tensor([10.0, 500.0])
    with torch.no_grad():
        same = [(m.image_encoder(image), m.label_decoder(z)) for m in (ours, theirs)]
        different = [(m.label_encoder(label[:, None].float()), m.denoiser(z, z, t)) for m in (ours, theirs)]
    assert all(torch.equal(a, b) for a, b in zip(*same, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(*different, strict=True))


@pytest.mark.parametrize("settings", [{"preset": "official"}, {"label_input": "onehot"}, {"decoder_input": "x0"}])
def test_other_switches_train_and_segment(settings):
    model = build(**settings)
    parts = loss_of(model)
    parts["total"].backward()
    assert all(value.isfinite() for value in parts.values())
    probability = model.eval().segment(batch()[0], Sampling(steps=3), generators())
    torch.testing.assert_close(probability.sum(1), torch.ones(2, *SHAPE))


# ---- training and sampling ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["affine", "plain"])
def test_label_latents_start_standardised_per_sample(norm):
    z = build(latent_norm=norm).label_encoder(batch()[1][:, None].float())
    torch.testing.assert_close(z.mean((1, 2, 3, 4)), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(z.std((1, 2, 3, 4), correction=0), torch.ones(2), atol=0.02, rtol=0)


def test_segmentation_loss_alone_reaches_every_weight():
    model = shaken(build()).train()
    parts = loss_of(model)
    torch.testing.assert_close(parts["total"], parts["ce"] + 2 * parts["dice"] + parts["l2"])
    (parts["ce"] + parts["dice"]).backward()
    for name in COMPONENTS:
        parameters = list(getattr(model, name).parameters())
        assert all(p.grad is not None and p.grad.isfinite().all() for p in parameters), name
        assert sum(p.grad.abs().sum() for p in parameters) > 0, name


@pytest.mark.parametrize("steps", [2, 5])
def test_perfect_denoiser_recovers_the_label_latent(steps):
    model = shaken(build(sampler_norm="none", noise_estimate="plain"))
    z0 = torch.randn(2, 1, *LATENT, dtype=torch.float64, generator=torch.Generator().manual_seed(4))

    class Oracle(torch.nn.Module):
        def forward(self, z, embedding, t):
            a = cosine_alpha_bar(t)[:, None, None, None, None]
            return (z - a.sqrt() * z0) / (1 - a).sqrt()

    model.denoiser = Oracle()
    visited = []
    sampling, watch = Sampling(steps=steps), lambda k, t, x: visited.append(x)
    probability = model.segment(batch()[0], sampling, generators(), watch, torch.zeros_like(z0))
    torch.testing.assert_close(visited[-1], z0, atol=1e-10, rtol=0)
    torch.testing.assert_close(probability, model.decode(z0))


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(steps=3, sampler="ddpm", ensemble=2)])
def test_result_does_not_depend_on_the_batch(sampling):
    model, image = shaken(build()), batch()[0]
    together = model.segment(image, sampling, generators())
    alone = model.segment(image[1:], sampling, generators()[1:])
    # The first step multiplies rounding errors by 640, and convolutions of one volume are computed otherwise.
    torch.testing.assert_close(together[1:], alone, atol=1e-3, rtol=0)
    assert (together[0] - together[1]).abs().max() > 0.05


# ---- ablations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", ABLATIONS.values(), ids=ABLATIONS)
def test_ablations_train_what_is_left_and_segment(flags):
    model = shaken(build(**flags)).train()
    left = [name for name in COMPONENTS if f"{name.removesuffix('_encoder')}_downsampling" not in flags]
    assert {name.split(".")[0] for name, _ in model.named_parameters()} == set(left) == set(model.components)
    loss_of(model)["total"].backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    for name in left:
        assert any(p.grad.any() for p in getattr(model, name).parameters()), name
    image, label = batch()
    for probability in (model.eval().reconstruct(label), model.segment(image, Sampling(), generators())):
        torch.testing.assert_close(probability.sum(1), torch.ones(2, *SHAPE))


def test_downsampled_latents_are_the_voxels_at_the_centres_of_the_blocks():
    model = build(label_downsampling=True, image_downsampling=True).eval()
    image, label = batch()
    centres = (slice(None), *[slice(4, None, 8)] * 3)
    for latent, source in (
        (model.label_encoder(model._label_input(label)), label[centres].float()),
        (model.embed(image), image[:, 0][centres]),
    ):
        centred = source - source.mean((1, 2, 3), keepdim=True)
        expected = centred / source.std((1, 2, 3), correction=0, keepdim=True)
        torch.testing.assert_close(latent[:, 0], expected, atol=1e-5, rtol=1e-5)
