"""Results by video, recomputed from the records."""

import numpy as np
import pytest

from reports.numbers.study import study
from reports.suites.accuracy.video import by_video


def test_every_number_is_that_of_the_records(fabricate):
    for seed in (0, 1):
        fabricate.trial("resunet", "phantom_echo", seed=seed, sigmas=(0,), cases=24, frames=4)
    results = fabricate.results()
    table = by_video(study(results), "phantom_echo")
    pooled = results.records[results.records["class"] == "all"]
    by_case = pooled.groupby(["video", "case"])[["dsc", "temporal_dsc", "temporal_dsc_label"]].mean()
    videos = by_case["dsc"].groupby("video").mean()
    row = table.data.iloc[0]
    assert row["videos"] == 6
    assert np.isclose(row["dsc_by_video"], videos.mean())
    assert row["worst_video"] == videos.idxmin() and np.isclose(row["worst_dsc"], videos.min())
    assert np.isclose(row["temporal_dsc"], by_case["temporal_dsc"].mean())
    assert np.isclose(row["temporal_relative"], by_case["temporal_dsc"].mean() / 0.9)
    assert row["temporal_relative_low"] < row["temporal_relative"] < row["temporal_relative_high"]


def test_the_interval_holds_the_variance_of_training_from_three_seeds_on(fabricate):
    for seed, shift in enumerate((-0.1, 0.0, 0.1)):
        fabricate.trial("resunet", "phantom_echo", seed=seed, sigmas=(0,), cases=24, frames=4, shift=shift - 0.2)
    results = fabricate.results()
    it = study(results)
    row, own = by_video(it, "phantom_echo").data.iloc[0], it.curves["phantom_echo"][0].mean(0.0)
    # A patient is one video here, so that means by video and by patient are the same.
    assert [row["dsc_by_video"], row["dsc_by_video_low"], row["dsc_by_video_high"]] == pytest.approx(
        [own.value, own.low, own.high]
    )
    assert own.seeds == 3 and row["dsc_by_video_high"] - row["dsc_by_video_low"] > 0.2


def test_data_without_videos_have_no_such_table(fabricate):
    fabricate.trial("resunet", "glas", sigmas=(0,))
    assert by_video(study(fabricate.results()), "glas") is None
