"""The name of a report: by its suite and data sets, so that a narrower run does not replace a larger report."""

import re
from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from benchmarks.errors import BadInput
from benchmarks.plan import identity
from benchmarks.plan.configuration import names

DEFAULT_PROFILE = "quick"
"""What conf/config.yaml has where a command names none."""
SAID = ("suite", "datasets", "profile")
"""Keys of a command that the name says in words."""
APART = (
    "action", "track", "report", "device", "executor", "tracking", "paths", "verify", "training.stop_after",
    "suite.save_predictions",
)  # fmt: skip
"""Keys that change nothing in a report, and the groups of such."""
MOST = 3
"""Data sets whose names stand in that of a report; more are counted."""


def named(config: DictConfig, overrides: Sequence[str]) -> str:
    """The folder of a command's report below reports/: `report` where it is set, else the suite, its data sets, the
    profile where it is not the default, and a hash of what else the command says. Raises BadInput for what is no name,
    and for that of a suite, under which the latest of its reports is linked."""
    if config.report is None:
        return _derived(config, overrides)
    if OmegaConf.is_config(config.report):
        raise BadInput(f"report={config.report}: expected the name of a folder, such as report=final.")
    name = str(config.report)
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", name):
        raise BadInput(f"report={name!r}: is no name of a folder; expected letters, digits and any of _ . + -")
    if name in names("suite"):
        raise BadInput(
            f"report={name}: the latest report of suite={name} is linked under this name; give another, such as "
            f"report={name}_final."
        )
    return name


def _derived(config: DictConfig, overrides: Sequence[str]) -> str:
    datasets = list(config.suite.datasets if config.datasets is None else config.datasets)
    parts = [str(config.suite.name)]
    if datasets:
        parts.append("+".join(datasets) if len(datasets) <= MOST else f"{len(datasets)}_data_sets")
    if config.profile.name != DEFAULT_PROFILE:
        parts.append(str(config.profile.name))
    rest = sorted(word for word in overrides if not _said(word.lstrip("+~").partition("=")[0]))
    if len(datasets) > MOST:
        rest.append(",".join(datasets))
    if rest or len(parts) == 1:
        parts.append(identity.digest(rest)[:6])
    return "-".join(parts)


def _said(key: str) -> bool:
    return key in SAID or any(key == apart or key.startswith(f"{apart}.") for apart in APART)
