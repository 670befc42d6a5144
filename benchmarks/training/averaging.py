"""The moving average of the parameters, with which weights are validated and kept."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from methods.base import Segmenter
from methods.synthesis.base import Synthesizer


class MovingAverage:
    """Exponential moving average of the parameters of some submodules (decay d: a <- d*a + (1-d)*p)."""

    def __init__(self, model: Segmenter | Synthesizer, stage: str, warmup: bool) -> None:
        self.decay, self.warmup = model.ema_decay, warmup
        prefixes = tuple(f"{name}." for name in model.averaged(stage)) if self.decay else ()
        self.parameters = {n: p for n, p in model.named_parameters() if n.startswith(prefixes)} if prefixes else {}
        self.average = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """`step` counts from 0. Warm-up lets an average over few steps forget the initial weights."""
        if not self.average:
            return
        decay = min(self.decay, (1 + step) / (10 + step)) if self.warmup else self.decay
        torch._foreach_lerp_(list(self.average.values()), [p.detach() for p in self.parameters.values()], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the model has the averaged parameters."""
        raw = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self._load(self.average)
        try:
            yield
        finally:
            self._load(raw)

    @torch.no_grad()
    def _load(self, values: dict[str, Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])
