"""The autoencoder of Med-LSDM: shapes, ranges, and that each side of the contest gets its own gradient."""

import pytest
import torch

from methods.synthesis.adversarial import MATCHING, adversarial_losses, hinge
from methods.synthesis.med_lsdm import LATENT, SIZES
from methods.synthesis.spade import one_hot
from methods.synthesis.vqgan import Decoder, Discriminators, Encoder


def networks(size, map_channels=0):
    layout = SIZES[size]
    steer = (map_channels, layout.hidden) if map_channels else ()
    return Encoder(1, layout.width, LATENT, layout.groups), Decoder(1, layout.width, LATENT, layout.groups, *steer)


@pytest.mark.parametrize(
    "size, volume, latent", [("paper", (32, 256, 256), (8, 64, 64)), ("small", (32, 48, 32), (8, 12, 8))]
)
@pytest.mark.parametrize("map_channels", [0, 3])
def test_shapes_as_published_and_as_small(size, volume, latent, map_channels):
    with torch.device("meta"):
        encoder, decoder = networks(size, map_channels)
        z = encoder(torch.empty(1, 1, *volume))
        condition = torch.empty(1, 3, *volume) if map_channels else None
        assert z.shape == (1, LATENT, *latent)
        assert decoder(z, condition).shape == (1, 1, *volume)


def test_the_published_networks_have_the_parameters_of_the_authors():
    def count(module):
        return sum(p.numel() for p in module.parameters())

    with torch.device("meta"):
        encoder, normal = networks("paper")
        _, steered = networks("paper", 37)
    assert (count(encoder), count(normal), count(steered)) == (442_088, 948_993, 2_365_953)


def test_volumes_lie_within_minus_one_and_one_whatever_the_latents():
    _, decoder = networks("tiny", 3)
    condition = one_hot(torch.randint(0, 3, (2, 8, 8, 8)), 3)
    volume = decoder(50 * torch.randn(2, LATENT, 2, 2, 2), condition)
    assert volume.abs().max() <= 1


def test_only_a_decoder_with_spade_sees_the_map():
    z = torch.randn(1, LATENT, 2, 2, 2)
    maps = [one_hot(torch.full((1, 8, 8, 8), k), 3) for k in (0, 1)]
    for channels, seen in ((0, False), (3, True)):
        torch.manual_seed(0)
        _, decoder = networks("tiny", channels)
        assert torch.equal(decoder(z, maps[0]), decoder(z, maps[1])) != seen


def test_growing_continues_the_border():
    """A constant latent gives a constant inside and no seam at the border of the first enlargement."""
    _, decoder = networks("tiny")
    grown = decoder.grow[0](torch.ones(1, 16, 3, 3, 3))
    even = grown[..., ::2, ::2, ::2]
    assert grown.shape == (1, 16, 6, 6, 6)
    torch.testing.assert_close(even, even[..., :1, :1, :1].expand_as(even))


def contest():
    torch.manual_seed(0)
    judges = Discriminators(1, 4, 1)
    real = torch.randn(2, 1, 16, 16, 16).tanh()
    fake = torch.randn(2, 1, 16, 16, 16).tanh().requires_grad_()
    return judges, real, fake


def test_hinge_by_hand():
    assert hinge(torch.tensor([2.0, 0.5]), torch.tensor([-2.0, 0.0])).item() == pytest.approx(0.5 * (0.25 + 0.5))


def test_each_side_gets_its_own_gradient_from_one_backward_pass():
    judges, real, fake = contest()
    generator, own = adversarial_losses(judges, real, fake, [3, 9])
    (generator + own).backward()
    found = fake.grad.clone(), [p.grad.clone() for p in judges.parameters()]

    fake.grad = None
    of_real = judges(real, [3, 9])
    loss = 0
    for a, b in zip(judges(fake, [3, 9]), of_real, strict=True):
        loss = loss - a[-1].mean() + MATCHING * sum((x - y).abs().mean() for x, y in zip(a[:-1], b[:-1], strict=True))
    (expected,) = torch.autograd.grad(loss, fake)
    torch.testing.assert_close(found[0], expected)
    torch.testing.assert_close(generator.detach(), loss.detach())

    judges.zero_grad()
    of_fake = judges(fake.detach(), [3, 9])
    sum(hinge(a[-1], b[-1]) for a, b in zip(judges(real, [3, 9]), of_fake, strict=True)).backward()
    for mine, parameter in zip(found[1], judges.parameters(), strict=True):
        torch.testing.assert_close(mine, parameter.grad)


def test_judges_learn_to_tell_and_the_reconstruction_to_be_taken_for_real():
    judges, real, fake = contest()
    optimizer = torch.optim.Adam(judges.parameters(), 1e-2)
    first = None
    for _ in range(15):
        _, own = adversarial_losses(judges, real, fake, [3, 9])
        optimizer.zero_grad()
        own.backward()
        optimizer.step()
        first = own.item() if first is None else first
    assert own.item() < 0.5 * first
    generator, _ = adversarial_losses(judges, real, fake, [3, 9])
    (gradient,) = torch.autograd.grad(generator, fake)
    better = (fake - 0.5 * gradient / gradient.abs().max()).detach().requires_grad_()
    assert adversarial_losses(judges, real, better, [3, 9])[0] < generator


def test_one_slice_of_each_volume_is_judged():
    judges, real, _ = contest()
    judges.eval()
    changed = real.clone()
    changed[:, :, 5] += 1
    same, other = (judges(changed, at)[0][-1] for at in ([3, 9], [5, 9]))
    assert torch.equal(same, judges(real, [3, 9])[0][-1])
    plain = judges(real, [5, 9])[0][-1]
    assert not torch.equal(other[0], plain[0]) and torch.equal(other[1], plain[1])
