"""What is left to do for a trial, how long it will take, and whether it fits into memory."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from benchmarks.plan import building
from benchmarks.plan.identity import digest
from benchmarks.plan.standing import state
from benchmarks.plan.trials import Condition, Trial
from benchmarks.store.config import TrialConfig
from benchmarks.store.results import Store


def admit(config: DictConfig, store: Store, trials: list[Trial]) -> list[Trial]:
    """The trials, with those declined that are still to be trained and will not fit into the memory of the device.
    Raises BadInput for a device that is not there, where there is something to be trained."""
    untrained = {trial.key for trial in trials if not trial.declined and not state(store, trial).trained}
    if not untrained:
        return trials
    from benchmarks.machine import memory
    from benchmarks.machine.device import fabric_for

    cache, device = Path(config.paths.cache), fabric_for(config).device
    # Asked once: what an estimate has used is not given back to the system at once.
    there = memory.available(device)
    return [
        replace(trial, declined=memory.reason_against(trial.config, cache, device, there))
        if trial.key in untrained
        else trial
        for trial in trials
    ]


@dataclass(frozen=True)
class Outlook:
    """What is left to do for a trial: its training and its tests in words, and a guess of the seconds they take."""

    training: str
    tests: str
    seconds: float


def outlook(store: Store, trial: Trial) -> Outlook:
    """What is left to do for a trial."""
    now = state(store, trial)
    if trial.declined and not now.marked:
        return Outlook(f"declined: {trial.declined}", "-", 0.0)
    if now.failed:
        return Outlook(f"failed: {now.failed}", "-", 0.0)
    settings, total = trial.config.training, len(trial.conditions)
    seconds = 0.0
    training = "there already"
    if not now.trained and not trial.declined:
        if settings.seconds:
            training, seconds = f"{settings.seconds} s", float(settings.seconds)
        else:
            training, seconds = f"{settings.steps} steps", (settings.steps or 0) * _step_seconds(store, trial)
    if now.tested < total and not trial.declined:
        view = store.trial(trial.key)
        missing = [condition for condition in trial.conditions if view is None or not view.has(condition.key)]
        seconds += trial.config.dataset.cases["test"] * image_seconds(trial.config, missing)
    tests = f"{now.tested} of {total} there" if now.tested else f"{total} conditions" if total else "-"
    return Outlook(training, tests, seconds)


def image_seconds(config: TrialConfig, conditions: Iterable[Condition]) -> float:
    """A guess of the seconds that segmenting one image under all these conditions takes."""
    from benchmarks.machine import measure

    dataset, samplings = config.dataset, [condition.sampling for condition in conditions]
    shape = (1, dataset.channels, *dataset.image_size)
    return _once(
        [config.method.identity(), shape, dataset.classes, [sampling and asdict(sampling) for sampling in samplings]],
        lambda: measure.segmentation(building.build(config.method, dataset), shape, samplings),
    )


def _step_seconds(store: Store, trial: Trial) -> float:
    """Seconds of a training step: as stored trials of this method, data set and size took, else as measured now."""
    method, dataset, training = trial.config.method, trial.config.dataset, trial.config.training
    for path in sorted((store.runs / "trials").glob("*/cost.json")):
        view = store.trial(path.parent.name)
        if view is None or view.cost is None or "seconds_per_step" not in view.cost:
            continue
        alike = (view.config.dataset.name, view.config.dataset.image_size) == (dataset.name, dataset.image_size)
        if view.config.method == method and alike and view.config.training.batch_size == training.batch_size:
            return view.cost["seconds_per_step"]
    from benchmarks.machine import measure

    shape = (training.batch_size, dataset.channels, *dataset.image_size)
    return _once(
        [method.identity(), shape, dataset.classes],
        lambda: measure.training_step(building.build(method, dataset), shape, dataset.classes),
    )


_known: dict[str, float] = {}


def _once(what: list[Any], measured: Callable[[], float]) -> float:
    """What was measured of the same network in this process: trainings that differ in their seed take as long."""
    key = digest(what)
    if key not in _known:
        _known[key] = measured()
    return _known[key]
