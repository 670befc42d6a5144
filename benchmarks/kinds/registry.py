"""Every kind of suite by the name that conf/suite/NAME.yaml gives it."""

from collections.abc import Callable
from importlib import import_module

from omegaconf import DictConfig

from benchmarks.errors import BadInput, unknown
from benchmarks.kinds.base import Kind, check_methods
from benchmarks.plan.configuration import configure

KINDS = {
    "trials": "trials.Trials",
    "corruptions": "corruptions.Corruptions",
    "shift": "shift.Shift",
    "overview": "overview.DataOverview",
    "timing": "timing.Timing",
    "uncertainty": "uncertainty.Uncertainty",
    "trajectories": "trajectories.Trajectories",
    "synthesis": "synthesis.Synthesis",
    "synthetic_training": "synthetic_training.SyntheticTraining",
    "all": "everything.Everything",
}
"""Where the class of each kind is in this package; that of the suite is imported, and no other."""


def kind_named(name: str) -> type[Kind]:
    """The class of a kind that is one of `KINDS`."""
    module, _, kind = KINDS[name].partition(".")
    return getattr(import_module(f"benchmarks.kinds.{module}"), kind)


def kind_of(config: DictConfig) -> Kind:
    """The kind of the suite. Raises BadInput for one that is none."""
    name = config.suite.get("kind")
    if name not in KINDS:
        raise BadInput(f"conf/suite/{config.suite.get('name')}.yaml: {unknown('kind', name, KINDS)}")
    return kind_named(name)()


def checked(
    overrides: list[str],
    config: DictConfig | None = None,
    further: Callable[[DictConfig, Kind], None] = lambda config, kind: None,
) -> tuple[DictConfig, Kind]:
    """The configuration of a command (`config` where it is known) and the kind of its suite, which has checked it.
    further: what else is to be checked before the classes of methods are imported. Raises BadInput."""
    config = config or configure(overrides)
    kind = kind_of(config)
    kind.check(config)
    further(config, kind)
    if kind.compares_methods:
        check_methods(config, kind.synthesizes)
    return config, kind
