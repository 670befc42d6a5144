"""The report of suite=runtime against numpy on its records.csv."""

import numpy as np
import pandas as pd
import pytest

from reports import write
from reports.sections import published
from tests.reports.fabricated_calls import contestant, results
from tests.reports.resampling import ends_of_rounds

PUBLISHED = {"phantom_echo": (91.23, 0.34), "glas": (80.37, 0.30), "phantom_knee": (132.36, 0.49)}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    parts = []
    for dataset, size, each, once in (("phantom_echo", "64x64", 0.005, 0.02), ("glas", "96x96", 0.006, 0.03),
                                      ("phantom_knee", "48x48x48", 0.04, 0.7)):  # fmt: skip
        for steps in (2, 1000):
            parts.append(contestant("ldseg", dataset, size, steps, once + each * (steps - 1), calls=9))
    return write(results("runtime", *parts), tmp_path_factory.mktemp("runtime") / "report").parent


def table(folder, name):
    return pd.read_csv(folder / "tables" / f"{name}.csv")


def medians(folder) -> pd.Series:
    records = pd.read_csv(folder / "records.csv")
    return records[~records["first"]].groupby(["dataset", "steps"])["seconds"].median()


def test_medians_first_calls_and_quartiles_are_those_of_the_records(report):
    records = pd.read_csv(report / "records.csv")
    rows = table(report, "runtime")
    assert len(rows) == 6
    for row in rows.itertuples():
        own = records.query("dataset == @row.dataset and steps == @row.steps")
        repeated = own[own["call"] > 0]["seconds"]
        assert row.seconds_median == pytest.approx(np.median(repeated)) and row.calls == len(repeated) == 9
        assert [row.seconds_q1, row.seconds_q3] == pytest.approx(np.percentile(repeated, [25, 75]))
        assert row.first_seconds == own.loc[own["call"] == 0, "seconds"].item() and row.nfe == row.steps - 1


def test_the_ratio_and_its_interval_come_from_the_rounds(report):
    records, found = pd.read_csv(report / "records.csv"), medians(report)
    random = np.random.default_rng(7)
    for row in table(report, "speed_up").itertuples():
        assert row.ratio == pytest.approx(found[row.dataset, 1000] / found[row.dataset, 2])
        assert row.nfe_ratio == 999
        repeated = records.query("dataset == @row.dataset and call > 0")
        rounds = repeated.pivot(index="call", columns="steps", values="seconds").to_numpy()  # columns: 2, 1000
        drawn = np.median(rounds[random.integers(0, len(rounds), (9000, len(rounds)))], axis=1)
        low, high = ends_of_rounds(drawn[:, 1] / drawn[:, 0], len(rounds))
        assert row.low == pytest.approx(low, rel=0.05) and row.high == pytest.approx(high, rel=0.05)


def test_what_an_evaluation_takes_and_what_is_done_once_explain_both_times(report):
    found = medians(report)
    for row in table(report, "speed_up").itertuples():
        for steps in (2, 1000):
            explained = row.seconds_once + row.seconds_per_evaluation * (steps - 1)
            assert explained == pytest.approx(found[row.dataset, steps])


def test_what_is_done_once_is_said_where_the_rounds_tell_it(tmp_path):
    """Times in proportion to the evaluations, but for chance, leave nothing that is done once."""
    parts = [contestant("ldseg", "glas", steps=steps, seconds=0.01 * (steps - 1), calls=9) for steps in (3, 50)]
    parts += [contestant("ldseg", "phantom_echo", steps=k, seconds=0.01 * (k - 1) + 0.2, calls=9) for k in (3, 50)]
    said = write(results("runtime", *parts), tmp_path / "report").read_text()
    glas, echo = (
        next(line for line in said.splitlines() if f"**{name}**" in line) for name in ("glas", "phantom_echo")
    )
    assert "whether anything is done once cannot be told" in glas and "% of the time" not in glas
    assert "such as encoding and decoding" in echo


def test_published_times_stand_beside_ours_as_context(report):
    rows, found = table(report, "published"), medians(report)
    assert len(rows) == 6
    for row in rows.itertuples():
        assert row.published == PUBLISHED[row.dataset][0 if row.steps == 1000 else 1]
        assert row.ours == pytest.approx(found[row.dataset, row.steps])
        assert row.difference == pytest.approx(row.ours - row.published) and row.low <= row.ours <= row.high
    text = (report / "report.md").read_text()
    assert "context only" in text and "A100" in text and "268 times less" in text and "untrained" in text
    assert (
        published.runtime("phantom_glands", "ldseg")["name"] == "GlaS" and published.runtime("folder", "ldseg") is None
    )
    assert published.runtime("phantom_glands", "resunet") is None


def test_the_published_reduction_is_that_of_the_published_times():
    for dataset in PUBLISHED:
        seconds = published.runtime(dataset, "ldseg")["seconds"]
        assert seconds[1000] / seconds[2] == pytest.approx(published.runtime(dataset, "ldseg")["reduction"], rel=0.01)


def test_the_figure_brings_its_numbers(report):
    rows = pd.read_csv(report / "figures" / "seconds_by_steps.csv")
    ours = rows[rows["source"] == "ours"].set_index(["dataset", "steps"])["seconds_median"]
    assert ours.to_dict() == pytest.approx(medians(report).to_dict())
    assert len(rows[rows["source"] == "published"]) == 6 and (report / "figures" / "seconds_by_steps.svg").exists()


def test_too_few_calls_have_no_interval_and_equal_calls_one_of_no_width(tmp_path):
    parts = [contestant(dataset="phantom_echo", steps=steps, calls=4) for steps in (2, 1000)]
    parts += [contestant(dataset="glas", steps=steps, spread=0, seconds=steps / 2) for steps in (2, 1000)]
    rows = table(write(results("runtime", *parts), tmp_path / "report").parent, "speed_up").set_index("dataset")
    assert np.isnan(rows.loc["phantom_echo", "low"])
    assert rows.loc["glas", ["ratio", "low", "high"]].tolist() == [500, 500, 500]


def test_a_method_without_steps_and_one_with_a_single_number_of_steps_have_no_ratio(tmp_path):
    parts = [contestant("resunet", steps=0, seconds=2, spread=0), contestant("ldseg", steps=2, spread=0)]
    folder = write(results("runtime", *parts), tmp_path / "report").parent
    assert not (folder / "tables" / "speed_up.csv").exists()
    text = (folder / "report.md").read_text()
    assert "Res-UNet takes 2 s." in text and "LDSeg takes 1 s with 2 steps." in text


def test_nothing_timed_at_all_is_said(tmp_path):
    parts = [contestant(steps=1000, status="declined", reason="stopped after 10 s at step 12 of 1000")]
    parts += [contestant("resunet", steps=0, status="failed", reason="ZeroDivisionError: by zero")]
    folder = write(results("runtime", *parts), tmp_path / "report").parent
    text = (folder / "report.md").read_text()
    assert "with 1000 steps on phantom_glands has no time at 64x64: stopped after 10 s at step 12 of 1000." in text
    assert "ZeroDivisionError: by zero" in text and len(table(folder, "runtime")) == 2
    assert not list((folder / "figures").glob("*.png")) if (folder / "figures").exists() else True
