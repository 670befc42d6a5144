"""Two result stores side by side: what the same suite gave before and after a change of code, settings or data."""

import glob
from dataclasses import replace
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from benchmarks.errors import BadInput
from benchmarks.kinds.base import described
from benchmarks.kinds.trials import Trials
from benchmarks.plan import building, choices, identity
from benchmarks.plan.planning import conditions
from benchmarks.store.config import TrialConfig
from benchmarks.store.results import Results, Store
from benchmarks.store.trial import TrialView

BEFORE, AFTER = "before", "after"
REPORT = "compare"
"""Name of the report that shows the results."""


def compare(config: DictConfig, command: str) -> Results:
    """Trials and records of the suite in both stores, `paths.other` (before) and `paths.runs` (after): action=compare.

    records has the further column `store`, before or after; suite[before] and suite[after] are the stores' folders, in
    which their trials lie. The trial of the other store is the newest that the same command asks for there or, where a
    change of settings made that another, the newest of the same data set, method, seed and profile. Raises BadInput
    where the suite keeps no scores, or one of the stores is none or holds nothing of the suite.
    """
    _check(config)
    suite = described(config, Trials(), command)
    folders = {BEFORE: Path(config.paths.other), AFTER: Path(config.paths.runs)}
    sides = {}
    for side, key in ((BEFORE, "paths.other"), (AFTER, "paths.runs")):
        there = _store(folders[side], key)
        sides[side] = there.results(suite, _held(config, there, key, strict=side == AFTER))
    told = suite | {
        "name": REPORT,
        "report": REPORT,
        "title": f"{config.suite.title}: before and after",
        "question": f"What changed between two stores of suite={config.suite.name}?",
        "command": f"{command} action=compare",
        "redraw_command": None,
        **{side: str(folder) for side, folder in folders.items()},
    }
    records = [result.records.assign(store=side) for side, result in sides.items() if len(result.records)]
    return Results(
        told,
        [trial for result in sides.values() for trial in result.trials],
        pd.concat(records, ignore_index=True) if records else sides[AFTER].records.assign(store=None),
    )


def _check(config: DictConfig) -> None:
    """Two stores, and a suite that keeps scores of test cases."""
    if config.suite.kind != Trials.name:
        raise BadInput(
            f"action=compare: suite={config.suite.name} keeps no scores of test cases (its kind is "
            f"{config.suite.kind}); expected a suite that tests methods, e.g. suite=accuracy."
        )
    if config.paths.other is None:
        raise BadInput(
            f"paths.other: is not set, but action=compare sets two stores side by side; add paths.other=DIR, the store "
            f"from before the change (paths.runs={config.paths.runs} is the one from after it)."
        )
    before, after = Path(config.paths.other), Path(config.paths.runs)
    if before.resolve() == after.resolve():
        raise BadInput(f"paths.other={before}: is the same folder as paths.runs; give another store.")


def _store(runs: Path, key: str) -> Store:
    if not (runs / "trials").is_dir():
        raise BadInput(
            f"{key}={runs}: is no result store, it has no folder `trials`; give a folder that was paths.runs of a run."
        )
    return Store(runs)


def _held(config: DictConfig, store: Store, key: str, strict: bool) -> list[tuple[str, list[str]]]:
    """(trial key, condition keys) of the suite in a store. strict: only of trials asked for in these very words."""
    finished = [TrialView.load(path.parent) for path in (store.runs / "trials").glob("*/done.json")]
    views = [view for view in finished if view is not None]
    views.sort(key=lambda view: (view.done.get("finished", ""), view.key))
    found = []
    for asked in choices.requests(config):
        same = [view for view in views if view.config.request == identity.request_key(asked)]
        if not same and not strict:
            same = [view for view in views if _subject(view.config) == _subject(asked)]
        if same:
            found.append((same[-1].key, _conditions(config, same[-1], asked)))
    if not found:
        raise BadInput(
            f"{key}={store.runs}: holds no finished trial of suite={config.suite.name} with these methods, data sets, "
            f"seeds and profile={config.profile.name}; run the suite there first, or name what it holds."
        )
    return found


def _subject(config: TrialConfig) -> tuple[str, str, int, str]:
    return config.dataset.name, config.method.name, config.seed, config.profile


def _conditions(config: DictConfig, view: TrialView, asked: TrialConfig) -> list[str]:
    """Keys of the suite's conditions in a trial. Where a change of how tests are made gave one another hash, the only
    one of the same noise level and sampling is taken."""
    at_its_size = replace(asked, dataset=view.config.dataset)
    generative = building.traits(asked.method, Path(config.paths.cache)).generative
    found = []
    for condition in conditions(config, at_its_size, generative):
        alike = [condition.key]
        if not view.has(condition.key):
            name = glob.escape(condition.key.rpartition("-")[0])
            alike = [path.stem for path in (view.path / "records").glob(f"{name}-*.parquet")]
        found += alike if len(alike) == 1 else []
    return found
