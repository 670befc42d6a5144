"""A database that holds all that there is to tell is not asked; whatever else is."""

import pytest

from benchmarks.tracking import sending
from tests.benchmarks.tracking import test_sending
from tests.benchmarks.tracking.test_sending import conf, mlflow_runs, results

empty_database, store, tracked = test_sending.empty_database, test_sending.store, test_sending.tracked


@pytest.fixture
def unreachable(monkeypatch):
    """Whoever asks MLflow from here on gets no answer."""

    def client(uri):
        raise ConnectionError("asked")

    monkeypatch.setattr(sending, "_client", client)


def test_what_a_database_was_told_last_needs_no_mlflow(tracked, tmp_path, unreachable):
    held = tracked[0]
    assert sending.track(results(held), held.report_folder("noise"), conf(tmp_path)) is None


@pytest.mark.parametrize("change", ["report", "another method", "written", "deleted", "damaged mark"])
def test_mlflow_is_asked_where_anything_differs_from_what_was_told(change, tracked, tmp_path, unreachable):
    held, client, runs = tracked
    methods, database = ("ldseg", "resunet"), tmp_path / "db/mlflow.db"
    if change == "report":
        (held.report_folder("noise") / "report.md").write_text("new")
    elif change == "another method":
        methods = ("ldseg",)
    elif change == "written":
        client.set_tag(runs["ldseg"].info.run_id, "mine", "1")
    elif change == "deleted":
        database.unlink()
    else:
        database.with_name("mlflow.db.sent").write_text("{")
    assert "asked" in sending.track(results(held, methods), held.report_folder("noise"), conf(tmp_path))


def test_a_narrower_report_elsewhere_is_told_and_the_wider_one_told_again(tracked, tmp_path):
    held = tracked[0]
    assert sending.track(results(held, ["ldseg"]), held.report_folder("narrow"), conf(tmp_path)) is None
    assert sending.track(results(held), held.report_folder("noise"), conf(tmp_path)) is None
    assert mlflow_runs(tmp_path)[1]["resunet"].data.tags["diffseg.in_report"] == "true"
