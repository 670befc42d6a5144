"""The estimate of a training's memory, and what follows from it."""

import pytest
import torch

from benchmarks import runner
from benchmarks.kinds.trials import TrainAndTest
from benchmarks.machine import memory
from benchmarks.machine.measure import peak_memory
from benchmarks.machine.outlook import admit
from benchmarks.plan import building
from benchmarks.plan.configuration import configure
from benchmarks.plan.planning import make_plan
from benchmarks.seeding import generator_for
from benchmarks.store.config import DatasetConfig, MethodConfig, TrainingConfig, TrialConfig
from benchmarks.store.results import Store

CPU = torch.device("cpu")
TINY = ["profile=tiny", "datasets=[phantom_glands]", "device=cpu", "training.steps=2",
        "profile.limit={train: 4, val: 2, test: 3}"]  # fmt: skip


def trial_config(method: str, size: tuple[int, ...], **training) -> TrialConfig:
    target = {"ldseg": "methods.ldseg.LDSeg", "unet": "methods.unet.UNet"}[method]
    return TrialConfig(
        MethodConfig(method, target, arguments={"size": "tiny"}),
        DatasetConfig("any", size, channels=1, class_names=("one", "two")),
        TrainingConfig(**{"batch_size": 2} | training),
        seed=0,
        code="code",
    )


def work(config, store, trials):
    runner.run(TrainAndTest(config, store), trials)


@pytest.mark.parametrize("method, size", [("ldseg", (256, 256)), ("unet", (256, 128))])
def test_the_estimate_is_near_what_a_step_really_takes(method, size):
    config = trial_config(method, size)
    model = building.build(config.method, config.dataset).train()
    image, label = torch.rand(2, 1, *size), torch.randint(3, (2, *size))
    optimizer = model.optimizer(model.stages[0], 1e-4)

    def step():
        model.loss(image, label, model.stages[0], generator_for("step"))["total"].backward()
        optimizer.step()

    real = peak_memory(step, CPU)
    assert 0.8 * real < memory.training_bytes(config, CPU) < 1.4 * real


def test_accumulation_and_checkpointing_lower_the_estimate():
    whole = memory.training_bytes(trial_config("unet", (128, 128), batch_size=4), CPU)
    assert memory.training_bytes(trial_config("unet", (128, 128), batch_size=4, accumulate=4), CPU) < 0.4 * whole
    assert memory.training_bytes(trial_config("unet", (128, 128), batch_size=4, checkpointing=True), CPU) < 0.8 * whole


def test_the_row_says_what_is_needed_and_what_is_there():
    assert memory.shortage(3 * 2**30, 4 * 2**30) is None
    assert memory.shortage(1234.5 * 2**30, 20 * 2**30) == "out of memory: needs about 1.23e+03 GiB, 20 GiB available"


def test_small_trainings_are_not_asked(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "training_bytes", lambda *_: pytest.fail("asked"))
    assert memory.reason_against(trial_config("unet", (128, 128)), tmp_path, CPU, 2**40) is None


def test_what_is_there_is_asked_before_the_first_estimate_alone(monkeypatch, tmp_path):
    config = configure([*TINY, "methods=[resunet,unet]", f"paths.runs={tmp_path}"])
    store, asked = Store(tmp_path), iter([2**20])
    store.open()
    monkeypatch.setattr(memory, "ASKED_FROM", 1)
    monkeypatch.setattr(memory, "available", lambda device: next(asked))
    monkeypatch.setattr(memory, "training_bytes", lambda *_: 2**21)
    assert all("0.000977 GiB available" in trial.declined for trial in admit(config, store, make_plan(config)))


def test_what_does_not_fit_is_a_declined_row_until_it_does(monkeypatch, tmp_path):
    config = configure([*TINY, "methods=[resunet]", f"paths.runs={tmp_path}"])
    store = Store(tmp_path)
    store.open()
    monkeypatch.setattr(memory, "ASKED_FROM", 1)
    monkeypatch.setattr(memory, "available", lambda device: 2**20)
    trials = admit(config, store, make_plan(config))
    assert trials[0].declined.startswith("out of memory: needs about ")
    work(config, store, trials)
    view = store.trial(trials[0].key)
    assert (view.status, view.reason) == ("declined", trials[0].declined)
    monkeypatch.setattr(memory, "available", lambda device: 2**40)
    trials = admit(config, store, make_plan(config))
    work(config, store, trials)
    assert store.trial(trials[0].key).status == "ok"
    monkeypatch.setattr(memory, "available", lambda device: 2**20)
    assert admit(config, store, make_plan(config))[0].declined is None  # trained already


def test_an_estimate_is_made_once(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "ASKED_FROM", 1)
    config = trial_config("unet", (32, 32))
    assert memory.reason_against(config, tmp_path, CPU, 2**40) is None
    monkeypatch.setattr(memory, "training_bytes", lambda *_: pytest.fail("asked again"))
    assert memory.reason_against(config, tmp_path, CPU, 2**40) is None
    assert memory.available(CPU) > 2**20
