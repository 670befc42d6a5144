"""How every method was trained here, and how it was where it was published."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from benchmarks.store.config import TrainingConfig, TrialConfig
from benchmarks.store.results import Results
from reports.numbers.curves import method_order
from reports.paper import words
from reports.paper.document import Block, Table
from reports.sections import published

FIELDS = ("optimiser", "rate", "schedule", "batch", "steps", "augmentation", "loss")
OPTIMISERS = {None: "the class's own", "adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "nesterov": "SGD, Nesterov"}


def table(results: Results) -> list[Block]:
    """The recipe of every method on every data set, that of its publication below; nothing where none was trained."""
    rows: list[dict[str, str]] = []
    for method in method_order(results):
        trials = [trial for trial in results.trials if trial.config.method.name == method and trial.status == "ok"]
        here: dict[tuple[str, ...], list[str]] = {}
        for trial in trials:
            names = here.setdefault(tuple(used(trial.config).values()), [])
            names += [] if trial.config.dataset.name in names else [trial.config.dataset.name]
        for values, datasets in here.items():
            where = f"here, {words.listing(datasets)}"
            rows.append({"method": trials[0].label, "recipe": where} | dict(zip(FIELDS, values, strict=True)))
        twin_of = trials[0].config.method.twin_of if trials else ""
        known = published.recipe(twin_of or method)
        if trials and known:
            where = f"published for {twin_of}" if twin_of else "published"
            source = {"recipe": f"{where} ({known['source']})"}
            rows.append({"method": trials[0].label} | source | {name: str(known[name]) for name in FIELDS})
    if not rows:
        return []
    caption = (
        "Recipes: how every method was trained here, and how it was where it was published. Steps and selection of the "
        "weights are everybody's; `profile=paper` takes the published optimiser, rate, schedule and batch, on the "
        "common loss of the deterministic methods and the common augmentation."
    )
    return [Table("recipes", caption, pd.DataFrame(rows))]


def used(config: TrialConfig) -> dict[str, str]:
    """The recipe of a trial in words, by FIELDS."""
    training = config.training
    budget = f"{training.steps:,}" if training.steps else f"as many as fit into {words.duration(training.seconds)}"
    found = (
        _optimiser(training), f"{training.learning_rate:g}", _schedule(training), str(training.batch_size), budget,
        _augmentation(config.dataset.augmentation or {}, training), config.method.loss or words.NOTHING,
    )  # fmt: skip
    return dict(zip(FIELDS, found, strict=True))


def _optimiser(training: TrainingConfig) -> str:
    parts = [OPTIMISERS.get(training.optimizer, str(training.optimizer))]
    if training.momentum:
        parts.append(f"momentum {training.momentum:g}")
    if training.weight_decay:
        parts.append(f"decay {training.weight_decay:g}")
    if training.clip is not None:
        what = "norm of the gradient" if training.clip_by == "norm" else "largest gradient"
        parts.append(f"{what} at most {training.clip:g}")
    return ", ".join(parts)


def _schedule(training: TrainingConfig) -> str:
    said = {
        "exp": f"exponential to {training.lr_final_factor:g} of the first",
        "poly": "polynomial, power 0.9",
        "step": f"divided by 10 at {words.listing([f'{share:.0%}' for share in training.lr_drops])}",
    }.get(training.lr_schedule, training.lr_schedule)
    return f"linear warm-up over {training.warmup:.3g} of a stage, {said}" if training.warmup else said


def _augmentation(policy: Mapping[str, Any], training: TrainingConfig) -> str:
    """What is done to training cases, as far as the data set's settings name it."""
    parts = []
    if policy.get("flips"):
        parts.append(f"flips along axis {words.listing(map(str, policy['flips']))}")
    if policy.get("rotations"):
        parts.append("quarter turns")
    if policy.get("intensity"):
        parts.append(f"intensity {policy['intensity']:g}")
    if policy.get("probability"):
        parts.append(f"movement, bending, contrast and blur with a chance of {policy['probability']:g} each")
    if training.noise:
        parts.append(f"noise up to {training.noise:g}")
    return ", ".join(parts) or "none"
