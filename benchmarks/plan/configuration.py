"""From the command line to one checked configuration."""

import difflib
import re
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from benchmarks.errors import BadInput, unknown

CONF = Path(__file__).resolve().parents[2] / "conf"
ACTIONS = ("run", "plan", "report", "compare", "track", "list")


def names(group: str) -> list[str]:
    """Keys of a configuration group, e.g. every suite."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def configure(overrides: list[str]) -> DictConfig:
    """The resolved configuration of a command such as ["suite=noise_robustness", "profile=tiny"].

    Raises BadInput for an unknown key or name (with the nearest one) and for values that cannot be used.
    """
    for override in overrides:
        if "=" not in override:
            raise BadInput(f"{override!r} is not an override. Write key=value, e.g. suite=noise_robustness.")
    for group in ("suite", "profile", "executor", "tracking", "paths"):
        for override in overrides:
            key, _, value = override.partition("=")
            if key.lstrip("+") == group and value not in names(group):
                raise unknown(group, value, names(group))
    parts = [f"+{group}@{group}.{name}={name}" for group in ("method", "dataset") for name in names(group)]
    # Hydra keeps state of its own; a second composition in one process (tests, notebooks) starts clean.
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3", job_name="run_bench"):
        try:
            config = compose("config", parts + overrides)
            OmegaConf.resolve(config)
        except (HydraException, OmegaConfBaseException) as error:
            raise BadInput(_explain(error, parts)) from error
    _join_own_method(config)
    _check(config)
    return config


def _join_own_method(config: DictConfig) -> None:
    """`method._target_=my_package.MyMethod` joins as the method `mymethod`, with the other plain keys of `method`
    (added as `+method.width=8`) as arguments of its constructor."""
    target = config.method._target_
    if target is None:
        return
    OmegaConf.set_struct(config, False)
    arguments = {name: value for name, value in config.method.items() if not OmegaConf.is_dict(value)}
    title = target.rpartition(".")[2]
    config.method[title.lower()] = {"title": title, **arguments}
    config.methods = [*(config.suite.methods if config.methods is None else config.methods), title.lower()]


def _explain(error: Exception, parts: list[str]) -> str:
    """Hydra's message in our words: the key that is wrong and the nearest one that is right."""
    text = f"{error} {error.__cause__ or ''}"
    missing = re.search(r"Could not override '([^']+)'", text) or re.search(r"Key '([^']+)' is not in struct", text)
    if missing is None:
        return f"{' '.join(str(error).split())} Check the spelling and the value of the override."
    key = missing[1]
    with_all = compose("config", parts)
    known = list(_keys(OmegaConf.to_container(with_all, resolve=False)))
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else " `python run_bench.py action=list` names what there is."
    return f"{key}: there is no such key.{hint}"


def _keys(node: dict, prefix: str = ""):
    for name, value in node.items():
        yield prefix + str(name)
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{name}.")


def _check(config: DictConfig) -> None:
    if config.action not in ACTIONS:
        raise unknown("action", config.action, ACTIONS)
    if config.track is not None:
        if config.track not in names("suite"):
            raise unknown("track", config.track, names("suite"))
    for key in ("methods", "datasets"):
        chosen = config[key] if config[key] is not None else config.suite[key]
        if config.suite.kind == "all" and config[key] is None:
            continue
        if key == "methods" and config.suite.kind == "overview":
            if chosen:
                raise BadInput(f"methods={chosen}: suite={config.suite.name} compares no methods; leave methods out.")
            continue
        if not OmegaConf.is_list(chosen) or not chosen:
            raise BadInput(
                f"{key}={chosen}: expected a list with at least one name, e.g. {key}=[{names(key[:-1])[0]}]."
            )
        for name in chosen:
            if name not in config[key[:-1]] or name == "_target_":
                raise unknown(key, name, [n for n in config[key[:-1]] if n != "_target_"])
    seeds = config.seeds if config.seeds is not None else config.suite.seeds
    if not OmegaConf.is_list(seeds) or not seeds or not all(isinstance(s, int) and s >= 0 for s in seeds):
        raise BadInput(f"seeds={seeds}: expected a list of whole numbers from 0, e.g. seeds=[0,1,2].")
    for sigma in config.suite.sigmas:
        if not isinstance(sigma, (int, float)) or not 0 <= sigma < float("inf"):
            raise BadInput(
                f"suite.sigmas: {sigma!r} is not a noise standard deviation; expected numbers from 0, e.g. 0.1."
            )
    if config.suite.kind == "uncertainty":
        _check_uncertainty(config.suite)
    if config.suite.kind == "timing":
        _check_timing(config.suite)
    for steps in config.suite.steps or []:
        if not isinstance(steps, int) or steps < 2:
            raise BadInput(
                f"suite.steps: {steps!r} cannot be sampled; expected whole numbers from 2 "
                "(the grid holds both ends, T-1 and 0; one point would decode pure noise)."
            )
    if config.suite.kind == "trajectories" and not (isinstance(config.suite.cases, int) and config.suite.cases > 0):
        raise BadInput(f"suite.cases={config.suite.cases}: expected a whole number from 1, the test cases to watch.")
    for key in ("steps", "seconds", "batch_size", "learning_rate"):
        value = config.training[key]
        if value is not None and (not isinstance(value, (int, float)) or value <= 0):
            raise BadInput(f"training.{key}={value}: expected a number above 0.")
    parts = config.training.accumulate
    if parts is not None and (not isinstance(parts, int) or parts < 1):
        raise BadInput(f"training.accumulate={parts}: expected a whole number from 1, the parts of a batch.")
    if config.training.checkpointing not in (None, True, False):
        raise BadInput(f"training.checkpointing={config.training.checkpointing}: expected true or false.")
    if config.noise.rescale not in ("image", "array", "none"):
        raise unknown("noise.rescale", config.noise.rescale, ("image", "array", "none"))


def _check_timing(suite: DictConfig) -> None:
    sizes = suite.sizes
    if sizes is not None and (not OmegaConf.is_list(sizes) or not sizes or not all(_whole(s, 1) for s in sizes)):
        raise BadInput(f"suite.sizes={sizes}: expected a list of sides in pixels, e.g. [64,128], or null.")
    for key in ("longest_call", "seconds"):
        if not isinstance(suite[key], (int, float)) or suite[key] <= 0:
            raise BadInput(f"suite.{key}={suite[key]}: expected a number of seconds above 0.")
    if not _whole(suite.least_calls, 1):
        raise BadInput(f"suite.least_calls={suite.least_calls}: expected a whole number from 1.")


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and value >= least


def _check_uncertainty(suite: DictConfig) -> None:
    for key, least in (("runs", 2), ("pictures", 0)):
        if not isinstance(suite[key], int) or suite[key] < least:
            raise BadInput(f"suite.{key}={suite[key]}: expected a whole number from {least}.")
    if len(suite.sigmas) != 1:
        raise BadInput(f"suite.sigmas={list(suite.sigmas)}: suite={suite.name} samples at one noise level, e.g. [0].")
