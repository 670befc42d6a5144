"""Gated axial attention against plain loops, and the normalisation of its scores."""

import pytest
import torch
from torch import nn

from methods.blocks.axial_attention import AxialAttention, AxialBlock, ScoreNorm, product_variance

GATES = ("gate_query", "gate_key", "gate_value", "gate_position")


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
