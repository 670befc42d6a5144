"""The optimiser of a stage, as the settings of a training name it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.optim import Optimizer

from benchmarks.store.config import TrainingConfig
from methods.base import Segmenter
from methods.synthesis.base import Synthesizer

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.wrappers import _FabricModule

CLIPPING = {"norm": 2.0, "max": float("inf")}
"""Orders of the norms by which gradients are shortened: Euclidean, and that of the largest entry."""


def optimizer_of(model: Segmenter | Synthesizer, stage: str, settings: TrainingConfig) -> Optimizer:
    """The optimiser of a stage; each group of parameters has `learning_rate` times its own `lr_factor` as its rate.

    adam, adamw (Loshchilov and Hutter 2019, decoupled weight decay), sgd or nesterov (SGD with Nesterov's momentum);
    where none is named, the method's own (`Segmenter.optimizer`). Weight decay of all but adamw is added to gradients.
    """
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer is None:
        return model.optimizer(stage, rate)
    groups = [
        {"params": group["params"], "lr": rate * group.get("lr_factor", 1.0)} for group in model.parameter_groups(stage)
    ]
    if settings.optimizer in ("adam", "adamw"):
        kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
        return kind(groups, lr=rate, weight_decay=decay, fused=True)
    nesterov = settings.optimizer == "nesterov"
    return torch.optim.SGD(groups, lr=rate, momentum=settings.momentum, nesterov=nesterov, weight_decay=decay)


def clip_gradients(fabric: Fabric, wrapped: _FabricModule, optimizer: Optimizer, settings: TrainingConfig) -> None:
    """Scale the gradients of all parameters down together where their norm is above `clip`; null leaves them alone.

    Gradients that are not finite stay as they are.
    """
    if settings.clip is not None:
        order = CLIPPING[settings.clip_by]
        fabric.clip_gradients(wrapped, optimizer, max_norm=settings.clip, norm_type=order, error_if_nonfinite=False)
