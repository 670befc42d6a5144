"""Where an interrupted training goes on: what a checkpoint holds."""

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from benchmarks.errors import BadInput
from benchmarks.store import sums
from benchmarks.store.files import there, write_atomic
from benchmarks.training.averaging import MovingAverage
from methods.base import Segmenter


@dataclass
class Progress:
    """Where a training stands; with the model and the optimiser it is all a checkpoint holds."""

    trial: str
    stage: int = 0
    step: int = 0
    seconds: float = 0.0
    stage_seconds: float = 0.0
    history: list[dict] = field(default_factory=list)
    best: dict[str, Tensor] | None = None
    best_dsc: float = -1.0
    best_step: int = 0

    def next_stage(self) -> None:
        """Begin the stage after this one."""
        self.stage, self.step, self.stage_seconds = self.stage + 1, 0, 0.0
        self.best, self.best_dsc = None, -1.0


def save_checkpoint(
    path: Path, progress: Progress, model: Segmenter, optimizer: Optimizer, average: MovingAverage
) -> None:
    """Write all that a training needs to go on, all of it or nothing."""
    content = {
        "progress": copy.copy(vars(progress)),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": average.average,
    }
    write_atomic(path, lambda file: torch.save(content, file))


def drop_checkpoint(path: Path) -> None:
    """Delete the checkpoint of a training that has ended; nothing where there is none."""
    sums.forget(path)


def load_checkpoint(path: Path, trial: str) -> dict[str, Any] | None:
    """The content of a checkpoint, None where there is none. Raises BadInput naming a file that cannot be used."""
    if not there(path):
        return None
    fix = "Delete the file to train this trial from the beginning."
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        owner = content["progress"]["trial"]
    except Exception as error:  # a damaged file can make the unpickler raise anything
        raise BadInput(
            f"{path}: the checkpoint cannot be read ({' '.join(str(error).split())[:120]}). {fix}"
        ) from error
    if owner != trial:
        raise BadInput(f"{path}: the checkpoint belongs to {owner}, expected {trial}. {fix}")
    return content
