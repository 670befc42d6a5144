"""What a job asks of the machine it is sent to, from the estimates that action=plan prints."""

from dataclasses import dataclass
from math import prod
from pathlib import Path

from omegaconf import DictConfig

from benchmarks.plan.trials import Trial
from benchmarks.store.results import Store

PROGRAM = 4 * 2**30
"""Bytes that a process takes with PyTorch and a data set of the usual size, before a network is trained."""


@dataclass(frozen=True)
class Needs:
    """seconds it is expected to take and bytes of main memory, None where nobody can say; alone: whether nothing else
    may run beside it, since it takes times; devices: GPUs, or processes on a CPU, that share its training; names: of
    profile and method, by which an executor may be told what a job gets."""

    seconds: float | None = None
    memory: float | None = None
    alone: bool = False
    devices: int = 1
    names: tuple[str, ...] = ()


_found: dict[tuple, Needs] = {}


def needs_of(config: DictConfig, store: Store, trial: Trial) -> Needs:
    """What is left to do of a trial asks for; trials that differ in their seed alone ask for the same."""
    from benchmarks.machine import memory
    from benchmarks.machine.device import fabric_for
    from benchmarks.machine.outlook import outlook
    from benchmarks.plan.standing import state

    now, what = state(store, trial), trial.config
    devices, names = what.training.devices, (what.profile, what.method.name)
    asked = (str(store.runs), *names, what.dataset.name, devices, now.trained, now.tested, len(trial.conditions))
    if asked not in _found:
        seconds = outlook(store, trial).seconds
        device = fabric_for(config).device
        needed = 0.0
        if device.type == "cpu" and prod(what.dataset.image_size) * what.training.batch_size >= memory.ASKED_FROM:
            needed = memory.estimate(what, Path(config.paths.cache), device)
        _found[asked] = Needs(seconds or None, devices * PROGRAM + needed, devices=devices, names=names)
    return _found[asked]
