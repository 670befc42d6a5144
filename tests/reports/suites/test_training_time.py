"""Who is ahead at equal training time, from the validations of the trainings."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from reports import write
from reports.numbers.training import best_by_time
from reports.suites.accuracy import training_time


def history(seconds, values, stage="train"):
    rows = [
        {"stage": stage, "step": step, "seconds": time, "split": "val", "metric": "dsc", "value": value}
        for step, (time, value) in enumerate(zip(seconds, values, strict=True))
    ]
    return pd.DataFrame(rows)


def test_the_best_so_far_never_falls_and_belongs_to_the_last_stage():
    both = pd.concat([history([1, 2], [0.9, 0.9], "first"), history([3, 4, 5], [0.5, 0.4, 0.7], "second")])
    times, best = best_by_time(both)
    assert times.tolist() == [3, 4, 5] and best.tolist() == [0.5, 0.5, 0.7]
    assert best_by_time(both.drop(columns="seconds"))[0].size == 0


def test_a_score_at_a_time_is_the_last_one_before_it():
    lines = [(np.array([1.0, 4.0]), np.array([0.5, 0.7])), (np.array([2.0, 4.0]), np.array([0.3, 0.9]))]
    assert training_time.at(lines, 3.9) == pytest.approx(0.4)
    assert training_time.at(lines, 4.0) == pytest.approx(0.8)
    assert training_time.at(lines, 1.5) is None  # the second had not been validated yet


@pytest.fixture
def drawn(fabricate, tmp_path):
    """(table, text) of a report on two methods, the second three times as fast; change: of their training settings."""

    def build(**change):
        for name, factor in (("ldseg", 1.0), ("resunet", 1 / 3)):
            view = fabricate.trial(name, "glas", sigmas=(0,), steps=(2,), cases=8, samples=False)
            path = view.path / "history.parquet"
            frame = pd.read_parquet(path)
            frame["seconds"] *= factor
            frame.to_parquet(path)
        results = fabricate.results(name="accuracy", report="accuracy")
        for trial in results.trials:
            trial.config = replace(trial.config, training=replace(trial.config.training, **change))
        text = write(results, tmp_path / "report").read_text()
        return pd.read_csv(tmp_path / "report" / "tables" / "validation_by_time.csv"), text

    return build


def test_methods_are_set_side_by_side_at_the_time_of_the_first_to_end(drawn):
    table, text = drawn()
    table = table.set_index("method")
    assert table["equal_seconds"].unique() == pytest.approx([800 * 0.39 / 3], rel=0.05)
    assert table.loc["Res-UNet", "training_seconds"] == table["equal_seconds"].iloc[0]
    assert table.loc["LDSeg", "training_seconds"] == pytest.approx(3 * table["equal_seconds"].iloc[0])
    assert table.loc["LDSeg", "val_dsc_at_equal_time"] <= table.loc["LDSeg", "val_dsc"]
    assert "Equal numbers of steps" in text and "`training.seconds=" in text and "validation_by_time.png" in text


def test_a_report_at_equal_training_time_says_so(drawn):
    _, text = drawn(steps=None, seconds=120.0)
    assert "Equal training time: every method was trained for 2 min" in text and "Equal numbers of steps" not in text
