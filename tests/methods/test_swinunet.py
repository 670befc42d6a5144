"""Swin-UNet: windows, shifts and padding against plain loops, the published size, and what image sizes it takes."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from methods.blocks.window_attention import (
    PatchExpanding,
    PatchMerging,
    SwinBlock,
    WindowAttention,
    neighbours,
    relative_index,
    tile,
    untile,
)
from methods.swinunet import DROP_PATH, SwinUNet

CONF = Path(__file__).parents[2] / "conf" / "method" / "swinunet.yaml"
MAPS = [((8, 8), 4), ((8, 12), 4), ((10, 7), 4), ((5, 9), 3), ((3, 8), 4), ((4, 4), 4)]
"""(resolution, window side): whole windows, windows that need padding, and axes no longer than a window."""


def build(size="tiny", image_size=(32, 32), classes=2, in_channels=3) -> SwinUNet:
    torch.manual_seed(0)
    return SwinUNet(spatial_dims=2, in_channels=in_channels, classes=classes, image_size=image_size, size=size)


def count(model) -> int:
    return sum(p.numel() for p in model.parameters())


# ---- windows --------------------------------------------------------------------------------------------------------


def test_relative_index_numbers_the_offsets_of_a_double_loop():
    for h, w in ((4, 4), (2, 3), (1, 5), (7, 7)):
        index = relative_index((h, w))
        for i in range(h * w):
            for j in range(h * w):
                down, right = i // w - j // w, i % w - j % w
                assert index[i, j] == (down + h - 1) * (2 * w - 1) + right + w - 1
        assert index.unique().tolist() == list(range((2 * h - 1) * (2 * w - 1)))


def test_tiles_are_slices_of_the_map_and_go_back_in_place():
    x = torch.randn(2, 6, 8, 3)
    tiles = tile(x, (3, 2))
    assert tiles.shape == (2, 2, 4, 3, 2, 3)
    for a in range(2):
        for b in range(4):
            assert torch.equal(tiles[:, a, b], x[:, 3 * a : 3 * a + 3, 2 * b : 2 * b + 2])
    assert torch.equal(untile(tiles), x)


@pytest.mark.parametrize(("resolution", "side"), MAPS)
@pytest.mark.parametrize("shifted", [False, True])
def test_only_neighbours_of_the_unshifted_map_attend_to_each_other(resolution, side, shifted):
    block = SwinBlock(8, 2, resolution, side, shifted, drop=0.0)
    window, shift = block.window, block.shift
    padded = [n + p for n, p in zip(resolution, block.padding)]
    assert all(n % w == 0 for n, w in zip(padded, window))
    allowed = neighbours(resolution, window, shift)
    # Original place of every token of every shifted window.
    places = torch.cartesian_prod(*[torch.arange(n) for n in padded]).reshape(1, *padded, 2)
    places = tile(places.roll([-s for s in shift], (1, 2)), window).reshape(-1, window[0] * window[1], 2).tolist()
    for k, tokens in enumerate(places):
        for i, query in enumerate(tokens):
            for j, key in enumerate(tokens):
                near = all(abs(a - b) < w for a, b, w in zip(query, key, window))
                real = [all(a < n for a, n in zip(place, resolution)) for place in (query, key)]
                if any(real):
                    assert (True if allowed is None else bool(allowed[k, i, j])) == (near and all(real))
    if allowed is not None:
        assert allowed.any(2).all(), "a token without any other would make the softmax undefined"


@pytest.mark.parametrize(("resolution", "side"), MAPS)
@pytest.mark.parametrize("shifted", [False, True])
def test_window_attention_is_softmax_over_the_tokens_between_two_window_borders(resolution, side, shifted):
    torch.manual_seed(0)
    block = SwinBlock(8, 2, resolution, side, shifted, drop=0.0).double()
    attention = block.attention
    torch.nn.init.normal_(attention.bias)
    x = torch.randn(2, *resolution, 8, dtype=torch.float64)
    query, key, value = (part.unflatten(3, (2, 4)) for part in attention.qkv(x).chunk(3, dim=3))
    tokens = [(y, z) for y in range(resolution[0]) for z in range(resolution[1])]
    window, shift = block.window, block.shift

    def of(y, z):  # number of the window of a place, borders displaced by the shift
        return (y - shift[0]) // window[0], (z - shift[1]) // window[1]

    expected = torch.empty_like(x)
    for y, z in tokens:
        peers = [place for place in tokens if of(*place) == of(y, z)]
        heads = []
        for head in range(2):
            scores = []
            for a, b in peers:
                offset = (y - a + window[0] - 1) * (2 * window[1] - 1) + z - b + window[1] - 1
                scores.append((query[:, y, z, head] * key[:, a, b, head]).sum(1) / 2 + attention.bias[head, offset])
            weight = torch.stack(scores, 1).softmax(1)
            heads.append(sum(weight[:, i, None] * value[:, a, b, head] for i, (a, b) in enumerate(peers)))
        expected[:, y, z] = attention.proj(torch.cat(heads, 1))
    torch.testing.assert_close(block.attend(x), expected, atol=1e-10, rtol=0)


def test_second_block_of_a_level_is_shifted_where_there_are_several_windows():
    model = build("paper", (224, 224))
    shifts = [[block.shift for block in level] for level in model.encoder]
    assert shifts == [[(0, 0), (3, 3)]] * 3 + [[(0, 0), (0, 0)]]
    windows = [[block.window for block in level] for level in build("paper", (128, 64)).encoder]
    assert windows == [[(7, 7)] * 2, [(7, 7)] * 2, [(7, 4)] * 2, [(4, 2)] * 2]


# ---- merging and expanding ------------------------------------------------------------------------------------------


def changed(layer, x, place):
    """Places of the output that depend on one token of the input."""
    other = x.clone()
    other[0, place[0], place[1]] += torch.randn(x.shape[3])
    return set(map(tuple, (layer(x) != layer(other)).any(3)[0].nonzero().tolist()))


def test_merging_joins_four_tokens_and_doubles_the_width():
    x = torch.randn(1, 6, 8, 5)
    layer = PatchMerging(5)
    assert layer(x).shape == (1, 3, 4, 10)
    for place in ((0, 0), (3, 2), (5, 7)):
        assert changed(layer, x, place) == {(place[0] // 2, place[1] // 2)}


@pytest.mark.parametrize(("factor", "out"), [(2, 4), (4, 8)])
def test_expanding_spreads_a_token_over_its_own_square(factor, out):
    x = torch.randn(1, 3, 4, 8)
    layer = PatchExpanding(8, out, factor)
    assert layer(x).shape == (1, 3 * factor, 4 * factor, out)
    square = {(2 * factor + a, factor + b) for a in range(factor) for b in range(factor)}
    assert changed(layer, x, (2, 1)) == square


# ---- the network ----------------------------------------------------------------------------------------------------


def test_the_published_network_has_27_million_weights():
    assert count(build("paper", (224, 224), classes=9)) == 27_168_900
    # The window of 7 fits into every level at both sizes, so that the tables of offsets are equally long.
    assert count(build("paper", (224, 224))) == count(build("paper", (512, 512))) == 27_168_228


@pytest.mark.parametrize(("size", "side", "weights"), [("small", 128, 6_810_276), ("tiny", 32, 430_392)])
def test_smaller_sizes(size, side, weights):
    assert count(build(size, (side, side))) == weights


@pytest.mark.parametrize(
    ("size", "image_size"),
    [("tiny", (32, 32)), ("tiny", (48, 80)), ("small", (64, 96)), ("small", (96, 96)), ("paper", (64, 96))],
)
def test_segments_square_and_oblong_images(size, image_size):
    model = build(size, image_size, classes=3, in_channels=1).eval()
    with torch.no_grad():
        logits = model(torch.rand(1, 1, *image_size))
    assert logits.shape == (1, 3, *image_size) and logits.isfinite().all()


@pytest.mark.parametrize(("size", "image_size", "multiple"), [("tiny", (32, 40), 16), ("small", (48, 64), 32)])
def test_an_image_size_that_cannot_be_halved_is_refused(size, image_size, multiple):
    words = rf"image_size is \({image_size[0]}, {image_size[1]}\).*multiple of {multiple}"
    with pytest.raises(ValueError, match=words):
        build(size, image_size)


def test_an_unknown_size_and_three_dimensions_are_refused():
    with pytest.raises(ValueError, match="method.size is 'huge', expected one of tiny, small, paper"):
        build("huge")
    assert SwinUNet.supports(2, 4) is None
    with pytest.raises(ValueError, match="published for 2D images; the data are 3D.*swinunetr"):
        SwinUNet(3, 1, 2, (32, 32, 32), size="tiny")


def test_stochastic_depth_grows_with_depth_and_acts_in_training_only():
    model = build("paper", (64, 64))
    rates = [block.drop.p for level in model.encoder for block in level]
    assert rates == pytest.approx([DROP_PATH * i / 7 for i in range(8)])
    upwards = [[block.drop.p for block in level] for level in model.decoder]
    assert upwards == [[block.drop.p for block in level] for level in model.encoder][-2::-1]
    model, image = build(), torch.rand(8, 3, 32, 32)
    with torch.no_grad():
        drawn = [(torch.manual_seed(seed), model.train()(image))[1] for seed in (1, 1, 2)]
        still = [(torch.manual_seed(seed), model.eval()(image))[1] for seed in (1, 2)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert torch.equal(*still)


def test_far_pixels_reach_each_other():
    """Through the coarse levels, although every window is small."""
    model = build(image_size=(64, 64)).eval()
    image = torch.rand(1, 3, 64, 64)
    image[0, :, 0, :2] = torch.tensor([0.0, 1.0])  # the range stays, so that scaling does
    other = image.clone()
    other[0, :, 40:, 40:] = torch.rand(3, 24, 24)
    with torch.no_grad():
        difference = (model(image) - model(other)).abs().amax(1)[0]
    assert (difference[:24, :24] > 0).all()


def test_a_window_without_mask_attends_to_every_token():
    attention = WindowAttention(8, 2, (2, 2))
    x = torch.randn(1, 1, 4, 8)
    everything = torch.ones(1, 4, 4, dtype=torch.bool)
    torch.testing.assert_close(attention(x), attention(x, everything))


def test_configuration_builds_the_method():
    config = OmegaConf.to_container(OmegaConf.load(CONF), resolve=False)
    for key in ("title", "summary", "training"):
        assert config.pop(key)
    standard = dict(spatial_dims=2, in_channels=1, classes=2, image_size=(32, 32))
    model = instantiate(config | {"size": "tiny"}, **standard)
    assert isinstance(model, SwinUNet) and count(model) == count(build(in_channels=1))
