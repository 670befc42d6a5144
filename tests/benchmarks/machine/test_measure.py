"""Timing methods side by side: in turn, and every call kept."""

import statistics

import torch

from benchmarks.machine import measure
from methods.base import Sampling, Segmenter


class Counted(Segmenter):
    """Writes its name down at every call."""

    generative = True

    def __init__(self, name, calls):
        super().__init__()
        self.name, self.calls = name, calls

    def segment(self, image, sampling, generators, callback=None, embedding=None):
        self.calls.append((self.name, sampling.steps))
        return torch.full((1, 2, *image.shape[2:]), 0.5)


def test_contestants_take_turns_and_every_call_is_kept_by_round():
    calls = []
    a, b = Counted("a", calls), Counted("b", calls)
    rows = measure.inference([(a, Sampling(2)), (b, Sampling(5)), (a, Sampling(9))], torch.zeros(1, 1, 8, 8), 4)
    one_round = [("a", 2), ("b", 5), ("a", 9)]
    timed = calls[3 * measure.WARM_UP : -3]  # the last three measure memory
    assert timed == one_round * 4
    for row in rows:
        assert len(row["seconds"]) == row["repeats"] == 4 and min(row["seconds"]) > 0
        assert row["seconds_median"] == statistics.median(row["seconds"])
