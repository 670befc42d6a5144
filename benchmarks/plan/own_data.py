"""Data sets of a user's own that join those of conf/dataset/ for one command."""

import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from benchmarks.errors import BadInput
from benchmarks.plan import classes, forms

TEMPLATE = "folder"
"""The data set whose settings hold where one's own has none."""
SHARED = ("image_size", "nsd_tolerance")
"""Of these settings, those that fit classes other than its own."""


FILE = "_file_"
"""Where a data set's settings stand in a file, the key that holds its name until it is read."""


def reworded(overrides: Sequence[str], known: set[str]) -> list[str]:
    """The words of a command as Hydra wants them: keys of a data set that joins with +dataset.NAME need no + of their
    own, and a file is a key like the others."""
    joining = {match[1] for word in overrides if (match := re.match(r"\+\+?dataset\.(\w+)[.=]", word))} - known
    found = []
    for word in overrides:
        key, _, value = word.partition("=")
        parts = key.lstrip("+").split(".")
        if parts[0] == "dataset" and len(parts) > 1 and parts[1] in joining:
            name = ".".join(parts)
            word = (
                f"++{name}.{FILE}={value}"
                if value.endswith((".yaml", ".yml")) and len(parts) == 2
                else f"++{name}={value}"
            )
        found.append(word)
    return found


def join(config: DictConfig, known: set[str]) -> None:
    """Complete every data set that is not one of `known` files, and add the class of `dataset._target_`.

    `+dataset.isic={images: a, masks: b}`, or `+dataset.isic=FILE.yaml`, has the other settings of `dataset.folder`.
    `dataset._target_=my_package.MySource` joins as `mysource`, with the other plain keys of `dataset` as arguments of
    its constructor. Raises BadInput naming the key.
    """
    OmegaConf.set_struct(config, False)
    target = config.dataset.get("_target_")
    if target is not None:
        from datasets.base import Source

        kind = classes.named_class("dataset._target_", target, Source)
        name = kind.__name__.lower()
        if name in config.dataset:
            raise BadInput(
                f"dataset._target_={target}: would join as {name}, which is a data set of conf/dataset/ or of this "
                f"command. Expected a name of its own: '+dataset.my_{name}={{_target_: {target}}}' with "
                f"datasets=[my_{name}]."
            )
        plain = {key: value for key, value in config.dataset.items() if not OmegaConf.is_dict(value)}
        for key in plain:
            if key != "_target_":
                del config.dataset[key]
        config.dataset[name] = plain
        config.datasets = [*(config.suite.datasets if config.datasets is None else config.datasets), name]
    for name in [str(name) for name in config.dataset if name not in known and name != "_target_"]:
        own = _settings(f"dataset.{name}", config.dataset[name])
        forms.check_settings(f"dataset.{name}", OmegaConf.to_container(own))
        config.dataset[name] = OmegaConf.merge(_template(config, name, own), own)
    OmegaConf.resolve(config.dataset)


def _settings(key: str, given: Any) -> DictConfig:
    """Those of one data set: as given, over those of the file that is named, if one is."""
    if OmegaConf.is_dict(given) and FILE in given:
        try:
            file = OmegaConf.load(Path(str(given.pop(FILE))))
            given = OmegaConf.merge(file, given)
        except Exception as error:  # a missing file, a folder, bytes, and what YAML and OmegaConf have against it
            words = " ".join(str(error).split())
            raise BadInput(f"{key}: the file cannot be read as settings ({words}). Expected YAML.") from error
    if not OmegaConf.is_dict(given):
        raise BadInput(
            f"{key}={given}: is no data set of conf/dataset/. Expected settings, such as "
            f"'+{key}={{images: DIR, masks: DIR}}', or the name of a YAML file that holds them."
        )
    return given


def _template(config: DictConfig, name: str, own: DictConfig) -> DictConfig:
    """Settings of `dataset.folder` as far as the class of one's own data set has them."""
    folder = config.dataset[TEMPLATE]
    if own.get("_target_") is None:
        return folder
    from datasets.base import Source
    from datasets.folder import Folder

    kind = classes.named_class(f"dataset.{name}._target_", own["_target_"], Source)
    if issubclass(kind, Folder):
        return folder
    keys = [*SHARED, *(["limit"] if "limit" in inspect.signature(kind).parameters else [])]
    return OmegaConf.masked_copy(folder, keys)
