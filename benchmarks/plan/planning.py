"""Every trial of a suite, checked against its data."""

from pathlib import Path

from omegaconf import DictConfig

from benchmarks.errors import BadInput
from benchmarks.plan import building, choices, identity
from benchmarks.plan.sources import checked_entries, source
from benchmarks.plan.trials import Trial
from benchmarks.testing import diffusion_processes
from datasets.base import DataError
from datasets.fingerprint import fingerprint
from datasets.prepare import check_size


def make_plan(config: DictConfig) -> list[Trial]:
    """Every trial of the suite, its data checked and its method built once. Raises BadInput before any long work."""
    cache = Path(config.paths.cache)
    trials = []
    for dataset in choices.chosen(config, "datasets"):
        origin = source(config, dataset)
        entries = checked_entries(origin, config)
        try:
            check_size(origin, choices.image_size(config, dataset))
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
        for method in choices.chosen(config, "methods"):
            for seed in choices.chosen(config, "seeds"):
                trials.append(_trial(config, method, dataset, seed, known))
    return trials


def _trial(config: DictConfig, method: str, dataset: str, seed: int, known: dict) -> Trial:
    asked = choices.request(config, method, dataset, seed)
    kind = building.method_class(method, asked["method"]["_target_"])
    full = asked | {
        "dataset": known | asked["dataset"],
        "request": identity.request_key(asked),
        "code": identity.code_version(kind),
    }
    arguments = building.arguments(asked["method"])
    declined = kind.supports(known["spatial_dims"], len(known["class_names"]) + 1, **arguments)
    if declined is None and config.suite.kind == "trajectories":
        declined = diffusion_processes.reason_against(kind)
    if declined is None and config.suite.kind == "uncertainty" and not kind.generative:
        declined = building.DETERMINISTIC
    if declined is None:
        building.build(full)
    return Trial(full, choices.conditions(config, method, kind.generative, asked["dataset"]["image_size"]), declined)
