"""What a command asks for, checked against its data, and how much of it the store holds already."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from benchmarks import diffusion_processes, measure, memory, plan
from benchmarks.errors import BadInput
from benchmarks.plan import Trial
from benchmarks.store import Store, TrialView
from datasets.base import DataError, Entry, Source
from datasets.fingerprint import fingerprint
from datasets.integrity import check
from datasets.prepare import check_size


def source(config: DictConfig, name: str) -> Source:
    """The data source of conf/dataset/NAME.yaml. Raises BadInput where its settings do not fit."""
    settings = {k: v for k, v in config.dataset[name].items() if k not in plan.DATASET_NOTES or k == "_target_"}
    try:
        return instantiate(OmegaConf.create(settings), _convert_="all")
    except Exception as error:  # hydra wraps whatever the constructor raised
        raise BadInput(f"dataset.{name}: {error.__cause__ or error}") from error


def checked_entries(origin: Source, config: DictConfig) -> list[Entry]:
    """The cases in use, once the data set has passed its checks. Raises BadInput naming the files that did not."""
    try:
        return check(origin, Path(config.paths.cache))
    except DataError as error:
        everywhere = " paths.data=DIR, or the environment variable DIFFSEG_DATA, moves all data sets at once."
        raise BadInput(f"dataset.{origin.name}: {error}{everywhere if '.root' in str(error) else ''}") from error


def make_plan(config: DictConfig) -> list[Trial]:
    """Every trial of the suite, its data checked and its method built once. Raises BadInput before any long work."""
    cache = Path(config.paths.cache)
    trials = []
    for dataset in plan.chosen(config, "datasets"):
        origin = source(config, dataset)
        entries = checked_entries(origin, config)
        try:
            check_size(origin, plan.image_size(config, dataset))
        except DataError as error:
            raise BadInput(f"dataset.{dataset}: {error}") from error
        content = fingerprint(origin, cache)
        known = {
            "distance_unit": "px" if origin.read(entries[0]).spacing is None else "mm",
            "title": origin.title,
            "spatial_dims": origin.spatial_dims,
            "channels": origin.channels,
            "class_names": list(origin.class_names),
            "fingerprint": content,
            "augmentation": vars(origin.augmentation),
            "fit": origin.fit,
            "cases": {split: sum(entry.split == split for entry in entries) for split in ("train", "val", "test")},
        }
        for method in plan.chosen(config, "methods"):
            for seed in plan.chosen(config, "seeds"):
                trials.append(_trial(config, method, dataset, seed, known))
    return trials


def _trial(config: DictConfig, method: str, dataset: str, seed: int, known: dict) -> Trial:
    asked = plan.request(config, method, dataset, seed)
    kind = plan.method_class(method, asked["method"]["_target_"])
    full = asked | {
        "dataset": known | asked["dataset"],
        "request": plan.request_key(asked),
        "code": plan.code_version(kind),
    }
    arguments = plan.arguments(asked["method"])
    declined = kind.supports(known["spatial_dims"], len(known["class_names"]) + 1, **arguments)
    if declined is None and config.suite.kind == "trajectories":
        declined = diffusion_processes.reason_against(kind)
    if declined is None and config.suite.kind == "uncertainty" and not kind.generative:
        declined = plan.DETERMINISTIC
    if declined is None:
        plan.build(full)
    return Trial(full, plan.conditions(config, method, kind.generative, asked["dataset"]["image_size"]), declined)


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


@dataclass(frozen=True)
class State:
    """How much of a trial the store holds already."""

    trained: bool
    tested: int
    marked: bool = False
    failed: str | None = None

    def complete(self, trial: Trial) -> bool:
        return trial.declined is not None or (self.marked and self.trained and self.tested == len(trial.conditions))


def state(store: Store, trial: Trial) -> State:
    view = store.trial(trial.key)
    if view is None:
        return State(False, 0)
    failed = view.reason if view.status == "failed" and not view.done["retry"] else None
    trained = (view.path / "weights.safetensors").exists()
    return State(trained, sum(view.has(condition.key) for condition in trial.conditions), view.status == "ok", failed)


def find_stored(config: DictConfig, store: Store) -> list[tuple[str, list[str]]]:
    """Keys of the newest trials and their conditions that answer this command, without its data.

    Raises BadInput where the store holds none of them."""
    found = []
    for dataset in plan.chosen(config, "datasets"):
        for method in plan.chosen(config, "methods"):
            for seed in plan.chosen(config, "seeds"):
                asked = plan.request(config, method, dataset, seed)
                view = store.newest(plan.request_key(asked))
                if view:
                    generative = plan.method_class(method, asked["method"]["_target_"]).generative
                    tested = plan.conditions(config, method, generative, asked["dataset"]["image_size"])
                    found.append((view.key, [condition.key for condition in tested]))
    if not found:
        raise BadInput(
            f"paths.runs={store.runs}: holds no finished trial of suite={config.suite.name} with these settings; "
            "run the same command without action first."
        )
    return found


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
        seconds += dataset["cases"]["test"] * measure.segmentation(plan.build(trial.config), shape, samplings)
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
    return measure.training_step(plan.build(trial.config), shape, len(dataset["class_names"]) + 1)
