"""What the processes of one training on several devices have to agree on; alone there is nothing to agree on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from benchmarks.training import stopping

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Value = TypeVar("Value")


class Team:
    """The processes that train one network together, each with a part of every batch; `rank` is this one's number.

    Each calls the same methods in the same order: each waits there for the others.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.fabric, self.size, self.rank = fabric, fabric.world_size, fabric.global_rank

    def total(self, values: Mapping[str, float]) -> dict[str, float]:
        """The sum over the processes of each value."""
        if self.size == 1:
            return dict(values)
        sums = self.fabric.all_reduce(torch.tensor(list(values.values()), dtype=torch.float64), reduce_op="sum")
        return dict(zip(values, sums.tolist(), strict=True))

    def first(self, value: Value) -> Value:
        """The value of the first process, for all of them."""
        return value if self.size == 1 else self.fabric.broadcast(value)

    @torch.no_grad()
    def average_buffers(self, model: nn.Module) -> None:
        """Give all processes the mean of what a network counts while it trains, such as the statistics of batch norm,
        which each of them has from its own parts of the batches."""
        if self.size > 1:
            for buffer in model.buffers():
                if buffer.is_floating_point():
                    buffer.copy_(self.fabric.all_reduce(buffer, reduce_op="mean"))

    def check(self, stop_after: float | None) -> None:
        """As `stopping.check`, where one of the processes was asked to stop in all of them."""
        if self.size == 1:
            stopping.check(stop_after)
            return
        own: stopping.Stopped | None = None
        try:
            stopping.check(stop_after)
        except stopping.Stopped as stop:
            own = stop
        status = int(self.fabric.all_reduce(torch.tensor(own.status if own else 0), reduce_op="max"))
        if status:
            raise own or stopping.Stopped("stopped with the other processes of its training", status)
