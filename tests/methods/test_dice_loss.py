"""The Dice losses of LDSeg: pooled, by class and of the foreground."""

import pytest
import torch
import torch.nn.functional as F

from methods.ldseg import dice_loss


def test_pooled_dice_is_one_minus_the_mean_true_class_probability():
    random = torch.Generator().manual_seed(0)
    probability = torch.randn(2, 3, 8, 8, generator=random).softmax(1)
    label = torch.randint(0, 3, (2, 8, 8), generator=random)
    expected = 1 - probability.gather(1, label[:, None]).mean()
    torch.testing.assert_close(dice_loss(probability, label), expected, atol=1e-6, rtol=0)


def test_dice_by_class_counts_only_classes_that_are_there():
    label = torch.zeros(1, 4, 4, dtype=torch.long)
    label[:, :2] = 1
    perfect = F.one_hot(label, 3).movedim(-1, 1).float()
    assert dice_loss(perfect, label, "per_class").item() == pytest.approx(0, abs=1e-6)
    background = torch.zeros(1, 3, 4, 4)
    background[:, 0] = 1
    # Background: 2 * 8 / (16 + 8); class 1: nothing found.
    assert dice_loss(background, label, "per_class").item() == pytest.approx((1 - 2 / 3 + 1) / 2, abs=1e-5)
    assert dice_loss(background, label, "foreground").item() == pytest.approx(1)
    assert dice_loss(background, torch.zeros_like(label), "foreground").item() == 0
