"""Damaged files of every kind are read or refused by name, in a process of its own that may take little memory."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def fuzz(count: int, seed: int) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "tests.datasets.fuzz", str(count), "--seed", str(seed)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_1500_damaged_files_raise_nothing_foreign_and_hold_up_nothing():
    done = fuzz(1500, 0)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "0 wrong" in done.stdout


@pytest.mark.long
def test_100000_damaged_files_raise_nothing_foreign_and_hold_up_nothing():
    done = fuzz(100_000, 7)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
