"""One training on several devices (training.devices): a process for each, led by lightning-fabric, watched from here.

Every step's batch is split between them, their gradients are averaged, and the first of them keeps the checkpoint.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import Any

from omegaconf import DictConfig

from benchmarks import console
from benchmarks.console import Report
from benchmarks.errors import TrialFailed
from benchmarks.plan.trials import Trial
from benchmarks.store import leases
from benchmarks.store.leases import LeaseLost
from benchmarks.training import stopping
from benchmarks.training.checkpoints import Progress
from benchmarks.training.stopping import Stopped

GRACE = 2 * stopping.PATIENCE
"""Seconds that the processes have to end by themselves once one of them has."""


@dataclass(frozen=True)
class Task:
    """What is trained, and where its checkpoint lies; started: when the run began, of which stop_after speaks."""

    config: DictConfig
    trial: Trial
    checkpoint: Path
    port: int
    started: float


def trained(config: DictConfig, trial: Trial, checkpoint: Path, report: Report) -> Progress:
    """Train a trial in as many processes as it has devices; where it stands at the end.

    Raises what the training raises in the process that failed first, Stopped where this process is asked to stop or the
    time is up, TrialFailed where a process was killed, and LeaseLost where another run has taken the trial over.
    """
    context = multiprocessing.get_context("spawn")
    task = Task(config, trial, checkpoint, _free_port(), stopping.STARTED)
    pipes = [context.Pipe(duplex=False) for _ in range(trial.config.training.devices)]
    members = [context.Process(target=_member, args=(rank, sender, task)) for rank, (_, sender) in enumerate(pipes)]
    try:
        for member, (_, sender) in zip(members, pipes, strict=True):
            member.start()
            sender.close()  # so that the end of a process is the end of its pipe
        told = _told([receiver for receiver, _ in pipes], report)
    except LeaseLost:
        for member in members:  # at once: the checkpoint is the other run's by now
            if member.is_alive():
                member.kill()
        raise
    except Stopped as stop:
        for member in members:
            if member.is_alive():
                member.terminate()
        told = _told([receiver for receiver, _ in pipes], report, time.monotonic() + GRACE)
        stop.whole = isinstance(told.get(0), Stopped) and told[0].whole
        raise
    finally:
        _end(members)
    if "first" in told:
        raise told["first"]
    return told[0]


def _told(receivers: Sequence[Connection], report: Report, until: float | None = None) -> dict[Any, Any]:
    """By number what each process ended with, a Progress of the first one or an exception, and as "first" why the first
    of them failed, where one did. The others then have GRACE seconds. until: when to wait no longer. Raises LeaseLost:
    the lease is this process's, and those it leads cannot see that it is gone."""
    told: dict[Any, Any] = {}
    failed: list[tuple[float, int]] = []
    waiting = dict(enumerate(receivers))
    while waiting and (until is None or time.monotonic() < until):
        if until is None:
            leases.check()
        for receiver in wait(list(waiting.values()), timeout=1.0):
            rank = next(k for k, other in waiting.items() if other is receiver)
            try:
                kind, content = receiver.recv()  # type: ignore[union-attr]
            except EOFError:
                del waiting[rank]
                if rank not in told:  # without a word
                    told["first"] = TrialFailed(
                        f"one of the {len(receivers)} processes of its training was killed, for want of memory perhaps"
                    )
                    until = until or time.monotonic() + GRACE
                continue
            if kind == "report":
                report(*content)
            elif kind == "error":
                when, told[rank] = content
                failed.append((when, rank))
                until = until or time.monotonic() + GRACE
            else:
                told[rank] = _unpacked(content) if content else None
    # Others fail only because one is gone: the first one knows why.
    for _, rank in sorted(failed)[:1]:
        told.setdefault("first", told[rank])
    return told


def _end(members: Sequence[BaseProcess]) -> None:
    """Wait for the processes, and kill those that do not end."""
    limit = time.monotonic() + GRACE
    for member in members:
        if member.pid is not None:
            member.join(max(0.0, limit - time.monotonic()))
            if member.is_alive():
                member.kill()
                member.join()


def _free_port() -> int:
    """A port at which the processes find each other."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _member(rank: int, sender: Connection, task: Task) -> None:
    """One process of a training: trains its share and tells how it ended."""
    # A terminal sends Ctrl-C to all of its processes; the run passes it on as SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(task.port), "LOCAL_RANK": str(rank)}
    stopping.STARTED = task.started
    console.be_silent()
    Thread(target=stopping.end_with_parent, daemon=True).start()
    try:
        with stopping.on_signals():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            progress = _train(rank, sender, task)
        sender.send(("end", _packed(progress) if rank == 0 else b""))
    except (Exception, Stopped) as error:
        sender.send(("error", (time.time(), _sendable(error))))


def _train(rank: int, sender: Connection, task: Task) -> Progress:
    import torch

    from benchmarks.machine.device import team_fabric
    from benchmarks.plan import building
    from benchmarks.plan.sources import prepared
    from benchmarks.seeding import seed_for
    from benchmarks.training.loop import Subject, train

    config = task.trial.config
    data = prepared(task.config, config.dataset)
    torch.manual_seed(seed_for("weights", config.method.name, config.seed))
    model = building.build(config.method, config.dataset)
    fabric = team_fabric(task.config, config.training.devices, len(model.stages))
    fabric.launch()

    def report(done: int, total: int, words: str) -> None:
        if rank == 0:
            sender.send(("report", (done, total, words)))

    stop_after = task.config.training.stop_after
    subject = Subject(model, data, config.training, config.seed, task.checkpoint, fabric, report, stop_after=stop_after)
    return train(subject, task.trial.key)


def _packed(progress: Progress) -> bytes:
    """As a checkpoint is written: tensors sent as they are would end with this process."""
    import torch

    file = io.BytesIO()
    torch.save(vars(progress), file)
    return file.getvalue()


def _unpacked(content: bytes) -> Progress:
    import torch

    return Progress(**torch.load(io.BytesIO(content), weights_only=True))


def _sendable(error: BaseException) -> BaseException:
    """The error, or its words where it cannot be sent."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
