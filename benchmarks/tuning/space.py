"""What is searched for a method: settings of its training and arguments of its class, from `search:` in conf/."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Protocol

from omegaconf import DictConfig, OmegaConf

from benchmarks.errors import BadInput
from benchmarks.store.config import TrainingConfig, TrialConfig

TRAINING = "training."
EXPONENTIAL_TO = 0.1
"""Where the rate ends under the schedule `exp`, which without an end is constant; most recipes' own."""
RANGE = {"low", "high", "log"}


class Suggests(Protocol):
    """The part of an Optuna trial that draws a value."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number from `low` to `high`."""

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        """One of the choices."""


def space_of(config: DictConfig, method: str) -> dict[str, Any]:
    """Of each name (`training.KEY`, or an argument of the method's class) a list of values or {low, high, log}.

    `tune.space` holds what is searched for every method, `search` of conf/method/NAME.yaml what is searched for this
    one besides. Raises BadInput naming an entry that is neither, and a training setting there is none of.
    """
    found: dict[str, Any] = OmegaConf.to_container(config.tune.space)  # type: ignore[assignment]
    found |= OmegaConf.to_container(config.method[method].get("search") or OmegaConf.create())  # type: ignore[operator]
    known = {entry.name for entry in fields(TrainingConfig)}
    for name, options in found.items():
        is_range = isinstance(options, Mapping) and {"low", "high"} <= set(options) <= RANGE
        if not is_range and not (isinstance(options, list) and options):
            raise BadInput(
                f"search of method {method}: {name}={options}; expected a list of values, or "
                "{low: ..., high: ..., log: true}."
            )
        if name.startswith(TRAINING) and name.removeprefix(TRAINING) not in known:
            raise BadInput(f"search of method {method}: {name} is no training setting; known: {sorted(known)}.")
    return found


def draw(trial: Suggests, space: Mapping[str, Any]) -> dict[str, Any]:
    """One value for each name of the space."""
    values: dict[str, Any] = {}
    for name, options in space.items():
        if isinstance(options, list):
            values[name] = trial.suggest_categorical(name, options)
        else:
            values[name] = trial.suggest_float(name, options["low"], options["high"], log=options.get("log", False))
    return values


def own(config: TrialConfig, space: Mapping[str, Any]) -> dict[str, Any]:
    """Of each name of the space the value that a trial has now, where it is one of those that are searched: what a
    method leaves open (null) is its class's default, which only a list that holds null can name."""
    values: dict[str, Any] = {}
    for name, options in space.items():
        arguments = config.method.arguments
        if name.startswith(TRAINING):
            value = getattr(config.training, name.removeprefix(TRAINING))
        elif name in arguments:
            value = arguments[name]
        else:
            continue
        if value in options if isinstance(options, list) else value is not None and _within(value, options):
            values[name] = value
    return values


def _within(value: float, options: Mapping[str, Any]) -> bool:
    return options["low"] <= value <= options["high"]


def _complete(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values and what they imply."""
    ends = {"training.lr_final_factor": EXPONENTIAL_TO} if values.get("training.lr_schedule") == "exp" else {}
    return ends | dict(values)


def applied(config: TrialConfig, values: Mapping[str, Any]) -> TrialConfig:
    """A trial with other values."""
    values = _complete(values)
    training = {name.removeprefix(TRAINING): value for name, value in values.items() if name.startswith(TRAINING)}
    arguments = {name: value for name, value in values.items() if not name.startswith(TRAINING)}
    method = replace(config.method, arguments={**config.method.arguments, **arguments})
    return replace(config, method=method, training=replace(config.training, **training))


def overrides(method: str, values: Mapping[str, Any]) -> list[str]:
    """The values as words of a command."""
    return [f"++method.{method}.{name}={_word(value)}" for name, value in _complete(values).items()]


def _word(value: Any) -> str:
    return "null" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value).lower()
