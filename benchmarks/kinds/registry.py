"""Every kind of suite by the name that conf/suite/NAME.yaml gives it."""

from collections.abc import Callable

from omegaconf import DictConfig

from benchmarks.errors import BadInput, unknown
from benchmarks.kinds.base import Kind, check_methods
from benchmarks.kinds.corruptions import Corruptions
from benchmarks.kinds.everything import Everything
from benchmarks.kinds.overview import DataOverview
from benchmarks.kinds.shift import Shift
from benchmarks.kinds.synthesis import Synthesis
from benchmarks.kinds.synthetic_training import SyntheticTraining
from benchmarks.kinds.timing import Timing
from benchmarks.kinds.trajectories import Trajectories
from benchmarks.kinds.trials import Trials
from benchmarks.kinds.uncertainty import Uncertainty
from benchmarks.plan.configuration import configure

KINDS: dict[str, type[Kind]] = {
    kind.name: kind
    for kind in (
        Trials,
        Corruptions,
        Shift,
        DataOverview,
        Timing,
        Uncertainty,
        Trajectories,
        Synthesis,
        SyntheticTraining,
        Everything,
    )
}


def kind_of(config: DictConfig) -> Kind:
    """The kind of the suite. Raises BadInput for one that is none."""
    name = config.suite.get("kind")
    if name not in KINDS:
        raise BadInput(f"conf/suite/{config.suite.get('name')}.yaml: {unknown('kind', name, KINDS)}")
    return KINDS[name]()


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
