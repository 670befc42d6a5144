"""Methods that make images from label maps are trained by the same loop as segmenters; what differs is tested here."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from lightning_fabric import Fabric

from benchmarks.store.config import TrainingConfig
from benchmarks.training import loop as training
from benchmarks.training import stopping
from benchmarks.training.loop import Subject, train
from datasets.base import Augmentation
from datasets.prepare import Prepared
from methods.synthesis.base import Synthesizer
from methods.synthesis.class_stats import ClassStats

SETTINGS = TrainingConfig(steps=12, batch_size=2, validations=3, val_cases=2, learning_rate=1e-2)


class Painter(Synthesizer):
    """A grey value for each class, learnt after a stage that only measures; its validation loss only grows."""

    stages = ("measure", "train")
    ema_decay = 0.9

    def __init__(self):
        super().__init__(2, 1, 2, (6, 6))
        self.grey = torch.nn.Linear(2, 1, bias=False)
        self.register_buffer("brightest", torch.zeros(()))
        self.calls, self.stop_at = 0, None

    def parameter_groups(self, stage):
        return [{"params": list(self.grey.parameters()) if stage == "train" else []}]

    def prepare_stage(self, stage, batches):
        if stage == "measure":
            self.brightest.fill_(max(image.max().item() for image, _ in batches))

    def loss(self, image, label, stage, generator):
        self.calls += 1
        if self.calls == self.stop_at:
            raise stopping.Stopped("stopped by a test", 130, whole=False)
        if not self.training:
            return {"total": self.grey.weight.abs().sum()}
        noise = 0.1 * torch.randn(image.shape, generator=generator)
        painted = self.grey(torch.nn.functional.one_hot(label, 2).float()).movedim(-1, 1)
        return {"total": -(painted * (image + noise)).mean()}  # the weights grow without end


@pytest.fixture
def data():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (8, 6, 6)).astype(np.uint8)
    images = (0.2 + 0.6 * labels[:, None] + 0.1 * random.random((8, 1, 6, 6))).astype(np.float32)
    names = [f"case{i}" for i in range(8)]
    split = {"train": np.arange(5), "val": np.array([5, 6]), "test": np.array([7])}
    return Prepared("squares", ["square"], (6, 6), "0", names, names, split, images, labels, [None] * 8, Augmentation())


def subject(model, data, tmp_path, settings=SETTINGS):
    fabric = Fabric(accelerator="cpu", devices=1)
    return Subject(model, data, settings, 0, tmp_path / "checkpoint.pt", fabric, lambda *words: None)


def painter():
    torch.manual_seed(0)
    return Painter()


def test_the_last_averaged_weights_are_kept_though_the_validation_loss_grows(data, tmp_path):
    progress = train(subject(painter(), data, tmp_path), "key")
    history = pd.DataFrame(progress.history)
    losses = history[(history.split == "val") & (history.metric == "total")].value.to_numpy()
    assert len(losses) == 3 and (np.diff(losses) > 0).all()
    assert progress.best["grey.weight"].abs().sum().item() == pytest.approx(losses[-1])
    assert progress.best_step == 6  # of the second stage, whose share of 12 steps is 6


def test_a_stage_without_parameters_is_measured_once_and_said_in_the_history(data, tmp_path):
    progress = train(subject(painter(), data, tmp_path), "key")
    assert progress.best["brightest"] == torch.tensor(data.images[:5].max())
    first = progress.history[0]
    assert (first["stage"], first["metric"], first["value"]) == ("measure", "cases", 5.0)
    assert {row["stage"] for row in progress.history[1:]} == {"train"}


def test_a_method_that_only_measures_is_trained_too(data, tmp_path):
    progress = train(subject(ClassStats(2, 1, 2, (6, 6), field=False), data, tmp_path), "key")
    assert progress.best["mean"][1, 0] > progress.best["mean"][0, 0]
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_resumed_training_gives_the_same_weights(data, tmp_path, monkeypatch):
    whole = train(subject(painter(), data, tmp_path), "key")
    monkeypatch.setattr(training, "CHECKPOINT_EVERY_SECONDS", 0.0)
    model = painter()
    model.stop_at = 8  # steps and validations together
    with pytest.raises(stopping.Stopped):
        train(subject(model, data, tmp_path), "key")
    assert (tmp_path / "checkpoint.pt").exists()
    again = train(subject(painter(), data, tmp_path), "key")
    for name, value in whole.best.items():
        assert torch.equal(value, again.best[name]), name


def test_parts_of_a_batch_may_be_taken_one_after_another(data, tmp_path):
    settings = replace(SETTINGS, accumulate=2)
    progress = train(subject(painter(), data, tmp_path, settings), "key")
    assert progress.step == 6
