"""The optimiser of a stage, as the settings of a training name it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
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


def clip_gradients(fabric: Fabric, wrapped: _FabricModule, optimizer: Optimizer, settings: TrainingConfig) -> Tensor:
    """Scale the gradients of all parameters down together where their norm is above `clip`; null leaves them alone.

    The norm before, 0 where it was not asked for. Where it is not finite the gradients are left as zeros or worse.
    """
    if settings.clip is None:
        return torch.zeros(())
    order = CLIPPING[settings.clip_by]
    return fabric.clip_gradients(wrapped, optimizer, max_norm=settings.clip, norm_type=order, error_if_nonfinite=False)


def check_state(model: Segmenter | Synthesizer, optimizer: Optimizer, where: str) -> None:
    """Raises TrialFailed, naming the parameter, where a weight or what the optimiser remembers of its gradients is not
    finite.

    A gradient of 1e19 squared is infinite in float32: Adam then divides by infinity, and the parameter stays where it
    is for good while the loss of all others goes on falling. Smaller ones it forgets after thousands of steps.
    """
    kept = [
        (parameter, value)
        for group in optimizer.param_groups
        for parameter in group["params"]
        for value in (parameter, *optimizer.state.get(parameter, {}).values())
        if torch.is_tensor(value) and (value.is_floating_point() or value.is_complex())
    ]
    if torch.stack([value.detach().sum().abs().float() for _, value in kept]).isfinite().all():
        return
    lost = list(dict.fromkeys(parameter for parameter, value in kept if not value.isfinite().all()))
    if lost:
        raise failure(model, lost, where)


def failure(model: Segmenter | Synthesizer, lost: Sequence[Tensor], where: str) -> TrialFailed:
    """What to say of parameters whose gradients were not finite or too large; lost: at least one."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    first = names.get(lost[0], "a parameter outside of the model")
    more = f" and {len(lost) - 1} more" if lost[1:] else ""
    return TrialFailed(
        f"gradients of {first}{more} were not finite or so large by {where} that the optimiser can no longer train "
        "them; look at what the network computes at its first step, or try a lower learning rate",
        False,
    )
