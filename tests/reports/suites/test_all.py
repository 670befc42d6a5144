"""suite=all: the outline of a report, and the index of the reports."""

import json

import pandas as pd
import pytest

from benchmarks.store.records import RECORD_COLUMNS
from benchmarks.store.results import Results
from reports import write
from reports.paper import outline
from reports.paper.document import Bullets, Document, Figure, Heading, Paragraph, Table
from tests.reports.fabricated_calls import contestant, results


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


def test_the_index_says_what_became_of_the_claims(index):
    rows = pd.read_csv(index / "tables" / "claims.csv")
    assert set(rows["claim"]) == {"Time is constant in image size"} and set(rows["report"]) == {"image_size"}
    scaling = pd.read_csv(index / "../image_size/tables/scaling.csv")
    assert rows["value"].tolist() == pytest.approx(scaling["exponent"].tolist()) and len(rows) == 2
    assert "## The paper's claims" in (index / "report.md").read_text()
