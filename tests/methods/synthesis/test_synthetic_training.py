"""What synthetic images are for: a segmenter that never saw a real one, tested on real ones."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from methods.synthesis.base import scaled
from methods.synthesis.echo_from_noise import EchoFromNoise

SIDE, CASES = 32, 48
GREYS = torch.tensor([0.2, 0.5, 0.8])


def phantoms(seed):
    """Images in [0, 1] of two discs in three intensities with noise, and their labels."""
    random = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    label = torch.zeros(CASES, SIDE, SIDE, dtype=torch.int64)
    for one in label:
        for k in (1, 2):
            row, column = 8 + 16 * torch.rand(2, generator=random)
            one[(y - row) ** 2 + (x - column) ** 2 < (4 + 3 * torch.rand((), generator=random)) ** 2] = k
    noise = 0.06 * torch.randn(label.shape, generator=random)
    return (GREYS[label] + noise).clamp(0, 1)[:, None], label


def trained_synthesizer(image, label, steps):
    torch.manual_seed(0)
    model = EchoFromNoise(2, 1, 3, (SIDE, SIDE), size="tiny", field=False)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for step in range(steps):
        random = torch.Generator().manual_seed(step)
        chosen = torch.randint(0, CASES, (8,), generator=random)
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * (1 - step / steps) ** 0.9
        optimizer.zero_grad()
        model.loss(image[chosen], label[chosen], "train", random)["total"].backward()
        optimizer.step()
    return model.eval()


def dice_on_real(image, label, test):
    """Mean Dice over cases and classes of real test images, of a small segmenter trained on images in [-1, 1]."""
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 3, 1),
    ]
    model = nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(120):
        chosen = torch.randint(0, len(image), (8,), generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        F.cross_entropy(model(image[chosen]), label[chosen]).backward()
        optimizer.step()
    with torch.no_grad():
        found = model(scaled(test[0])).argmax(1)
    scores = []
    for k in (1, 2):
        p, y = found == k, test[1] == k
        sizes = (p.sum((1, 2)) + y.sum((1, 2))).float()
        scores.append(((2 * (p & y).sum((1, 2)) / sizes.clamp(min=1)) + (sizes == 0)).mean())
    return torch.stack(scores).mean().item()


def test_a_segmenter_trained_on_synthetic_phantoms_knows_real_ones_and_shuffled_maps_do_not_teach_it():
    (image, label), (more, maps), test = phantoms(0), phantoms(1), phantoms(2)
    model = trained_synthesizer(image, label, 200)
    made = model.synthesize(maps, [torch.Generator().manual_seed(i) for i in range(CASES)], 15)
    real, synthetic, shuffled = (
        dice_on_real(scaled(image), label, test),
        dice_on_real(made, maps, test),
        dice_on_real(made, maps.roll(1, 0), test),
    )
    assert real > 0.8, real
    assert synthetic >= 0.8 * real, (synthetic, real)
    assert shuffled < synthetic - 0.3, (shuffled, synthetic)
    # The pictures themselves: each class has its intensity, on the scale of real ones.
    expected = scaled(more)
    for k in range(3):
        there = (maps == k)[:, None]
        assert made[there].mean().item() == pytest.approx(expected[there].mean().item(), abs=0.1)
