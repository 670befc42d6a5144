"""How much of a plan the store holds already."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import DictConfig

from benchmarks.errors import BadInput
from benchmarks.plan import building, choices, elsewhere, identity
from benchmarks.plan.planning import conditions
from benchmarks.plan.trials import Condition, Trial
from benchmarks.store.config import TrialConfig
from benchmarks.store.results import Store
from benchmarks.store.trial import TrialView


@dataclass(frozen=True)
class State:
    """How much of a trial the store holds: whether it is trained, under how many conditions it is tested, whether it
    is marked as ended well, and why it failed where another attempt would end alike."""

    trained: bool
    tested: int
    marked: bool = False
    failed: str | None = None

    def complete(self, trial: Trial) -> bool:
        """Whether nothing is left to do for `trial`."""
        return trial.declined is not None or (self.marked and self.trained and self.tested == len(trial.conditions))


def state(store: Store, trial: Trial) -> State:
    """What the store holds of a trial now."""
    view = store.trial(trial.key)
    if view is None:
        return State(False, 0)
    failed = view.reason if view.status == "failed" and not view.done["retry"] else None
    tested = sum(trial.tested(view, condition) for condition in trial.conditions)
    return State(view.trained, tested, view.status == "ok", failed)


Narrow = Callable[[TrialConfig, tuple[Condition, ...]], tuple[Condition, ...]]
"""From what a trial may be tested under to what it was."""


def find_stored(
    config: DictConfig, store: Store, tested: bool = True, narrow: Narrow = lambda trial, planned: planned
) -> list[tuple[str, list[str]]]:
    """Keys of the newest trials and their conditions (none unless `tested`) that answer this command, without its data.

    Raises BadInput where the store holds none of them."""
    found = []
    for asked in choices.requests(config):
        view = store.newest(identity.request_key(asked))
        if view:
            # The stored configuration says what the command does not: channels, and the content of other data sets.
            trial = replace(asked, dataset=view.config.dataset)
            there = view.elsewhere(elsewhere.asked(config, asked.dataset))
            generative = building.traits(asked.method, Path(config.paths.cache)).generative
            planned = conditions(config, trial, generative, there) if tested else ()
            wanted = narrow(view.config, planned)
            found.append((view.key, stored_keys(view, wanted)))
    if not found:
        raise BadInput(
            f"paths.runs={store.runs}: holds no finished trial of suite={config.suite.name} with these settings; "
            "run the same command without action first."
        )
    return found


def stored_keys(view: TrialView, conditions: Sequence[Condition]) -> list[str]:
    """Of each condition the key under which the store holds its records: its own or a former one, its own without
    any."""
    named = [(condition.key, condition.apart.key, condition.former_key) for condition in conditions]
    return [next((key for key in keys if view.has(key)), keys[0]) for keys in named]
