"""Training of one trial: the same loop, data order, augmentation and selection rule for every method.

Whatever is random at a step is seeded by the step, not by what ran before it, so a resumed training needs no
generator states and gives the same weights as an undisturbed one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.optim import Optimizer

from benchmarks.console import Report
from benchmarks.errors import TrialFailed
from benchmarks.seeding import generator_for, seed_for
from benchmarks.store.config import TrainingConfig
from benchmarks.training import stopping
from benchmarks.training.averaging import MovingAverage
from benchmarks.training.batches import Ahead, batch_indices, load_batch, training_images
from benchmarks.training.checkpoints import Progress, load_checkpoint, save_checkpoint
from benchmarks.training.optimizers import check_state, clip_gradients, failure, optimizer_of
from benchmarks.training.recomputation import checkpoint_gradients
from benchmarks.training.team import Team
from benchmarks.training.validation import validate
from datasets.prepare import Prepared
from methods.base import Segmenter
from methods.synthesis.base import Synthesizer

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.wrappers import _FabricModule

CHECKPOINT_EVERY_SECONDS = 20.0
VALIDATE_EVERY = 50
"""Steps between validations of a training whose length is given in seconds."""
LOG_LINES = 100
"""Points on a training curve of a stage."""
Validated = Callable[[float, float], None]
"""Called after each validation of the last stage with (share of that stage that is done, validation DSC); what it
raises ends the training."""


def ignore(done: float, score: float) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class Subject:
    """What is trained on what, how, and where its progress is kept; stop_after: seconds since the process began after
    which it is stopped."""

    model: Segmenter | Synthesizer
    data: Prepared
    settings: TrainingConfig
    seed: int
    checkpoint: Path
    fabric: Fabric
    report: Report
    validated: Validated = ignore
    stop_after: float | None = None


def train(subject: Subject, trial: str) -> Progress:
    """Train the model (already with its initial weights) in all its stages and leave the selected weights in it.

    The stages share the budget as the settings say. Within a stage the weights with the highest validation DSC are
    kept, moving averages in place; of a method that makes images the last ones. `trial` is the key the checkpoint has
    to bear. Raises TrialFailed for a loss that is not finite or gradients too large for the optimiser, BadInput for a
    checkpoint that cannot be used, Stopped where the run is asked to stop.
    """
    model, settings = subject.model, subject.settings
    progress = Progress(trial)
    saved = load_checkpoint(subject.checkpoint, trial)
    if saved:
        progress = Progress(**saved["progress"])
        model.load_state_dict(saved["model"])
    if settings.checkpointing:
        checkpoint_gradients(model)
    wrapped = subject.fabric.setup_module(model)
    wrapped.mark_forward_method("loss")
    for number in range(progress.stage, len(model.stages)):
        name = model.stages[number]
        if not any(group["params"] for group in model.parameter_groups(name)):
            _measure(subject, name, progress)
            if number + 1 < len(model.stages):
                progress.next_stage()
            continue
        resumed = saved if saved and number == saved["progress"]["stage"] else None
        optimizer = optimizer_of(model, name, settings)
        if not resumed:
            model.prepare_stage(name, training_images(subject.data, settings.batch_size, subject.fabric))
        average = MovingAverage(model, name, settings.ema_warmup)
        if resumed:
            optimizer.load_state_dict(resumed["optimizer"])
            for parameter, value in resumed["average"].items():
                average.average[parameter].copy_(value)
        Stage(subject, wrapped, number, subject.fabric.setup_optimizers(optimizer), average, progress).train()
        # Processes that train together go on from the same weights, whatever each of them has found the best.
        progress.best = Team(subject.fabric).first(progress.best)
        model.load_state_dict(progress.best)
        if number + 1 < len(model.stages):
            progress.next_stage()
    return progress


def _measure(subject: Subject, stage: str, progress: Progress) -> None:
    """A stage with nothing to learn: what it measures on the training cases is all of it, and takes none of the
    budget."""
    model, started = subject.model, time.perf_counter()
    model.prepare_stage(stage, training_images(subject.data, subject.settings.batch_size, subject.fabric))
    progress.seconds += time.perf_counter() - started
    row = {"stage": stage, "step": 0, "epoch": 0, "seconds": progress.seconds, "split": "train"}
    progress.history.append(row | {"metric": "cases", "value": float(len(subject.data.split["train"]))})
    progress.best = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def lr_factor(progress: float, schedule: str, final: float, warmup: float = 0.0, drops: Sequence[float] = ()) -> float:
    """Factor of the learning rate when `progress` in [0, 1] of the stage is done; it rises linearly over the share
    `warmup` first.

    exp: final ** progress; poly: (1 - progress) ** 0.9; cosine: half a period, from 1 to 0; step: a tenth after each of
    the shares `drops`; constant: 1.
    """
    if progress < warmup:
        return progress / warmup * lr_factor(warmup, schedule, final, drops=drops)
    if schedule == "exp":
        return final**progress
    if schedule == "poly":
        return (1 - progress) ** 0.9
    if schedule == "cosine":
        return (1 + math.cos(math.pi * progress)) / 2
    if schedule == "step":
        return 0.1 ** sum(progress >= share for share in drops)
    return 1.0


def _add(sums: dict[str, float], values: Mapping[str, float]) -> None:
    """Add values to the sums of the same name."""
    for name, value in values.items():
        sums[name] = sums.get(name, 0.0) + value


class Stage:
    """One stage of a training; `progress` says where it stands and is kept up to date."""

    def __init__(
        self,
        subject: Subject,
        wrapped: _FabricModule,
        number: int,
        optimizer: Optimizer,
        average: MovingAverage,
        progress: Progress,
    ) -> None:
        self.subject, self.wrapped, self.optimizer = subject, wrapped, optimizer
        self.average, self.progress = average, progress
        self.message = subject.model.stages[number]
        self.team = Team(subject.fabric)
        self.number, self.name = number, subject.model.stages[number]
        # Of images from label maps no score says how good they are: the last weights count, as in their sources.
        self.makes = isinstance(subject.model, Synthesizer)
        settings, stages = subject.settings, len(subject.model.stages)
        steps = settings.stage_steps(stages)
        self.steps = None if steps is None else steps[number]
        self.seconds = None if settings.seconds is None else settings.seconds * settings.shares(stages)[number]
        self.log_every = 1 if self.steps is None else max(1, self.steps // LOG_LINES)
        each = VALIDATE_EVERY if self.steps is None else self.steps // settings.validations
        # Validations fall on steps that are logged.
        self.validate_every = max(self.log_every, each // self.log_every * self.log_every)
        # The optimiser's own rates may be those of a checkpoint: the schedule starts from the configured ones.
        fresh = optimizer_of(subject.model, self.name, settings)
        self.rates = [group["lr"] for group in fresh.param_groups]
        # The order of the first stage has no name in it, so that one-stage trainings keep theirs.
        self.order = ("" if number == 0 else self.name, subject.data.name, subject.seed)

    def train(self) -> None:
        """Train until the stage's budget of steps or seconds is used up. Raises Stopped where the run is asked to stop,
        once a checkpoint is saved."""
        subject, progress = self.subject, self.progress
        before = progress.seconds - progress.stage_seconds
        started = time.perf_counter() - progress.stage_seconds
        saved_at = time.perf_counter()

        def clock() -> float:
            progress.stage_seconds = time.perf_counter() - started
            progress.seconds = before + progress.stage_seconds
            return progress.stage_seconds

        subject.model.train()
        done = self._done(progress.stage_seconds)
        with stopping.at_steps():
            try:
                with Ahead(self._batch, self.steps) as batches:
                    while done < 1 or progress.due:
                        if not progress.due:
                            self._step(done, batches)
                            done = self._done(clock())
                            if self.steps is None:
                                done = self.team.first(done)
                            # The stage ends with a step that is logged and validated, whatever these take of a
                            # budget in seconds.
                            progress.due = done >= 1 or progress.step % self.log_every == 0
                        self.team.check(subject.stop_after)
                        if progress.due:
                            self._note(done)
                            progress.due = False
                            if time.perf_counter() - saved_at > CHECKPOINT_EVERY_SECONDS and done < 1:
                                self._save()
                                saved_at = time.perf_counter()
                self.team.check(None)
            except stopping.Stopped as stop:
                if stop.whole:
                    clock()
                    self._save()
                raise

    def _step(self, done: float, batches: Ahead) -> None:
        """One step of the optimiser, when the share `done` of the stage is behind."""
        subject, settings, progress = self.subject, self.subject.settings, self.progress
        # 1. The learning rate of this step, each parameter group by its own factor.
        progress.factor = self._set_rates(done)
        # 2. The step's cases, augmented; they depend on the step alone.
        image, label = batches.take(progress.step)
        # 3. Gradients of the loss, shortened; 4. the optimiser's step; 5. the moving average of the weights.
        _add(progress.sums, self._gradients(image, label, [len(part) for part in self._parts()]))
        progress.count += 1
        norm = clip_gradients(subject.fabric, self.wrapped, self.optimizer, settings)
        # float16 scales the loss up and skips what is too large; elsewhere clipping would make zeros of all gradients.
        if not norm.isfinite() and settings.precision != "16-mixed":
            shown = [p for p in subject.model.parameters() if p.grad is not None]
            largest = max(shown, key=lambda p: p.grad.abs().nan_to_num(torch.inf).max().item())
            raise failure(subject.model, [largest], f"step {progress.step} of stage {self.name}")
        self.optimizer.step()
        self.average.update(progress.step)
        progress.step += 1

    def _parts(self) -> Sequence[Tensor]:
        """Places in the batch of the cases that this process takes through the network, as many at once as a part
        has."""
        parts = self.subject.settings.accumulate * self.team.size
        return torch.arange(self.subject.settings.batch_size).chunk(parts)[self.team.rank :: self.team.size]

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        """This process's cases of a step: images float32 (B, C, *S) and labels int64 (B, *S), in pinned memory where
        they go to a GPU, which then fetches them while the processor goes on."""
        subject, settings = self.subject, self.subject.settings
        cases = subject.data.split["train"]
        indices, _ = batch_indices(cases, step, settings.batch_size, settings.shuffle, *self.order)
        places = torch.cat(list(self._parts())).tolist()
        image, label = load_batch(subject.data, indices, subject.seed, step, settings.noise, places)
        if subject.fabric.device.type == "cuda":
            return image.pin_memory(), label.pin_memory()
        return image, label

    def _note(self, done: float) -> None:
        """Now and then: validate, and add a point to the training curves."""
        subject, settings, progress = self.subject, self.subject.settings, self.progress
        epoch = (progress.step * settings.batch_size - 1) // len(subject.data.split["train"])
        validated = None
        validates = progress.step % self.validate_every == 0 or done >= 1
        if validates or progress.step <= self.log_every:
            check_state(subject.model, self.optimizer.optimizer, f"step {progress.step} of stage {self.name}")
        if validates:
            # Interrupted here, a resumed training validates this step first.
            with stopping.at_once():
                validated = self._validate()
        means = {metric: value / progress.count for metric, value in progress.sums.items()}
        rate = settings.learning_rate * progress.factor
        self._log(epoch, "train", means | {"learning_rate": rate})
        progress.sums, progress.count = {}, 0
        if validated is not None:
            score, scores = validated
            self._log(epoch, "val", scores)
            self.message = f"{self.name}, val " + (f"loss {scores['total']:.3f}" if self.makes else f"DSC {score:.3f}")
            if self.number + 1 == len(subject.model.stages):
                subject.validated(done, score)
        subject.report(progress.step, self.steps or progress.step, f"{self.message}, loss {means['total']:.3f}")

    def _save(self) -> None:
        """Write a checkpoint of where the training stands, one for all processes."""
        if self.team.rank == 0:
            save_checkpoint(self.subject.checkpoint, self.progress, self.subject.model, self.optimizer, self.average)

    def _done(self, elapsed: float) -> float:
        """Share of the budget that is used up after `elapsed` seconds of this stage."""
        return self.progress.step / self.steps if self.steps else elapsed / self.seconds

    def _set_rates(self, done: float) -> float:
        """Set the learning rates for the share `done` of the stage; returns the schedule's factor."""
        settings = self.subject.settings
        factor = lr_factor(done, settings.lr_schedule, settings.lr_final_factor, settings.warmup, settings.lr_drops)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        return factor

    def _gradients(self, image: Tensor, label: Tensor, sizes: Sequence[int]) -> dict[str, float]:
        """Losses of a batch, its gradients left in the parameters; taken through the network in parts of these sizes,
        each weighted by its share of all images of the step. Raises TrialFailed for a loss that is not
        finite."""
        subject, step, fabric, team = self.subject, self.progress.step, self.subject.fabric, self.team
        where = (type(subject.model).__name__, subject.data.name, subject.seed, self.name, step)
        torch.manual_seed(seed_for("dropout", *where, *([team.rank] if team.rank else [])))
        self.optimizer.zero_grad(set_to_none=True)
        means: dict[str, float] = {}
        for turn, (x, y) in enumerate(zip(image.split(list(sizes)), label.split(list(sizes)), strict=True)):
            # The draws of a part depend on its place in the batch: processes together draw what one draws in as many
            # parts.
            number = turn * team.size + team.rank
            generator = generator_for("loss", *where, *([number] if number else []))
            waits = team.size > 1 and turn + 1 < len(sizes)  # for the last part, which averages the gradients
            with fabric.no_backward_sync(self.wrapped) if waits else nullcontext():
                with fabric.autocast():  # on one device only `forward` itself would have the precision
                    losses = self.wrapped.loss(fabric.to_device(x), fabric.to_device(y), self.name, generator)
                share = len(x) / subject.settings.batch_size
                found = team.total({metric: share * value.item() for metric, value in losses.items()})
                if not math.isfinite(found["total"]):
                    raise TrialFailed(
                        f"the loss became {found['total']} at step {step} of stage {self.name}; "
                        "try a lower learning rate",
                        False,
                    )
                weight = share * team.size  # gradients are averaged over the processes
                fabric.backward(losses["total"] if weight == 1 else losses["total"] * weight)
            _add(means, found)
        return means

    def _validate(self) -> tuple[float, dict[str, float]]:
        """Score the validation cases with the averaged weights, which are kept where they are the best so far; the DSC
        they are judged by, and all scores."""
        subject, progress = self.subject, self.progress
        self.team.average_buffers(subject.model)
        with self.average.applied():
            scores, by_case = validate(
                subject.model, self.name, subject.data, subject.settings, subject.seed, subject.fabric.device
            )
            # A stage that trains no segmentation yet is judged by the ceiling it sets.
            score = scores.get("dsc", scores.get("dsc_ceiling", 0.0))
            if score > progress.best_dsc or self.makes:
                state = subject.model.state_dict()
                progress.best = {name: value.detach().cpu().clone() for name, value in state.items()}
                progress.best_dsc, progress.best_step, progress.best_cases = score, progress.step, by_case
        return score, scores

    def _log(self, epoch: int, split: str, values: dict[str, float]) -> None:
        progress = self.progress
        row = {"stage": self.name, "step": progress.step, "epoch": epoch, "seconds": progress.seconds, "split": split}
        progress.history += [row | {"metric": metric, "value": value} for metric, value in values.items()]
