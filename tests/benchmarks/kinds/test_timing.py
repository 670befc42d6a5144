"""Timings of untrained networks: who is timed, how often, what is given up and why, and how it is found again."""

import re
import time

import pandas as pd
import pytest
import torch

from benchmarks.errors import BadInput
from benchmarks.kinds import timing
from benchmarks.kinds.registry import checked
from benchmarks.machine import contest, measure
from methods.base import Segmenter
from methods.ldseg import LDSeg
from methods.resunet import ResUNet

SMALL = ["suite=image_size", "profile=tiny", "device=cpu", "methods=[ldseg,resunet]", "suite.sizes=[32,16]",
         "suite.steps=[2]", "profile.timing_repeats=2"]  # fmt: skip
IDENTITY = ["method", "image_size", "steps"]


def timed(tmp_path, *overrides) -> pd.DataFrame:
    return measured([*SMALL, *overrides, f"paths.runs={tmp_path}"])


def measured(overrides) -> pd.DataFrame:
    config, kind = checked(overrides)
    return kind.run(config, "").records


def found(overrides) -> pd.DataFrame:
    """What is stored."""
    config, kind = checked(overrides)
    return kind.stored(config, "").records


def test_every_contestant_is_called_first_and_then_in_turn(tmp_path):
    rows = timed(tmp_path)
    assert list(rows.columns[: len(timing.RECORD_COLUMNS)]) == timing.RECORD_COLUMNS
    order = [("ldseg", "16x16", 2), ("ldseg", "32x32", 2), ("resunet", "16x16", 0), ("resunet", "32x32", 0)]
    assert list(rows[IDENTITY].itertuples(index=False, name=None)) == order * 3
    assert rows["call"].tolist() == [0] * 4 + [1] * 4 + [2] * 4 and (rows["first"] == (rows["call"] == 0)).all()
    assert (rows["seconds"] > 0).all() and (rows["status"] == "ok").all() and rows["nfe"].eq(1).all()
    first = rows[rows["first"]].set_index(["method", "image_size"])
    assert (first["peak_memory_mib"] > 0).all()
    assert first.loc[("resunet", "32x32"), "peak_memory_mib"] > first.loc[("resunet", "16x16"), "peak_memory_mib"]
    built = ResUNet(spatial_dims=2, in_channels=3, classes=2, image_size=(32, 32), size="tiny")
    assert first.loc[("resunet", "32x32"), "parameters"] == measure.parameters(built)
    assert rows["threads"].eq(torch.get_num_threads()).all() and rows["device"].notna().all()


def test_what_is_there_is_neither_timed_again_nor_lost_when_interrupted(tmp_path, monkeypatch):
    made = []
    real = contest.timed
    monkeypatch.setattr(contest, "timed", lambda call, device: made.append(call) or real(call, device))
    whole = timed(tmp_path)
    assert len(made) == 12
    folder = next((tmp_path / "timings").glob("image_size-*"))
    (folder / "done.json").unlink()
    (folder / "round-002.parquet").unlink()
    made.clear()
    again = timed(tmp_path)
    assert len(made) == 4
    pd.testing.assert_frame_equal(again[again["call"] < 2], whole[whole["call"] < 2])
    timed(tmp_path)
    assert len(made) == 4


def test_the_rows_are_found_without_timing_and_only_those_that_were_asked_for(tmp_path, monkeypatch):
    same = [*SMALL, f"paths.runs={tmp_path}"]
    with pytest.raises(BadInput, match="holds no timing of suite=image_size"):
        found(same)
    rows = measured(same)
    monkeypatch.setattr(contest, "timed", lambda *_: pytest.fail("timed again"))
    pd.testing.assert_frame_equal(found(same), rows)
    for other in ("suite.sizes=[16]", "method.ldseg.latent_norm=plain", "suite.seconds=2"):
        with pytest.raises(BadInput, match="holds no timing"):
            found([*same, other])


def test_a_changed_setting_is_timed_anew(tmp_path):
    timed(tmp_path, "methods=[resunet]")
    timed(tmp_path, "methods=[resunet]", "method.resunet.size=small")
    assert len(list((tmp_path / "timings").glob("image_size-*/done.json"))) == 2


def test_calls_stop_when_they_were_enough_and_took_long_enough(tmp_path):
    more = ["methods=[resunet]", "suite.sizes=[16]", "profile.timing_repeats=6"]
    assert len(timed(tmp_path / "a", *more, "suite.least_calls=2", "suite.seconds=1e-9")) == 1 + 2
    assert len(timed(tmp_path / "b", *more, "suite.least_calls=2", "suite.seconds=1e9")) == 1 + 6
    assert len(timed(tmp_path / "c", *more, "suite.least_calls=9", "suite.seconds=1e-9")) == 1 + 6


def test_a_call_beyond_the_limit_is_stopped_and_larger_images_are_not_tried(tmp_path):
    rows = timed(tmp_path, "methods=[ldseg]", "suite.steps=[1000]", "suite.longest_call=0.1")
    assert rows["status"].tolist() == ["declined", "declined"] and rows["seconds"].isna().all()
    said = re.match(r"stopped after 0.1 s at step (\d+) of 1000", rows["reason"][0])
    whole = re.search(r", so the whole would take about ([\d.e+]+) s$", rows["reason"][0])
    # Of a call that is stopped before its first step nothing is known.
    assert float(whole[1]) >= 0.9 * 0.1 * 1000 / int(said[1]) if int(said[1]) else whole is None
    assert "16x16 was too large already" in rows["reason"][1]


def test_an_image_that_will_not_fit_is_a_row_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.machine.memory.available", lambda device: 2**16)
    rows = timed(tmp_path, "methods=[resunet]", "suite.sizes=[16,32,128]").query("first")
    assert rows["status"].tolist() == ["ok", "declined", "declined"]
    assert "out of memory: needs about" in rows["reason"].iloc[1]


class Broken(ResUNet):
    """Fails in one of two ways, by the width of the image."""

    def segment(self, image, sampling, generators, callback=None, embedding=None):
        if image.shape[-1] == 32:
            raise torch.OutOfMemoryError("no room")
        raise ZeroDivisionError("by zero")


class Picky(Segmenter):
    """Takes images of 32 pixels alone, and data of one class only."""

    def __init__(self, spatial_dims, in_channels, classes, image_size):
        super().__init__()
        if image_size[0] != 32:
            raise ValueError(f"image_size is {image_size}, expected 32")

    @classmethod
    def supports(cls, spatial_dims, classes, **arguments):
        return "it takes one class" if classes > 2 else None

    def segment(self, image, sampling, generators, callback=None, embedding=None):
        time.sleep(0.001)
        return torch.full((1, 2, *image.shape[2:]), 0.5)


def own(name: str) -> list[str]:
    return ["methods=null", "suite.methods=[]", f"method._target_=tests.benchmarks.kinds.test_timing.{name}"]


def test_what_fails_is_a_row_and_the_others_go_on(tmp_path):
    rows = timed(tmp_path, "suite.methods=[resunet]", *own("Broken")[::2], "method.resunet.size=tiny")
    broken = rows[rows["method"] == "broken"]
    assert broken["status"].tolist() == ["failed", "declined"]
    assert broken["reason"].tolist() == ["ZeroDivisionError: by zero", "out of memory: no room"]
    assert rows[rows["method"] == "resunet"]["status"].eq("ok").all() and len(rows) == 2 + 6


def test_a_size_or_a_data_set_that_a_method_does_not_take_is_a_declined_row(tmp_path):
    rows = timed(tmp_path / "a", *own("Picky"), "suite.sizes=[16,32,64]").query("first")
    assert rows["status"].tolist() == ["declined", "ok", "declined"]
    assert "image_size is (16, 16), expected 32" in rows["reason"].iloc[0]
    rows = timed(tmp_path / "b", *own("Picky"), "suite.sizes=[32]", "datasets=[phantom_echo]")
    assert rows["reason"].tolist() == ["it takes one class"]


def test_real_data_sets_are_timed_without_their_files(tmp_path):
    overrides = ["suite=runtime", "profile=tiny", "device=cpu", "datasets=[glas,camus,knee]", "suite.steps=[3,2]",
                 "profile.timing_repeats=1", "paths.data=/nowhere", f"paths.runs={tmp_path}"]  # fmt: skip
    rows = measured(overrides).query("not first")
    assert rows[["dataset", "image_size", "steps", "nfe"]].values.tolist() == [
        ["glas", "32x32", 2, 1], ["glas", "32x32", 3, 2], ["camus", "32x32", 2, 1], ["camus", "32x32", 3, 2],
        ["knee", "32x32x32", 2, 1], ["knee", "32x32x32", 3, 2],
    ]  # fmt: skip


def test_a_data_set_that_needs_its_files_to_tell_its_classes_says_so(tmp_path):
    overrides = ["suite=runtime", "datasets=[decathlon]", "paths.data=/nowhere", f"paths.runs={tmp_path}"]
    with pytest.raises(BadInput, match="dataset.decathlon: /nowhere/.*dataset.json does not exist"):
        measured(overrides)


def test_the_call_that_is_timed_is_a_whole_segmentation(tmp_path, monkeypatch):
    seen = []
    real = LDSeg.segment

    def watched(self, image, sampling, generators, *more):
        seen.append((tuple(image.shape), sampling.steps, sampling.ensemble))
        return real(self, image, sampling, generators, *more)

    monkeypatch.setattr(LDSeg, "segment", watched)
    timed(tmp_path, "methods=[ldseg]", "suite.sizes=[32]", "suite.steps=[7]")
    # the first call, a short one for the memory, two repeated ones
    assert seen == [((1, 3, 32, 32), 7, 1), ((1, 3, 32, 32), 3, 1), ((1, 3, 32, 32), 7, 1), ((1, 3, 32, 32), 7, 1)]


@pytest.mark.parametrize(
    "override, message",
    [
        ("suite.sizes=[]", r"suite\.sizes=\[\]: expected a list of sides"),
        ("suite.sizes=[0]", r"suite\.sizes=\[0\]"),
        ("suite.sizes=64", r"suite\.sizes=64"),
        ("suite.seconds=0", r"suite\.seconds=0: expected a number of seconds above 0"),
        ("suite.longest_call=-1", r"suite\.longest_call=-1"),
        ("suite.least_calls=0", r"suite\.least_calls=0: expected a whole number from 1"),
    ],
)
def test_limits_that_cannot_be_are_refused(override, message):
    with pytest.raises(BadInput, match=message):
        checked([*SMALL, override])
