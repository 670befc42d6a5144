"""The device and the precision a trial is worked on with."""

import torch
from lightning_fabric import Fabric
from omegaconf import DictConfig

from benchmarks.errors import BadInput
from benchmarks.machine.allocation import keep_freed_memory


def fabric_for(config: DictConfig) -> Fabric:
    """lightning-fabric for `device` and `training.precision`; switches PyTorch's deterministic mode as `deterministic`
    says. Raises BadInput for a device that is not there."""
    keep_freed_memory()
    try:
        fabric = Fabric(accelerator=config.device, devices=1, precision=config.training.precision)
    except Exception as error:  # a device that is not there raises errors of many kinds
        raise BadInput(f"device={config.device} or training.precision={config.training.precision}: {error}") from error
    torch.use_deterministic_algorithms(bool(config.deterministic), warn_only=True)
    # Deterministic mode also fills every new tensor, a debugging aid that costs time and changes no result here.
    torch.utils.deterministic.fill_uninitialized_memory = False
    return fabric
