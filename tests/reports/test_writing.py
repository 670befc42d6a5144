import importlib
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import reports
from benchmarks.store import verifying
from reports import link, write, writing

ROOT = Path(reports.__file__).parents[1]


@pytest.fixture
def results(fabricate):
    for method in ("ldseg", "resunet"):
        fabricate.trial(method, "camus", sigmas=(0, 0.2), cases=6, steps=(2,))
    return fabricate.results()


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_link_leads_to_a_file_and_every_file_is_linked(results, tmp_path):
    folder = tmp_path / "report"
    text = write(results, folder).read_text()
    links = set(re.findall(r"\]\(([^)\s]+)\)", text))
    assert {"figures/dsc_by_sigma.png", "figures/dsc_by_sigma.svg", "tables/cost.csv", "report.html"} <= links
    assert all((folder / link).is_file() for link in links)
    others = {name for name in set(content(folder)) - links if Path(name).name != "SHA256SUMS"}
    values = {"figures/dsc_by_sigma.json", "figures/training_camus.json"}  # what the page says of points
    assert others == {"report.md", "records.csv", "outline.json"} | values
    drawn = {link[:-4] for link in links if link.endswith(".svg")}
    assert {name for name in drawn if f"{name}.csv" not in links} == {"figures/samples_camus"}


def test_the_numbers_behind_training_curves_are_those_of_the_history(results, tmp_path):
    write(results, tmp_path / "report")
    found = pd.read_csv(tmp_path / "report" / "figures" / "training_camus.csv")
    for trial in results.trials:
        history = trial.history
        for curve, split, metric in (("training loss", "train", "total"), ("validation DSC", "val", "dsc"),
                                     ("ceiling", "val", "dsc_ceiling")):  # fmt: skip
            expected = history[(history.split == split) & (history.metric == metric)]
            part = found[(found.method == trial.label) & (found.curve == curve) & (found.seed == 0)]
            assert part.step.tolist() == expected.step.tolist()
            assert np.allclose(part.value, expected.value)
    assert len(found) == 2 * (100 + 20) + 20


def test_the_report_has_its_parts_in_order(results, tmp_path):
    text = write(results, tmp_path / "report").read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == [
        "Summary", "Accuracy by noise level", "Per class at σ = 0 and σ = 0.2", "Robustness", "Differences", "Ranks",
        "Examples", "Test cases", "Cost", "Training", "Published values", "Settings", "Environment", "Commands",
        "How it was measured",
    ]  # fmt: skip
    assert "python run_bench.py suite=noise_robustness action=report" in text


def test_redrawing_gives_the_same_bytes(results, tmp_path):
    write(results, tmp_path / "first")
    results.records = results.records.sample(frac=1, random_state=0)
    write(results, tmp_path / "second")
    first, second = content(tmp_path / "first"), content(tmp_path / "second")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_a_report_that_was_damaged_is_found_and_drawn_again(results, tmp_path):
    folder = tmp_path / "reports" / "accuracy-camus"
    write(results, folder)
    link(folder.with_name("accuracy"), folder)

    def damaged():
        return [one for _, found in verifying.verify(tmp_path, tmp_path / "cache") for one in found]

    assert not damaged() and (folder / "figures" / "SHA256SUMS").exists()
    figure = next((folder / "figures").glob("*.png"))
    for path in (folder / "report.md", folder / "records.csv", figure):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    assert {one.path for one in damaged()} == {folder / "report.md", folder / "records.csv", figure}
    assert {one.advice for one in damaged()} == {verifying.REDRAWN}
    write(results, folder)
    assert not damaged()


def test_a_redrawn_report_replaces_the_former_one(results, tmp_path):
    folder = tmp_path / "report"
    write(results, folder)
    (folder / "tables" / "of_an_earlier_suite.csv").write_text("old")
    write(results, folder)
    assert not (folder / "tables" / "of_an_earlier_suite.csv").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("step", ["write_numbers", "write_records", "_put"])
def test_a_report_that_fails_half_way_leaves_the_former_one(results, tmp_path, monkeypatch, step):
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "report.md").write_text("former")

    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, step, broken)
    with pytest.raises(KeyboardInterrupt):
        write(results, folder)
    assert content(folder) == {"report.md": b"former"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".report")] == []


@pytest.mark.parametrize("exchange", [True, False])
def test_a_report_is_replaced_while_one_of_the_two_always_stands(results, tmp_path, monkeypatch, exchange):
    """A watcher opens it as often as it can while it is replaced; without the system's exchange there is a moment."""
    folder, gone, stop = tmp_path / "report", [], threading.Event()
    write(results, folder)
    if not exchange:
        monkeypatch.setattr(writing, "_exchange", lambda *_: False)

    def watch():
        while not stop.is_set():
            try:
                os.close(os.open(folder / "report.md", os.O_RDONLY))
            except FileNotFoundError:
                gone.append(1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(60):
        drawn = tmp_path / f"drawn{number}"
        drawn.mkdir()
        (drawn / "report.md").write_text(str(number))
        writing._put(drawn, folder)
    stop.set()
    watcher.join()
    assert content(folder) == {"report.md": b"59"}
    assert not (exchange and gone)


def test_a_report_that_cannot_be_put_in_place_brings_the_former_one_back(results, tmp_path, monkeypatch):
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "report.md").write_text("former")
    rename, calls = writing.os.rename, []

    def third_fails(source, target):
        calls.append(target)
        if len(calls) == 3:
            raise OSError("disk full")
        rename(source, target)

    monkeypatch.setattr(writing, "_exchange", lambda *_: False)
    monkeypatch.setattr(writing.os, "rename", third_fails)
    with pytest.raises(OSError, match="disk full"):
        write(results, folder)
    assert content(folder) == {"report.md": b"former"}


def test_a_report_that_a_killed_run_had_moved_aside_comes_back(tmp_path):
    aside = tmp_path / ".report-abc"
    (aside / writing.FORMER).mkdir(parents=True)
    (aside / writing.FORMER / "report.md").write_text("former")
    writing._remove_stale(tmp_path / "report")
    assert not (tmp_path / "report").exists()  # its run may still be at work
    os.utime(aside, (time.time() - 100,) * 2)
    writing._remove_stale(tmp_path / "report")
    assert (tmp_path / "report" / "report.md").read_text() == "former"


def test_the_latest_report_of_a_suite_is_linked_and_the_others_stay(tmp_path):
    for name in ("accuracy", "accuracy-glas", "accuracy-camus"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.md").write_text(name)
    latest = tmp_path / "accuracy"
    link(latest, tmp_path / "accuracy-glas")
    assert (latest / "report.md").read_text() == "accuracy-glas"
    assert (tmp_path / "accuracy-former" / "report.md").read_text() == "accuracy"
    link(latest, tmp_path / "accuracy-camus")
    assert (latest / "report.md").read_text() == "accuracy-camus" and os.readlink(latest) == "accuracy-camus"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_was_asked_for_and_is_not_there_stands_first(results, tmp_path):
    results.missing = ["resunet on camus, seed 0: 1 of 2 tests (sigma0.2-1a2b)"]
    text = write(results, tmp_path / "report").read_text()
    assert text.index("Not in this report") < text.index("resunet on camus, seed 0: 1 of 2 tests") < text.index("## ")


def test_leftovers_of_killed_runs_go_and_those_of_running_ones_stay(results, tmp_path):
    old, new = tmp_path / ".report-old", tmp_path / ".report-new"
    old.mkdir(), new.mkdir()
    os.utime(old, (time.time() - 7200,) * 2)
    write(results, tmp_path / "report")
    assert not old.exists() and new.exists()


def test_a_suite_of_any_name_gets_the_report_it_asks_for(results, tmp_path):
    results.suite |= {"name": "my_noise_sweep", "report": "accuracy"}
    assert "## Accuracy\n" in write(results, tmp_path / "report").read_text()


def test_a_suite_without_a_report_is_refused_by_name(results, tmp_path):
    results.suite["name"] = "sudoku"
    with pytest.raises(ValueError, match="'sudoku' is no report. Reports: ablation, accuracy, all"):
        write(results, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_a_name_that_is_nearly_right_is_met_with_the_right_one():
    with pytest.raises(ValueError, match="'noise_robustnes' is no report. Did you mean 'noise_robustness'"):
        reports.check("noise_robustnes")
    reports.check("noise_robustness")


@pytest.mark.parametrize("name", ["words", "__init__", "accuracy.tables", "../suites/all", ""])
def test_a_module_that_is_no_report_is_not_taken_for_one(name):
    with pytest.raises(ValueError, match="is no report"):
        reports.check(name)


def test_every_report_is_listed_and_can_be_loaded():
    assert {"all", "accuracy", "compare", "noise_robustness"} <= set(reports.names())
    for name in reports.names():
        assert callable(importlib.import_module(f"reports.suites.{name}").build)


def test_asking_for_the_reports_there_are_loads_no_library():
    code = "import sys, reports; reports.names(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert not {"matplotlib", "torch", "scipy", "pandas", "numpy"} & set(loaded.split())
