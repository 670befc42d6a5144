"""Threads are as many as asked for, and no more than there are cores unless they are asked for."""

import os

import pytest
import torch

from benchmarks.errors import BadInput
from benchmarks.machine.device import pin_threads

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.fixture(autouse=True)
def threads_as_they_were():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_threads_asked_for_are_taken(capsys):
    assert pin_threads(1) == torch.get_num_threads() == 1
    assert not capsys.readouterr().out


def test_more_threads_than_cores_are_taken_only_where_they_are_asked_for(capsys):
    torch.set_num_threads(CORES + 3)
    assert pin_threads(None) == torch.get_num_threads() == CORES
    assert f"{CORES + 3} threads were asked for, of {CORES} cores" in capsys.readouterr().out
    assert pin_threads(CORES + 1) == torch.get_num_threads() == CORES + 1
    assert "which is slow" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "two", 1_000_000])
def test_what_is_no_number_of_threads_is_refused(wrong):
    with pytest.raises(BadInput, match="threads"):
        pin_threads(wrong)
