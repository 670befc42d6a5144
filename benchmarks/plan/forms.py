"""Whether the values of a command have the form of those that they replace, before anything is made of them."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from benchmarks.errors import BadInput

NULLABLE = (
    "limit", "dropout", "most_steps", "most_samples", "most_runs", "most_cases", "train", "val", "test", "augmentation",
    "training", "sampling", "search", "nsd_tolerance",
)  # fmt: skip
"""Keys that may be null though their files have a value."""
CHECKED = ("profile", "paths", "tracking", "noise", "tune", "device", "deterministic", "executor", "training")
"""Parts of the configuration all of whose values are looked at here."""
NAMED = ("method", "dataset")
"""Groups of settings by name, whose classes check what is theirs (`classes.check_arguments`)."""
NOTES = ("title", "summary", "loss", "twin_of")


def check(config: Mapping[str, Any], default: Mapping[str, Any]) -> None:
    """Raises BadInput, naming the key, for a value of another form than the one in `default`, which is the
    configuration without the command's changes (both as plain dictionaries)."""
    for part in CHECKED:
        _compare(part, config.get(part), default[part])
    for group in NAMED:
        _compare(group, config.get(group), {})
        for name, settings in config[group].items():
            if name == "_target_" or name not in default[group]:
                continue
            if not isinstance(settings, Mapping):
                raise BadInput(f"{group}.{name}={settings}: expected settings, such as {group}.{name}.KEY=VALUE.")
            for note in NOTES:
                if not isinstance(settings.get(note) or "", str):
                    raise BadInput(f"{group}.{name}.{note}={settings[note]}: expected words.")
            for note in ("training", "sampling", "augmentation"):
                if not isinstance(settings.get(note) or {}, Mapping):
                    raise BadInput(
                        f"{group}.{name}.{note}={settings[note]}: expected settings, such as {{KEY: VALUE}}."
                    )
    _positive("profile", config["profile"])


def _compare(key: str, found: object, expected: object) -> None:
    if expected is None or (found is None and key.rpartition(".")[2] in NULLABLE):
        return
    if isinstance(expected, Mapping):
        if not isinstance(found, Mapping):
            raise BadInput(f"{key}={found}: expected settings, such as {key}.KEY=VALUE.")
        for name, value in expected.items():
            _compare(f"{key}.{name}", found.get(name), value)
    elif _form(found) != _form(expected):
        hint = f" Write '{key}=\"{found}\"'." if _form(expected) == "words" and found is not None else ""
        raise BadInput(f"{key}={found}: expected {_form(expected)}, such as {expected}.{hint}")


def _form(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "words" if isinstance(value, str) else "a list" if isinstance(value, list) else "null"


def _positive(key: str, value: object) -> None:
    """What a profile counts is above 0."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in ("dropout", "seeds"):
                _positive(f"{key}.{name}", inner)
    elif isinstance(value, list):
        if not value:
            raise BadInput(f"{key}=[]: expected at least one number.")
        for inner in value:
            if isinstance(inner, bool) or not isinstance(inner, int | float):
                raise BadInput(f"{key}={value}: expected a list of numbers above 0.")
            _positive(key, inner)
    elif isinstance(value, int | float) and not isinstance(value, bool) and not (value > 0 and isfinite(value)):
        raise BadInput(f"{key}={value}: expected a number above 0.")
