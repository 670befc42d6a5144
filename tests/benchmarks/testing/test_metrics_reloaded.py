"""Scores against those that MetricsReloaded gave on the same masks, recorded in metrics_reloaded.json beside this file.

Where definitions differ: of its two average surface distances `assd` is ours (over the surface voxels of both masks);
`masd`, the mean of the two directed means, we do not print. Where exactly one mask is empty its distances are undefined
like ours; it leaves the penalty to the aggregation, where ours is the diagonal, and has no surface to take its
normalised surface distance from, where ours is 0. Of two empty masks its IoU is undefined, ours 1, as both DSC are.
"""

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.testing.metrics import score
from benchmarks.testing.surfaces import diagonal, distances

RECORDED = json.loads((Path(__file__).parent / "metrics_reloaded.json").read_text())
PAIRS = RECORDED["pairs"]


def masks(pair):
    """(prediction, label), bool."""
    count = int(np.prod(pair["shape"]))
    bits = (np.frombuffer(base64.b64decode(pair[name]), np.uint8) for name in ("prediction", "label"))
    return tuple(np.unpackbits(part)[:count].reshape(pair["shape"]).astype(bool) for part in bits)


def test_the_recorded_pairs_are_of_all_kinds():
    empty = [tuple(not mask.any() for mask in masks(pair)) for pair in PAIRS]
    assert len(PAIRS) == 40 and {(True, True), (True, False), (False, True)} < set(empty)
    assert {len(pair["shape"]) for pair in PAIRS} == {2, 3} and RECORDED["commit"]
    assert sum(len(set(pair["spacing"])) > 1 for pair in PAIRS) >= 16
    # The two conventions of the average distance are told apart by most pairs.
    assert sum(pair["masd"] is not None and abs(pair["masd"] - pair["assd"]) > 1e-3 for pair in PAIRS) > 20


@pytest.mark.parametrize("pair", PAIRS, ids=[f"{k}-{'x'.join(map(str, p['shape']))}" for k, p in enumerate(PAIRS)])
def test_scores_are_those_of_metrics_reloaded(pair):
    prediction, label = masks(pair)
    spacing, shape = pair["spacing"], pair["shape"]
    row = score(prediction.astype(int), label.astype(int), ["object"], spacing, pair["tolerance"])[0]
    assert row["dsc"] == pytest.approx(pair["dsc"])
    assert row["iou"] == pytest.approx(1.0 if not (prediction.any() or label.any()) else pair["iou"])
    if prediction.any() == label.any():
        for name in ("hd95", "assd", "nsd"):
            assert row[name] == pytest.approx(pair[name], abs=1e-12), name
            assert row.get(f"{name}_penalised", row[name]) == row[name]
    else:
        assert pair["hd95"] is pair["assd"] is pair["masd"] is None
        assert np.isnan(row["hd95"]) and np.isnan(row["assd"]) and row["nsd"] == 0
        assert row["hd95_penalised"] == row["assd_penalised"] == diagonal(shape, spacing)
    if prediction.any() and label.any():
        there, back = distances(prediction, label, spacing)
        assert (there.mean() + back.mean()) / 2 == pytest.approx(pair["masd"])
