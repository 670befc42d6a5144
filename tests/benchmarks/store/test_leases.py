"""Leases: one process works on a place; what it leaves when it dies, sleeps or is unreachable is taken over."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import Timeout

from benchmarks.store import leases
from benchmarks.store.leases import LeaseLost

HOLD = (
    "import os, sys; from pathlib import Path; from benchmarks.store import leases\n"
    "with leases.held(Path(sys.argv[1])):\n"
    "    print('held', flush=True)\n"
    "    sys.stdin.read()\n"
)
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lease of a place until it is killed."""
    place = tmp_path / "trial"
    command = [sys.executable, "-c", HOLD, str(place)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield place, process
        process.kill()


def of_another_machine(place: Path) -> None:
    """Let the lease look as if its holder were out of reach: nobody here can ask whether that process lives."""
    path = leases.lease_file(place)
    lines = path.read_text().splitlines()
    path.write_text("".join("host=far\n" if line.startswith("host=") else f"{line}\n" for line in lines))


def silent_for(place: Path, seconds: float) -> None:
    """Let the last heartbeat be so long ago."""
    then = time.time() - seconds
    os.utime(leases.lease_file(place), (then, then))


def test_a_lease_is_held_by_one_process_and_given_back(other):
    place, process = other
    assert leases.holder(place) == f"process {process.pid} on {os.uname().nodename}"
    with pytest.raises(Timeout), leases.held(place):
        raise AssertionError("two hold it")
    process.communicate("")
    assert leases.holder(place) is None and not leases.lease_file(place).exists()
    with leases.held(place):
        assert str(os.getpid()) in leases.holder(place)


def test_the_lease_of_a_process_that_was_killed_here_is_taken_over_at_once(other):
    place, process = other
    process.kill()
    process.wait()
    with leases.held(place):
        assert str(os.getpid()) in leases.lease_file(place).read_text()


@pytest.mark.parametrize("seconds, free", [(leases.LEASE_SECONDS - 5, False), (leases.LEASE_SECONDS + 1, True)])
def test_elsewhere_it_is_taken_over_when_its_heartbeat_has_stopped_for_so_long(other, seconds, free):
    place, process = other
    process.kill()
    process.wait()
    of_another_machine(place)
    silent_for(place, seconds)
    assert leases.holder(place) == (None if free else f"process {process.pid} on far")
    if free:
        with leases.held(place):
            leases.check()
    else:
        with pytest.raises(Timeout), leases.held(place):
            raise AssertionError("its holder may be alive")


def test_a_lease_that_is_in_use_is_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.02)
    place = tmp_path / "trial"
    with leases.held(place):
        silent_for(place, leases.LEASE_SECONDS - 1)
        until = time.monotonic() + 120
        while time.time() - leases.lease_file(place).stat().st_mtime > 30 and time.monotonic() < until:
            time.sleep(0.01)
        assert time.time() - leases.lease_file(place).stat().st_mtime < 30


def test_who_was_taken_for_dead_learns_of_it_and_leaves_the_new_lease_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.02)
    place = tmp_path / "trial"
    with leases.held(place):
        leases.check()
        taken = leases.lease_file(place)
        taken.unlink()
        subprocess.run([sys.executable, "-c", HOLD.replace("sys.stdin.read()", "os._exit(1)"), str(place)], cwd=ROOT)
        until = time.monotonic() + 120
        with pytest.raises(LeaseLost, match="taken over by another run"):
            while time.monotonic() < until:
                leases.check()
                time.sleep(0.01)
        content = taken.read_text()
    assert taken.read_text() == content and f"pid={os.getpid()}\n" not in content
    leases.check()  # of those that are held, and none is


def test_what_is_no_lease_is_left_alone_and_named(tmp_path):
    place = tmp_path / "trial"
    leases.lease_file(place).write_text("of somebody else's program\n")
    assert leases.holder(place) == "another program"
