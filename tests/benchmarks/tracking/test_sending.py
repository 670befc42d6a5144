"""MLflow holds what the store holds, once, and trouble with MLflow is a sentence, not an exception."""

import shutil
import socket
import sqlite3
import threading
import time
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from benchmarks.store.files import write_frame, write_json
from benchmarks.store.records import RECORD_COLUMNS
from benchmarks.store.results import Store
from benchmarks.tracking import sending

SIGMAS = [0.0, 0.025, 0.2]
STEPS = [2, 10]
CASES = ["a", "b", "c"]


def records(key: str, method: str, dataset: str, generative: bool, seed: int = 0) -> pd.DataFrame:
    """Random scores of three cases; the distance of case a is undefined at the largest sigma."""
    random = np.random.default_rng([len(method), len(dataset), seed])
    rows = []
    for sigma in SIGMAS:
        for steps in STEPS if generative else [0]:
            for case in CASES:
                for group in ("LV", "LA", "all"):
                    scores = dict(zip(("dsc", "iou", "hd95", "assd"), random.random(4), strict=True))
                    if case == "a" and sigma == 0.2:
                        scores |= {"hd95": np.nan, "assd": np.nan}
                    scores["hd95_penalised"] = scores["hd95"] if scores["hd95"] >= 0 else 45.0
                    rows.append(
                        {
                            "method": method,
                            "dataset": dataset,
                            "seed": seed,
                            "case": case,
                            "group": case,
                            "class": group,
                            "steps": steps,
                            "sampler": "ddim" if generative else "",
                            "eta": 0.0 if generative else np.nan,
                            "ensemble": 1,
                            "sigma": sigma,
                            "image_size": "32x32",
                            "seconds": 0.1,
                            "nfe": max(1, steps - 1),
                            "empty": "",
                            "trial": key,
                            **scores,
                        }  # fmt: skip
                    )
    return pd.DataFrame(rows).reindex(columns=RECORD_COLUMNS)


def add_trial(store: Store, method: str, title: str, generative: bool, status="ok", stages=("segmenter",)) -> None:
    key = f"echo-{method}-s0-0123456789ab"
    folder = store.folder(key)
    dataset = {"name": "echo", "title": "Echo", "class_names": ["LV", "LA"], "image_size": [32, 32]}
    training = {"steps": 40, "learning_rate": 1e-3, "seconds": None}
    config = {"method": {"name": method, "title": title}, "dataset": dataset, "training": training, "seed": 0}
    write_json(folder / "config.json", config | {"profile": "tiny"})
    write_json(folder / "environment.json", {"python": "3.11", "torch": "2.14", "device": "cpu", "threads": 1})
    reason = None if status == "ok" else "ran out of memory"
    write_json(folder / "done.json", {"status": status, "reason": reason, "finished": "2026-01-02T03:04:05+00:00"})
    if status != "ok":
        return
    history = [
        {"stage": stage, "step": step, "epoch": 0, "seconds": step / 10}
        | {"split": split, "metric": metric, "value": 1 / step}
        for stage in stages
        for step in range(10, 50, 10)
        for split, metric in (("train", "total"), ("train", "ce"), ("val", "dsc"))
        if split == "train" or stage == stages[-1]
    ]
    write_frame(folder / "history.parquet", pd.DataFrame(history))
    timed = [
        {"steps": steps, "sampler": "ddim" if steps else None, "nfe": 1, "seconds_median": 0.1 * (steps or 1)}
        for steps in (STEPS if generative else [None])
    ]
    write_json(folder / "cost.json", {"parameters": 1234, "training_seconds": 4.0, "inference": timed})
    write_frame(folder / "records" / "all.parquet", records(key, method, "echo", generative))


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    """A database with MLflow's tables: making them takes seconds, copying the file does not."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(tmp_path, monkeypatch, empty_database):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "db").mkdir()
    shutil.copy(empty_database, tmp_path / "db" / "mlflow.db")
    store = Store(tmp_path / "runs")
    store.open()
    add_trial(store, "ldseg", "LDSeg", generative=True)
    add_trial(store, "resunet", "Res-UNet", generative=False)
    folder = store.report_folder("noise")
    for name in ("report.md", "records.csv", "tables/accuracy.csv", "figures/curves.svg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return store


def results(store: Store, methods=("ldseg", "resunet")):
    suite = {"name": "noise", "title": "Noise", "profile": "tiny", "steps": STEPS, "methods": list(methods)}
    return store.results(suite, [(f"echo-{method}-s0-0123456789ab", ["all"]) for method in methods])


def conf(tmp_path, **changes) -> dict:
    return {"enabled": True, "uri": f"sqlite:///{tmp_path}/db/mlflow.db", "experiment": "diffseg"} | changes


def mlflow_runs(tmp_path):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/db/mlflow.db")
    experiment = client.get_experiment_by_name("diffseg")
    runs = client.search_runs([experiment.experiment_id])
    return client, {run.data.tags.get("diffseg.method", "suite"): run for run in runs}, runs


def series(client, run, name: str) -> dict[int, float]:
    points = client.get_metric_history(run.info.run_id, name)
    assert max(Counter(point.step for point in points).values(), default=1) == 1, f"{name} has two values at one step"
    return {point.step: point.value for point in points}


@pytest.fixture
def tracked(store, tmp_path):
    assert sending.track(results(store), store.report_folder("noise"), conf(tmp_path)) is None
    return store, *mlflow_runs(tmp_path)[:2]


def test_a_suite_is_a_parent_run_and_every_trial_a_child_of_it(tracked):
    _, _, runs = tracked
    assert set(runs) == {"suite", "ldseg", "resunet"}
    parent = runs["suite"].info.run_id
    assert all(runs[m].data.tags["mlflow.parentRunId"] == parent for m in ("ldseg", "resunet"))
    assert {run.info.run_name for run in runs.values()} == {"noise tiny echo", "LDSeg echo", "Res-UNet echo"}
    assert all(run.info.status == "FINISHED" for run in runs.values())
    assert runs["ldseg"].data.params["training.learning_rate"] == "0.001"
    assert runs["ldseg"].data.params["dataset.class_names"] == '["LV", "LA"]'


def test_a_series_by_sigma_is_the_mean_of_the_records(tracked):
    store, client, runs = tracked
    rows = results(store).records
    for method, steps in (("ldseg", 2), ("resunet", 0)):
        for group, name in (("all", "test/{}_by_sigma"), ("LV", "test per class/{}_LV_by_sigma")):
            own = rows[(rows["method"] == method) & (rows["steps"] == steps) & (rows["class"] == group)]
            for score in ("dsc", "iou", "hd95", "assd", "hd95_penalised"):
                expected = own.groupby("sigma")[score].apply(lambda values: np.nanmean(values))
                expected.index = [0, 25, 200]
                assert series(client, runs[method], name.format(score)) == pytest.approx(dict(expected)), (method, name)
    clean = rows[(rows["method"] == "ldseg") & (rows["steps"] == 2) & (rows["class"] == "all") & (rows["sigma"] == 0)]
    assert runs["ldseg"].data.metrics["test/dsc"] == pytest.approx(clean["dsc"].mean())


def test_every_sampling_has_its_series_and_deterministic_methods_stand_beside_each(tracked):
    store, client, runs = tracked
    rows = results(store).records
    own = rows[(rows["method"] == "ldseg") & (rows["steps"] == 10) & (rows["class"] == "all")]
    expected = dict(zip([0, 25, 200], own.groupby("sigma")["dsc"].mean(), strict=True))
    assert series(client, runs["ldseg"], "test ddim10/dsc_by_sigma") == pytest.approx(expected)
    deterministic = series(client, runs["resunet"], "test/dsc_by_sigma")
    assert series(client, runs["resunet"], "test ddim10/dsc_by_sigma") == deterministic
    by_steps = series(client, runs["ldseg"], "test/dsc_by_sampling_steps")
    assert list(by_steps) == STEPS and by_steps[10] == pytest.approx(expected[0])
    seconds = series(client, runs["ldseg"], "usage/seconds_per_image_by_sampling_steps")
    assert seconds == pytest.approx({2: 0.2, 10: 1.0})


def test_losses_and_validation_scores_are_series_by_training_step(tracked):
    _, client, runs = tracked
    for name in ("train/total", "train/ce", "val/dsc"):
        assert series(client, runs["ldseg"], name) == {step: 1 / step for step in (10, 20, 30, 40)}


def test_stages_with_losses_of_the_same_name_are_told_apart(store, tmp_path):
    add_trial(store, "lsegdiff", "LSegDiff", generative=True, stages=("autoencoder", "denoiser"))
    assert sending.track(results(store, ["lsegdiff"]), store.report_folder("noise"), conf(tmp_path)) is None
    _, runs, _ = mlflow_runs(tmp_path)
    assert {"train/total autoencoder", "train/total denoiser", "val/dsc"} <= set(runs["lsegdiff"].data.metrics)


def test_long_curves_are_thinned_between_their_ends(store, tmp_path):
    length = 2 * sending.METRICS_PER_CALL + 1
    steps = range(1, length + 1)
    curve = pd.DataFrame({"stage": "main", "step": steps, "epoch": 0, "seconds": 0.0, "split": "train"})
    path = store.folder("echo-resunet-s0-0123456789ab") / "history.parquet"
    write_frame(path, curve.assign(metric="total", value=1.0))
    assert sending.track(results(store), store.report_folder("noise"), conf(tmp_path)) is None
    client, runs, _ = mlflow_runs(tmp_path)
    logged = sorted(series(client, runs["resunet"], "train/total"))
    assert (logged[0], logged[-1], len(logged)) == (1, length, 1000)


def test_report_tables_figures_and_records_are_artifacts_beside_the_database(tracked, tmp_path):
    _, client, runs = tracked
    parent = runs["suite"].info.run_id
    names = {item.path for folder in (None, "tables", "figures") for item in client.list_artifacts(parent, folder)}
    assert {"report.md", "records.csv", "tables/accuracy.csv", "figures/curves.svg", "suite.json"} <= names
    assert (tmp_path / "db" / "mlruns").is_dir() and not (tmp_path / "mlruns").exists()


def test_failed_and_declined_trials_are_runs_with_their_reason(store, tmp_path):
    add_trial(store, "vnet", "V-Net", generative=False, status="failed")
    add_trial(store, "medt", "MedT", generative=False, status="declined")
    names = ["ldseg", "vnet", "medt"]
    assert sending.track(results(store, names), store.report_folder("noise"), conf(tmp_path)) is None
    _, runs, _ = mlflow_runs(tmp_path)
    assert {name: run.info.status for name, run in runs.items()} == {
        "suite": "FAILED", "ldseg": "FINISHED", "vnet": "FAILED", "medt": "KILLED",
    }  # fmt: skip
    assert runs["vnet"].data.tags["diffseg.reason"] == "ran out of memory"


def snapshot(client, runs):
    names = {run.info.run_id: (run.info.run_name, run.data.tags, run.data.params) for run in runs}
    values = {(run.info.run_id, name): series(client, run, name) for run in runs for name in run.data.metrics}
    return names, values


def test_a_second_call_changes_nothing(tracked, tmp_path):
    store = tracked[0]
    client, _, before = mlflow_runs(tmp_path)
    expected = snapshot(client, before)
    assert sending.track(results(store), store.report_folder("noise"), conf(tmp_path)) is None
    assert snapshot(client, mlflow_runs(tmp_path)[2]) == expected


def test_a_call_that_was_cut_short_is_completed_by_the_next(store, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    whole, calls = MlflowClient.log_batch, []

    def fails_later(*args, **keys):
        calls.append(keys)
        if len(calls) == 4:
            raise ConnectionError("the server went away")
        return whole(*args, **keys)

    monkeypatch.setattr(MlflowClient, "log_batch", fails_later)
    assert "the server went away" in sending.track(results(store), store.report_folder("noise"), conf(tmp_path))
    monkeypatch.setattr(MlflowClient, "log_batch", whole)
    interrupted = {run.info.run_id for run in mlflow_runs(tmp_path)[2]}
    assert sending.track(results(store), store.report_folder("noise"), conf(tmp_path)) is None
    client, runs, all_runs = mlflow_runs(tmp_path)
    assert len(all_runs) == 3 and interrupted <= {run.info.run_id for run in all_runs}
    assert list(series(client, runs["resunet"], "train/total")) == [10, 20, 30, 40]
    assert list(series(client, runs["ldseg"], "test/dsc_by_sigma")) == [0, 25, 200]


def test_a_trial_that_was_tested_again_replaces_its_run(tracked, tmp_path):
    store, _, old = tracked
    path = store.folder("echo-ldseg-s0-0123456789ab") / "records" / "all.parquet"
    write_frame(path, pd.read_parquet(path).assign(dsc=0.5))
    assert sending.track(results(store), store.report_folder("noise"), conf(tmp_path)) is None
    client, runs, all_runs = mlflow_runs(tmp_path)
    assert len(all_runs) == 3
    assert set(series(client, runs["ldseg"], "test/dsc_by_sigma").values()) == {0.5}
    assert runs["resunet"].info.run_id == old["resunet"].info.run_id


def test_a_trial_that_left_the_suite_is_marked_and_comes_back(tracked, tmp_path):
    store, _, old = tracked
    assert sending.track(results(store, ["ldseg"]), store.report_folder("noise"), conf(tmp_path)) is None
    assert mlflow_runs(tmp_path)[1]["resunet"].data.tags["diffseg.in_report"] == "false"
    assert sending.track(results(store), store.report_folder("noise"), conf(tmp_path)) is None
    back = mlflow_runs(tmp_path)[1]["resunet"]
    assert (back.data.tags["diffseg.in_report"], back.info.run_id) == ("true", old["resunet"].info.run_id)


def test_a_changed_report_is_uploaded_again(tracked, tmp_path):
    store, client, runs = tracked
    (store.report_folder("noise") / "report.md").write_text("new")
    assert sending.track(results(store), store.report_folder("noise"), conf(tmp_path)) is None
    there = client.download_artifacts(runs["suite"].info.run_id, "report.md", tmp_path)
    assert open(there).read() == "new"


def test_two_suites_have_each_their_own_runs_of_a_trial(tracked, tmp_path):
    store = tracked[0]
    other = results(store)
    other.suite["name"] = "accuracy"
    assert sending.track(other, store.report_folder("accuracy"), conf(tmp_path)) is None
    suites = Counter(run.data.tags["diffseg.suite"] for run in mlflow_runs(tmp_path)[2])
    assert suites == {"noise": 3, "accuracy": 3}


def test_a_suite_on_other_data_has_a_parent_of_its_own(tracked, tmp_path):
    store = tracked[0]
    other = results(store, ["ldseg"])
    other.suite["datasets"] = ["isic"]
    assert sending.track(other, store.report_folder("noise"), conf(tmp_path)) is None
    runs = mlflow_runs(tmp_path)[2]
    parents = {run.info.run_name for run in runs if run.data.tags["diffseg.kind"] == "suite"}
    assert parents == {"noise tiny echo", "noise tiny isic"}
    children = [run for run in runs if run.data.tags.get("diffseg.method") == "ldseg"]
    assert {run.data.tags["diffseg.datasets"] for run in children} == {"echo", "isic"}
    assert len({run.data.tags["mlflow.parentRunId"] for run in children}) == 2


def test_nothing_is_written_where_tracking_is_off(store, tmp_path):
    settings = conf(tmp_path, enabled=False, uri=f"sqlite:///{tmp_path}/fresh/mlflow.db")
    assert sending.track(results(store), store.report_folder("noise"), settings) is None
    assert not (tmp_path / "fresh").exists()


@pytest.mark.parametrize("changes", [{"uri": ""}, {"uri": None}, {"experiment": ""}, {"uri": "nosuchscheme://x"}])
def test_settings_that_cannot_be_used_are_named(store, tmp_path, changes):
    reason = sending.track(results(store), store.report_folder("noise"), conf(tmp_path, **changes))
    assert "tracking.uri" in reason or "nosuchscheme" in reason
    assert "\n" not in reason


def seconds_and_reason(store, settings) -> tuple[float, str]:
    started = time.monotonic()
    reason = sending.track(results(store), store.report_folder("noise"), settings)
    return time.monotonic() - started, reason


def test_a_server_that_is_down_is_a_reason_within_seconds(store, tmp_path, capfd):
    seconds, reason = seconds_and_reason(store, conf(tmp_path, uri="http://user:secret@127.0.0.1:9"))
    assert "refused" in reason and "127.0.0.1:9" in reason and "secret" not in reason and "\n" not in reason
    assert seconds < 60  # MLflow itself would try for minutes
    assert capfd.readouterr().err == ""


def test_a_server_that_never_answers_is_a_reason_within_seconds(store, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        seconds, reason = seconds_and_reason(store, conf(tmp_path, uri=f"http://127.0.0.1:{silent.getsockname()[1]}"))
    assert "timed out" in reason
    assert seconds < 60  # MLflow itself would try for minutes


def test_a_locked_database_is_a_reason_and_is_written_later(store, tmp_path, monkeypatch):
    monkeypatch.setattr(sending, "DATABASE_SECONDS", 0.5)
    assert sending.track(results(store, ["ldseg"]), store.report_folder("noise"), conf(tmp_path)) is None
    owner = sqlite3.connect(tmp_path / "db" / "mlflow.db", isolation_level=None)
    owner.execute("BEGIN EXCLUSIVE")
    seconds, reason = seconds_and_reason(store, conf(tmp_path))
    owner.close()
    assert "locked" in reason and "mlflow.db" in reason and seconds < 60
    assert sending.track(results(store), store.report_folder("noise"), conf(tmp_path)) is None
    assert set(mlflow_runs(tmp_path)[1]) == {"suite", "ldseg", "resunet"}


def test_a_file_that_is_no_database_is_a_reason(store, tmp_path):
    (tmp_path / "db" / "mlflow.db").write_text("not a database, but a file of another kind " * 50)
    assert "not a database" in sending.track(results(store), store.report_folder("noise"), conf(tmp_path))


def test_another_run_that_is_writing_is_waited_for(store, tmp_path, monkeypatch):
    lock = FileLock(tmp_path / "db" / "mlflow.db.lock", thread_local=False)
    lock.acquire()
    monkeypatch.setattr(sending, "LOCK_SECONDS", 0.2)
    assert "another run" in sending.track(results(store), store.report_folder("noise"), conf(tmp_path))
    monkeypatch.setattr(sending, "LOCK_SECONDS", 30.0)
    threading.Timer(0.5, lock.release).start()
    assert sending.track(results(store), store.report_folder("noise"), conf(tmp_path)) is None


def test_a_database_that_is_not_there_is_made_in_silence(store, tmp_path, capfd):
    from mlflow import MlflowClient

    settings = conf(tmp_path, uri=f"sqlite:///{tmp_path}/fresh/mlflow.db")
    assert sending.track(results(store), store.report_folder("noise"), settings) is None
    assert capfd.readouterr() == ("", "")
    assert len(MlflowClient(tracking_uri=settings["uri"]).search_runs(["1"])) == 3
