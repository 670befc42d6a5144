"""suite=all: what every suite is given, what its exit status is, and what becomes of suites that cannot run."""

import shutil
from types import SimpleNamespace

import pandas as pd
import pytest

import run_bench
from benchmarks.errors import BadInput
from benchmarks.kinds import everything
from benchmarks.plan.configuration import configure, names


def parts(*overrides):
    given = ["suite=all", "profile=tiny", *overrides]
    return {part.name: part for part in everything.parts(configure(given), given, run_bench.checked)}


def test_every_suite_gets_the_command_but_for_what_it_has_no_use_for():
    found = parts("methods=[ldseg,unet]", "datasets=[glas]", "training.steps=3", "action=plan")
    assert set(found) == set(names("suite")) - {"all"}
    common = ["profile=tiny", "methods=[ldseg,unet]", "datasets=[glas]", "training.steps=3", "action=plan"]
    assert found["accuracy"].overrides == ["suite=accuracy", *common] and found["accuracy"].left_out == []
    assert found["data_overview"].left_out == found["ablation"].left_out == ["methods=[ldseg,unet]"]
    assert "methods=[ldseg,unet]" not in found["ablation"].overrides
    assert list(found["ablation"].config.suite.methods) == ["ldseg", "ldseg_ld", "ldseg_id", "ldseg_ld_id"]
    assert found["image_size"].left_out == ["datasets=[glas]"] and list(found["uncertainty"].config.datasets) == [
        "glas"
    ]


@pytest.mark.parametrize("word", ["suite.steps=[2]", "+suite.extra=1"])
def test_settings_of_one_suite_are_refused(word):
    given = ["suite=all", word]
    with pytest.raises(BadInput, match="run that suite alone"):
        everything.parts(SimpleNamespace(suite=SimpleNamespace(suites=["accuracy"])), given, run_bench.checked)


def test_a_wrong_name_is_refused_before_anything_runs():
    with pytest.raises(BadInput, match="Did you mean 'ldseg'"):
        parts("methods=[ldsegg]")


@pytest.mark.parametrize(
    "codes, expected", [((0, 0), 0), ((0, 1), 1), ((0, 2), 1), ((1, 2), 1), ((2, 2), 2), ((1, 1), 1)]
)
def test_the_exit_status_is_2_only_where_no_suite_could_begin(codes, expected):
    assert everything.status([everything.Outcome(code, None, 0.0) for code in codes]) == expected


def test_a_suite_that_breaks_off_does_not_stop_the_others(capsys):
    found = [everything.Part(name, [], [], None, None) for name in ("accuracy", "runtime", "ablation")]

    def act(part):
        if part is found[0]:
            raise BadInput("no such folder")
        if part is found[1]:
            raise ZeroDivisionError("by zero")
        return 0

    outcomes = [everything.attempt(part, act) for part in found]
    assert [outcome.code for outcome in outcomes] == [2, 1, 0]
    assert [outcome.reason for outcome in outcomes] == ["no such folder", "ZeroDivisionError: by zero", None]
    assert "no such folder" in capsys.readouterr().err


def together(tmp_path, *overrides) -> int:
    """suite=all over two suites that train nothing."""
    given = ["suite=all", "profile=tiny", "tracking=none", "device=cpu", f"paths.runs={tmp_path}", *overrides]
    config, kind = run_bench.checked(given)
    config.suite.suites = ["runtime", "data_overview"]
    return run_bench.act_on_all(config, kind, given)


def test_two_suites_run_and_are_redrawn_together(tmp_path):
    small = ["datasets=[phantom_glands]", "profile.timing.most_steps=3", "profile.limit={train: 1, val: 1, test: 2}"]
    assert together(tmp_path, *small) == 0
    folder = tmp_path / "reports"
    first = pd.read_csv(folder / "all/tables/suites.csv")
    assert first["ok"].tolist() == [2, 1] and (first["seconds"] > 0).all()
    records = (folder / "runtime/records.csv").read_bytes()
    shutil.rmtree(folder)
    assert together(tmp_path, *small, "action=report") == 0
    assert (folder / "runtime/records.csv").read_bytes() == records
    assert "2 of 2 suites ended well" in (folder / "all/report.md").read_text()


def test_a_suite_without_its_data_is_named_and_the_other_runs(tmp_path):
    elsewhere = ["datasets=[glas]", "paths.data=/nowhere", "profile.timing.most_steps=3"]
    assert together(tmp_path, *elsewhere) == 1
    text = (tmp_path / "reports/all/report.md").read_text()
    assert "(`data_overview`) could not begin: dataset.glas: /nowhere/glas" in text and "../runtime-glas-tiny" in text


def test_where_nothing_is_stored_nothing_is_written(tmp_path):
    assert together(tmp_path, "action=report") == 2
    assert not (tmp_path / "reports").exists()
