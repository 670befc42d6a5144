"""MLflow, told of a finished suite from the result store: a run per suite and, nested in it, a run per trial.

Everything is written at the end by one process, so a server that is down or a locked database costs no result: the
reason is returned and `track` can be called again. Runs are found again by their tags; what is there already is
neither written twice nor duplicated, and a call that was cut short is completed by the next.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from benchmarks.store.results import Results
from benchmarks.tracking import sent
from benchmarks.tracking.patience import within_limits
from benchmarks.tracking.runs import Run, suite_run, trial_runs
from benchmarks.tracking.series import SECTIONS

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as Found

LOCK_SECONDS = 15.0
"""How long to wait for another run that is writing."""
DATABASE_SECONDS = 5.0
"""How long to wait for an SQLite file that somebody else has locked."""
TABLES = {"alembic_version", "experiments", "runs", "metrics", "latest_metrics", "params", "tags", "inputs"}
"""Some of those that every MLflow database has from 2.16 on."""
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""MLflow's own settings, where the user's environment has none: its defaults wait minutes for a dead server."""
METRICS_PER_CALL, PARAMS_PER_CALL = 1000, 100
"""The most that MLflow takes at once."""


def track(results: Results, report_folder: Path, tracking: dict) -> str | None:
    """Write a suite, its trials and its report to MLflow.

    `tracking` has `enabled`, `uri` and `experiment` (conf/tracking/). Returns None when MLflow holds everything, or
    one line that says why not; trouble with the server, the database or the network is never raised.
    """
    if not tracking.get("enabled", True):
        return None
    uri, experiment = str(tracking.get("uri") or ""), str(tracking.get("experiment") or "")
    if not uri or not experiment:
        found = f"tracking.uri={uri!r} tracking.experiment={experiment!r}"
        return f"{found}: both are needed, e.g. tracking.uri=sqlite:///mlflow.db"
    report_folder = Path(report_folder)
    suite, trials = suite_run(results), trial_runs(results)
    try:
        database = _sqlite_file(uri)
        with _alone(database, report_folder), _quiet():
            which = " | ".join([experiment, *suite.identity.values()])
            content = _content([suite, *trials], results.suite, report_folder)
            if database:
                _check_database(database)
                if sent.holds(database, which, content):
                    return None
            telling = sent.Telling(database, which) if database else None
            within_limits(
                lambda: _client(uri),
                lambda client: _write(client, experiment, database, suite, trials, results.suite, report_folder),
            )
            if telling:
                telling.done(content)
    except Exception as error:  # MLflow's stores, their drivers and plug-ins raise whatever they like
        return f"{_without_password(uri)}: {_cause(error)}"
    return None


def _content(runs: list[Run], config: dict, folder: Path) -> str:
    """Hash of all that a suite leaves in MLflow."""
    parts = [*(run.content() for run in runs), _report_content(config, folder)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _client(uri: str) -> MlflowClient:
    from mlflow import MlflowClient  # takes seconds, and is not needed where tracking is off or the database is locked

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _write(
    client: MlflowClient, experiment: str, database: Path | None, suite: Run, trials: list[Run], config: dict,
    folder: Path,
) -> None:  # fmt: skip
    experiment_id = _experiment(client, experiment, database)
    there = _find(client, experiment_id, suite.identity)
    parents = [run for run in there if run.data.tags.get("diffseg.kind") == "suite"]
    known = {run.data.tags["diffseg.trial"]: run for run in there if "diffseg.trial" in run.data.tags}
    parent_id = _store(client, experiment_id, suite, parents[0] if parents else None, {})
    for trial in trials:
        found = known.pop(trial.identity["diffseg.trial"], None)
        _store(client, experiment_id, trial, found, {"mlflow.parentRunId": parent_id})
    for run in known.values():
        if run.data.tags.get("diffseg.in_report") != "false":
            client.set_tag(run.info.run_id, "diffseg.in_report", "false")
    _store_report(client, parent_id, parents[0].data.tags if parents else {}, config, folder)


def _experiment(client: MlflowClient, name: str, database: Path | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        # MLflow would put artifacts into the folder the command was run in, wherever the database lies.
        artifacts = (database.resolve().parent / "mlruns" / name).as_uri() if database else None
        return client.create_experiment(name, artifact_location=artifacts)
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return found.experiment_id


def _find(client: MlflowClient, experiment_id: str, identity: dict[str, str]) -> list[Found]:
    """The suite's runs and its trials' runs, oldest first."""
    shared = {name: identity[name] for name in ("diffseg.suite", "diffseg.profile", "diffseg.datasets")}
    condition = " and ".join(f"tags.`{name}` = '{value}'" for name, value in shared.items())
    found, page = [], None
    while True:
        runs = client.search_runs([experiment_id], condition, order_by=["start_time ASC"], page_token=page)
        found += runs
        page = runs.token
        if not page:
            return found


def _store(client: MlflowClient, experiment_id: str, run: Run, found: Found | None, links: dict[str, str]) -> str:
    """Make MLflow's run (`found`, or a new one) hold `run`; returns its id."""
    from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag

    content = run.content(links)
    tags = run.identity | run.tags | links
    there = found.data.tags if found else {}
    # The hash is the last thing written: a run that lacks it is incomplete.
    if there.get("diffseg.content") == content and there.get("diffseg.in_report") != "false":
        return found.info.run_id
    logged = _logged(client, found) if found else {}
    if found and _contradicts(run, found, logged):
        # MLflow keeps what was logged forever; two values at one step would be drawn as one curve.
        client.delete_run(found.info.run_id)
        found, logged = None, {}
    if found is None:
        found = client.create_run(experiment_id, start_time=run.start, tags=run.identity | links, run_name=run.name)
    run_id = found.info.run_id
    metrics = [Metric(p.name, p.value, p.time, p.step) for p in run.points if (p.name, p.step) not in logged]
    params = [Param(name, value) for name, value in run.params.items() if name not in found.data.params]
    changed = [RunTag(name, value) for name, value in tags.items() if found.data.tags.get(name) != value]
    for start in range(0, len(params), PARAMS_PER_CALL):
        client.log_batch(run_id, params=params[start : start + PARAMS_PER_CALL])
    for start in range(0, len(changed), PARAMS_PER_CALL):
        client.log_batch(run_id, tags=changed[start : start + PARAMS_PER_CALL])
    for start in range(0, len(metrics), METRICS_PER_CALL):
        client.log_batch(run_id, metrics=metrics[start : start + METRICS_PER_CALL])
    if "dataset" in run.params:
        digest = run.params.get("dataset.fingerprint", "")[:12] or "unknown"
        dataset = Dataset(run.params["dataset"], digest, source_type="local", source="{}")
        client.log_inputs(run_id, datasets=[DatasetInput(dataset)])
    if found.info.run_name != run.name:
        client.update_run(run_id, name=run.name)
    if run.status == "SCHEDULED":
        client.update_run(run_id, status=run.status)
    else:
        client.set_terminated(run_id, status=run.status, end_time=run.end)
    client.set_tag(run_id, "diffseg.content", content)
    return run_id


def _logged(client: MlflowClient, found: Found) -> dict[tuple[str, int], float]:
    return {
        (name, metric.step): metric.value
        for name in found.data.metrics
        for metric in client.get_metric_history(found.info.run_id, name)
    }


def _contradicts(run: Run, found: Found, logged: dict[tuple[str, int], float]) -> bool:
    """Whether MLflow holds something that `run` does not say."""
    points = {(point.name, point.step): point.value for point in run.points}
    ours = {place: value for place, value in logged.items() if place[0].startswith(SECTIONS)}
    return any(points.get(place) != value for place, value in ours.items()) or any(
        found.data.params.get(name, value) != value for name, value in run.params.items()
    )


def _store_report(client: MlflowClient, run_id: str, tags: dict[str, str], config: dict, folder: Path) -> None:
    """Report, tables, figures and records as artifacts, where they differ from those there."""
    content = _report_content(config, folder)
    if tags.get("diffseg.report") == content:
        return
    for file in _files(folder):
        place = file.parent.relative_to(folder).as_posix()
        client.log_artifact(run_id, str(file), None if place == "." else place)
    client.log_dict(run_id, json.loads(json.dumps(config, default=str)), "suite.json")
    client.set_tag(run_id, "diffseg.report", content)


def _files(folder: Path) -> list[Path]:
    """Of a report, all that is to be seen."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))


def _report_content(config: dict, folder: Path) -> str:
    """Hash of a report's files and of the suite it is of."""
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for file in _files(folder):
        digest.update(f"{file.relative_to(folder)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _sqlite_file(uri: str) -> Path | None:
    """The database file of sqlite:///FILE, None for any other address."""
    match = re.fullmatch(r"sqlite(?:\+\w+)?:///([^?]+)(?:\?.*)?", uri)
    return Path(match[1]) if match and match[1] != ":memory:" else None


@contextmanager
def _alone(database: Path | None, folder: Path) -> Iterator[None]:
    """One writer at a time to a database, or to a server from one store."""
    path = database.with_name(f"{database.name}.lock") if database else folder.parent / ".tracking.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=LOCK_SECONDS):
            yield
    except Timeout:
        raise TimeoutError(f"another run is still writing after {LOCK_SECONDS:g} s ({path} is locked)") from None


def _check_database(database: Path) -> None:
    """Raise where an SQLite file cannot be written now, of which MLflow itself would try for minutes, and where it is
    not MLflow's, or the remains of one whose making was cut short."""
    if not database.exists() or not database.stat().st_size:
        return
    try:
        with closing(sqlite3.connect(database, timeout=DATABASE_SECONDS, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            whole = tables >= TABLES and connection.execute("SELECT version_num FROM alembic_version").fetchone()
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{database} is no database ({error}). {_aside(database)}") from None
    if tables and not whole:
        raise ValueError(f"{database} is half made: {len(tables & TABLES)} of MLflow's tables are there. "
                         f"{_aside(database)}")  # fmt: skip


def _aside(database: Path) -> str:
    return f"Move it away (mv {database.name} {database.name}.broken) or set tracking.uri=sqlite:///other.db"


@contextmanager
def _quiet() -> Iterator[None]:
    """Without MLflow's and alembic's log lines and retries; their errors reach the user as one line."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _cause(error: BaseException) -> str:
    """The innermost reason, in one line: what is wrapped around it names internals of the libraries on the way."""
    seen: list[BaseException] = []
    inner: BaseException | None = error
    while inner is not None and inner not in seen:
        seen.append(inner)
        carried = [getattr(inner, "reason", None), *inner.args]
        inner = (
            next((e for e in carried if isinstance(e, BaseException)), None)
            or inner.__cause__
            or (None if inner.__suppress_context__ else inner.__context__)
        )
    words = " ".join(str(seen[-1]).split()) or type(seen[-1]).__name__
    if "out-of-date database schema" in words:
        words = "the database is of another version of MLflow; copy it, then: mlflow db upgrade ADDRESS"
    if "image is malformed" in words:
        words += "; move the file away or set tracking.uri=sqlite:///other.db, and the same command writes it anew"
    return _without_password(words[:240])


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]+@", "//***@", text)
