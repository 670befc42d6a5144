"""Training: what is drawn depends on the step alone, so a resumed training equals an undisturbed one."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from benchmarks.errors import BadInput, TrialFailed
from benchmarks.store.config import TrainingConfig
from benchmarks.training import loop as training
from benchmarks.training.averaging import MovingAverage
from benchmarks.training.batches import batch_indices
from benchmarks.training.checkpoints import Progress
from benchmarks.training.loop import Subject, lr_factor, train
from datasets.base import Augmentation
from datasets.prepare import Prepared
from methods.base import Segmenter

SETTINGS = TrainingConfig(
    steps=12, batch_size=2, validations=3, val_cases=2, learning_rate=1e-2, lr_schedule="exp", lr_final_factor=0.1
)


class Threshold(Segmenter):
    """A deterministic method of two numbers with dropout, an average and two stages: what a resume must bring back."""

    stages = ("first", "second")
    ema_decay = 0.9

    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 2, 1)
        self.dropout = torch.nn.Dropout(0.3)
        self.poison_at = None
        self.calls = 0
        self.prepared = []
        self.register_buffer("brightness", torch.zeros(()))

    def prepare_stage(self, stage, batches):
        images = torch.cat([image for image, _ in batches])
        self.prepared.append((stage, images))
        self.brightness = images.mean()

    def loss(self, image, label, stage, generator):
        self.calls += 1
        noise = torch.randn(image.shape, generator=generator) * 0.1
        loss = torch.nn.functional.cross_entropy(self.convolution(self.dropout(image + noise)), label)
        return {"total": loss * (float("nan") if self.calls == self.poison_at else 1.0)}

    def segment(self, image, sampling, generators, callback=None):
        return self.convolution(image).softmax(1)

    def reconstruct(self, label):
        return torch.nn.functional.one_hot(label, 2).movedim(-1, 1).float()


@pytest.fixture
def data() -> Prepared:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (8, 6, 6)).astype(np.uint8)
    images = (0.2 + 0.6 * labels[:, None] + 0.1 * random.random((8, 1, 6, 6))).astype(np.float32)
    names = [f"case{i}" for i in range(8)]
    split = {"train": np.arange(5), "val": np.array([5, 6]), "test": np.array([7])}
    policy = Augmentation(flips=(0, 1), rotations=True, intensity=0.05)
    return Prepared("squares", ["square"], (6, 6), "0", names, names, split, images, labels, [None] * 8, policy)


def run(
    data: Prepared, folder: Path, report=lambda *_: None, model: Threshold | None = None, stop_after=None, **settings
) -> Progress:
    torch.manual_seed(0)
    model = model or Threshold()
    fabric = Fabric(accelerator="cpu", devices=1)
    how = replace(SETTINGS, **settings)
    subject = Subject(model, data, how, 0, folder / "checkpoint.pt", fabric, report, stop_after=stop_after)
    return train(subject, "trial")


@pytest.mark.parametrize("stop", [1, 4, 7, 11])
def test_training_stopped_anywhere_and_resumed_gives_the_weights_of_an_undisturbed_one(
    data, tmp_path, monkeypatch, stop
):
    undisturbed = run(data, tmp_path / "a")
    monkeypatch.setattr(training, "CHECKPOINT_EVERY_SECONDS", 0.0)
    seen = 0

    def interrupt(*_):
        nonlocal seen
        seen += 1
        if seen == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "b", interrupt)
    resumed = run(data, tmp_path / "b")
    assert resumed.best_step == undisturbed.best_step
    assert all(torch.equal(resumed.best[name], value) for name, value in undisturbed.best.items())
    columns = ["stage", "step", "epoch", "split", "metric", "value"]
    assert [[r[c] for c in columns] for r in resumed.history] == [[r[c] for c in columns] for r in undisturbed.history]


def test_the_budget_is_shared_by_the_stages_and_the_selected_step_has_the_best_validation_score(data, tmp_path):
    progress = run(data, tmp_path)
    steps = {stage: max(r["step"] for r in progress.history if r["stage"] == stage) for stage in Threshold.stages}
    assert steps == {"first": 6, "second": 6}
    scores = {r["step"]: r["value"] for r in progress.history if r["stage"] == "second" and r["metric"] == "dsc"}
    assert progress.best_dsc == max(scores.values()) and scores[progress.best_step] == progress.best_dsc
    assert np.mean(list(progress.best_cases.values())) == pytest.approx(progress.best_dsc)
    assert set(progress.best_cases) <= {data.ids[index] for index in data.split["val"]}


def test_a_budget_in_seconds_ends_the_training(data, tmp_path):
    progress = run(data, tmp_path, steps=None, seconds=0.4)
    assert 0.3 < progress.seconds < 2.0 and progress.best is not None


def test_a_budget_in_seconds_that_a_checkpoint_uses_up_still_ends_with_a_validation(data, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(training, "save_checkpoint", lambda *_: time.sleep(0.5))
    progress = run(data, tmp_path, steps=None, seconds=0.8)
    assert progress.history[-1]["split"] == "val" and progress.history[-1]["step"] == progress.step


def test_a_loss_that_is_not_finite_ends_the_trial_and_names_step_and_stage(data, tmp_path):
    model = Threshold()
    model.poison_at = 3
    with pytest.raises(TrialFailed, match="nan at step 2 of stage first") as caught:
        run(data, tmp_path, model=model)
    assert not caught.value.retry


class Exploding(Threshold):
    """Gradients are `times` as large; the loss is what it was."""

    times = 1e30

    def loss(self, image, label, stage, generator):
        found = super().loss(image, label, stage, generator)["total"]
        return {"total": found + self.times * (found - found.detach())}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"optimizer": "adam"}, "and 1 more were .* step 1 of stage first"),
        ({"optimizer": "adam", "clip": 1.0}, "were .* step 0 of stage first"),  # its norm would make zeros of them
        ({"optimizer": "sgd", "momentum": 0.0, "clip": 1.0}, "were .* step 0 of stage first"),
    ],
)
def test_gradients_too_large_for_the_optimiser_end_the_trial_and_name_the_parameter(data, tmp_path, settings, expected):
    with pytest.raises(TrialFailed, match=rf"gradients of convolution\.(bias|weight) {expected}.*first step") as caught:
        run(data, tmp_path, model=Exploding(), **settings)
    assert not caught.value.retry


def test_weights_that_are_not_finite_end_the_trial_where_the_optimiser_remembers_nothing(data, tmp_path):
    model = Exploding()
    model.times = 3e38
    with pytest.raises(TrialFailed, match=r"gradients of convolution\.(bias|weight)"):
        run(data, tmp_path, model=model, optimizer="sgd", momentum=0.0, learning_rate=1e3)


def test_large_gradients_that_are_clipped_by_their_largest_entry_train_on(data, tmp_path):
    assert run(data, tmp_path, model=Exploding(), optimizer="adam", clip=1.0, clip_by="max").best is not None


def test_an_unreadable_checkpoint_is_named_with_the_way_out(data, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(BadInput, match=r"checkpoint\.pt.*cannot be read.*Delete the file"):
        run(data, tmp_path)


def test_a_checkpoint_of_another_trial_is_refused(data, tmp_path, monkeypatch):
    torch.save({"progress": vars(Progress("another"))}, tmp_path / "checkpoint.pt")
    with pytest.raises(BadInput, match="belongs to another, expected trial"):
        run(data, tmp_path)


def test_every_epoch_visits_every_case_once_in_its_own_order():
    cases = np.array([3, 5, 8, 13, 21])
    visited = [int(i) for step in range(10) for i in batch_indices(cases, step, 3, True, "x", 0)[0]]
    epochs = [visited[i : i + 5] for i in range(0, 30, 5)]
    assert all(sorted(epoch) == cases.tolist() for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert [batch_indices(cases, s, 3, True, "x", 0)[1] for s in range(4)] == [0, 1, 1, 2]


def test_the_learning_rate_ends_where_it_is_told_to():
    assert lr_factor(0, "exp", 0.03) == 1 and lr_factor(1, "exp", 0.03) == pytest.approx(0.03)
    assert lr_factor(0.5, "exp", 0.04) == pytest.approx(0.2)
    assert lr_factor(1, "poly", 0.5) == 0 and lr_factor(0.7, "constant", 0.5) == 1


def test_the_moving_average_follows_its_formula_and_leaves_the_weights_alone():
    model = Threshold()
    average = MovingAverage(model, "first", warmup=False)
    start, new = model.convolution.weight.detach().clone(), torch.full((2, 1, 1, 1), 3.0)
    with torch.no_grad():
        model.convolution.weight.copy_(new)
    average.update(0)
    with average.applied():
        torch.testing.assert_close(model.convolution.weight.detach(), 0.9 * start + 0.1 * new)
    assert torch.equal(model.convolution.weight.detach(), new)


def test_every_stage_begins_with_the_whole_training_split_as_it_is(data, tmp_path):
    model = Threshold()
    run(data, tmp_path, model=model)
    assert [stage for stage, _ in model.prepared] == ["first", "second"]
    for _, images in model.prepared:
        np.testing.assert_array_equal(images.numpy(), data.images[data.split["train"]])


def test_what_was_measured_before_a_stage_comes_back_from_the_checkpoint(data, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_EVERY_SECONDS", 0.0)

    def stop(done, total, message):
        if message.startswith("second") and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path, report=stop)
    resumed = Threshold()
    run(data, tmp_path, model=resumed)
    assert resumed.prepared == []
    assert resumed.brightness.item() == pytest.approx(data.images[data.split["train"]].mean(), rel=1e-5)
