"""action=tune: a search for each method's recipe on validation, with as many trials for every method.

runs/tuning/<dataset>-<method>-<hash>/     the hash is taken over all that decides what a trial of the search gives
    journal.log     Optuna's journal: a search that was stopped goes on where it was, but for the trial under way
    trials.csv      a row for each trial: its values, its validation DSC, at which share of the budget it was stopped
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from filelock import FileLock
from omegaconf import DictConfig

from benchmarks import console
from benchmarks.errors import BadInput, failure_of
from benchmarks.machine.device import fabric_for
from benchmarks.plan import building, identity
from benchmarks.plan.planning import make_plan
from benchmarks.plan.sources import prepared
from benchmarks.plan.trials import Trial
from benchmarks.seeding import seed_for
from benchmarks.store import sums
from benchmarks.store.files import REFUSED, there, write_csv
from benchmarks.store.results import Store
from benchmarks.training.loop import Subject, train
from benchmarks.tuning import space
from datasets.prepare import Prepared

if TYPE_CHECKING:
    import optuna

VERSION = 2
"""Raised when what a trial of the search gives changes."""


@dataclass(frozen=True)
class Found:
    """What the search for one method on one data set found: the trial it is about, a row for each trial of the search,
    and the words of a command with the best values; none where every trial failed."""

    trial: Trial
    rows: pd.DataFrame
    best: float | None
    words: list[str]


def tune(config: DictConfig, store: Store) -> list[Found]:
    """Search for every method on every data set of the suite, at the first seed. Raises BadInput before any work."""
    _optuna()
    if config.folds:
        raise BadInput(f"folds={config.folds}: action=tune searches on one split; leave folds out.")
    trials = [t for t in make_plan(config, tested=False) if t.config.seed == _first_seed(config)]
    if shared := next((t for t in trials if t.config.training.devices > 1), None):
        raise BadInput(
            f"training.devices={shared.config.training.devices}: action=tune trains on one device; leave it out."
        )
    spaces = {t.config.method.name: space.space_of(config, t.config.method.name) for t in trials}
    found = []
    for trial in trials:
        if trial.declined:
            console.say(f"{trial.name}: declined, {trial.declined}")
            continue
        found.append(_search(config, store, trial, spaces[trial.config.method.name]))
    return found


def _first_seed(config: DictConfig) -> int:
    return (config.suite.seeds if config.seeds is None else config.seeds)[0]


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise BadInput("action=tune: needs Optuna; install it with `pip install 'optuna>=4,<5'`.") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _search(config: DictConfig, store: Store, trial: Trial, searched: dict[str, Any]) -> Found:
    about = trial.config
    key = identity.digest([trial.key, searched, list(config.tune.rungs), VERSION])
    folder = store.runs / "tuning" / f"{about.dataset.name}-{about.method.name}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    journal = folder / "journal.log"
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        there(journal)  # refuses one that was damaged since
        with sums.growing(journal):
            return _searched(config, trial, searched, journal)


def _searched(config: DictConfig, trial: Trial, searched: dict[str, Any], journal: Path) -> Found:
    optuna, folder = _optuna(), journal.parent
    try:
        study = optuna.create_study(
            study_name="search",
            storage=optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal))),
            load_if_exists=True,
            direction="maximize",
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
        )
        # Also by how many there are: from the same seed a search that goes on would draw its first trials again.
        study.sampler = optuna.samplers.TPESampler(seed=seed_for("tune", folder.name, len(study.trials)) % 2**32)
        _stop_orphans(study, optuna)
        counted = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
        present = space.own(trial.config, searched)
        # The recipe there is comes first, so that nothing worse is ever found; again where it was interrupted.
        tried = study.get_trials(deepcopy=False, states=(*counted, optuna.trial.TrialState.WAITING))
        if not any(
            present.items() <= (one.params or one.system_attrs.get("fixed_params", {})).items() for one in tried
        ):
            study.enqueue_trial(present)
    except (ValueError, KeyError, TypeError, AssertionError) as error:  # what Optuna makes of lines that are damaged
        raise BadInput(f"{journal}: cannot be read ({failure_of(error).error}). {REFUSED[journal.name]}") from error
    data = prepared(config, trial.config.dataset)
    left = config.tune.trials - sum(t.state in counted for t in study.trials)
    if left > 0:
        study.optimize(lambda one: _score(config, trial, data, one, searched, folder), n_trials=left)
    rows = _rows(study)
    write_csv(folder / "trials.csv", rows)
    complete = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    best = max(complete, key=lambda t: (t.value, -t.number), default=None)
    words = space.overrides(trial.config.method.name, best.params) if best else []
    return Found(trial, rows, best.value if best else None, words)


def _stop_orphans(study: "optuna.Study", optuna: Any) -> None:
    """Trials that a killed run left under way are failed: they do not count, and others take their place."""
    for one in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
        study.tell(one.number, state=optuna.trial.TrialState.FAIL, skip_if_finished=True)


def _score(
    config: DictConfig, trial: Trial, data: Prepared, one: "optuna.Trial", searched: dict[str, Any], folder: Path
) -> float:
    """Validation DSC of the weights that training with the drawn values selects. Raises optuna.TrialPruned at a rung
    (a share of the budget) at which half of the trials before it were better."""
    optuna = _optuna()
    values = space.draw(one, searched)
    settings = space.applied(trial.config, values)
    rungs = list(config.tune.rungs)

    def validated(done: float, score: float) -> None:
        while rungs and done >= rungs[0]:
            rungs.pop(0)
            step = len(config.tune.rungs) - len(rungs)
            one.report(score, step)
            if one.should_prune():
                raise optuna.TrialPruned

    fabric = fabric_for(config)
    torch.manual_seed(seed_for("weights", settings.method.name, settings.seed))
    try:
        model = building.build(settings.method, settings.dataset)
        with console.task(f"{trial.name}: trial {one.number + 1} of {config.tune.trials}") as report:
            subject = Subject(
                model, data, settings.training, settings.seed, folder / f"{one.number}.pt", fabric, report, validated
            )
            return train(subject, f"{folder.name}-{one.number}").best_dsc
    except optuna.TrialPruned:
        raise
    except Exception as error:  # values that cannot be trained are the worst there are
        console.say(f"  trial {one.number + 1} failed: {failure_of(error).reason}")
        return 0.0
    finally:
        sums.forget(folder / f"{one.number}.pt")


def _rows(study: "optuna.Study") -> pd.DataFrame:
    rows = []
    for one in study.trials:
        if one.state.is_finished():
            seconds = one.duration.total_seconds() if one.duration else float("nan")
            last = max(one.intermediate_values.values(), default=float("nan"))
            value = one.value if one.value is not None else last
            rows.append({"trial": one.number + 1, "state": one.state.name.lower(), "dsc": value, "seconds": seconds,
                         **one.params})  # fmt: skip
    return pd.DataFrame(rows)
