"""How a method is trained: its settings in layers, each checked where it stands."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from benchmarks.errors import BadInput
from benchmarks.store.config import TrainingConfig

SCHEDULES = ("exp", "poly", "cosine", "step", "constant")
OPTIMIZERS = ("adam", "adamw", "sgd", "nesterov")
CLIPPING = ("norm", "max")
KNOWN = tuple(sorted(entry.name for entry in fields(TrainingConfig)))

OF_A_RUN = ("stop_after",)
"""Keys of `training` that say something of the run and nothing of what is trained."""


class Rule(NamedTuple):
    """What a setting may be, and the same in words."""

    holds: Callable[[Any], bool]
    expected: str


def _number(low: float, high: float = float("inf"), ends: bool = False) -> Callable[[Any], bool]:
    """Whether a value is a number above `low` (with `ends`, `low` itself, too) and below `high`."""
    return lambda x: isinstance(x, int | float) and not isinstance(x, bool) and (low < x < high or (ends and x == low))


def _whole(low: int) -> Callable[[Any], bool]:
    return lambda x: isinstance(x, int) and not isinstance(x, bool) and x >= low


def _one_of(words: tuple[str, ...]) -> Rule:
    return Rule(lambda x: x in words, f"{', '.join(words[:-1])} or {words[-1]}")


ABOVE_0 = Rule(_number(0), "a number above 0")
WHOLE = Rule(_whole(1), "a whole number above 0")
SHARE = Rule(_number(0, 1, ends=True), "a number from 0 to below 1")
SWITCH = Rule(lambda x: isinstance(x, bool), "true or false")
RULES = {
    "seconds": ABOVE_0,
    "stop_after": ABOVE_0,
    "learning_rate": ABOVE_0,
    "clip": ABOVE_0,
    "steps": WHOLE,
    "batch_size": WHOLE,
    "validations": WHOLE,
    "val_cases": WHOLE,
    "validation_steps": Rule(_whole(2), "a whole number from 2, both ends of the grid included"),
    "accumulate": Rule(_whole(1), "a whole number from 1, the parts of a batch"),
    "devices": Rule(_whole(1), "a whole number from 1, the devices that share a training"),
    "checkpointing": SWITCH,
    "ema_warmup": SWITCH,
    "shuffle": SWITCH,
    "optimizer": _one_of(OPTIMIZERS),
    "lr_schedule": _one_of(SCHEDULES),
    "clip_by": _one_of(CLIPPING),
    "momentum": SHARE,
    "warmup": SHARE,
    "weight_decay": Rule(_number(0, ends=True), "a number from 0"),
    "noise": Rule(_number(0, ends=True), "a number from 0"),
    "first_stage": Rule(_number(0, 1), "a number between 0 and 1"),
    "lr_final_factor": Rule(lambda x: _number(0)(x) and x <= 1, "a number above 0, at most 1"),
    "lr_drops": Rule(
        lambda x: isinstance(x, list) and bool(x) and all(map(_number(0, 1), x)) and x == sorted(x),
        "a list of shares between 0 and 1, rising, such as [0.4, 0.8]",
    ),
}
"""By setting; those that are not here can be anything."""


def check(key: str, settings: Mapping[str, Any]) -> None:
    """Raises BadInput, under the name of `key`, for a setting there is none of and for a value that cannot be."""
    if unknown := sorted(set(settings) - {*KNOWN, *(OF_A_RUN if key == "training" else ())}):
        raise BadInput(f"{key}: {unknown} mean nothing; known: {list(KNOWN)}.")
    for name, value in settings.items():
        rule = RULES.get(name)
        if value is not None and rule and not rule.holds(value):
            raise BadInput(f"{key}.{name}={value}: expected {rule.expected}.")


def _plain(config: DictConfig | Mapping[str, Any] | None) -> dict[str, Any]:
    found: Any = OmegaConf.to_container(config) if isinstance(config, DictConfig) else config or {}
    return {str(name): value for name, value in found.items()}


def layers(key: str, training: DictConfig | None, profile: str, profiles: list[str]) -> dict[str, dict[str, Any]]:
    """The settings that `training` of conf/dataset/NAME.yaml or conf/method/NAME.yaml has for a profile, checked, as
    {key: settings}; of two entries the later one wins.

    key: what `training` is called, as method.NAME.training. It holds settings by profile (`quick: {steps: 1200}`) and
    settings for all of them, which win. Raises BadInput for a name that is neither a profile nor a setting.
    """
    given = _plain(training)
    for name in given:
        if name not in KNOWN and name not in profiles:
            raise BadInput(f"{key}.{name}: is no profile ({', '.join(profiles)}) and no setting; known: {list(KNOWN)}.")
        if name in profiles and given[name] is not None and not isinstance(given[name], dict):
            raise BadInput(f"{key}.{name}={given[name]}: expected settings, such as {{learning_rate: 1e-3}}.")
    by_profile = {f"{key}.{name}": given.get(name) or {} for name in profiles}
    for place, settings in by_profile.items():
        check(place, settings)
    always = {name: value for name, value in given.items() if name not in profiles}
    check(key, always)
    return {f"{key}.{profile}": by_profile[f"{key}.{profile}"], key: always}


def recipe(config: DictConfig, method: str, dataset: str, profiles: list[str]) -> TrainingConfig:
    """Settings of one training: the profile's, then the data set's, then the method's, then those of the command.

    Of two batch sizes of data set and method the smaller holds: what a data set says is about memory. Raises BadInput
    for a key that means nothing, a value that cannot be, and settings that do not go together.
    """
    profile = config.profile
    given: dict[str, Any] = {key: profile[key] for key in ("steps", "batch_size", "validations", "val_cases")}
    given["deterministic"] = config.deterministic
    data, own = (
        layers(f"{kind}.{name}.training", config[kind][name].get("training"), profile.name, profiles)
        for kind, name in (("dataset", dataset), ("method", method))
    )
    bound = min((size for layer in data.values() if (size := layer.get("batch_size"))), default=None)
    for layer in (*data.values(), *own.values()):
        given |= {name: value for name, value in layer.items() if value is not None}
    if bound is not None:
        given["batch_size"] = min(given["batch_size"], bound)
    command = _plain(config.training)
    check("training", command)
    given |= {name: value for name, value in command.items() if value is not None and name not in OF_A_RUN}
    if given.get("seconds") is not None:
        given["steps"] = None
    if "lr_drops" in given:
        given["lr_drops"] = tuple(given["lr_drops"])
    _fit_together(f"method {method} on {dataset}", TrainingConfig(**given))
    return TrainingConfig(**given)


def _fit_together(where: str, training: TrainingConfig) -> None:
    """Raises BadInput for settings of which one has no meaning beside another."""
    if training.momentum and training.optimizer not in ("sgd", "nesterov"):
        raise BadInput(
            f"training of {where}: momentum={training.momentum} with optimizer={training.optimizer}; only sgd and "
            "nesterov have one. Set training.momentum=0 or one of those optimisers."
        )
    if training.optimizer == "nesterov" and not training.momentum:
        raise BadInput(f"training of {where}: optimizer=nesterov needs a momentum, such as training.momentum=0.9.")
    if training.devices > 1:
        _shared(where, training)
    if training.weight_decay and training.optimizer is None:
        raise BadInput(
            f"training of {where}: weight_decay={training.weight_decay} with the method's own optimiser, which takes "
            f"none; name one: training.optimizer={' or '.join(OPTIMIZERS)}."
        )
    if (training.lr_schedule == "step") != bool(training.lr_drops):
        raise BadInput(
            f"training of {where}: lr_schedule={training.lr_schedule} with lr_drops={list(training.lr_drops)}; the "
            "schedule step, and no other, needs the shares of a stage after which the rate is divided by 10."
        )


def _shared(where: str, training: TrainingConfig) -> None:
    """Raises BadInput where a training cannot be shared by its devices."""
    parts = training.devices * training.accumulate
    each = -(-training.batch_size // parts)
    if -(-training.batch_size // each) != parts:
        raise BadInput(
            f"training of {where}: training.devices={training.devices} with accumulate={training.accumulate} splits "
            f"batch_size={training.batch_size} into {parts} parts of {each}, of which some would be empty; expected a "
            f"batch size that {parts} divides, such as training.batch_size={parts * each}."
        )
    if training.checkpointing:
        raise BadInput(
            f"training of {where}: training.devices={training.devices} with checkpointing=true, which computes parts "
            "of the network again while gradients are being averaged. Leave out one of the two; training.accumulate=2 "
            "saves memory, too."
        )
