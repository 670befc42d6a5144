"""Bright discs on a dark ground: what a generative method must learn to read off the image within a short training."""

from collections.abc import Callable

import torch

from methods.base import Sampling, Segmenter


def assert_it_reads_the_image(model: Segmenter, rate: float, decay: Callable[[float], float], sampling: Sampling):
    """Train for 300 steps, on new images at every one; with the image of another case the result must be wrong.

    decay: factor on `rate` at a share of the training that is done.
    """
    steps = 300
    optimizer = model.optimizer("train", rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: decay(step / steps))
    for step in range(steps):
        optimizer.zero_grad()
        torch.manual_seed(step)  # dropout
        model.loss(*discs(8, seed=step), "train", torch.Generator().manual_seed(step))["total"].backward()
        optimizer.step()
        schedule.step()
    image, label = discs(16, seed=10_000)
    own, other = (dsc(segment(model, x, sampling), label) for x in (image, image.roll(1, 0)))
    assert own > 0.7 and other < own - 0.25


def segment(model, image, sampling):
    generators = [torch.Generator().manual_seed(i) for i in range(len(image))]
    return model.eval().segment(image, sampling, generators).argmax(1)


def dsc(predicted, label):
    return (2 * (predicted * label).sum((1, 2)) / (predicted + label).sum((1, 2))).mean().item()


def discs(count, seed):
    """Images (count, 3, 32, 32) and labels (count, 32, 32) with a disc each."""
    random = torch.Generator().manual_seed(seed)
    grid = torch.stack(torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij"))
    centre = 8 + 16 * torch.rand(count, 2, 1, 1, generator=random)
    radius = 4 + 5 * torch.rand(count, 1, 1, generator=random)
    label = ((grid - centre).square().sum(1) < radius**2).long()
    noise = 0.2 * torch.rand(count, 3, 32, 32, generator=random)
    return 0.2 + 0.5 * label[:, None] + noise, label
