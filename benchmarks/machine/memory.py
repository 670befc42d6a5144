"""Whether a training fits into memory, estimated before it starts from a small part of it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path

import psutil
import torch
from torch import Tensor

from benchmarks import console
from benchmarks.errors import BadInput
from benchmarks.machine import measure
from benchmarks.plan import building, identity
from benchmarks.seeding import generator_for
from benchmarks.store.config import TrialConfig
from benchmarks.store.files import made_once
from benchmarks.training.optimizers import optimizer_of
from benchmarks.training.recomputation import checkpoint_gradients
from methods.base import Segmenter

ASKED_FROM = 2**20
"""Voxels of a training batch below which nothing is estimated: such trainings take a few GiB at most."""
TELLS = 8
"""How many times the memory of the gradients the activations of an image must take for it to tell about larger ones."""
GIB = 2**30


def reason_against(config: TrialConfig, cache: Path, device: torch.device, there: float) -> str | None:
    """Why a trial (its config) will not fit into `there` bytes of `device`, in words for the report; None if it will.

    Trainings on small images are not asked."""
    if prod(config.dataset.image_size) * config.training.batch_size < ASKED_FROM:
        return None
    return shortage(estimate(config, cache, device), there)


def estimate(config: TrialConfig, cache: Path, device: torch.device) -> float:
    """Peak memory of training a trial, in bytes, kept in `cache`, since it takes a training step of a small image."""
    dataset = config.dataset
    asked = [config.method.to_json(), dataset.image_size, dataset.channels, len(dataset.class_names),
             config.training.to_json(), config.code, device.type]  # fmt: skip
    path = cache / "memory" / f"{identity.digest(asked)}.json"

    def measured() -> dict:
        console.say(f"  estimating the memory that training {config.method.name} takes at {dataset.size}")
        return {"bytes": training_bytes(config, device)}

    return made_once(path, measured)["bytes"]


def shortage(needed: float, there: float) -> str | None:
    """The row's text where `needed` bytes are more than `there`, else None."""
    if needed <= there:
        return None
    return f"out of memory: needs about {needed / GIB:.3g} GiB, {there / GIB:.3g} GiB available"


def available(device: torch.device) -> int:
    """Bytes that may still be allocated on `device`; on a CPU also within the limit of a container (cgroup v2)."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free = psutil.virtual_memory().available
    try:
        limit, used = (Path(f"/sys/fs/cgroup/memory.{name}").read_text().strip() for name in ("max", "current"))
        return min(free, int(limit) - int(used))
    except (OSError, ValueError):  # no such files, or "max": no limit
        return free


def training_bytes(config: TrialConfig, device: torch.device) -> float:
    """Peak memory of training a trial, in bytes: activations for the smallest image that tells, scaled by the number of
    voxels, and what every parameter needs at full size.

    Of each parameter there are the weight, its gradient, the optimiser's state, the moving average and the best
    weights so far. Activations of attention over all voxels grow faster than this; the methods here attend on coarse
    grids or in windows.
    """
    full = building.build(config.method, config.dataset)
    settings, size = config.training, config.dataset.image_size
    parameters = sum(p.numel() * p.element_size() for p in full.parameters())
    fixed = sum(t.numel() * t.element_size() for t in full.state_dict().values())
    averaged = parameters if full.ema_decay else 0
    del full
    images = -(-settings.batch_size // settings.accumulate)
    sizes = list(_smaller(size))
    for small, larger in zip(sizes, [*sizes[1:], None]):
        try:
            model = building.build(config.method, replace(config.dataset, image_size=tuple(small))).to(device)
            if settings.checkpointing:
                checkpoint_gradients(model)
            one, gradients, states = _step(model, config, small, 1, device)
            if larger and one < TELLS * gradients and _safe(2 * one * prod(larger) / prod(small), device):
                continue
            two = _step(model, config, small, 2, device)[0]
        except (BadInput, ValueError):  # too small to be halved so often, or to be normalised over
            if larger is None:
                raise
            continue
        # What grows with the number of images is activations and grows with their size as well; the rest, such as
        # rearranged weights, does not.
        each = max(0.0, two - one)
        activations = (one - each) + each * images * prod(size) / prod(small)
        best = fixed if device.type == "cpu" else 0
        return fixed + parameters * (1 + states) + averaged + best + activations
    raise AssertionError("the full size itself is the last that is tried")


def _safe(needed: float, device: torch.device) -> bool:
    """Whether a trial step of so many bytes leaves the machine at work."""
    return needed < available(device) / 4


def _smaller(size: Sequence[int]) -> Iterator[list[int]]:
    """Images of the same proportions, the smallest first, the full size last."""
    for divisor in (16, 8, 4, 2):
        if all(side % divisor == 0 and side // divisor >= 8 for side in size):
            yield [side // divisor for side in size]
    yield list(size)


def _step(
    model: Segmenter, config: TrialConfig, size: Sequence[int], images: int, device: torch.device
) -> tuple[float, float, float]:
    """Of one training step: bytes of activations at the peak and of gradients, and the optimiser's numbers for each
    parameter; the stage that takes most counts."""
    random, dataset = generator_for("memory"), config.dataset
    image = torch.rand((images, dataset.channels, *size), generator=random).to(device)
    label = torch.randint(dataset.classes, (images, *size), generator=random).to(device)
    most = largest = states = 0.0
    for stage in model.train().stages:
        optimizer = optimizer_of(model, stage, replace(config.training, learning_rate=0.0))
        trained = [p for group in optimizer.param_groups for p in group["params"]]

        def forward(stage: str = stage) -> Tensor:
            return model.loss(image, label, stage, generator_for("memory"))["total"]

        # Of a large network on a small image the gradients fill up while the activations drain: the peak of both says
        # too little about the activations, the forward pass alone about what its backward pass needs besides.
        peaks = [measure.peak_memory(forward, device), measure.peak_memory(lambda: forward().backward(), device)]
        gradients = sum(p.grad.numel() * p.grad.element_size() for p in trained if p.grad is not None)
        most, largest = max(most, peaks[0], peaks[1] - gradients), max(largest, gradients)
        optimizer.step()
        held = sum(t.numel() for state in optimizer.state.values() for t in state.values() if torch.is_tensor(t))
        states = max(states, held / max(1, sum(p.numel() for p in trained)))
        optimizer.zero_grad(set_to_none=True)
    return most, largest, states
