"""One training on several devices: two processes on a CPU, led by lightning-fabric."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from benchmarks.errors import BadInput
from benchmarks.machine import device, together
from benchmarks.plan.configuration import configure
from benchmarks.plan.planning import make_plan
from benchmarks.store import leases
from run_bench import main
from tests.benchmarks.machine import sleeping

ROOT = Path(__file__).parents[3]
WORDS = ["suite=accuracy", "datasets=[phantom_glands]", "profile=tiny", "seeds=[0]", "suite.steps=null",
         "tracking=none", "threads=1", "device=cpu"]  # fmt: skip


def trials(runs):
    """Of each trial its folder, by number of devices and of parts."""
    found = {}
    for path in (runs / "trials").glob("*/config.json"):
        training = json.loads(path.read_text())["training"]
        found[training.get("devices", 1), training.get("accumulate", 1)] = path.parent
    return found


def scores(folder):
    frame = pd.concat(map(pd.read_parquet, sorted((folder / "records").glob("*.parquet"))))
    return frame.sort_values(["case", "class"])["dsc"].to_numpy()


def test_two_devices_train_what_one_trains_in_two_parts(tmp_path):
    """nnU-Net-style, without batch norm and dropout: to rounding."""
    for word in ("training.devices=2", "training.accumulate=2"):
        assert main([*WORDS, "methods=[nnunet]", word, f"paths.runs={tmp_path}"]) == 0
    found = trials(tmp_path)
    together, alone = found[2, 1], found[1, 2]
    one, other = (load_file(folder / "weights.safetensors") for folder in (together, alone))
    assert all(torch.allclose(one[name], other[name], atol=1e-5) for name in other)
    assert scores(together) == pytest.approx(scores(alone), abs=0.01)  # a pixel at the threshold may turn
    history, reference = (pd.read_parquet(folder / "history.parquet") for folder in (together, alone))
    assert history["step"].tolist() == reference["step"].tolist()
    assert history["value"].to_numpy() == pytest.approx(reference["value"].to_numpy(), abs=0.01)
    assert not (together / "checkpoint.pt").exists()


@pytest.mark.long
def test_batch_norm_makes_a_difference_that_is_small_beside_that_of_a_seed(tmp_path):
    """Res-UNet: each device normalises by its own part of a batch, and the running statistics are averaged."""
    for word in ("training.devices=2", "training.accumulate=2"):
        assert main([*WORDS, "methods=[resunet]", word, f"paths.runs={tmp_path}"]) == 0
    found = trials(tmp_path)
    assert scores(found[2, 1]).mean() == pytest.approx(scores(found[1, 2]).mean(), abs=0.1)
    assert scores(found[2, 1]).mean() > 0.2


def test_a_loss_that_is_not_finite_ends_the_trial_in_all_processes(tmp_path, capsys):
    words = [*WORDS, "methods=[nnunet]", "training.devices=2", "training.learning_rate=1e30", f"paths.runs={tmp_path}"]
    assert main(words) == 1
    assert "the loss became" in capsys.readouterr().out


def started(tmp_path, *words):
    command = [sys.executable, "run_bench.py", *WORDS, "methods=[nnunet]", "training.devices=2", "training.steps=3000",
               f"paths.runs={tmp_path}", *words]  # fmt: skip
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    limit = time.monotonic() + 120
    while "training: " not in under_way(tmp_path):
        if run.poll() is not None or time.monotonic() > limit:
            run.kill()
            raise AssertionError(run.communicate()[0])
        time.sleep(0.2)
    return run


def under_way(runs):
    """What the run says of the job it is at."""
    for path in (runs / "trials").glob(".*.progress"):
        with suppress(FileNotFoundError):
            return json.loads(path.read_text())["line"]
    return ""


def members(run):
    """Ids of the processes that train."""
    found = subprocess.run(["pgrep", "-f", "-P", str(run.pid), "spawn_main"], capture_output=True, text=True)
    return [int(word) for word in found.stdout.split()]


@pytest.mark.long
def test_a_run_that_is_stopped_leaves_one_checkpoint_and_no_process_and_goes_on(tmp_path):
    run = started(tmp_path)
    processes = members(run)
    assert len(processes) == 2
    run.send_signal(signal.SIGTERM)
    said = run.communicate(timeout=60)[0]
    assert run.returncode == 143, said
    assert not any(Path(f"/proc/{process}").exists() for process in processes)
    (folder,) = trials(tmp_path).values()
    progress = torch.load(folder / "checkpoint.pt", weights_only=True)["progress"]
    assert 0 < progress["step"] < 3000
    assert json.loads((folder / "done.json").read_text())["status"] == "stopped"
    run = started(tmp_path)
    time.sleep(1)
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=60)
    later = torch.load(folder / "checkpoint.pt", weights_only=True)["progress"]
    assert later["step"] > progress["step"], "it goes on where it stopped"


@pytest.mark.long
def test_a_process_that_is_killed_is_the_failure_of_its_trial(tmp_path):
    run = started(tmp_path)
    os.kill(members(run)[1], signal.SIGKILL)
    said = run.communicate(timeout=90)[0]
    assert run.returncode == 1, said
    assert "one of the 2 processes of its training was killed" in said


def test_the_processes_of_a_training_that_was_taken_over_end_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(together, "_member", sleeping.member)
    trial = SimpleNamespace(config=SimpleNamespace(training=SimpleNamespace(devices=2)))
    place, pids = tmp_path / "trial", [tmp_path / f"{rank}.pid" for rank in range(2)]

    def steal():
        while not all(path.exists() and path.read_text() for path in pids):
            time.sleep(0.05)
        leases.lease_file(place).unlink()
        with leases.held(place):
            over.wait(60)

    over, thief = threading.Event(), threading.Thread(target=steal)
    with pytest.raises(leases.LeaseLost, match="taken over"), leases.held(place):
        thief.start()
        try:
            started = time.monotonic()
            together.trained(None, trial, tmp_path / "checkpoint.pt", lambda *_: None)
        finally:
            assert time.monotonic() - started < 60
            over.set()
            thief.join()
    assert not any(Path(f"/proc/{path.read_text()}").exists() for path in pids)
    assert not (tmp_path / "checkpoint.pt").exists()


@pytest.mark.long
def test_a_run_whose_training_was_taken_over_waits_for_the_other_run(tmp_path):
    run = started(tmp_path)
    processes = members(run)
    (folder,) = trials(tmp_path).values()
    leases.lease_file(folder).unlink()
    with leases.held(folder):
        limit = time.monotonic() + 4 * leases.BEAT_SECONDS
        while any(Path(f"/proc/{process}").exists() for process in processes) and time.monotonic() < limit:
            time.sleep(0.2)
        assert not any(Path(f"/proc/{process}").exists() for process in processes)
        assert run.poll() is None and not (folder / "done.json").exists()
        run.send_signal(signal.SIGTERM)
        said = run.communicate(timeout=60)[0]
    assert run.returncode == 143 and "Another run is working on" in said, said


@pytest.mark.parametrize(
    "words, message",
    [
        (["training.devices=8", "training.batch_size=4"], "splits batch_size=4 into 8 parts"),
        (["training.devices=2", "training.accumulate=2", "training.batch_size=5"], "that 4 divides"),
        (["training.devices=2", "training.checkpointing=true"], "Leave out one of the two"),
        (["training.devices=0"], "training.devices=0: expected a whole number from 1"),
    ],
)
def test_what_cannot_be_shared_is_refused_before_any_work(words, message):
    with pytest.raises(BadInput, match=message):
        make_plan(configure([*WORDS, "methods=[nnunet]", *words]))


def test_more_gpus_than_there_are_are_refused(monkeypatch):
    monkeypatch.setattr(device, "fabric_for", lambda config: type("It", (), {"device": torch.device("cuda")}))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(BadInput, match="training.devices=2: this process sees 1 GPU. Take"):
        device.enough_devices(configure(WORDS), 2)


def test_devices_are_part_of_a_key_only_where_there_are_several():
    def key(*words):
        return make_plan(configure([*WORDS, "methods=[nnunet]", *words]))[0].key

    assert key() == key("training.devices=1") != key("training.devices=2")
