"""Where an interrupted training goes on: what a checkpoint holds."""

import copy
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from benchmarks.errors import BadInput, CannotWrite
from benchmarks.store import sums
from benchmarks.store.files import there, write_atomic
from benchmarks.training.averaging import MovingAverage
from methods.base import Segmenter
from methods.synthesis.base import Synthesizer


@dataclass
class Progress:
    """Where a training stands; with the model and the optimiser it is all a checkpoint holds.

    sums, count: of the losses since the last point on the training curves; factor: of the learning rate at the last
    step; due: whether this step is still to be logged and validated; best_cases: DSC of the validation cases, by their
    id, that best_dsc is the mean of.
    """

    trial: str
    stage: int = 0
    step: int = 0
    seconds: float = 0.0
    stage_seconds: float = 0.0
    history: list[dict] = field(default_factory=list)
    best: dict[str, Tensor] | None = None
    best_dsc: float = -1.0
    best_step: int = 0
    best_cases: dict[str, float] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0
    factor: float = 1.0
    due: bool = False

    def next_stage(self) -> None:
        """Begin the stage after this one."""
        self.stage, self.step, self.stage_seconds = self.stage + 1, 0, 0.0
        self.best, self.best_dsc, self.best_cases = None, -1.0, {}


def save_checkpoint(
    path: Path, progress: Progress, model: Segmenter | Synthesizer, optimizer: Optimizer, average: MovingAverage
) -> None:
    """Write all that a training needs to go on, all of it or nothing."""
    content = {
        "progress": copy.copy(vars(progress)),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": average.average,
    }
    write_atomic(path, lambda file: torch.save(content, file))


def check_space(path: Path, model: Segmenter | Synthesizer) -> None:
    """Raises CannotWrite where the disk that `path`, the checkpoint, lies on has no room for what a training writes: a
    new checkpoint is whole before the former one goes, and the weights come last."""
    weights = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    parameters = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    # The model and its best weights, the moving average, and the two moments of Adam, the most of the optimisers.
    checkpoint = 2 * weights + (parameters if model.ema_decay else 0) + 2 * parameters
    needed = 2 * checkpoint + weights - (path.stat().st_size if path.exists() else 0)
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise CannotWrite(
            f"disk full: training writes up to {needed / 2**20:.3g} MiB of checkpoints and weights, and {path.parent} "
            f"has {free / 2**20:.3g} MiB free. Free space or choose another folder, paths.runs=DIR, and run again."
        )


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
