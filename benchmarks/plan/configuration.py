"""From the command line to one checked configuration."""

import difflib
import re
from collections.abc import Iterator
from concurrent.futures import Executor
from functools import cache
from pathlib import Path
from typing import Any, cast

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from benchmarks.errors import BadInput, unknown
from benchmarks.plan import classes, forms, inference, own_data, recipes

CONF = Path(__file__).resolve().parents[2] / "conf"
GROUPS = ("suite", "profile", "executor", "tracking", "paths")
"""Groups of which a command chooses one file."""
RESCALINGS = ("image", "array", "none")
DEFAULT_SUITE = "noise_robustness"
"""What conf/config.yaml has where a command names none."""
NAMED = {"method": "unet.size=small", "dataset": "glas.split=patients"}
"""Groups of which a command has every file, each with an override of a key in one."""
ACTIONS = (
    "run", "plan", "report", "compare", "track", "tune", "verify", "list",
    "segment", "export", "import", "merge", "store", "gc", "leaderboard",
)  # fmt: skip


def names(group: str) -> list[str]:
    """Keys of a configuration group, e.g. every suite."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def plain(config: DictConfig) -> dict[str, Any]:
    """A part of the configuration as Python's own dictionaries, lists and scalars."""
    return cast(dict[str, Any], OmegaConf.to_container(config))


def configure(overrides: list[str]) -> DictConfig:
    """The resolved configuration of a command such as ["suite=noise_robustness", "profile=tiny"].

    Raises BadInput for an unknown key or name (with the nearest one) and for values that cannot be used.
    """
    for override in overrides:
        if "=" not in override:
            raise BadInput(f"{override!r} is not an override. Write key=value, e.g. suite=noise_robustness.")
    for group in GROUPS:
        for override in overrides:
            key, _, value = override.partition("=")
            if key.lstrip("+") == group and value not in names(group):
                raise unknown(group, value, names(group))
    overrides = own_data.reworded(overrides, set(names("dataset")))
    # Hydra keeps state of its own; a second composition in one process (tests, notebooks) starts clean.
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3", job_name="run_bench"):
            config, default = _composed(_every_file(), overrides)
    except (YAMLError, OSError) as error:  # OSError: a file that holds a number, say
        text = " ".join(str(error).split())
        raise BadInput(f"conf/: a file cannot be read as settings: {text}. Mend or remove it.") from error
    _check_suite(config, overrides)
    forms.check(plain(config), default | {group: dict.fromkeys(("_target_", *names(group))) for group in NAMED})
    own_data.join(config, set(names("dataset")))
    _join_own_method(config)
    _check(config)
    return config


def _composed(parts: list[str], overrides: list[str]) -> tuple[DictConfig, dict[str, Any]]:
    """The configuration of a command, and that of the files alone. Raises BadInput, OSError and YAMLError."""
    try:
        config = compose("config", parts + overrides)
        OmegaConf.resolve(config)
        return config, _default(tuple(filter(_chooses, overrides)))
    except (HydraException, OmegaConfBaseException, ValueError, TypeError) as error:  # of a group that is null, say
        raise BadInput(_explain(error, parts, overrides)) from error


def _every_file() -> list[str]:
    """Words for Hydra by which the configuration holds every method and data set. Hydra looks for defaults and a
    package in each file that it takes, half a second for fifty files; those that have neither are given to it as one.
    Raises OSError and YAMLError."""
    words: list[str] = []
    together: dict[str, dict[str, DictConfig]] = {group: {} for group in NAMED}
    for group in NAMED:
        for name in names(group):
            path = CONF / group / f"{name}.yaml"
            if re.search(r"^(defaults:|# *@package)", path.read_text(encoding="utf-8"), re.MULTILINE):
                words.append(f"+{group}@{group}.{name}={name}")
            else:
                together[group][name] = _file(path, path.stat().st_mtime_ns)
    ConfigStore.instance().store(group="every", name="file", node=together, package="_global_")
    return ["+every=file", *words]


@cache
def _file(path: Path, changed: int) -> DictConfig:
    """The content of a file as it was when it was last changed."""
    return cast(DictConfig, OmegaConf.load(path))


@cache
def _default(words: tuple[str, ...]) -> dict[str, Any]:
    """The configuration of the files alone, without methods and data sets; to be called where Hydra has been
    initialised."""
    config = compose("config", list(words))
    OmegaConf.resolve(config)
    return plain(config)


def _chooses(override: str) -> bool:
    """Whether a word of the command chooses one of the files of a group."""
    return override.partition("=")[0].lstrip("+") in GROUPS


def _check_suite(config: DictConfig, overrides: list[str]) -> None:
    """Raises BadInput where conf/suite/NAME.yaml holds no settings, or is of another name: reports lie under it."""
    chosen = [word.partition("=")[2] for word in overrides if word.partition("=")[0].lstrip("+") == "suite"]
    file = chosen[-1] if chosen else DEFAULT_SUITE
    if not OmegaConf.is_dict(config.suite) or not config.suite:
        raise BadInput(
            f"conf/suite/{file}.yaml: holds no settings; expected keys as in conf/suite/{DEFAULT_SUITE}.yaml."
        )
    if config.suite.get("name") != file:
        raise BadInput(f"conf/suite/{file}.yaml: name is {config.suite.get('name')!r}, expected {file}, as the file's.")


def _join_own_method(config: DictConfig) -> None:
    """`method._target_=my_package.MyMethod` joins as the method `mymethod`, with the other plain keys of `method`
    (added as `+method.width=8`) as arguments of its constructor."""
    target = config.method._target_
    if target is None:
        return
    if not isinstance(target, str) or not target.rpartition(".")[0]:
        raise BadInput(f"method._target_={target}: expected a class, as my_package.MyMethod.")
    OmegaConf.set_struct(config, False)
    arguments = {name: value for name, value in config.method.items() if not OmegaConf.is_dict(value)}
    title = target.rpartition(".")[2]
    config.method[title.lower()] = {"title": title, **arguments}
    config.methods = [*(config.suite.methods if config.methods is None else config.methods), title.lower()]


def _explain(error: Exception, parts: list[str], overrides: list[str]) -> str:
    """Hydra's message in our words: the key that is wrong and the nearest one that is right."""
    text = f"{error} {error.__cause__ or ''}"
    missing = re.search(r"Could not override '([^']+)'", text) or re.search(r"Key '([^']+)' is not in struct", text)
    known = list(_keys(plain(compose("config", parts))))
    if missing is None or missing[1] in known:
        word = _at_fault(parts, overrides)
        key = word.partition("=")[0].lstrip("+~")
        if key in NAMED:
            return f"{word}: expected settings of one of them, such as {key}.{NAMED[key]}."
        return f"{word or 'the command'}: {' '.join(str(error).split())} Check the spelling and the value."
    near = difflib.get_close_matches(
        missing[1], [key for key in known if not missing[1].startswith(f"{key}.")], n=1, cutoff=0.4
    )
    hint = f" Did you mean {near[0]!r}?" if near else " `python run_bench.py action=list` names what there is."
    if missing[1].rpartition(".")[0] in known and missing[1].partition(".")[0] in NAMED:
        hint += f" A setting that its file does not have is added by +{missing[1]}=VALUE."
    return f"{missing[1]}: there is no such key.{hint}"


def _at_fault(parts: list[str], overrides: list[str]) -> str:
    """The first word of a command that cannot be taken even alone, or the empty string."""
    for word in overrides:
        try:
            OmegaConf.resolve(compose("config", [*parts, word]))
        except (HydraException, OmegaConfBaseException, ValueError, TypeError):
            return word
    return ""


def _keys(node: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in node.items():
        yield prefix + str(name)
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{name}.")


def _check(config: DictConfig) -> None:
    """Raises BadInput for settings that mean nothing in any suite; a suite's own are checked by its kind."""
    if config.action not in ACTIONS:
        raise unknown("action", config.action, ACTIONS)
    if config.track is not None and config.track not in names("suite"):
        raise unknown("track", config.track, names("suite"))
    if config.noise.rescale not in RESCALINGS:
        raise unknown("noise.rescale", config.noise.rescale, RESCALINGS)
    inference.asked(config)
    recipes.check("training", plain(config.training))
    _check_executor(config.executor)


def _check_executor(executor: DictConfig) -> None:
    given = {str(name): value for name, value in plain(executor).items() if name != "_target_"}
    classes.check_arguments("executor", classes.named_class("executor._target_", executor._target_, Executor), given)
