"""What can be named on the command line, with one line about each."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from benchmarks.errors import BadInput
from benchmarks.plan import building, choices, classes
from benchmarks.plan.configuration import CONF, names
from datasets.base import Source


def catalogue(config: DictConfig) -> dict[str, list[tuple[str, str]]]:
    """Suites, methods that segment, those that make images from label maps, data sets and profiles: a list of (key, one
    line) for each. A method whose class cannot be imported stands among the segmenters."""
    makers = [name for name in names("method") if _synthesizes(config, name)]
    lines = {name: f"{config.method[name].title}: {config.method[name].summary}" for name in names("method")}
    return {
        "suite": [(name, _question(name)) for name in names("suite")],
        "method": [(name, line) for name, line in lines.items() if name not in makers],
        "synthesizer": [(name, lines[name]) for name in makers],
        "dataset": [(name, _source(config, name).title) for name in names("dataset")],
        "profile": [(name, _comment("profile", name)) for name in names("profile")],
    }


def _question(name: str) -> str:
    """What a suite answers; what is wrong with its file is said when it is run."""
    try:
        return str(OmegaConf.load(CONF / "suite" / f"{name}.yaml").question)
    except Exception:  # a file of somebody's own that is no suite yet
        return "(its file cannot be read as a suite)"


def _synthesizes(config: DictConfig, name: str) -> bool:
    try:
        return building.synthesizes(choices.method_config(config, name), Path(config.paths.cache), keep=True)
    except BadInput:  # what is wrong with it is said when it is used
        return False


def _source(config: DictConfig, name: str) -> type[Source]:
    return classes.named_class(f"dataset.{name}._target_", config.dataset[name]._target_, Source)


def _comment(group: str, name: str) -> str:
    """The sentence under the command in the head of a configuration file."""
    lines = (CONF / group / f"{name}.yaml").read_text().splitlines()
    return " ".join(line.lstrip("# ") for line in lines[1:3] if line.startswith("#"))
