"""FF-Parser and fusion of MedSegDiff against direct formulas in float64."""

import math

import numpy as np
import pytest
import torch

from methods.blocks.ff_parser import FFParser, Fusion
from tests.methods.tensors import normal, shaken

GRIDS = [(6, 4), (5, 7), (4, 5), (3, 4, 6), (3, 2, 5)]


def fourier(size):
    """(N, N) matrix of exp(-2 pi i k n / size) over all frequencies k and voxels n of a grid, row by row."""
    matrix = np.ones((1, 1))
    for n in size:
        matrix = np.kron(matrix, np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n))
    return torch.from_numpy(matrix)


@pytest.mark.parametrize("size", GRIDS)
@pytest.mark.parametrize("weights", ["complex", "real_full"])
def test_parser_is_the_identity_before_training(size, weights):
    x = normal(2, 3, *size)
    torch.testing.assert_close(FFParser(3, size, weights).double()(x), x, atol=1e-13, rtol=0)


@pytest.mark.parametrize("size", GRIDS)
@pytest.mark.parametrize("weights", ["complex", "real_full"])
def test_parser_with_nothing_but_the_zero_frequency_gives_channel_means(size, weights):
    parser, x = FFParser(3, size, weights).double(), normal(2, 3, *size)
    with torch.no_grad():
        parser.real.zero_()
        parser.real[(slice(None), *[0] * len(size))] = 1
    mean = x.mean(tuple(range(2, x.ndim)), keepdim=True)
    torch.testing.assert_close(parser(x), mean.expand_as(x), atol=1e-13, rtol=0)


@pytest.mark.parametrize("size", GRIDS)
def test_parser_equals_the_sum_over_the_half_spectrum(size):
    """Every frequency off the mirror planes of the last axis stands for its conjugate, too."""
    parser, x, n = shaken(FFParser(2, size).double(), 1.0), normal(1, 2, *size), math.prod(size)
    half, last = size[-1] // 2 + 1, size[-1]
    weight = torch.full((half,), 2.0, dtype=torch.float64)
    weight[0] = 1
    if last % 2 == 0:
        weight[-1] = 1
    kept = torch.arange(n).reshape(size)[..., :half].flatten()
    matrix = fourier(size)[kept]  # (frequencies, voxels)
    a = torch.complex(parser.real, parser.imaginary).flatten(1) * weight.repeat(len(kept) // half)
    spectrum = torch.einsum("kn,bcn->bck", matrix, x.flatten(2).to(matrix))
    expected = torch.einsum("ck,bck,kn->bcn", a, spectrum, matrix.conj()).real / n
    torch.testing.assert_close(parser(x).flatten(2), expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("size", GRIDS)
def test_real_parser_equals_the_sum_over_the_whole_spectrum(size):
    parser, x = shaken(FFParser(2, size, "real_full").double(), 1.0), normal(1, 2, *size)
    matrix = fourier(size)
    spectrum = torch.einsum("kn,bcn->bck", matrix, x.flatten(2).to(matrix))
    a = parser.real.flatten(1).to(matrix)
    expected = torch.einsum("ck,bck,kn->bcn", a, spectrum, matrix.conj()).real / math.prod(size)
    torch.testing.assert_close(parser(x).flatten(2), expected, atol=1e-12, rtol=1e-12)


def test_parser_transforms_half_precision_in_single():
    parser, x = FFParser(1, (32, 32)), 300 * torch.ones(1, 1, 32, 32, dtype=torch.float16)
    y = parser(x)  # the sum over the image, 300 * 32 in an orthonormal transform, times A would overflow soon
    assert y.dtype == torch.float16
    torch.testing.assert_close(y, x)
    parser.real.data *= 100
    torch.testing.assert_close(parser(x), 100 * x)


@pytest.mark.parametrize("size", [(4, 6), (2, 3, 4)])
def test_fusion_equals_the_naive_formula(size):
    fusion = shaken(Fusion(5, size).double(), 0.5)
    mask, image = normal(2, 5, *size, seed=1), normal(2, 5, *size, seed=2)
    parsed, expected = fusion.parser(mask), torch.empty_like(image)
    for b in range(2):
        for voxel in np.ndindex(*size):
            place = (b, slice(None), *voxel)
            normed = []
            for m, norm in ((image[place], fusion.norm_image), (parsed[place], fusion.norm_mask)):
                standard = (m - m.mean()) / ((m - m.mean()).square().mean() + 1e-5).sqrt()
                normed.append(norm.scale * standard + norm.shift)
            expected[place] = normed[0] * normed[1] * image[place]
    torch.testing.assert_close(fusion(mask, image), expected, atol=1e-12, rtol=1e-12)


def test_fusion_of_an_empty_image_stream_is_zero():
    fusion = shaken(Fusion(5, (4, 6)))
    assert not fusion(torch.randn(2, 5, 4, 6), torch.zeros(2, 5, 4, 6)).any()
