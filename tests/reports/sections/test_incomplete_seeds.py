"""A training without scores has no part in ranks, tables or sentences, and none of them loses its method to it."""

import numpy as np
import pandas as pd
import pytest

from reports import write
from reports.numbers.study import comparisons, study
from reports.sections import accuracy_table, rank_tables, score_tables, significance

SUITE = {"name": "accuracy", "title": "Segmentation accuracy", "seeds": [0, 1, 2, 3]}


@pytest.fixture
def incomplete(fabricate):
    """LDSeg with four seeds, Res-UNet with one; `spoil` is given each record of LDSeg's last seed."""

    def filled(spoil):
        for seed in (0, 1, 2, 3):
            fabricate.trial("ldseg", "glas", seed, sigmas=(0, 0.2), steps=(2,), cases=12, samples=False)
        for number in (-2, -1):
            fabricate.frames[number] = spoil(fabricate.frames[number])
        fabricate.trial("resunet", "glas", sigmas=(0, 0.2), cases=12, samples=False)
        return fabricate.results(**SUITE)

    return filled


def without_scores(frame):
    return frame.assign(dsc=np.nan, iou=np.nan)


def without_noise(frame):
    return frame[frame["sigma"] == 0]


def test_a_seed_without_scores_is_one_training_less_everywhere(incomplete):
    it = study(incomplete(without_scores))
    curves, pair = it.curves["glas"], comparisons(it, "glas")[0]
    assert [rank.place for rank in rank_tables.ranking(curves, 0.0)] == [2, 1]
    clean, noisy, *_ = significance.sentences(it, "glas")
    for sentence in (clean, noisy):
        assert "the mean of 3 trainings of **LDSeg (2 steps)**" in sentence.replace("The mean", "the mean")
    assert score_tables.trainings(pair, 0.0) == score_tables.trainings(pair, 0.0, 0.2) == (3, 1)
    assert curves[0].mean(0.0).seeds == 3
    row = accuracy_table.table(it, "glas").data.set_index("method").loc["ldseg"]
    assert (row["seeds"], row["rank"]) == (3, 2) and 0 < row["seed_sd"] < 0.1


def test_a_seed_that_was_not_tested_everywhere_counts_where_it_was(incomplete):
    it = study(incomplete(without_noise))
    curves, pair = it.curves["glas"], comparisons(it, "glas")[0]
    assert [curve.trainings(0.0) for curve in curves] == [4, 1] and curves[0].trainings(0.2) == 3
    assert None not in rank_tables.ranking(curves, 0.2)
    said = significance.sentences(it, "glas")
    at = {sigma: next(text for text in said if f"at σ = {sigma:g}" in text).lower() for sigma in (0.0, 0.2)}
    assert "the mean of 4 trainings" in at[0.0] and "the mean of 3 trainings" in at[0.2]
    assert score_tables.trainings(pair, 0.0, 0.2) == (3, 1)
    assert np.isfinite(curves[0].relative_area().value) and curves[0].relative_area().seeds == 3


@pytest.mark.parametrize("spoil", [without_scores, without_noise])
@pytest.mark.parametrize("name", ["accuracy", "noise_robustness"])
def test_the_whole_report_is_written(incomplete, tmp_path, spoil, name):
    results = incomplete(spoil)
    results.suite["name"] = name
    text = write(results, tmp_path / "report").read_text()
    assert "nan" not in text.lower()
    ranks = pd.read_csv(tmp_path / "report" / "tables" / "ranks.csv")
    assert sorted(ranks["method"]) == ["ldseg", "ldseg", "resunet", "resunet"]
