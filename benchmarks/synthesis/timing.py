"""What an image costs: the synthesizers of a comparison in turn, batch 1, as segmenters are timed."""

from collections.abc import Sequence

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from benchmarks import console
from benchmarks.machine import measure
from benchmarks.machine.device import fabric_for
from benchmarks.plan import building
from benchmarks.plan.identity import digest
from benchmarks.plan.sources import prepared
from benchmarks.plan.trials import Trial
from benchmarks.store.config import TrialConfig
from benchmarks.store.files import write_json
from benchmarks.store.results import Store
from benchmarks.synthesis.making import map_of, orders
from benchmarks.synthesis.recipe import Recipe
from benchmarks.training.weights import trained_model
from methods.sampling import Sampling
from methods.synthesis.base import Synthesizer

Timed = tuple[Trial, tuple[int, ...]]
"""A trial and the numbers of steps it was sampled with, 0 for a method without."""


class _Turn(nn.Module):
    """A synthesizer as the timing of segmenters calls it, with the map (1, *S) that an image is made from; what it is
    given says the device."""

    def __init__(self, model: Synthesizer, label_map: Tensor) -> None:
        super().__init__()
        self.model, self.label_map = model, label_map

    def segment(self, image: Tensor, sampling: Sampling, generators: Sequence[torch.Generator]) -> Tensor:
        return self.model.synthesize(self.label_map, generators, sampling.steps)

    def network_evaluations(self, sampling: Sampling) -> int:
        return self.model.network_evaluations(sampling.steps)


def measure_side_by_side(config: DictConfig, store: Store, trials: Sequence[Timed]) -> None:
    """Write into cost.json of each trial, under `inference`, seconds and memory of one image, unless this very
    comparison has been timed. Trials of one method cost the same: the first of them is timed."""
    for dataset in dict.fromkeys(trial.config.dataset.name for trial, _ in trials):
        own = [(trial, how) for trial, how in reversed(trials) if trial.config.dataset.name == dataset]
        mine = list({trial.config.method.name: (trial, how) for trial, how in own}.values())
        name = digest(sorted((trial.key, how) for trial, how in mine))
        known = [row for trial, _ in mine for row in _cost(store, trial).get("inference") or []]
        if sum(row.get("comparison") == name for row in known) < sum(len(how) for _, how in mine):
            _compare(config, store, mine, name)


def _compare(config: DictConfig, store: Store, trials: Sequence[Timed], name: str) -> None:
    device, data = fabric_for(config).device, prepared(config, trials[0][0].config.dataset)
    wanted, _ = orders(data, Recipe("test", 0))
    if not wanted:
        return
    console.say(f"  {data.name}: timing {', '.join(trial.config.method.name for trial, _ in trials)} side by side")
    contestants: list[tuple[_Turn, Sampling | None]] = []
    owners = []
    for trial, steps in trials:
        model = trained_model(trial.config, store.folder(trial.key)).to(device)
        turn = _Turn(model, map_of(model, data, wanted[0])[None].to(device))
        contestants += [(turn, Sampling(count) if count else None) for count in steps]
        owners += [(trial, count) for count in steps]
    rows = measure.inference(contestants, torch.zeros(1, device=device), config.profile.timing_repeats)  # type: ignore[arg-type]
    for trial, _ in trials:
        cost = _cost(store, trial)
        kept = [row for row in cost.get("inference") or [] if row.get("comparison") != name]
        about = {"comparison": name, "sampler": ""}
        timed = [row | about for row, (owner, _) in zip(rows, owners, strict=True) if owner is trial]
        write_json(store.folder(trial.key) / "cost.json", cost | {"inference": kept + timed})


def _cost(store: Store, trial: Trial) -> dict:
    view = store.trial(trial.key)
    return (view.cost if view else None) or {}


@torch.inference_mode()
def image_seconds(config: TrialConfig) -> float:
    """Seconds, roughly, that one evaluation takes in making one image on the CPU, by untrained weights."""
    model = building.build(config.method, config.dataset).eval()
    if not model.generative:
        return 0.0
    label_map = torch.ones(1, *config.dataset.image_size, dtype=torch.int64)
    turn = _Turn(model, label_map)  # type: ignore[arg-type]
    return measure.segmentation(turn, (1,), [Sampling(2)]) / turn.network_evaluations(Sampling(2))  # type: ignore[arg-type]
