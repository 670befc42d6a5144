"""Swin blocks against plain loops over windows; merging and expanding of tokens."""

import pytest
import torch

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

MAPS = [((8, 8), 4), ((8, 12), 4), ((10, 7), 4), ((5, 9), 3), ((3, 8), 4), ((4, 4), 4)]
"""(resolution, window side): whole windows, windows that need padding, and axes no longer than a window."""


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


def test_a_window_without_mask_attends_to_every_token():
    attention = WindowAttention(8, 2, (2, 2))
    x = torch.randn(1, 1, 4, 8)
    everything = torch.ones(1, 4, 4, dtype=torch.bool)
    torch.testing.assert_close(attention(x), attention(x, everything))


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
