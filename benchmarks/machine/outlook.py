"""What is left to do for a trial, how long it will take, and whether it fits into memory."""

from dataclasses import replace
from pathlib import Path

import torch
from omegaconf import DictConfig

from benchmarks.machine import measure, memory
from benchmarks.plan import building
from benchmarks.plan.standing import state
from benchmarks.plan.trials import Trial
from benchmarks.store.results import Store
from benchmarks.store.trial import TrialView


def admit(config: DictConfig, store: Store, trials: list[Trial], device: torch.device) -> list[Trial]:
    """The trials, with those declined that are still to be trained and will not fit into the memory of `device`."""
    cache = Path(config.paths.cache)
    # Asked once: what an estimate has used is not given back to the system at once.
    there = memory.available(device)
    return [
        trial
        if trial.declined or state(store, trial).trained
        else replace(trial, declined=memory.reason_against(trial.config, cache, device, there))
        for trial in trials
    ]


def outlook(store: Store, trial: Trial) -> tuple[str, str, float]:
    """What is left to do for a trial, in words, and a guess of its seconds."""
    now = state(store, trial)
    if trial.declined and not now.marked:
        return f"declined: {trial.declined}", "-", 0.0
    if now.failed:
        return f"failed: {now.failed}", "-", 0.0
    settings, total = trial.config["training"], len(trial.conditions)
    seconds = 0.0
    training = "there already"
    if not now.trained and not trial.declined:
        if settings["seconds"]:
            training, seconds = f"{settings['seconds']} s", float(settings["seconds"])
        else:
            training, seconds = f"{settings['steps']} steps", settings["steps"] * _step_seconds(store, trial)
    if now.tested < total and not trial.declined:
        view = store.trial(trial.key)
        missing = [condition for condition in trial.conditions if view is None or not view.has(condition.key)]
        dataset = trial.config["dataset"]
        shape = (1, dataset["channels"], *dataset["image_size"])
        samplings = [condition.sampling for condition in missing]
        seconds += dataset["cases"]["test"] * measure.segmentation(building.build(trial.config), shape, samplings)
    tests = f"{now.tested} of {total} there" if now.tested else f"{total} conditions" if total else "-"
    return training, tests, seconds


def _step_seconds(store: Store, trial: Trial) -> float:
    """Seconds of a training step: as stored trials of this method, data set and size took, else as measured now."""
    same = ("name", "image_size")
    for path in sorted((store.runs / "trials").glob("*/cost.json")):
        view = TrialView.load(path.parent)
        dataset, training = view.config["dataset"], view.config["training"]
        if (
            view.config["method"] == trial.config["method"]
            and all(dataset[key] == trial.config["dataset"][key] for key in same)
            and training["batch_size"] == trial.config["training"]["batch_size"]
        ):
            return view.cost["seconds_per_step"]
    dataset = trial.config["dataset"]
    shape = (trial.config["training"]["batch_size"], dataset["channels"], *dataset["image_size"])
    return measure.training_step(building.build(trial.config), shape, len(dataset["class_names"]) + 1)
