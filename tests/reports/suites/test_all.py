"""suite=all: what every suite is given, what its exit status is, and the index of the reports."""

import json
import shutil
from types import SimpleNamespace

import pandas as pd
import pytest

import run_bench
from benchmarks.errors import BadInput
from benchmarks.kinds import everything
from benchmarks.plan.configuration import configure, names
from benchmarks.store.records import RECORD_COLUMNS
from benchmarks.store.results import Results
from reports import write
from reports.paper import outline
from reports.paper.document import Bullets, Document, Figure, Heading, Paragraph, Table
from tests.reports.fabricated_calls import contestant, results


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


def test_an_outline_is_the_first_text_of_each_part_of_the_first_section_and_the_first_figure(tmp_path):
    document = Document("Title")
    document.add(
        Paragraph("Question"), Heading("Summary"), Heading("one", 3), Paragraph("First of one."), Paragraph("Second.")
    )
    document.add(Heading("two", 3), Bullets(("Third.", "Fourth.")), Heading("More"), Paragraph("Fifth."))
    document.add(Table("t", "", pd.DataFrame()), Figure("f", "caption", "alt"), Figure("g", "", ""))
    outline.write(document, tmp_path)
    picture = {"name": "f", "caption": "caption", "alt": "alt", "endings": ["png", "svg"]}
    assert outline.read(tmp_path) == {
        "title": "Title",
        "headline": ["First of one.", "two: Third."],
        "picture": picture,
    }
    single = Document("Title")
    single.add(Heading("Summary"), Bullets(("First.", "Second.")), Heading("More"), Bullets(("Third.",)))
    outline.write(single, tmp_path)
    assert outline.read(tmp_path)["headline"] == ["First.", "Second."]
    outline.write(Document("Nothing"), tmp_path)
    assert outline.read(tmp_path) == {"title": "Nothing", "headline": [], "picture": None}
    assert outline.read(tmp_path / "elsewhere") is None


def part(reports, name, **more):
    return {
        "name": name, "title": f"About {name}", "question": "Why?", "code": 0, "reason": None, "left_out": [],
        "seconds": 12.5, "folder": str(reports / name), "ok": 3, "declined": 1, "failed": 0,
    } | more  # fmt: skip


@pytest.fixture
def index(tmp_path):
    """An index of a suite that ended well, one with a failed trial, one without data and one that broke off."""
    for name in ("runtime", "image_size"):
        found = [contestant(size=f"{side}x{side}", steps=steps) for side in (64, 128) for steps in (2, 50)]
        write(results(name, *found), tmp_path / name)
    told = {
        "name": "all", "title": "All suites", "question": "What do all suites say?", "command": "python run_bench.py",
        "parts": [
            part(tmp_path, "runtime", left_out=["methods=[unet]"]),
            part(tmp_path, "image_size", code=1, failed=2),
            part(tmp_path, "ablation", code=2, reason="dataset.glas: no such folder", ok=0, declined=0),
            part(tmp_path, "accuracy", code=1, reason="ZeroDivisionError: by zero"),
        ],
    }  # fmt: skip
    return write(Results(told, [], pd.DataFrame(columns=RECORD_COLUMNS)), tmp_path / "all").parent


def test_the_index_links_every_report_that_there_is(index):
    text, page = (index / "report.md").read_text(), (index / "report.html").read_text()
    for name in ("runtime", "image_size"):
        for file in ("report.md", "report.html", "records.csv"):
            assert f"](../{name}/{file})" in text and f'href="../{name}/{file}"' in page
            assert (index / f"../{name}/{file}").exists()
    assert "../ablation" not in text and "There is no report of it" in text


def test_the_index_says_what_became_of_every_suite(index):
    text = (index / "report.md").read_text()
    assert "1 of 4 suites ended well" in text
    assert "(`image_size`) failed: 2 trials failed; its report names them." in text
    assert "(`ablation`) could not begin: dataset.glas: no such folder." in text
    assert "`methods=[unet]` was left out" in text and "ZeroDivisionError: by zero" in text
    rows = pd.read_csv(index / "tables" / "suites.csv").set_index("suite")
    assert rows["status"].to_dict() == {
        "runtime": "ok", "image_size": "failed", "ablation": "could not begin", "accuracy": "failed",
    }  # fmt: skip
    assert rows.loc["image_size", ["ok", "declined", "failed"]].tolist() == [3, 1, 2]


def test_the_index_shows_the_headline_and_the_first_figure_of_a_report(index):
    headline = json.loads((index / "../runtime/outline.json").read_text())["headline"][0]
    assert (
        headline.startswith("**phantom_glands** (64x64): LDSeg takes") and headline in (index / "report.md").read_text()
    )
    for suite, figure in (("runtime", "seconds_by_steps"), ("image_size", "cost_by_size")):
        for ending in ("png", "svg", "csv"):
            own = index / f"../{suite}/figures/{figure}.{ending}"
            assert (index / "figures" / f"{suite}_{figure}.{ending}").read_bytes() == own.read_bytes()


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
