"""A training that is asked to stop ends its step, saves a checkpoint and goes on from there as if undisturbed."""

import os
import signal
import threading
import time

import pytest
import torch

from benchmarks.errors import CannotWrite
from benchmarks.training import checkpoints, stopping
from benchmarks.training import loop as training
from benchmarks.training.checkpoints import check_space
from benchmarks.training.stopping import Stopped
from tests.benchmarks.training.test_loop import Threshold, data, run  # noqa: F401

COLUMNS = ["stage", "step", "epoch", "split", "metric", "value"]


class Asked(Threshold):
    """Sends its process a signal in a step or a validation, counted over the whole training."""

    def __init__(self, step=None, validation=None, number=signal.SIGTERM):
        super().__init__()
        self.step, self.validation, self.number, self.validations = step, validation, number, 0

    def loss(self, *arguments):
        found = super().loss(*arguments)
        if self.calls == self.step:
            os.kill(os.getpid(), self.number)
        return found

    def reconstruct(self, label):
        self.validations += 1
        if self.validations == self.validation:
            os.kill(os.getpid(), self.number)
        return super().reconstruct(label)


def trained(data, folder, kind=Asked, stop_after=None, **where):  # noqa: F811
    torch.manual_seed(0)
    return run(data, folder, model=kind(**where), stop_after=stop_after)


def same(one, other) -> None:
    assert one.best_step == other.best_step
    assert all(torch.equal(one.best[name], value) for name, value in other.best.items())
    assert [[r[c] for c in COLUMNS] for r in one.history] == [[r[c] for c in COLUMNS] for r in other.history]


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_every_signal_saves_a_checkpoint_at_the_end_of_the_step(data, tmp_path, number):  # noqa: F811
    with stopping.on_signals(), pytest.raises(Stopped, match=f"stopped by {signal.Signals(number).name}") as caught:
        trained(data, tmp_path / "b", step=4, number=number)
    assert caught.value.status == 128 + number
    saved = torch.load(tmp_path / "b" / "checkpoint.pt")["progress"]
    assert saved["step"] == 4
    same(trained(data, tmp_path / "b"), trained(data, tmp_path / "a"))


@pytest.mark.parametrize(
    "where", [{"step": step} for step in (1, 5, 6, 7, 12)] + [{"validation": n} for n in (1, 2, 3, 4)]
)
@pytest.mark.parametrize("log_every", [1, 3])
def test_stopped_anywhere_a_training_goes_on_as_if_undisturbed(data, tmp_path, monkeypatch, where, log_every):  # noqa: F811
    """Between two points on the curves, in the middle of a validation, at the last step of a stage."""
    monkeypatch.setattr(training, "LOG_LINES", 6 // log_every)
    undisturbed = trained(data, tmp_path / "a")
    with stopping.on_signals(), pytest.raises(Stopped):
        trained(data, tmp_path / "b", **where)
    same(trained(data, tmp_path / "b"), undisturbed)


def test_a_training_out_of_time_is_stopped_after_the_step_it_is_at(data, tmp_path):  # noqa: F811
    with pytest.raises(Stopped, match=r"training\.stop_after=0\.001") as caught:
        trained(data, tmp_path / "b", stop_after=1e-3)
    assert caught.value.status == stopping.OUT_OF_TIME
    assert torch.load(tmp_path / "b" / "checkpoint.pt")["progress"]["step"] == 1
    same(trained(data, tmp_path / "b"), trained(data, tmp_path / "a"))


def test_a_step_that_takes_too_long_is_given_up_and_the_last_checkpoint_holds(data, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(stopping, "PATIENCE", 0.1)
    monkeypatch.setattr(training, "CHECKPOINT_EVERY_SECONDS", 0.0)

    class Slow(Asked):
        def loss(self, *arguments):
            found = super().loss(*arguments)
            while self.calls == self.step:
                time.sleep(0.01)
            return found

    with stopping.on_signals(), pytest.raises(Stopped) as caught:
        trained(data, tmp_path / "b", Slow, step=4)
    assert not caught.value.whole  # and the step, which never ends, was left
    assert torch.load(tmp_path / "b" / "checkpoint.pt")["progress"]["step"] == 3
    same(trained(data, tmp_path / "b", Slow), trained(data, tmp_path / "a", Slow))


def test_asked_to_stop_while_a_last_batch_that_nobody_wants_is_made_it_saves_a_checkpoint(
    data,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    make = training.load_batch

    def late(*arguments):
        if threading.current_thread() is not threading.main_thread():
            time.sleep(1.0)  # the one step of the training is over by now
            os.kill(os.getpid(), signal.SIGTERM)
        return make(*arguments)

    monkeypatch.setattr(training, "load_batch", late)
    with stopping.on_signals(), pytest.raises(Stopped):
        run(data, tmp_path / "b", model=Asked(), steps=None, seconds=1e-3)
    assert torch.load(tmp_path / "b" / "checkpoint.pt")["progress"]["step"] == 1


def test_outside_a_training_a_signal_is_heeded_at_once_and_the_former_handlers_come_back():
    before = [signal.getsignal(number) for number in stopping.SIGNALS]
    with pytest.raises(Stopped, match="SIGHUP"), stopping.on_signals():
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(1)
        raise AssertionError("still at work")
    assert [signal.getsignal(number) for number in stopping.SIGNALS] == before


def test_a_training_that_would_not_fit_on_the_disk_does_not_begin(tmp_path, monkeypatch):
    path, model = tmp_path / "checkpoint.pt", Threshold()
    check_space(path, model)
    weights = 4 * (2 + 2 + 1)  # weights, biases, a buffer
    checkpoint = 2 * weights + 4 * 4 + 2 * 4 * 4
    usage = type("Usage", (), {})()
    monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda folder: usage)
    usage.free = 2 * checkpoint + weights
    check_space(path, model)
    usage.free -= 1
    with pytest.raises(CannotWrite, match="disk full: training writes up to .* MiB .* has .* MiB free"):
        check_space(path, model)
    path.write_bytes(b"a checkpoint")  # which goes once the next one is there
    check_space(path, model)
