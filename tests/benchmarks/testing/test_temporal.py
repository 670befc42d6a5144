"""Each frame of a video against the one before."""

from types import SimpleNamespace

import numpy as np

from benchmarks.testing.metrics import class_dsc, score
from benchmarks.testing.temporal import Before


def video(*frames):
    """Data of which every case is (video, time)."""
    videos, times = zip(*frames)
    return SimpleNamespace(videos=videos, times=times, class_names=["one", "two"])


def square(left, value=1):
    mask = np.zeros((8, 8), np.uint8)
    mask[2:6, left : left + 4] = value
    return mask


def test_a_prediction_that_stands_still_while_the_heart_moves():
    data, before = video(("a", 0), ("a", 1)), Before()
    first = before.rows(data, 0, square(1), square(1))
    assert all(np.isnan(list(row.values())).all() for row in first)
    one, two, pooled = before.rows(data, 1, square(1), square(2))
    assert one == {"temporal_dsc": 1.0, "temporal_dsc_label": 0.75}
    assert two == {"temporal_dsc": 1.0, "temporal_dsc_label": 1.0}  # in neither frame
    assert pooled == one


def test_videos_are_kept_apart_and_pictures_have_no_frame_before():
    data, before = video(("a", 0), ("b", 0), (None, None), ("a", 1), ("b", 1)), Before()
    for index, left in enumerate((0, 4, 2)):
        assert np.isnan(before.rows(data, index, square(left), square(left))[-1]["temporal_dsc"])
    assert before.rows(data, 3, square(0), square(0))[-1]["temporal_dsc"] == 1.0
    assert before.rows(data, 4, square(0), square(4))[-1] == {"temporal_dsc": 0.0, "temporal_dsc_label": 1.0}


def test_the_dsc_of_classes_is_that_of_the_scores():
    random = np.random.default_rng(0)
    for _ in range(5):
        prediction, label = random.integers(0, 3, (2, 6, 7, 5))
        assert class_dsc(prediction, label, 2) == [row["dsc"] for row in score(prediction, label, ["a", "b"], None)]
