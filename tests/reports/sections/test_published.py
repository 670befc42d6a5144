from dataclasses import replace

import pandas as pd
import pytest

from reports import write
from reports.sections import published


@pytest.fixture
def context(fabricate, tmp_path):
    """(table of published values or None, text of its section) for a report on one data set."""

    def drawn(dataset, **trial):
        fabricate.trial("resunet", dataset, sigmas=(0, 0.2), cases=8, samples=False, **trial)
        text = write(fabricate.results(), tmp_path / "report").read_text()
        path = tmp_path / "report" / "tables" / "published.csv"
        return pd.read_csv(path) if path.exists() else None, text.split("## Published values")[1].split("\n## ")[0]

    return drawn


def test_the_same_data_set_is_compared(context):
    table, text = context("glas", score=lambda sigma, case, name: 0.80)
    row = table.set_index("score").loc["DSC"]
    assert (row.published, row.ours, row.difference) == (0.86, pytest.approx(0.80), pytest.approx(-0.06))
    assert "same data set" in text and "64x64" in text and "512x512" in text


def test_a_stand_in_is_marked_as_context(context):
    table, text = context("camus")
    assert set(table.score) == {"DSC LV", "DSC LA", "IoU LV", "IoU LA"}
    assert not table.same_data.any()
    assert "context only: other data" in text and "CAMUS stands in for Echo" in text


def test_scores_pooled_over_the_same_structures_are_compared(context):
    table, _ = context("camus", classes=["LV", "LA"])
    assert {"DSC pooled", "IoU pooled"} <= set(table.score)


def test_phantoms_have_no_published_counterpart(context):
    table, text = context("phantom_glands")
    assert table is None
    assert "Nothing is published on phantom_glands." in text and "keeps reasonable accuracy" in text


def test_every_row_has_a_value_for_every_column():
    for name, table in published.load()["accuracy"].items():
        for method, values in table["methods"].items():
            assert len(values) == len(table["columns"]), (name, method)
            assert all(0 < value < 1 for value in values)
    for name, entry in published.load()["data_sets"].items():
        assert entry["table"] in published.load()["accuracy"], name


def test_which_of_several_data_sets_of_one_name_it_is_its_settings_say(fabricate):
    trial = fabricate.trial("ldseg", "decathlon", sigmas=(0,), cases=1, samples=False)
    results = fabricate.results()
    assert published.beside(results, "decathlon") is None
    data = replace(trial.config.dataset, settings={"task": "Task04_Hippocampus"})
    trial.config = replace(trial.config, dataset=data)
    assert published.beside(results, "decathlon")["note"] == "MSD Task04 Hippocampus stands in for Knee"
