"""Gradient checkpointing for any method: activations of a block are computed again in the backward pass, not kept."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

LISTS = (nn.ModuleList, nn.ModuleDict)


def checkpoint_gradients(model: nn.Module) -> int:
    """Make every block of `model` keep its input only; returns how many blocks there are.

    A block is an outermost element of a module list, or of a sequence that is in no list. Losses, gradients, running
    statistics and the names in `state_dict` stay as they are; a training step takes up to a third longer.
    """
    found = list(_blocks(model))
    for block in found:
        block.forward = _Checkpointed(block)
    return len(found)


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(child, LISTS):
            yield from _elements(child)
        elif isinstance(child, nn.Sequential):
            yield from child
        else:
            yield from _blocks(child)


def _elements(group: nn.Module) -> Iterator[nn.Module]:
    for element in group.children():
        if isinstance(element, LISTS):
            yield from _elements(element)
        elif next(element.parameters(), None) is not None:
            yield element


class _Checkpointed:
    """The forward pass of a block, checkpointed whenever gradients are wanted."""

    def __init__(self, block: nn.Module) -> None:
        self.block, self.plain = block, block.forward

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        if not torch.is_grad_enabled():
            return self.plain(*inputs, **options)
        contexts = lambda: (nullcontext(), _statistics_kept(self.block))  # noqa: E731
        return checkpoint(self.plain, *inputs, use_reentrant=False, context_fn=contexts, **options)


@contextmanager
def _statistics_kept(block: nn.Module) -> Iterator[None]:
    """While a block is computed the second time, its batch normalisations do not count the batch again."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    kept = [(norm, norm.momentum, norm.num_batches_tracked.clone()) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, count in kept:
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(count)
