"""What a method costs: seconds and peak memory per image, measured side by side in one run."""

import statistics
import time
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.machine.engines import own_memory
from benchmarks.seeding import generator_for
from methods.base import Sampling, Segmenter

WARM_UP = 2


def parameters(model: torch.nn.Module) -> int:
    """Number of trainable numbers."""
    return sum(p.numel() for p in model.parameters())


def training_step(model: Segmenter, shape: tuple[int, ...], classes: int) -> float:
    """Seconds of one optimiser step on the CPU for images of `shape` (B, C, *S): the faster of two after a warm-up; 0
    for a method with nothing to learn."""
    if not parameters(model):
        return 0.0
    random = generator_for("timing")
    image = torch.rand(shape, generator=random)
    label = torch.randint(classes, (shape[0], *shape[2:]), generator=random)
    optimizer = model.optimizer(model.stages[0], 1e-4)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        optimizer.zero_grad()
        model.loss(image, label, model.stages[0], random)["total"].backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


@torch.inference_mode()
def segmentation(model: Segmenter, shape: tuple[int, ...], samplings: list[Sampling | None]) -> float:
    """Seconds, roughly and rather too many, of segmenting an image of `shape` (1, C, *S) on the CPU in all these ways.

    The shortest way is timed once after a warm-up and scaled by the number of network evaluations.
    """
    image = torch.rand(shape, generator=generator_for("timing"))
    shortest = Sampling(2)
    call = _call(model.eval(), shortest, image)
    call()
    started = time.perf_counter()
    call()
    each = (time.perf_counter() - started) / model.network_evaluations(shortest)
    return each * sum(model.network_evaluations(sampling or shortest) for sampling in samplings)


@torch.inference_mode()
def inference(contestants: list[tuple[Segmenter, Sampling | None]], image: torch.Tensor, repeats: int) -> list[dict]:
    """Cost of segmenting one image, per contestant (a model and how it is sampled; None for deterministic ones).

    image: (1, C, *S) on the models' device. The contestants take turns, so that a slow spell of the machine hits all of
    them alike. Returns dicts with steps, sampler, ensemble, nfe, seconds (a list with a call of every round, so that
    the same place in two lists is the same round), seconds_median, seconds_iqr, repeats, peak_memory_mib (memory that
    tensors take beyond the weights; on the CPU, what PyTorch's allocator hands out; None where an engine has memory of
    its own).
    """
    calls = [_call(model, sampling, image) for model, sampling in contestants]
    for call in calls:
        for _ in range(WARM_UP):
            call()
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for call, taken in zip(calls, seconds, strict=True):
            taken.append(timed(call, image.device))
    rows = []
    for (model, sampling), call, taken in zip(contestants, calls, seconds, strict=True):
        quartiles = statistics.quantiles(taken, n=4) if len(taken) > 1 else [taken[0]] * 3
        rows.append(
            {
                "steps": sampling.steps if sampling else None,
                "sampler": sampling.sampler if sampling else None,
                "ensemble": sampling.ensemble if sampling else None,
                "nfe": model.network_evaluations(sampling or Sampling()),
                "seconds": taken,
                "seconds_median": statistics.median(taken),
                "seconds_iqr": quartiles[2] - quartiles[0],
                "repeats": repeats,
                "peak_memory_mib": None if own_memory(model) else peak_memory(call, image.device) / 2**20,
            }
        )
    return rows


def _call(model: Segmenter, sampling: Sampling | None, image: torch.Tensor) -> Callable[[], torch.Tensor]:
    return lambda: model.segment(image, sampling or Sampling(), [generator_for("timing")])


def timed(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, from an idle device to an idle device."""
    _synchronise(device)
    started = time.perf_counter()
    call()
    _synchronise(device)
    return time.perf_counter() - started


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(call: Callable[[], object], device: torch.device) -> int:
    """Bytes that `call` had allocated at most at one moment beyond what was allocated before it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        call()
    events = [e for e in trace.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak
