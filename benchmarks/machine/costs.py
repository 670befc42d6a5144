"""Timing the methods of a comparison side by side, once per comparison."""

import torch
from omegaconf import DictConfig

from benchmarks import console
from benchmarks.machine import measure
from benchmarks.plan import building, identity
from benchmarks.plan.trials import Trial
from benchmarks.runner import fabric_for, load_weights, prepared
from benchmarks.store.files import write_json
from benchmarks.store.results import Store


def measure_costs(config: DictConfig, store: Store, trials: list[Trial]) -> None:
    """Time all trials of a data set side by side, unless this very comparison has been timed already.

    What other comparisons measured stays: their reports are redrawn from it.
    """
    for dataset in dict.fromkeys(trial.config["dataset"]["name"] for trial in trials):
        mine = [
            t
            for t in trials
            if t.config["dataset"]["name"] == dataset
            and not t.declined  # trained outside the suite: there is no network to time
            and store.folder(t.key).joinpath("cost.json").exists()
        ]
        mine = list({t.config["method"]["name"]: t for t in mine}.values())
        if not mine:
            continue
        samplings = {t.key: list(dict.fromkeys(c.sampling for c in t.conditions)) for t in mine}
        comparison = identity.digest(sorted((key, [str(s) for s in found]) for key, found in samplings.items()))
        if all(any(row.get("comparison") == comparison for row in _timed(store, t)) for t in mine):
            continue
        fabric = fabric_for(config)
        data = prepared(config, mine[0])
        image = torch.from_numpy(data.batch(data.split["test"][:1])[0]).to(fabric.device)
        contestants, owners = [], []
        for trial in mine:
            model = building.build(trial.config)
            model.load_state_dict(load_weights(store.folder(trial.key) / "weights.safetensors"))
            model.to(fabric.device).eval()
            contestants += [(model, sampling) for sampling in samplings[trial.key]]
            owners += [trial.key] * len(samplings[trial.key])
        console.say(f"  {dataset}: timing {', '.join(t.config['method']['name'] for t in mine)} side by side")
        rows = measure.inference(contestants, image, config.profile.timing_repeats)
        for trial in mine:
            own = [
                row | {"comparison": comparison} for row, owner in zip(rows, owners, strict=True) if owner == trial.key
            ]
            others = [row for row in _timed(store, trial) if row.get("comparison") not in (None, comparison)]
            write_json(store.folder(trial.key) / "cost.json", store.trial(trial.key).cost | {"inference": others + own})


def _timed(store: Store, trial: Trial) -> list[dict]:
    """What has been timed of a trial in all its comparisons, the latest last."""
    return (store.trial(trial.key).cost or {}).get("inference") or []
