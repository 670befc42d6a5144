"""Timing the methods of a comparison side by side, once per comparison."""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig

from benchmarks import console
from benchmarks.errors import CannotWrite
from benchmarks.plan import identity, inference
from benchmarks.plan.sources import prepared
from benchmarks.plan.trials import Trial
from benchmarks.store.files import write_json
from benchmarks.store.results import Store


def measure_costs(config: DictConfig, store: Store, trials: Sequence[Trial]) -> None:
    """Time all trials of a data set side by side, unless this very comparison has been timed already.

    What other comparisons measured stays: their reports are redrawn from it.
    """
    for dataset, mine in untimed(store, trials).items():
        _compare(config, store, dataset, mine)


def untimed(store: Store, trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    """By data set, the trials that have not been timed side by side yet, one of each method."""
    found = {}
    for dataset in dict.fromkeys(trial.config.dataset.name for trial in trials):
        # What was trained outside the suite is declined in it: there is no network to time.
        there = [t for t in trials if not t.declined and (view := store.trial(t.key)) and view.trained]
        # Seeds of a method cost the same.
        mine = list({t.config.method.name: t for t in there if t.config.dataset.name == dataset}.values())
        if any(_comparison(mine) not in [row.get("comparison") for row in _timed(store, t)] for t in mine):
            found[dataset] = mine
    return found


def _samplings(trial: Trial) -> list[Any]:
    return list(dict.fromkeys(condition.sampling for condition in trial.conditions))


def _comparison(trials: Sequence[Trial]) -> str:
    """A name for what is timed side by side."""
    engines = {str(c.inference) for t in trials for c in t.conditions if c.inference}
    return identity.digest([*sorted((t.key, [str(s) for s in _samplings(t)]) for t in trials), *sorted(engines)])


def _compare(config: DictConfig, store: Store, dataset: str, trials: list[Trial]) -> None:
    import torch

    from benchmarks.machine import measure
    from benchmarks.machine.device import fabric_for
    from benchmarks.machine.engines import placed
    from benchmarks.training.weights import trained_model

    device = fabric_for(config).device
    data = prepared(config, trials[0].config.dataset)
    image = torch.from_numpy(data.batch(data.split["test"][:1])[0]).to(device)
    samplings, comparison = {trial.key: _samplings(trial) for trial in trials}, _comparison(trials)
    how = inference.asked(config)
    contestants, owners = [], []
    for trial in trials:
        model = placed(trained_model(trial.config, store.folder(trial.key)), device, how)
        contestants += [(model, sampling) for sampling in samplings[trial.key]]
        owners += [trial.key] * len(samplings[trial.key])
    console.say(f"  {dataset}: timing {', '.join(t.config.method.name for t in trials)} side by side")
    rows = measure.inference(contestants, image, config.profile.timing_repeats)
    for trial in trials:
        about = {"comparison": comparison, "inference": how.words if how else ""}
        own = [row | about for row, owner in zip(rows, owners, strict=True) if owner == trial.key]
        others = [row for row in _timed(store, trial) if row.get("comparison") not in (None, comparison)]
        try:
            write_json(store.folder(trial.key) / "cost.json", _cost(store, trial) | {"inference": others + own})
        except CannotWrite as error:
            console.say(f"  {trial.name}: its timing is not kept: {error}")


def _timed(store: Store, trial: Trial) -> list[dict]:
    """What has been timed of a trial in all its comparisons, the latest last."""
    return _cost(store, trial).get("inference") or []


def _cost(store: Store, trial: Trial) -> dict:
    view = store.trial(trial.key)
    return (view.cost if view else None) or {}
