"""A server that answers without end holds up nothing, and databases that MLflow cannot use are named with the fix."""

import socket
import sqlite3
import threading
import time

import pytest

from benchmarks.tracking import patience, sending
from benchmarks.tracking.patience import within_limits


class Slow:
    def call(self, seconds):
        time.sleep(seconds)


def test_work_that_gets_on_is_waited_for_and_its_errors_come_through(monkeypatch):
    monkeypatch.setattr(patience, "STALL_SECONDS", 3.0)
    within_limits(Slow, lambda slow: [slow.call(0.7) for _ in range(5)])
    with pytest.raises(KeyError, match="lost"):
        within_limits(Slow, lambda slow: {}["lost"])


def test_work_that_stands_still_or_takes_too_long_is_left_behind(monkeypatch):
    monkeypatch.setattr(patience, "STALL_SECONDS", 0.2)
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer was complete within 0\.2 s"):
        within_limits(Slow, lambda slow: slow.call(300))
    monkeypatch.setattr(patience, "STALL_SECONDS", 60.0)
    monkeypatch.setattr(patience, "ALL_SECONDS", 0.3)
    with pytest.raises(TimeoutError, match=r"stopped after 0\.3 s"):
        within_limits(Slow, lambda slow: [slow.call(0.05) for _ in range(300)])
    assert time.monotonic() - started < 250  # the first call alone takes 300


def drip(server: socket.socket, stop: threading.Event) -> None:
    """Answers the first caller with one byte every tenth of a second."""
    connection, _ = server.accept()
    connection.recv(2**16)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not stop.wait(0.1):
        try:
            connection.sendall(b" ")
        except OSError:
            return


def test_a_server_that_answers_byte_by_byte_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "STALL_SECONDS", 1.0)
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drip, args=(server, stop), daemon=True).start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(TimeoutError, match="no answer was complete"):
            within_limits(lambda: sending._client(address), lambda client: client.get_experiment_by_name("diffseg"))
        stop.set()
    assert time.monotonic() - started < 60


def test_databases_that_mlflow_cannot_use_are_named_with_the_fix(tmp_path):
    sending._check_database(tmp_path / "none.db")
    half = tmp_path / "half.db"
    with sqlite3.connect(half) as connection:
        connection.execute("CREATE TABLE experiments (experiment_id INTEGER)")
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR)")
    with pytest.raises(ValueError, match=r"half\.db is half made: 2 of .*mv half\.db half\.db\.broken.*tracking\.uri="):
        sending._check_database(half)
    other = tmp_path / "other.db"
    other.write_text("a file of another kind " * 50)
    with pytest.raises(ValueError, match=r"other\.db is no database .*mv other\.db"):
        sending._check_database(other)
    reason = sending._cause(RuntimeError("Detected out-of-date database schema (found version a, but expected b)"))
    assert "mlflow db upgrade" in reason
    assert "move the file away" in sending._cause(sqlite3.DatabaseError("database disk image is malformed"))
