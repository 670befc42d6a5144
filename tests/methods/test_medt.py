"""MedT: gated axial attention against plain loops, the patches of the local branch, the released size."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

from methods.blocks.axial_attention import AxialAttention, AxialBlock, ScoreNorm, product_variance
from methods.medt import MedT, from_patches, to_patches

CONF = Path(__file__).parents[2] / "conf" / "method" / "medt.yaml"
GATES = ("gate_query", "gate_key", "gate_value", "gate_position")


def build(size="tiny", image_size=(32, 32), classes=2, in_channels=3) -> MedT:
    torch.manual_seed(0)
    return MedT(spatial_dims=2, in_channels=in_channels, classes=classes, image_size=image_size, size=size)


def count(model) -> int:
    return sum(p.numel() for p in model.parameters())


def attention(channels=8, heads=2, length=5) -> AxialAttention:
    """As after some training: statistics, weights, shifts and gates away from their start; evaluation, float64."""
    torch.manual_seed(0)
    layer = AxialAttention(channels, heads, length).double()
    with torch.no_grad():
        for value in (*layer.parameters(), *layer.buffers()):
            if value.is_floating_point():
                value += 0.3 * torch.rand_like(value)
    return layer.eval()


# ---- attention ------------------------------------------------------------------------------------------------------


def normalised(norm, x):
    return (x - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias


def by_loops(layer, x):
    """The sums of the paper with the normalisations of the code, place by place, for one row (C, L)."""
    channels, length = x.shape
    heads, width = layer.heads, channels // layer.heads
    qkv = normalised(layer.qkv_norm, (layer.qkv.weight[:, :, 0, 0] @ x).T).reshape(length, heads, 2 * width)
    half = width // 2
    content, position = torch.zeros(length, channels).double(), torch.zeros(length, channels).double()
    for h in range(heads):
        factors = [
            norm.weight[h] / (norm.running_variance[h] + 1e-5).sqrt()
            for norm in (layer.content_norm, layer.query_norm, layer.key_norm)
        ]
        for i in range(length):
            q = qkv[i, h, :half]
            scores = []
            for j in range(length):
                k, r = qkv[j, h, half:width], layer.relative[:, j - i + length - 1]
                terms = (q @ k, layer.gate_query * (q @ r[:half]), layer.gate_key * (k @ r[half:width]))
                scores.append(sum(f * term for f, term in zip(factors, terms)))
            weight = torch.stack(scores).softmax(0)
            at = slice(h * width, (h + 1) * width)
            for j in range(length):
                content[i, at] += weight[j] * qkv[j, h, width:]
                position[i, at] += weight[j] * layer.relative[width:, j - i + length - 1]
    gated = layer.gate_value * normalised(layer.value_norm, content)
    return (gated + layer.gate_position * normalised(layer.position_norm, position)).T


@torch.no_grad()
def test_gated_axial_attention_is_the_sum_of_the_paper_row_by_row():
    for channels, heads, length in ((8, 2, 5), (4, 2, 2), (12, 3, 4)):
        layer = attention(channels, heads, length)
        x = torch.randn(2, channels, 3, length, dtype=torch.float64)
        out = layer(x)
        for b in range(2):
            for r in range(3):
                torch.testing.assert_close(out[b, :, r], by_loops(layer, x[b, :, r]), atol=1e-10, rtol=0)


@torch.no_grad()
def test_embeddings_hold_one_vector_per_offset_of_key_and_query():
    layer = attention()
    for whole, part in zip(layer.relative.split((2, 2, 4)), layer.embeddings()):
        for i in range(5):
            for j in range(5):
                assert torch.equal(part[:, i, j], whole[:, j - i + 4])


@torch.no_grad()
def test_gates_at_zero_leave_attention_without_positions():
    layer, plain = attention(), AxialAttention(8, 2).double().eval()
    state = layer.state_dict()
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    x = torch.randn(2, 8, 3, 5, dtype=torch.float64)
    assert (layer(x) - plain(x)).abs().max() > 1e-3
    for gate in ("gate_query", "gate_key", "gate_position"):
        getattr(layer, gate).zero_()
    layer.gate_value.fill_(1)
    torch.testing.assert_close(layer(x), plain(x), atol=1e-12, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("gate", GATES)
def test_every_gate_acts_in_training_too(gate):
    layer = attention().train()
    x = torch.randn(2, 8, 3, 5, dtype=torch.float64)
    before = layer(x)
    getattr(layer, gate).mul_(3)
    assert (layer(x) - before).abs().max() > 1e-3


def test_gates_start_as_in_the_code_and_are_trained():
    layer = AxialAttention(8, 2, 5)
    assert [getattr(layer, gate).item() for gate in GATES] == pytest.approx([0.1, 0.1, 1.0, 0.1])
    assert all(getattr(layer, gate).requires_grad for gate in GATES)


@torch.no_grad()
def test_without_positions_the_order_of_places_means_nothing():
    plain = AxialAttention(8, 2).double().eval()
    x, order = torch.randn(2, 8, 3, 5, dtype=torch.float64), torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(plain(x[..., order]), plain(x)[..., order], atol=1e-12, rtol=0)
    layer = attention()
    assert (layer(x[..., order]) - layer(x)[..., order]).abs().max() > 1e-3


@torch.no_grad()
def test_attention_runs_along_the_height_and_then_the_width():
    torch.manual_seed(0)
    block = AxialBlock(4, 4, 2, (3, 5), stride=1, positions=True).eval()
    x = torch.randn(1, 4, 3, 5)
    other = x.clone()
    other[0, :, 1, 2] += 1
    seen = []
    for layer in (block.vertical, block.horizontal):
        layer.register_forward_hook(lambda module, inputs, output: seen.append(output))
    block(x), block(other)
    vertical, horizontal = ((seen[i] - seen[i + 2]).abs().sum(1)[0] > 0 for i in range(2))
    assert torch.equal(vertical.T, torch.arange(5).eq(2).expand(3, 5))
    assert horizontal.all()


# ---- normalisation of the scores ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [False, True])
def test_variance_of_products_equals_that_of_the_formed_products(shared):
    torch.manual_seed(0)
    a = torch.randn(2, 6, 3, 5, dtype=torch.float64) + 0.5
    b = torch.randn(*(() if shared else (2,)), 6, 3, 7, dtype=torch.float64) - 0.3
    expected = (a.mT @ b).var((1, 2, 3), correction=0)
    torch.testing.assert_close(product_variance(a, b), expected)


def test_score_norm_is_batch_norm_as_far_as_a_softmax_can_tell():
    torch.manual_seed(0)
    heads, reference = 2, nn.BatchNorm3d(2)
    norm = ScoreNorm(heads)
    nn.init.uniform_(reference.weight)
    nn.init.uniform_(reference.bias)
    norm.load_state_dict({"weight": reference.weight.detach(), "running_variance": torch.ones(heads)})
    for mode in (True, False):
        norm.train(mode), reference.train(mode)
        for _ in range(3):
            a, b = torch.randn(heads, 6, 3, 5), torch.randn(heads, 6, 3, 7)
            scores = a.mT @ b
            expected = reference(scores.transpose(0, 1)[..., None])[..., 0].transpose(0, 1)
            # In evaluation batch norm divides by a running variance with n - 1 in place of n.
            tolerance = 1e-5 if mode else 1e-2
            torch.testing.assert_close(
                (norm(a, b) * scores).softmax(3), expected.softmax(3), atol=tolerance, rtol=tolerance
            )
    torch.testing.assert_close(norm.running_variance, reference.running_var, rtol=0.01, atol=0)


@torch.no_grad()
def test_each_term_of_the_scores_is_normalised_by_its_own_variance():
    layer = attention().train()
    x = torch.randn(2, 8, 3, 5, dtype=torch.float64)
    norms = (layer.content_norm, layer.query_norm, layer.key_norm)
    before = [norm.running_variance.clone() for norm in norms]
    layer(x)
    query, key, _ = layer.qkv_norm(layer.qkv(x)).unflatten(1, (2, 8)).split((2, 2, 4), 2)
    r_query, r_key, _ = layer.embeddings()
    terms = (
        torch.einsum("bhcri,bhcrj->bhrij", query, key),
        torch.einsum("bhcri,cij->bhrij", query, r_query),
        torch.einsum("bhcrj,cij->bhrij", key, r_key),
    )
    for norm, old, term in zip(norms, before, terms):
        variance = term.var((0, 2, 3, 4), correction=0)
        torch.testing.assert_close(norm.running_variance, 0.9 * old + 0.1 * variance)


def test_constant_scores_give_finite_gradients():
    a, b = torch.ones(2, 6, 3, 5, requires_grad=True), torch.ones(2, 6, 3, 5)
    ScoreNorm(2)(a, b).sum().backward()
    assert a.grad.isfinite().all()


# ---- branches -------------------------------------------------------------------------------------------------------


def test_patches_are_cut_row_by_row_and_go_back_in_place():
    image = torch.randn(2, 3, 32, 48)
    patches = to_patches(image)
    assert patches.shape == (32, 3, 8, 12)
    for b in range(2):
        for row in range(4):
            for column in range(4):
                cut = image[b, :, 8 * row : 8 * row + 8, 12 * column : 12 * column + 12]
                assert torch.equal(patches[16 * b + 4 * row + column], cut)
    assert torch.equal(from_patches(patches), image)


@torch.no_grad()
def test_the_local_branch_answers_in_the_patch_it_was_asked():
    model = build(image_size=(32, 64)).eval()
    image = torch.rand(2, 3, 32, 64)
    other = image.clone()
    other[1, :, 8:16, 48:64] = torch.rand(3, 8, 16)
    difference = [from_patches(model.local(to_patches(x))) for x in (image, other)]
    difference = (difference[0] - difference[1]).abs().sum(1) > 0
    assert difference[1, 8:16, 48:64].any()
    difference[1, 8:16, 48:64] = False
    assert not difference.any()


@torch.no_grad()
def test_the_global_branch_carries_a_change_across_the_image():
    model = build().eval()
    image = torch.rand(1, 3, 32, 32)
    other = image.clone()
    other[0, :, :4, :4] = torch.rand(3, 4, 4)
    assert ((model.whole(image) - model.whole(other)).abs().sum(1) > 0)[0, 24:, 24:].any()


@torch.no_grad()
def test_both_branches_add_up_before_the_head():
    model = build().eval()
    seen = {}
    for name in ("whole", "local", "head"):
        getattr(model, name).register_forward_hook(
            lambda module, inputs, output, name=name: seen.update({name: (inputs[0], output)})
        )
    logits = model(torch.rand(2, 3, 32, 32))
    assert seen["whole"][0].shape == (2, 3, 32, 32) and seen["local"][0].shape == (32, 3, 8, 8)
    torch.testing.assert_close(seen["head"][0], seen["whole"][1] + from_patches(seen["local"][1]))
    assert torch.equal(logits, seen["head"][1])


# ---- the network ----------------------------------------------------------------------------------------------------


def test_the_released_network_has_our_weights_and_some_that_do_nothing():
    """1,560,140 for colour images of 128 x 128 and two classes, counted from the authors' definition of the layers."""
    shifts = 3 * 2 * 3 * 8 + 8 * 2 * 8  # of batch-normalised scores: 3 global, 8 local blocks, 2 axes, 8 heads
    planes = (16, *2 * [32], *4 * [64], 128)
    unused = sum(p * p + p for p in planes) + 16 * 2 + 2  # a 1x1 convolution per local block, and a second head
    assert (shifts, unused) == (272, 35_536 + 34)
    assert count(build("paper", (128, 128))) == 1_560_140 - shifts - unused == 1_524_298


@pytest.mark.parametrize(("size", "side", "weights"), [("small", 128, 1_284_694), ("tiny", 32, 96_438)])
def test_smaller_sizes(size, side, weights):
    assert count(build(size, (side, side))) == weights


def test_only_the_global_branch_has_gates_and_positions():
    model = build("paper", (64, 64))
    names = [name for name, _ in model.named_parameters() if name.endswith((*GATES, "relative"))]
    assert len(names) == 3 * 2 * 5 and all(name.startswith("whole.") for name in names)


@pytest.mark.parametrize(
    ("size", "image_size"),
    [("tiny", (32, 32)), ("tiny", (48, 80)), ("small", (64, 96)), ("small", (96, 96)), ("paper", (64, 64))],
)
def test_segments_square_and_oblong_images(size, image_size):
    model = build(size, image_size, classes=3, in_channels=1).eval()
    with torch.no_grad():
        logits = model(torch.rand(1, 1, *image_size))
    assert logits.shape == (1, 3, *image_size) and logits.isfinite().all()


@pytest.mark.parametrize(
    ("size", "image_size", "words"),
    [
        ("tiny", (32, 40), "each a multiple of 16"),
        ("tiny", (32, 16), "at least 32"),
        ("small", (128, 48), "at least 64"),
    ],
)
def test_an_image_size_that_does_not_fit_is_refused(size, image_size, words):
    with pytest.raises(ValueError, match=rf"image_size is \({image_size[0]}, {image_size[1]}\).*{words}"):
        build(size, image_size)


def test_an_unknown_size_and_three_dimensions_are_refused():
    with pytest.raises(ValueError, match="method.size is 'huge', expected one of tiny, small, paper"):
        build("huge")
    assert MedT.supports(2, 4) is None
    with pytest.raises(ValueError, match="published for 2D images; the data are 3D.*swinunetr"):
        MedT(3, 1, 2, (32, 32, 32), size="tiny")


def test_configuration_builds_the_method():
    config = OmegaConf.to_container(OmegaConf.load(CONF), resolve=False)
    for key in ("title", "summary", "training"):
        assert config.pop(key)
    standard = dict(spatial_dims=2, in_channels=1, classes=2, image_size=(32, 32))
    model = instantiate(config | {"size": "tiny"}, **standard)
    assert isinstance(model, MedT) and count(model) == count(build(in_channels=1))
