"""Scores of a case of a data set: unions of classes beside the classes themselves."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.testing.scoring import case_scores, union_scores
from tests.benchmarks.blobs import prepared, ragged

EPI = (("epi", ("LV", "wall")),)


@pytest.fixture
def data():
    """One case of 4x6 pixels: a row of LV, a row of wall, and LA below."""
    images, labels = ragged([(4, 6)])
    labels[0][:] = np.repeat([[1], [2], [3], [0]], 6, axis=1)
    return replace(prepared(images, labels, spacing=[None]), class_names=["LV", "wall", "LA"])


def test_a_union_is_scored_as_one_class(data):
    prediction = np.asarray(data.labels[0]).copy()
    prediction[0, :3], prediction[1, :2], prediction[1, 5] = 2, 1, 0
    (row,) = union_scores(data, 0, prediction, EPI)
    # By hand: of 12 pixels of LV and wall 11 are found, whichever of the two they are called.
    assert row["class"] == "epi" and row["dsc"] == pytest.approx(2 * 11 / (12 + 11))
    assert row["iou"] == pytest.approx(11 / 12) and row["empty"] == ""
    by_class = {found["class"]: found["dsc"] for found in case_scores(data, 0, prediction)}
    assert row["dsc"] > max(by_class["LV"], by_class["wall"]) and "epi" not in by_class


def test_a_perfect_union_scores_one_and_a_missed_one_nothing(data):
    label = np.asarray(data.labels[0])
    (perfect,), (missed,) = (union_scores(data, 0, found, EPI, 1.0) for found in (label, 0 * label))
    assert (perfect["dsc"], perfect["hd95"], perfect["nsd"]) == (1.0, 0.0, 1.0)
    assert missed["dsc"] == 0.0 and missed["empty"] == "prediction" and missed["hd95_penalised"] > 0


def test_without_unions_nothing_is_added(data):
    assert union_scores(data, 0, np.asarray(data.labels[0]), ()) == []
