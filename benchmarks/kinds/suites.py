"""A suite from beginning to end: what each kind of suite computes, and where its results are found again."""

import shlex
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from benchmarks import runner
from benchmarks.kinds import overview, timing, trajectories, uncertainty
from benchmarks.machine import costs, outlook
from benchmarks.plan import planning, standing
from benchmarks.plan.choices import chosen
from benchmarks.store.results import Results, Store

KINDS = ("trials", "overview", "timing", "uncertainty", "trajectories")
"""trials: train and test methods; overview: show data sets; timing: time untrained networks; uncertainty: sample
trained methods many times; trajectories: watch trained methods sample."""


def run(config: DictConfig, overrides: list[str]) -> Results:
    """Compute what the store lacks of the suite and return all of it. Raises BadInput before any long work."""
    store = Store(Path(config.paths.runs))
    store.open()
    told, kind = describe(config, overrides), config.suite.kind
    if kind == "overview":
        results = store.results(told, [])
        results.overviews = overview.collect(config, store)
        return results
    if kind == "timing":
        results = store.results(told, [])
        results.records = timing.measure(config, store)
        return results
    trials = planning.make_plan(config)
    runner.check_store(store, trials)
    trials = outlook.admit(config, store, trials, runner.fabric_for(config).device)
    runner.work(config, store, trials)
    if kind == "uncertainty":
        uncertainty.sample(config, store, trials)
    elif kind == "trajectories":
        trajectories.record(config, store, trials)
    else:
        costs.measure_costs(config, store, trials)
    return _results(config, store, told, [(t.key, [c.key for c in t.conditions]) for t in trials])


def stored(config: DictConfig, overrides: list[str]) -> Results:
    """What the store holds for this command, found without the data. Raises BadInput where that is nothing."""
    store = Store(Path(config.paths.runs))
    told, kind = describe(config, overrides), config.suite.kind
    if kind == "overview":
        results = store.results(told, [])
        results.overviews = overview.find(config, store)
        return results
    if kind == "timing":
        results = store.results(told, [])
        results.records = timing.find(config, store)
        return results
    return _results(config, store, told, standing.find_stored(config, store))


def _results(config: DictConfig, store: Store, told: dict, trials: list[tuple[str, list[str]]]) -> Results:
    results = store.results(told, trials)
    if config.suite.kind == "uncertainty":
        uncertainty.add(config, results)
    elif config.suite.kind == "trajectories":
        trajectories.add(config, results)
    return results


def describe(config: DictConfig, overrides: list[str]) -> dict:
    """The suite as a report needs it: its settings and the commands that make and redraw it."""
    words = [shlex.quote(o) for o in overrides if o.partition("=")[0] not in ("action", "track")]
    command = " ".join(["python run_bench.py", *words])
    return OmegaConf.to_container(config.suite) | {
        "command": command,
        "redraw_command": f"{command} action=report",
        "profile": config.profile.name,
        "rescale": config.noise.rescale,
        **{key: chosen(config, key) for key in ("methods", "datasets", "seeds")},
    }
