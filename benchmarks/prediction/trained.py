"""A trained method without the data it was trained on: from a trial's folder, its key, or an exported file."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig

from benchmarks import console
from benchmarks.errors import BadInput
from benchmarks.plan import building, inference
from benchmarks.plan.configuration import plain
from benchmarks.sharing import archive, inventory
from benchmarks.store import sums
from benchmarks.store.config import TrialConfig
from benchmarks.store.files import read_frame
from benchmarks.store.results import Store
from benchmarks.store.selection import fewest_enough, validation_scores
from benchmarks.store.trial import TrialView
from benchmarks.training.weights import trained_model
from methods.base import Sampling, Segmenter

EXPECTED = "Expected the folder or key of a trained trial, or a file of action=export with the weights of one."


@dataclass(frozen=True)
class Trained:
    """A method with its weights, on the device. key: of its trial; weights: SHA-256 of their file; changed: whether
    the method's code is another one than it was trained with; sampling, samples: how it draws (None and 1 where it is
    deterministic)."""

    key: str
    config: TrialConfig
    model: Segmenter
    device: torch.device
    weights: str
    changed: bool
    sampling: Sampling | None
    samples: int


@contextmanager
def trial(config: DictConfig) -> Iterator[TrialView]:
    """The trial that `weights` names; of an exported file, in a folder that is gone after the block. Raises BadInput
    where there is none, or it is not trained."""
    place = config.weights
    if not isinstance(place, str) or not place:
        raise BadInput(f"weights={place}: is not set. {EXPECTED}")
    path = Path(place)
    if not path.exists():
        path = inventory.named(Store(Path(config.paths.runs)), place, "weights")
    with tempfile.TemporaryDirectory(prefix="diffseg-") as scratch:
        if path.is_file():
            path = _unpacked(path, Path(scratch))
        view = TrialView.load(path) if path.is_dir() else None
        if view is None:
            raise BadInput(f"weights={place}: holds no trial. {EXPECTED}")
        if not (path / "weights.safetensors").exists():
            raise BadInput(f"weights={place}: holds a trial without weights ({view.status}). {EXPECTED}")
        yield view


def _unpacked(path: Path, scratch: Path) -> Path:
    """The folder of the one trial in an exported file."""
    with archive.opened(path) as found:
        if len(found.trials) != 1:
            raise BadInput(
                f"weights={path}: holds {len(found.trials)} trials ({', '.join(found.trials)}), expected one. "
                "action=import takes all of them in; then name one by its key."
            )
        found.unpack(found.trials[0], scratch)
        return scratch / found.trials[0]


def load(view: TrialView, config: DictConfig) -> Trained:
    """The network of a trial with its weights, and how it is sampled by this command. Raises BadInput for a sampling
    that cannot be, and where the network cannot be built or the weights do not fit it."""
    from benchmarks.machine.device import fabric_for
    from benchmarks.machine.engines import placed

    asked = view.config
    kind = building.method_class(asked.method)
    if not issubclass(kind, Segmenter):
        raise BadInput(
            f"weights={view.key}: is a training of {asked.method.name}, which makes images from label maps and "
            "segments none. Name a trial of a segmenter; `python run_bench.py action=store` lists what there is."
        )
    code = building.traits(asked.method, Path(config.paths.cache)).code
    changed = bool(asked.code) and asked.code != code
    if changed:
        console.say(
            f"{view.key}: was trained with other code of {asked.method.name} ({asked.code}) than is here ({code}): "
            "masks may differ from those it was tested with."
        )
    device = fabric_for(config).device
    try:
        model = trained_model(asked, view.path)
    except RuntimeError as error:  # how PyTorch refuses a state_dict
        words = " ".join(str(error).split())[:200]
        raise BadInput(f"{view.path}: the weights do not fit {asked.method.name} as it is here ({words}).") from error
    how, samples = sampling(view, config) if kind.generative else (None, 1)
    weights = sums.sha256(view.path / "weights.safetensors")
    model = placed(model, device, inference.asked(config))
    return Trained(view.key, asked, model, device, weights, changed, how, samples)


def sampling(view: TrialView, config: DictConfig) -> tuple[Sampling, int]:
    """How a generative method draws and how often: as the command says, else with as many steps as validation cases of
    this training chose, else as conf/method/NAME.yaml has it. Raises BadInput for what cannot be."""
    method = config.method.get(view.config.method.name)
    own = dict((plain(method) if method else {}).get("sampling") or {})
    own = {name: value for name, value in own.items() if value is not None}
    if (steps := _validated(view)) is not None:
        own["steps"] = steps
    own |= {name: value for name, value in plain(config.sampling).items() if value is not None}
    samples = own.pop("ensemble", 1) if config.samples is None else config.samples
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise BadInput(f"samples={samples}: expected a whole number from 1, or null for the method's own.")
    own.pop("ensemble", None)
    for name in ("steps", "seed"):
        if type(own.get(name, 0)) is not int:
            raise BadInput(f"sampling.{name}={own[name]}: expected a whole number, or null.")
    try:
        return Sampling(**own), samples
    except (ValueError, TypeError) as error:
        raise BadInput(f"sampling={own}: {error}") from error


def _validated(view: TrialView) -> int | None:
    """The number of steps that validation cases of this training alone choose; None where they were not asked."""
    found = [read_frame(path) for path in sorted((view.path / "validation").glob("*.parquet"))]
    frames = [frame for frame in found if frame is not None]
    if not frames:
        return None
    steps, scores, _ = validation_scores({view.config.seed: frames})
    return int(fewest_enough(steps, scores.mean(axis=0)))
