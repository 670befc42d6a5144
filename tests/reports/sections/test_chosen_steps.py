"""What validation chose and what methods score at equal evaluations, against the records and by hand."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.store.selection import Selection
from reports import write
from reports.numbers.study import study
from reports.sections import chosen_steps


def chosen(steps, nfe, equal_steps, equal_nfe, scores=((0.7, 0.8),), candidates=(2, 10)):
    seeds = tuple(range(len(scores)))
    return Selection(candidates, seeds, np.array(scores), 16, steps, nfe, equal_steps, equal_nfe)


@pytest.fixture
def results(fabricate):
    """LDSeg chose 2 steps and LSegDiff 10; both were tested at 10, LDSeg at 2 as well."""
    fabricate.trial("ldseg", sigmas=(0,), steps=(2, 10), cases=12)
    fabricate.trial("lsegdiff", sigmas=(0,), steps=(10,), cases=12)
    fabricate.trial("resunet", sigmas=(0,), cases=12)
    found = fabricate.results(name="accuracy", title="Accuracy", report="accuracy")
    found.selection = {
        ("phantom_glands", "ldseg"): chosen(2, 1, 10, 9, scores=((0.80, 0.81), (0.82, 0.81))),
        ("phantom_glands", "lsegdiff"): chosen(10, 9, 10, 9),
    }
    return found


def test_every_method_is_shown_at_its_own_choice_and_in_a_second_table_at_equal_evaluations(results, tmp_path):
    folder = write(results, tmp_path / "report").parent
    records = pd.read_csv(folder / "records.csv").query("`class` == 'all'")
    means = records.groupby(["method", "steps"]).dsc.mean()
    for name, steps in (("accuracy_phantom_glands", 2), ("accuracy_equal_phantom_glands", 10)):
        rows = pd.read_csv(folder / "tables" / f"{name}.csv").set_index("method")
        assert sorted(rows.index) == ["ldseg", "lsegdiff", "resunet"]
        assert rows.loc["ldseg", "steps"] == steps and rows.loc["ldseg", "nfe"] == steps - 1
        assert rows.loc["ldseg", "dsc"] == pytest.approx(means["ldseg", steps])
        assert rows.loc["lsegdiff", "steps"] == 10 and rows.loc["resunet", "steps"] == 0
        for column in ("parameters", "training_seconds", "nfe", "seconds_median", "peak_memory_mib"):
            assert rows[column].notna().all(), column
    text = (folder / "report.md").read_text()
    assert "16 validation cases, never on test cases" in text and "to the 9 evaluations an image" in text
    assert "LDSeg (10 steps)" not in text.split("at equal network evaluations: every")[0]


def test_the_table_of_choices_says_what_each_training_alone_would_choose(results):
    it = study(results)
    (_, _, table, *_) = chosen_steps.section(it)
    first = table.frame.iloc[0]
    assert first["validation DSC by steps"] == "2: 0.810; 10: 0.810" and first["chosen"] == "2"
    assert first["each training alone would choose"] == "10, 2"
    rows = table.data.query("method == 'ldseg'")
    assert rows["validation_dsc"].tolist() == [0.80, 0.81, 0.82, 0.81] and rows["seed"].tolist() == [0, 0, 1, 1]


def test_equal_choices_need_no_second_table(results):
    results.selection = {key: chosen(10, 9, 10, 9) for key in results.selection}
    blocks = chosen_steps.section(study(results))
    assert "at equal network evaluations as they are" in blocks[-1].text
    assert chosen_steps.at_equal_evaluations(study(results), "phantom_glands") is None


def test_a_choice_that_is_not_tested_at_equal_evaluations_yet_is_said(results):
    results.selection["phantom_glands", "ldseg"] = chosen(2, 1, 7, 6)
    assert "not every method has been tested" in chosen_steps.section(study(results))[-1].text


def test_a_suite_that_gives_the_numbers_has_no_such_section(results):
    results.selection = {}
    it = study(results)
    assert chosen_steps.section(it) == [] and len(it.curves["phantom_glands"]) == 4


def test_on_two_data_sets_each_shows_its_own_choice(fabricate):
    for dataset in ("phantom_glands", "glas"):
        fabricate.trial("ldseg", dataset, sigmas=(0,), steps=(2, 10), cases=6)
    found = fabricate.results(name="accuracy")
    found.selection = {("phantom_glands", "ldseg"): chosen(2, 1, 10, 9), ("glas", "ldseg"): chosen(10, 9, 10, 9)}
    it = study(found)
    assert [[c.variant.steps for c in it.curves[d]] for d in ("phantom_glands", "glas")] == [[2], [10]]
