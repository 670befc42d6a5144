"""The optimiser of a stage, as the settings of a training name it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.optim import Optimizer

from benchmarks.errors import TrialFailed
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


def check_moments(model: Segmenter | Synthesizer, optimizer: Optimizer, stage: str, step: int) -> None:
    """Raises TrialFailed, naming the parameter, where what the optimiser remembers of its gradients is not finite.

    A gradient of 1e19 squared is infinite in float32: Adam then divides by infinity, and the parameter stays where it
    is for good while the loss of all others goes on falling.
    """
    kept = [
        (parameter, value)
        for parameter, state in optimizer.state.items()
        for value in state.values()
        if torch.is_tensor(value) and value.is_floating_point()
    ]
    if not kept or torch.stack([value.sum().float() for _, value in kept]).isfinite().all():
        return
    names = {parameter: name for name, parameter in model.named_parameters()}
    lost = list(dict.fromkeys(names[parameter] for parameter, value in kept if not value.isfinite().all()))
    if lost:
        raise TrialFailed(
            f"gradients of {lost[0]}{f' and {len(lost) - 1} more' if lost[1:] else ''} became so large by "
            f"step {step} of stage {stage} that the optimiser can no longer move them; look at what the network "
            "computes at the first step, or try training.clip=1",
            False,
        )
