"""The U-Net of Med-LSDM's latents and its attentions."""

import pytest
import torch

from methods.synthesis.latent_attention import DepthAttention, LinearAttention, PlaneAttention, rotated
from methods.synthesis.latent_unet import LatentUNet, MapEncoder
from methods.synthesis.med_lsdm import LATENT, SIZES
from methods.synthesis.spade import one_hot


def network(size="tiny", codes=3, depth=4):
    layout = SIZES[size]
    own = (layout.widths, layout.map_widths, layout.map_channels, layout.hidden, layout.heads, layout.head)
    return LatentUNet(LATENT, codes, depth, *own)


def test_the_published_network_has_the_authors_parameters_but_for_positions_out_of_reach():
    """Theirs are 37,928,776: 32 relative positions for each of 8 heads, of which 8 slices have 15."""
    with torch.device("meta"):
        found = sum(p.numel() for p in network("paper", codes=37, depth=8).parameters())
    assert found == 37_928_776 - 8 * (32 - 15)


def test_labelling_one_slice_changes_its_slice_of_the_map_path_alone():
    torch.manual_seed(0)
    encoder = MapEncoder(3, (8, 8), 8)
    plain = torch.zeros(1, 16, 8, 8, dtype=torch.int64)
    for k in (0, 5, 15):
        labelled = plain.clone()
        labelled[:, k, 2:6, 2:6] = 1
        changed = (encoder(one_hot(labelled, 3)) != encoder(one_hot(plain, 3))).flatten(3).any(3)[0].any(0)
        assert changed.nonzero().flatten().tolist() == [k // 4]


def test_the_way_down_does_not_see_the_map_and_the_middle_not_the_time():
    torch.manual_seed(0)
    model, z = network(), torch.randn(1, LATENT, 4, 4, 4)
    maps = [one_hot(torch.full((1, 16, 16, 16), k), 3) for k in (0, 1)]
    seen = {"down": [], "middle": []}
    model.down[-1].register_forward_hook(lambda module, inputs, output: seen["down"].append(output))
    model.middle[0].register_forward_hook(lambda module, inputs, output: seen["middle"].append((inputs[0], output)))
    out = [model(z, label_map, torch.tensor([9.0])) for label_map in maps]
    assert torch.equal(*seen["down"]) and not torch.allclose(*out)
    (x, first), _ = seen["middle"]
    steer = model.map_encoder(maps[0])
    assert torch.equal(model.middle[0](x, steer, torch.randn(1, 32)), first)


def test_linear_attention_by_its_definition():
    torch.manual_seed(0)
    layer, x = LinearAttention(8, 2, 4), torch.randn(1, 8, 2, 3, 3)
    qkv = layer.qkv(layer.norm(x))[0].reshape(3, 2, 4, 2, 9)
    expected = torch.empty(8, 2, 9)
    for depth in range(2):
        for head in range(2):
            q, k, v = (qkv[part, head, :, depth] for part in range(3))  # channels, voxels
            context = torch.einsum("dn,en->de", k.softmax(1), v)
            expected[4 * head : 4 * head + 4, depth] = torch.einsum("de,dn->en", context, q.softmax(0) / 2)
    found = layer(x) - x
    torch.testing.assert_close(found, layer.out(expected.reshape(1, 8, 2, 3, 3)))


def test_attention_stays_within_its_slice_or_its_place():
    torch.manual_seed(0)
    x = torch.randn(1, 8, 3, 4, 4)
    changed = x.clone()
    changed[:, :, 1, 2, 2] += torch.randn(8)
    bias = (torch.randn(2, 3, 3),)
    for layer, more, slices, places in (
        (LinearAttention(8, 2, 4), (), [1], 16),
        (PlaneAttention(8, 2, 4), (), [1], 16),
        (DepthAttention(8, 2, 4), bias, [0, 1, 2], 1),
    ):
        differs = ((layer(x, *more) - layer(changed, *more)).abs() > 1e-7).any(1)[0]
        assert differs.flatten(1).any(1).nonzero().flatten().tolist() == slices
        assert differs.any(0).sum() == places


def test_rotations_make_scores_depend_on_the_offset_alone():
    torch.manual_seed(0)
    q, k = torch.randn(6), torch.randn(6)
    scores = rotated(q.expand(5, 6)) @ rotated(k.expand(5, 6)).T
    for offset in range(-3, 4):
        diagonal = scores.diagonal(offset)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))
    assert scores[0, 0] == pytest.approx((q @ k).item(), abs=1e-5)
    torch.testing.assert_close(rotated(q.expand(5, 6)).norm(dim=1), q.norm().expand(5))


def test_relative_positions_are_those_of_key_and_query():
    """With one position far above all others attention looks there alone: one slice up."""
    torch.manual_seed(0)
    model = network()
    torch.nn.init.zeros_(model.positions)
    with torch.no_grad():
        model.positions[:, 4] = 50.0  # offset +1 of 4 slices, whose zero is at 3
    seen = []
    layer = model.stem_depth
    layer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    model(torch.randn(1, LATENT, 4, 4, 4), torch.zeros(1, 3, 16, 16, 16), torch.tensor([1.0]))
    x, bias = seen[0]
    assert (bias[0].argmax(1)[:3] == torch.tensor([1, 2, 3])).all()
    value = layer.qkv(layer.norm(x).movedim(1, -1)).chunk(3, dim=-1)[2]
    expected = x + layer.out(value).movedim(-1, 1).roll(-1, dims=2)
    torch.testing.assert_close(layer(x, bias)[:, :, :3], expected[:, :, :3], atol=1e-4, rtol=1e-4)
