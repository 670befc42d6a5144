"""Every sampler with every diffusion method, on a model that has learnt something: none may cost accuracy."""

from functools import cache
from pathlib import Path

import pytest
import torch
from hydra.utils import get_class
from omegaconf import OmegaConf

from benchmarks.training.loop import lr_factor
from methods.base import Segmenter
from methods.flowsdf import FlowSDF
from methods.sampling import SAMPLERS, Sampling
from tests.methods.discs import discs, dsc, segment

CONF = Path(__file__).parents[3] / "conf" / "method"
STEPS = {"ldseg": (300,), "lsegdiff": (150, 300), "medsegdiff": (40,), "sdf_ddpm": (100,), "sdseg": (75, 150)}
"""Optimiser steps of each stage."""
OWN = {"ldseg": {"decode": "state"}}
"""On latents of 4x4 voxels LDSeg learns discs with this decoding only: standardised, they do not tell a disc's size."""
NO_CHOICE = FlowSDF
"""A path without a noise schedule has one sampler."""
IMAGES = {True: 24, False: 8}
"""New discs for methods that diffuse latents, and for those that diffuse pixels, which take longer."""
LOSS = 0.02
"""The most DSC that a sampler may lose against ddim with as many steps."""
KNOWN = {
    ("ldseg", "ddpm"): {5: 0.034, 10: 0.055, 20: 0.060},
    ("lsegdiff", "ddpm"): {5: 0.021, 10: 0.040, 20: 0.067},
}
"""Where more was lost, by steps; `LOSS` more is allowed. Both are shown every sample at T-1 (docs/methods.md)."""


@cache
def trained(name: str):
    """A method of size tiny, trained on discs with the rate and the decay of its own configuration."""
    settings = OmegaConf.load(CONF / f"{name}.yaml")
    torch.manual_seed(0)
    model = get_class(settings["_target_"])(2, 3, 2, (32, 32), size="tiny", **OWN.get(name, {}))
    for stage, steps in zip(model.stages, STEPS[name], strict=True):
        model.prepare_stage(stage, (discs(8, seed=step) for step in range(8)))
        optimizer = model.optimizer(stage, settings.training.tiny.learning_rate)
        rates = [group["lr"] for group in optimizer.param_groups]
        model.train()
        for step in range(steps):
            factor = lr_factor(step / steps, settings.training.tiny.lr_schedule, 1.0)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            optimizer.zero_grad()
            torch.manual_seed(step)  # dropout
            model.loss(*discs(8, seed=step), stage, torch.Generator().manual_seed(step))["total"].backward()
            optimizer.step()
    return model.eval()


@cache
def score(name: str, sampler: str, steps: int) -> float:
    """Mean DSC of new discs."""
    image, label = discs(IMAGES[trained(name).process().latent], seed=10_000)
    return dsc(segment(trained(name), image, Sampling(steps, sampler)), label)


def test_every_diffusion_method_is_tried():
    """By their classes: ablations and methods that are trained otherwise have those of others."""
    classes = {get_class(OmegaConf.load(path)["_target_"]) for path in CONF.glob("*.yaml")}
    diffusing = {cls for cls in classes if issubclass(cls, Segmenter) and cls.generative}
    assert diffusing - {NO_CHOICE} == {get_class(OmegaConf.load(CONF / f"{name}.yaml")["_target_"]) for name in STEPS}


@pytest.mark.parametrize("steps", [5, 10, 20])
@pytest.mark.parametrize("sampler", [sampler for sampler in SAMPLERS if sampler != "ddim"])
@pytest.mark.parametrize("name", STEPS)
def test_no_sampler_loses_accuracy_against_ddim(name, sampler, steps):
    known = KNOWN.get((name, sampler), {}).get(steps, 0)
    assert score(name, "ddim", steps) > 0.6  # it has learnt something, so there is something to lose
    assert score(name, sampler, steps) > score(name, "ddim", steps) - LOSS - known
