"""What a training step of each method, and each part of LDSeg's inference, takes beside what it computes:
python -m benchmarks.speed.floors [METHOD or PART ...]

The floor is the step's convolutions, products and attention at the rate of a 3x3 convolution and its gradients
here. Seconds are of one thread's processor time, which a busy machine lengthens less than it does the clock's. What
they are spent on is PyTorch's profiler's: the largest operations, each without those that it calls. Steps are those of
benchmarks/speed/parts.py: size `small`, eight colour images of 128x128, loss, gradient and Adam. Parts of inference are
those of one colour image of 512x512 at the paper's width, at the rate of the convolution without its gradients.
"""

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.machine import operations
from benchmarks.machine.allocation import keep_freed_memory
from benchmarks.speed.parts import METHODS, PARTS, inference, training

WARM_UP, STEPS, LARGEST = 2, 3, 3


def seconds(call: Callable[[], object]) -> float:
    """Median processor time of a call."""
    found = []
    for _ in range(STEPS):
        started = time.process_time()
        call()
        found.append(time.process_time() - started)
    return statistics.median(found)


def rate(channels: int = 64, side: int = 64, images: int = 8, gradients: bool = True) -> float:
    """Floating-point operations a second of a 3x3 convolution, with or without its gradients."""
    layer = torch.nn.Conv2d(channels, channels, 3, padding=1)
    x = torch.rand(images, channels, side, side, requires_grad=True)

    def call() -> None:
        with torch.set_grad_enabled(gradients):
            result = layer(x)
        if gradients:
            result.sum().backward()

    for _ in range(WARM_UP):
        call()
    return operations.counts(call).arithmetic / seconds(call)


def largest(call: Callable[[], object]) -> list[tuple[str, float]]:
    """The operations that most of a call is spent in, with their shares of it."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        call()
    times = {event.key: event.self_cpu_time_total for event in found.key_averages()}
    whole = sum(times.values())
    return [(name, times[name] / whole) for name in sorted(times, key=times.__getitem__, reverse=True)[:LARGEST]]


def main(names: list[str]) -> None:
    """Print the table, a row as soon as it is known."""
    torch.set_num_threads(1)
    keep_freed_memory()
    speeds = {gradients: rate(gradients=gradients) for gradients in (True, False)}
    print(
        f"A 3x3 convolution and its gradients: {speeds[True] / 1e9:.0f} GFLOP/s, without: {speeds[False] / 1e9:.0f}\n"
    )
    print(
        "| method or part | GFLOP | floor, s | measured, s | times the floor | most of it |\n|---|--:|--:|--:|--:|---|"
    )
    for name in names or [*METHODS, *(part for part in PARTS if not part.startswith("training_"))]:
        trained = name in METHODS
        step = training(name, nullcontext) if trained else inference(name, nullcontext, "f32")
        for _ in range(WARM_UP):
            step()
        measured, arithmetic = seconds(step), operations.counts(step).arithmetic
        floor = arithmetic / speeds[trained]
        most = ", ".join(f"`{operation.removeprefix('aten::')}` {share:.0%}" for operation, share in largest(step))
        row = f"{arithmetic / 1e9:.1f} | {floor:.3f} | {measured:.3f} | {measured / floor:.1f}"
        print(f"| `{name}` | {row} | {most} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
