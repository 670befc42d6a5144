"""The device, the precision and the threads a trial is worked on with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import DictConfig

from benchmarks import console
from benchmarks.errors import BadInput
from benchmarks.machine.allocation import keep_freed_memory

if TYPE_CHECKING:
    from lightning_fabric import Fabric

MOST_THREADS = 1024
"""Of one process: the library of threads ends it without a word where it cannot start as many as are asked for."""


def fabric_for(config: DictConfig) -> Fabric:
    """lightning-fabric for `device` and `training.precision`; switches PyTorch's deterministic mode as `deterministic`
    says and takes as many `threads`. Raises BadInput for a device that is not there."""
    return _fabric(config, config.threads, 1)


def team_fabric(config: DictConfig, devices: int, stages: int) -> Fabric:
    """The same for one of the processes that train a network of so many stages together on so many devices, whose
    number is the environment variable LOCAL_RANK; without `threads` each has its share of the cores."""
    from lightning_fabric.strategies import DDPStrategy

    # A stage leaves the other stages' parameters alone; each process keeps its own statistics of batch norm, which
    # Team.average_buffers brings together.
    strategy = DDPStrategy(find_unused_parameters=stages > 1, broadcast_buffers=False)
    return _fabric(config, config.threads or max(1, cores() // devices), devices, strategy=strategy)


def enough_devices(config: DictConfig, devices: int) -> None:
    """Raises BadInput where `training.devices` asks for more GPUs than there are."""
    there = torch.cuda.device_count()
    if devices > 1 and fabric_for(config).device.type == "cuda" and there < devices:
        raise BadInput(
            f"training.devices={devices}: this process sees {there} GPU{'' if there == 1 else 's'}. Take a machine or "
            f"job with {devices}, training.devices={max(1, there)}, or device=cpu; executor=processes gives each of "
            "its workers one GPU."
        )


def _fabric(config: DictConfig, threads: int | None, devices: int, **more: Any) -> Fabric:
    from lightning_fabric import Fabric  # takes seconds, and a plan refused needs none
    from lightning_fabric.plugins.environments import LightningEnvironment

    keep_freed_memory()
    pin_threads(threads)
    try:
        # A scheduler's variables say how many tasks a job has, which is nothing to a training here.
        own = LightningEnvironment()
        precision = config.training.precision
        fabric = Fabric(accelerator=config.device, devices=devices, precision=precision, plugins=own, **more)
    except Exception as error:  # a device that is not there raises errors of many kinds
        raise BadInput(f"device={config.device} or training.precision={config.training.precision}: {error}") from error
    torch.use_deterministic_algorithms(bool(config.deterministic), warn_only=True)
    # Deterministic mode also fills every new tensor, a debugging aid that costs time and changes no result here.
    torch.utils.deterministic.fill_uninitialized_memory = False
    return fabric


def pin_threads(wanted: int | None) -> int:
    """Let PyTorch work with so many threads and return their number; None: as it would, but no more than there are
    cores for this process, since threads that take turns on a core wait for each other at every operation.

    Raises BadInput for what is no number of threads.
    """
    if wanted is not None and (
        not isinstance(wanted, int) or isinstance(wanted, bool) or not 1 <= wanted <= MOST_THREADS
    ):
        raise BadInput(
            f"threads={wanted}: expected a whole number from 1 to {MOST_THREADS}, or null for as many as there are "
            "cores."
        )
    there = cores()
    chosen = wanted or min(torch.get_num_threads(), there)
    if chosen != torch.get_num_threads():
        if wanted is None:
            console.say(f"{torch.get_num_threads()} threads were asked for, of {there} cores: {chosen} are taken.")
        elif chosen > there:
            console.say(f"threads={chosen} on {there} cores: each operation waits for all of them, which is slow.")
        torch.set_num_threads(chosen)
    return chosen


def cores() -> int:
    """How many cores there are for this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
