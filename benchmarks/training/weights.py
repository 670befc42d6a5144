"""The selected weights of a trial on disk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from benchmarks.errors import BadInput
from benchmarks.plan import building
from benchmarks.store.config import TrialConfig
from benchmarks.store.files import there, write_atomic


def save_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write a state_dict, all of it or nothing."""
    write_atomic(path, lambda file: file.write(save({name: value.contiguous() for name, value in weights.items()})))


def load_weights(path: Path) -> dict[str, Tensor]:
    """A state_dict. Raises BadInput naming a file that cannot be read or was damaged since it was written."""
    try:
        if not there(path):
            raise FileNotFoundError("there is no such file")
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise BadInput(
            f"{path}: the weights cannot be read ({error}). Delete its folder to train this trial again."
        ) from error


def trained_model(config: TrialConfig, folder: Path) -> Any:
    """The network of a trial, Segmenter or Synthesizer, with the weights in its folder, ready for use, on the CPU."""
    model = building.build(config.method, config.dataset)
    model.load_state_dict(load_weights(folder / "weights.safetensors"))
    return model.eval()
