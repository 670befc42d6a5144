"""action=leaderboard: all methods of several stores on one page."""

import re

import pandas as pd
import pytest

import run_bench
from benchmarks.store.trial import mark
from tests.benchmarks.prediction.methods_by_hand import trial


def lead(tmp_path, *stores):
    places = ",".join(str(tmp_path / name) for name in stores)
    return run_bench.main(["action=leaderboard", f"input=[{places}]", f"output={tmp_path}/page"])


def board(tmp_path, name="leaderboard_blobs"):
    return pd.read_csv(tmp_path / f"page/tables/{name}.csv")


def test_methods_of_two_stores_stand_in_one_table_the_best_first(tmp_path, capsys):
    for seed in range(3):
        trial(tmp_path / "one", seed=seed, dsc=0.5)
    trial(tmp_path / "other", "Noisy", steps=(2, 5), dsc=0.8)
    assert lead(tmp_path, "one", "other") == 0
    rows = board(tmp_path)
    assert rows.method.tolist() == ["noisy", "noisy", "bright"]
    assert rows.seeds.tolist() == [1, 1, 3] and sorted(rows.steps[:2]) == [2, 5]
    assert (rows.dsc_low < rows.dsc).all() and (rows.dsc < rows.dsc_high).all() and rows.dsc.is_monotonic_decreasing
    assert rows.training_seconds.tolist() == [2.5] * 3 and set(rows.profile) == {"tiny"}
    page = (tmp_path / "page/report.html").read_text()
    assert "Bright" in page and "aria-sort" in page and not re.search(r"(src|href)=\"https?:", page)
    assert str(tmp_path / "other") in page


def test_other_content_of_a_data_set_is_another_table(tmp_path):
    trial(tmp_path / "one")
    trial(tmp_path / "other", fingerprint="another content")
    assert lead(tmp_path, "one", "other") == 0
    assert [len(board(tmp_path, f"leaderboard_blobs_{n}")) for n in (0, 1)] == [1, 1]


def test_a_trial_that_both_stores_hold_counts_once(tmp_path):
    trial(tmp_path / "one")
    trial(tmp_path / "other")
    assert lead(tmp_path, "one", "other") == 0
    assert board(tmp_path).seeds.tolist() == [1]


def test_stores_that_contradict_each_other_are_refused_by_name(tmp_path, capsys):
    view = trial(tmp_path / "one")
    trial(tmp_path / "other", shift=0.5)
    assert lead(tmp_path, "one", "other") == 2
    assert view.key in capsys.readouterr().err and not (tmp_path / "page").exists()


def test_methods_without_a_result_are_named_with_the_reason(tmp_path):
    trial(tmp_path / "one")
    mark(trial(tmp_path / "one", "Noisy").path, "failed", "out of memory")
    assert lead(tmp_path, "one") == 0
    assert "Noisy on blobs, tiny: failed: out of memory" in (tmp_path / "page/report.md").read_text()


def test_a_folder_with_something_else_is_not_replaced(tmp_path, capsys):
    trial(tmp_path / "one")
    (tmp_path / "page").mkdir()
    (tmp_path / "page/thesis.txt").write_text("years")
    assert lead(tmp_path, "one") == 2
    assert (tmp_path / "page/thesis.txt").exists() and "Choose another" in capsys.readouterr().err
    (tmp_path / "page/thesis.txt").unlink()
    assert lead(tmp_path, "one") == 0 and lead(tmp_path, "one") == 0


@pytest.mark.parametrize("words", [["input=[{one}]"], ["output={page}"], ["input=[{page}]", "output={page}"]])
def test_what_is_missing_is_named(tmp_path, capsys, words):
    trial(tmp_path / "one")
    given = [word.format(one=tmp_path / "one", page=tmp_path / "page") for word in words]
    assert run_bench.main(["action=leaderboard", *given]) == 2
    assert "put=" in capsys.readouterr().err
