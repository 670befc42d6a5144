"""The losses by which an autoencoder and its discriminators are trained against each other, in one backward pass."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.synthesis.vqgan import Discriminators

MATCHING = 4.0
"""Weight of feature matching beside the adversarial loss, both of Med-LSDM's configurations."""


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """What a discriminator minimises: half of E[max(0, 1 - real)] + E[max(0, 1 + fake)] of its logits."""
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())


def generator_loss(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """What the autoencoder minimises against one discriminator: -E[logits of its reconstructions] and 4 times the mean
    difference of all feature maps before them from those of the real ones."""
    matching = sum(F.l1_loss(a, b.detach()) for a, b in zip(fake[:-1], real[:-1], strict=True))
    return -fake[-1].mean() + MATCHING * matching


def adversarial_losses(
    judges: Discriminators, real: Tensor, fake: Tensor, slices: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """(loss of the reconstruction, loss of the discriminators), to be summed and taken back together.

    real, fake: (B, C, D, H, W) in [-1, 1]; slices: one index along D of each. The gradient of the first reaches `fake`
    alone: it is taken through the discriminators here and passed on by a product whose value is 0. The second sees
    `fake` detached. So one backward pass gives each side its own gradient, both at the weights of before the step.
    """
    at = fake.detach().requires_grad_()
    of_real = judges(real, slices)
    with torch.enable_grad():
        loss = sum(generator_loss(a, b) for a, b in zip(judges(at, slices), of_real, strict=True))
        (gradient,) = torch.autograd.grad(loss, at)
    passed_on = ((fake - fake.detach()) * gradient).sum()
    of_fake = judges(fake.detach(), slices)
    return loss.detach() + passed_on, sum(hinge(a[-1], b[-1]) for a, b in zip(of_real, of_fake, strict=True))
