"""Whether the values of a command have the form of those that they replace, before anything is made of them."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from benchmarks.errors import BadInput, unknown

NULLABLE = (
    "limit", "dropout", "most_steps", "most_samples", "most_runs", "most_cases", "train", "val", "test", "augmentation",
    "training", "sampling", "search", "nsd_tolerance", "unions",
)  # fmt: skip
"""Keys that may be null though their files have a value."""
CHECKED = (
    "profile", "paths", "tracking", "noise", "tune", "device", "deterministic", "executor", "training", "verify", "gc",
    "sampling", "inference",
)  # fmt: skip
"""Parts of the configuration all of whose values are looked at here."""
OPEN = ("executor", "tune.space", "training")
"""Of these, those with keys beyond the ones in their files, which are looked at where they are used."""
FRACTIONS = ("seconds", "longest_call", "dropout")
"""Keys of a profile that need not be whole numbers."""
NAMED = ("method", "dataset")
"""Groups of settings by name, whose classes check what is theirs (`classes.check_arguments`)."""
NOTES = ("title", "summary", "loss", "twin_of")


def check(config: Mapping[str, Any], default: Mapping[str, Any]) -> None:
    """Raises BadInput, naming the key, for a value of another form than the one in `default`, which is the
    configuration without the command's changes (both as plain dictionaries)."""
    if more := sorted(map(str, set(config) - set(default))):
        raise unknown("+KEY=VALUE", more[0], map(str, default))
    for part in CHECKED:
        _compare(part, config.get(part), default[part])
    for group in NAMED:
        _compare(group, config.get(group), {})
        for name, settings in config[group].items():
            # A class of one's own has arguments of any form beside it; a data set that joins may be a file.
            if name not in default[group] and (group == "dataset" or config[group]["_target_"]):
                continue
            if name != "_target_":
                check_settings(f"{group}.{name}", settings)
    _positive("profile", config["profile"])
    _shares("tune.rungs", config["tune"]["rungs"])


def check_settings(key: str, settings: object) -> None:
    """Raises BadInput where what the configuration has under `key`, as method.unet, are no settings of a method or data
    set, or where those that no constructor is given have another form."""
    if not isinstance(settings, Mapping):
        raise BadInput(f"{key}={settings}: expected settings, such as {key}.KEY=VALUE.")
    for note in NOTES:
        if not isinstance(settings.get(note) or "", str):
            raise BadInput(f"{key}.{note}={settings[note]}: expected words.")
    for note in ("training", "sampling", "augmentation"):
        if not isinstance(settings.get(note) or {}, Mapping):
            raise BadInput(f"{key}.{note}={settings[note]}: expected settings, such as {{KEY: VALUE}}.")


def _compare(key: str, found: object, expected: object) -> None:
    part, _, name = key.rpartition(".")
    if expected is None or (found is None and part and name in NULLABLE):
        return
    if isinstance(expected, Mapping):
        if not isinstance(found, Mapping):
            raise BadInput(f"{key}={found}: expected settings, such as {key}.KEY=VALUE.")
        if expected and key not in OPEN and (more := sorted(map(str, set(found) - set(expected)))):
            raise unknown(key, more[0], map(str, expected))
        for inner, value in expected.items():
            _compare(f"{key}.{inner}", found.get(inner), value)
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
            if name != "seeds":
                _positive(f"{key}.{name}", inner)
    elif isinstance(value, list):
        if not value:
            raise BadInput(f"{key}=[]: expected at least one number.")
        for inner in value:
            if isinstance(inner, bool) or not isinstance(inner, int | float):
                raise BadInput(f"{key}={value}: expected a list of numbers above 0.")
            _positive(key, inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        name = key.rpartition(".")[2]
        if not (value > 0 and isfinite(value)) and name != "dropout":
            raise BadInput(f"{key}={value}: expected a number above 0.")
        if name not in FRACTIONS and value != int(value):
            raise BadInput(f"{key}={value}: expected a whole number above 0.")


def _shares(key: str, found: list) -> None:
    if not all(isinstance(one, int | float) and not isinstance(one, bool) and 0 < one < 1 for one in found):
        raise BadInput(f"{key}={found}: expected a list of shares between 0 and 1, such as [0.25, 0.5], or [].")
