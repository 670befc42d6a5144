"""A contest for the shortest time: first calls, then repeated calls in turn, and no call beyond the machine's means."""

import time
from collections.abc import Callable
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from benchmarks.console import Report
from benchmarks.errors import BadInput, failure_of
from benchmarks.machine import memory
from benchmarks.machine.engines import own_memory, placed
from benchmarks.machine.entrants import Contestant, Limits
from benchmarks.machine.measure import parameters, peak_memory, timed
from benchmarks.plan import building
from benchmarks.plan.inference import Inference
from benchmarks.seeding import generator_for, seed_for
from benchmarks.store.files import read_frame, there, write_frame
from methods.base import Callback, Sampling, Segmenter

SHORT = 3
"""Sampling steps of the calls that warm up or measure memory: every step needs as much as any other."""
TOO_LARGE = ("stopped after", "out of memory")
"""What the reasons begin with that hold for larger images as well."""


def hold(
    entrants: list[Contestant],
    limits: Limits,
    where: tuple[torch.device, Inference | None],
    folder: Path,
    report: Report,
) -> None:
    """Write round-000.parquet, the first calls, and the rounds of repeated calls after it; those there are kept.
    where: the device, and what evaluates the networks on it (`engines.placed`)."""
    networks, device = _Networks(*where), where[0]
    # The first contestant's first call is not to start PyTorch's threads as well.
    torch.nn.functional.conv2d(torch.rand(1, 8, 64, 64, device=device), torch.rand(8, 8, 3, 3, device=device))
    total = len(entrants) * (1 + limits.repeats)
    first = _round(folder, 0)
    if not there(first):
        write_frame(first, pd.DataFrame(_first_calls(entrants, limits, networks, report, total)))
    status = read_frame(first)["status"]
    spent = {n: 0.0 for n in status.index[status == "ok"]}
    cold = set(spent) if not networks.built else set()
    for number in range(1, limits.repeats + 1):
        path = _round(folder, number)
        due = [n for n, seconds in spent.items() if number <= limits.least_calls or seconds < limits.seconds]
        if not due:
            return
        if not there(path):
            rows = []
            for place, n in enumerate(due):
                report(number * len(entrants) + place, total, entrants[n].name)
                if n in cold:
                    networks.warm_up(entrants[n])
                    cold.remove(n)
                rows.append(_attempt(networks, entrants[n], number, n))
            write_frame(path, pd.DataFrame(rows))
        for row in read_frame(path).itertuples():
            spent[row.contestant] += row.seconds
            if row.status != "ok":
                del spent[row.contestant]


def _first_calls(
    entrants: list[Contestant], limits: Limits, networks: "_Networks", report: Report, total: int
) -> list[dict]:
    rows: list[dict] = []
    beyond: dict[tuple, str] = {}
    known: dict[tuple, tuple[int, float]] = {}
    for n, contestant in enumerate(entrants):
        report(n, total, contestant.name)
        voxels, reason = prod(contestant.shape), contestant.declined
        if reason is None and contestant.family in beyond:
            reason = f"not tried: {beyond[contestant.family]}"
        if reason is None and contestant.family in known:
            smaller, taken = known[contestant.family]
            reason = memory.shortage(taken * voxels / smaller, memory.available(networks.device))
        if reason is None:
            row = _attempt(networks, contestant, 0, n, limits.longest_call)
        else:
            row = _row(contestant, 0, n, float("nan"), "declined", reason)
        if row["status"] == "ok":
            row["parameters"] = parameters(networks.of(contestant))
            if not own_memory(networks.of(contestant)):
                peak = networks.peak(contestant)
                row["peak_memory_mib"] = peak / 2**20
                known[contestant.family] = voxels, peak
        elif reason is None and row["reason"].startswith(TOO_LARGE):
            beyond[contestant.family] = f"{contestant.dataset.size} was too large already"
        rows.append(row)
    return rows


def _attempt(
    networks: "_Networks", contestant: Contestant, number: int, place: int, longest: float | None = None
) -> dict[str, Any]:
    """The row of one call, whatever becomes of it."""
    try:
        seconds = networks.seconds(contestant, longest)
        return _row(contestant, number, place, seconds, "ok", None) | {"nfe": networks.evaluations(contestant)}
    except (_TooLong, BadInput) as error:  # BadInput: the method does not take this image size
        return _row(contestant, number, place, float("nan"), "declined", str(error))
    except Exception as error:  # whatever ends one contestant must not end the suite
        failure = failure_of(error)
        return _row(contestant, number, place, float("nan"), "declined" if failure.memory else "failed", failure.reason)


def _row(contestant: Contestant, number: int, place: int, seconds: float, status: str, reason: str | None) -> dict:
    said = {"contestant": place, "call": number, "first": number == 0, "seconds": seconds, "status": status}
    measured = {"nfe": float("nan"), "peak_memory_mib": float("nan"), "parameters": float("nan")}
    return contestant.row() | said | {"reason": reason} | measured


def _round(folder: Path, number: int) -> Path:
    return folder / f"round-{number:03d}.parquet"


class _TooLong(Exception):
    """A first call was stopped; the message says how far it had come."""


class _Networks:
    """The untrained networks of a contest, each built when it is first needed."""

    def __init__(self, device: torch.device, how: Inference | None) -> None:
        self.device, self.how = device, how
        self.built: dict[str, Segmenter] = {}

    def of(self, contestant: Contestant) -> Segmenter:
        """Raises BadInput where the method does not take this image size."""
        if contestant.network not in self.built:
            torch.manual_seed(seed_for("weights", contestant.method.name, 0))
            network = building.build(contestant.method, contestant.dataset)
            self.built[contestant.network] = placed(network, self.device, self.how)
        return self.built[contestant.network]

    def evaluations(self, contestant: Contestant) -> int:
        return self.of(contestant).network_evaluations(contestant.sampling or Sampling())

    def seconds(self, contestant: Contestant, longest: float | None = None) -> float:
        """Of segmenting one image. Raises _TooLong after `longest` seconds, looked at once per sampling step."""
        how, began = contestant.sampling, 0.0

        def watch(step: int, t: float, x: Tensor) -> None:
            seconds = time.perf_counter() - began
            if seconds > longest:
                whole = f", so the whole would take about {seconds * how.steps / step:.2g} s" if step else ""
                raise _TooLong(f"stopped after {longest:g} s at step {step} of {how.steps}{whole}")

        call = self._call(contestant, how, watch if longest and how else None)
        began = time.perf_counter()
        return timed(call, self.device)

    def peak(self, contestant: Contestant) -> int:
        """Bytes beyond the weights."""
        return peak_memory(self._call(contestant, _short(contestant.sampling)), self.device)

    def warm_up(self, contestant: Contestant) -> None:
        self._call(contestant, _short(contestant.sampling))()

    def _call(
        self, contestant: Contestant, sampling: Sampling | None, watch: Callback | None = None
    ) -> Callable[[], Tensor]:
        model = self.of(contestant)
        image = torch.rand(contestant.shape, generator=generator_for("timing")).to(self.device)

        @torch.inference_mode()
        def call():
            return model.segment(image, sampling or Sampling(), [generator_for("timing")], watch)

        return call


def _short(sampling: Sampling | None) -> Sampling | None:
    return sampling and replace(sampling, steps=min(sampling.steps, SHORT), ensemble=1)
