"""The selected weights of a trial on disk."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.errors import BadInput
from benchmarks.plan import building
from benchmarks.store.config import TrialConfig
from benchmarks.store.files import write_atomic
from methods.base import Segmenter


def save_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write a state_dict, all of it or nothing."""
    write_atomic(path, lambda file: save_file({name: value.contiguous() for name, value in weights.items()}, file))


def load_weights(path: Path) -> dict[str, Tensor]:
    """A state_dict. Raises BadInput naming a file that cannot be read."""
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise BadInput(
            f"{path}: the weights cannot be read ({error}). Delete its folder to train this trial again."
        ) from error


def trained_model(config: TrialConfig, folder: Path) -> Segmenter:
    """The network of a trial with the weights in its folder, ready to segment, on the CPU."""
    model = building.build(config.method, config.dataset)
    model.load_state_dict(load_weights(folder / "weights.safetensors"))
    return model.eval()
