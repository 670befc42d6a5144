"""What MLflow runs are to hold: names, tags, parameters and series of a suite and its trials."""

import hashlib
import json
import re
from dataclasses import dataclass

import pandas as pd

from benchmarks.store.results import Results
from benchmarks.store.trial import TrialView
from benchmarks.tracking.series import (
    Point,
    cost_points,
    finished_at,
    loss_points,
    score_points,
    setting_name,
    settings,
    started_at,
)

VALUE_LENGTH, TAG_LENGTH = 500, 5000
"""Below the limits of every MLflow version from 2.16."""

SOURCE = {"mlflow.source.name": "run_bench.py", "mlflow.source.type": "LOCAL"}
STATUS = {"ok": "FINISHED", "failed": "FAILED", "declined": "KILLED", "unfinished": "SCHEDULED", "stopped": "SCHEDULED"}


@dataclass(frozen=True)
class Run:
    """What one MLflow run is to hold. `identity` are the tags it is found again by."""

    name: str
    identity: dict[str, str]
    tags: dict[str, str]
    params: dict[str, str]
    points: list[Point]
    status: str
    start: int
    end: int

    def content(self, *more: object) -> str:
        """Hash of all that is written, so that an unchanged run is left alone."""
        return hashlib.sha256(json.dumps([*vars(self).values(), *more], sort_keys=True).encode()).hexdigest()[:16]


def suite_run(results: Results) -> Run:
    """The run that holds the report. Its settings are tags, because MLflow never lets a parameter change."""
    suite = results.suite
    starts = [started_at(trial) for trial in results.trials] or [0]
    ends = [finished_at(trial) for trial in results.trials] or [0]
    bad = any(trial.status == "failed" for trial in results.trials)
    profile = str(suite.get("profile", ""))
    note = f"**{suite.get('title', suite['name'])}**\n\n{suite.get('question', '')}\n\n    {suite.get('command', '')}\n"
    settings_as_tags = {f"suite.{name}": value[:TAG_LENGTH] for name, value in flatten(suite).items()}
    return Run(
        name=f"{suite['name']} {profile} {_data(results)}".replace("  ", " ").strip(),
        identity={"diffseg.kind": "suite", **_whole(results)},
        tags={"mlflow.note.content": note, **SOURCE, **settings_as_tags},
        params={},
        points=[],
        status="FAILED" if bad else "FINISHED",
        start=min(starts),
        end=max(ends),
    )


def _whole(results: Results) -> dict[str, str]:
    """What makes runs belong together: suite, profile and data."""
    suite = results.suite
    profile = str(suite.get("profile", ""))
    return {"diffseg.suite": suite["name"], "diffseg.profile": profile, "diffseg.datasets": _data(results)}


def _data(results: Results) -> str:
    """Names of the data sets, in the order of the alphabet."""
    named = results.suite.get("datasets") or {trial.config.dataset.name for trial in results.trials}
    return ", ".join(sorted(map(str, named)))[:TAG_LENGTH]


def _preferred(results: Results, trial: TrialView) -> list[int]:
    """Numbers of steps whose scores are shown first: that chosen on validation, else the suite's, in its order."""
    choice = results.selection.get((trial.config.dataset.name, trial.config.method.name))
    asked = results.suite.get("steps")
    return [choice.steps] if choice else asked if isinstance(asked, list) else []


def trial_runs(results: Results) -> list[Run]:
    """One run per trial, with the records that this suite made of it."""
    tested = _ends(results.records)
    by_trial = dict(tuple(tested.groupby("trial")))
    seeds = {trial.config.seed for trial in results.trials}
    runs = []
    for trial in results.trials:
        config, environment = trial.config, trial.environment
        samplings = settings(tested, _preferred(results, trial))
        records = by_trial.get(trial.key, tested.iloc[:0])
        seed = f" s{config.seed}" if len(seeds) > 1 else ""
        tags = {
            "diffseg.method": config.method.name,
            "diffseg.dataset": config.dataset.name,
            "diffseg.seed": str(config.seed),
            "diffseg.status": trial.status,
            "diffseg.in_report": "true",
            **SOURCE,
            **({"diffseg.reason": trial.reason, "mlflow.note.content": trial.reason} if trial.reason else {}),
            **({"diffseg.sampling": setting_name(samplings[0], samplings)} if (records["steps"] > 0).any() else {}),
            **{f"environment.{name}": value for name, value in flatten(environment).items()},
        }
        runs.append(
            Run(
                name=f"{trial.label} {config.dataset.name}{seed}",
                identity={
                    "diffseg.kind": "trial",
                    **_whole(results),
                    "diffseg.trial": trial.key,
                },
                tags={name: str(value)[:TAG_LENGTH] for name, value in tags.items()},
                params=parameters(config.to_json()),
                points=score_points(trial, records, samplings) + cost_points(trial, samplings) + loss_points(trial),
                status=STATUS[trial.status],
                start=started_at(trial),
                end=finished_at(trial),
            )
        )
    return runs


def _ends(records: pd.DataFrame) -> pd.DataFrame:
    """Of records along trajectories those of the last state of each sampling, which is what a method segments."""
    if "direction" not in records:
        return records
    reverse = records[records["direction"] == "reverse"]
    last = reverse.groupby(["trial", "case", "steps"])["index"].transform("max")
    return reverse[reverse["index"] == last]


def parameters(config: dict) -> dict[str, str]:
    """A trial's configuration; the names of method and data set are `method` and `dataset`, short to filter by."""
    short = {"method.name": "method", "dataset.name": "dataset"}
    return {short.get(name, name): value[:VALUE_LENGTH] for name, value in flatten(config).items()}


def flatten(config: dict, prefix: str = "") -> dict[str, str]:
    """Nested dictionaries as {"method.size": "small"}; lists stay whole, as JSON."""
    flat = {}
    for key, value in config.items():
        name = re.sub(r"[^/\w.\- ]", "_", f"{prefix}{key}")
        if isinstance(value, dict):
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = json.dumps(value, default=str) if isinstance(value, (list, tuple)) else str(value)
    return flat
