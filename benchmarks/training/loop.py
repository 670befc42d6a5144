"""Training of one trial: the same loop, data order, augmentation and selection rule for every method.

Whatever is random at a step is seeded by the step, not by what ran before it, so a resumed training needs no
generator states and gives the same weights as an undisturbed one.
"""

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from benchmarks.errors import BadInput, TrialFailed
from benchmarks.seeding import generator_for, seed_for
from benchmarks.store.files import write_atomic
from benchmarks.testing.metrics import pooled_dsc
from benchmarks.training.recomputation import checkpoint_gradients
from datasets.augment import augment
from datasets.prepare import Prepared
from methods.base import Sampling, Segmenter

CHECKPOINT_EVERY_SECONDS = 20.0

Report = Callable[[int, int, str], None]
"""Called with (steps done, steps in all, a few words)."""


@dataclass
class Progress:
    """Where a training stands; with the model and the optimiser it is all a checkpoint holds."""

    trial: str
    stage: int = 0
    step: int = 0
    seconds: float = 0.0
    stage_seconds: float = 0.0
    history: list[dict] = field(default_factory=list)
    best: dict[str, Tensor] | None = None
    best_dsc: float = -1.0
    best_step: int = 0


class MovingAverage:
    """Exponential moving average of the parameters of some submodules (decay d: a <- d*a + (1-d)*p)."""

    def __init__(self, model: Segmenter, stage: str, warmup: bool):
        self.decay, self.warmup = model.ema_decay, warmup
        prefixes = tuple(f"{name}." for name in model.averaged(stage)) if self.decay else ()
        self.parameters = {n: p for n, p in model.named_parameters() if n.startswith(prefixes)} if prefixes else {}
        self.average = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """`step` counts from 0. Warm-up lets an average over few steps forget the initial weights."""
        if not self.average:
            return
        decay = min(self.decay, (1 + step) / (10 + step)) if self.warmup else self.decay
        torch._foreach_lerp_(list(self.average.values()), [p.detach() for p in self.parameters.values()], 1 - decay)

    @contextmanager
    def applied(self):
        """Within the block the model has the averaged parameters."""
        raw = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self._load(self.average)
        try:
            yield
        finally:
            self._load(raw)

    @torch.no_grad()
    def _load(self, values: dict[str, Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])


def lr_factor(progress: float, schedule: str, final: float) -> float:
    """Factor of the learning rate when `progress` in [0, 1] of the stage is done."""
    if schedule == "exp":
        return final**progress
    if schedule == "poly":
        return (1 - progress) ** 0.9
    return 1.0


def batch_indices(cases: np.ndarray, step: int, batch_size: int, shuffle: bool, *seed) -> tuple[np.ndarray, int]:
    """Cases of a step and its epoch: consecutive stretches of an endless sequence of epochs, each in its own order."""
    chosen = []
    position = step * batch_size
    for position in range(step * batch_size, (step + 1) * batch_size):
        epoch, place = divmod(position, len(cases))
        chosen.append(cases[_order(len(cases), epoch, shuffle, seed)[place]])
    return np.array(chosen), position // len(cases)


@lru_cache(maxsize=4)
def _order(count: int, epoch: int, shuffle: bool, seed: tuple) -> np.ndarray:
    return np.random.default_rng(seed_for("order", *seed, epoch)).permutation(count) if shuffle else np.arange(count)


def load_batch(data: Prepared, indices: np.ndarray, seed: int, step: int) -> tuple[Tensor, Tensor]:
    """Augmented images float32 (B, C, *S) and labels int64 (B, *S) of a training step."""
    images, labels = [], []
    for place, index in enumerate(indices):
        which = (data.name, data.ids[index], seed, step, place)
        image, label = data.training_case(index, np.random.default_rng(seed_for("crop", *which)))
        random = np.random.default_rng(seed_for("augment", *which))
        image, label = augment(np.array(image), np.array(label), data.augmentation, random)
        images.append(torch.from_numpy(np.ascontiguousarray(image)))
        labels.append(torch.from_numpy(np.ascontiguousarray(label)).long())
    return torch.stack(images), torch.stack(labels)


def training_images(data: Prepared, batch_size: int, fabric: Fabric) -> Iterator[tuple[Tensor, Tensor]]:
    """The training split once, in its own order and as it is: batches as `load_batch` makes them, on the device."""
    cases = data.split["train"]
    for start in range(0, len(cases), batch_size):
        indices = cases[start : start + batch_size]
        image, label = map(torch.from_numpy, data.batch(indices))
        yield fabric.to_device(image), fabric.to_device(label.long())


@torch.no_grad()
def validate(model: Segmenter, stage: str, data: Prepared, settings: dict, seed: int, device) -> dict[str, float]:
    """Mean validation DSC, pooled over foreground classes, and that of the method's ceiling if it has one."""
    cases = data.split["val"]
    cases = cases[np.unique(np.linspace(0, len(cases) - 1, min(settings["val_cases"], len(cases))).astype(int))]
    scores: dict[str, list[float]] = {}
    model.eval()
    for start in range(0, len(cases), settings["batch_size"]):
        batch = cases[start : start + settings["batch_size"]]
        image, label = map(torch.from_numpy, data.batch(batch))
        image, label = image.to(device), label.long().to(device)
        ceiling = model.reconstruct(label)
        predictions = {} if ceiling is None else {"dsc_ceiling": ceiling}
        if stage == model.stages[-1]:
            generators = [generator_for("validation", data.name, data.ids[index], seed) for index in batch]
            predictions["dsc"] = model.segment(image, Sampling(settings["validation_steps"]), generators)
        for metric, probabilities in predictions.items():
            predicted = probabilities.argmax(1).cpu().numpy()
            scores.setdefault(metric, []).extend(
                pooled_dsc(p, y, len(data.class_names)) for p, y in zip(predicted, label.cpu().numpy(), strict=True)
            )
    model.train()
    return {metric: float(np.mean(values)) for metric, values in scores.items()}


def train(
    model: Segmenter,
    data: Prepared,
    settings: dict,
    seed: int,
    trial: str,
    checkpoint: Path,
    fabric: Fabric,
    report: Report,
) -> Progress:
    """Train `model` (already with its initial weights) in all its stages and leave the selected weights in it.

    The budget is shared equally by the stages. Within a stage the weights with the highest validation DSC are kept,
    moving averages in place. Raises TrialFailed for a loss that is not finite.
    """
    progress = Progress(trial)
    saved = load_checkpoint(checkpoint, trial)
    if saved:
        progress = Progress(**saved["progress"])
        model.load_state_dict(saved["model"])
    if settings.get("checkpointing"):
        checkpoint_gradients(model)
    wrapped = fabric.setup_module(model)
    wrapped.mark_forward_method("loss")
    for number, stage in enumerate(model.stages):
        if number < progress.stage:
            continue
        optimizer = model.optimizer(stage, settings["learning_rate"])
        resumed = saved and number == saved["progress"]["stage"]
        if not resumed:
            model.prepare_stage(stage, training_images(data, settings["batch_size"], fabric))
        average = MovingAverage(model, stage, settings["ema_warmup"])
        if resumed:
            optimizer.load_state_dict(saved["optimizer"])
            for name, value in saved["average"].items():
                average.average[name].copy_(value)
        optimizer = fabric.setup_optimizers(optimizer)
        _train_stage(
            wrapped, model, number, optimizer, average, data, settings, seed, progress, checkpoint, fabric, report
        )
        model.load_state_dict(progress.best)
        if number + 1 < len(model.stages):
            progress.stage, progress.step, progress.stage_seconds = number + 1, 0, 0.0
            progress.best, progress.best_dsc = None, -1.0
    return progress


def _train_stage(
    wrapped, model, number, optimizer, average, data, settings, seed, progress, checkpoint, fabric, report
):
    stage = model.stages[number]
    steps = None if settings["steps"] is None else max(1, settings["steps"] // len(model.stages))
    seconds = None if settings["seconds"] is None else settings["seconds"] / len(model.stages)
    log_every = 1 if steps is None else max(1, steps // 100)
    validate_every = 50 if steps is None else max(log_every, steps // settings["validations"] // log_every * log_every)
    rates = [group["lr"] for group in model.optimizer(stage, settings["learning_rate"]).param_groups]
    before = progress.seconds - progress.stage_seconds
    started = time.perf_counter() - progress.stage_seconds
    saved_at = time.perf_counter()
    sums: dict[str, float] = {}
    count = 0
    message = stage
    model.train()
    while True:
        elapsed = time.perf_counter() - started
        done = progress.step / steps if steps else elapsed / seconds
        if done >= 1:
            break
        step = progress.step
        factor = lr_factor(done, settings["lr_schedule"], settings["lr_final_factor"])
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor
        order = ("" if number == 0 else stage, data.name, seed)
        indices, epoch = batch_indices(data.split["train"], step, settings["batch_size"], settings["shuffle"], *order)
        image, label = load_batch(data, indices, seed, step)
        where = (model.__class__.__name__, data.name, seed, stage, step)
        torch.manual_seed(seed_for("dropout", *where))
        optimizer.zero_grad(set_to_none=True)
        losses = _backward(wrapped, fabric, image, label, stage, where, settings.get("accumulate", 1))
        optimizer.step()
        average.update(step)
        progress.step += 1
        count += 1
        for metric, value in losses.items():
            sums[metric] = sums.get(metric, 0.0) + value
        last = progress.step == steps if steps else (time.perf_counter() - started) >= seconds
        if progress.step % log_every and not last:
            continue
        progress.stage_seconds = time.perf_counter() - started
        progress.seconds = before + progress.stage_seconds
        row = {"stage": stage, "step": progress.step, "epoch": epoch, "seconds": progress.seconds}
        means = {metric: value / count for metric, value in sums.items()} | {
            "learning_rate": settings["learning_rate"] * factor
        }
        progress.history += [row | {"split": "train", "metric": m, "value": v} for m, v in means.items()]
        sums, count = {}, 0
        if progress.step % validate_every == 0 or last:
            with average.applied():
                scores = validate(model, stage, data, settings, seed, fabric.device)
                score = scores.get("dsc", scores.get("dsc_ceiling", 0.0))
                if score > progress.best_dsc:
                    progress.best = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
                    progress.best_dsc, progress.best_step = score, progress.step
            progress.history += [row | {"split": "val", "metric": m, "value": v} for m, v in scores.items()]
            message = f"{stage}, val DSC {score:.3f}"
        report(progress.step, steps or progress.step, f"{message}, loss {means['total']:.3f}")
        if time.perf_counter() - saved_at > CHECKPOINT_EVERY_SECONDS and not last:
            _save_checkpoint(checkpoint, progress, model, optimizer, average)
            saved_at = time.perf_counter()


def _backward(wrapped, fabric, image: Tensor, label: Tensor, stage: str, where: tuple, parts: int) -> dict[str, float]:
    """Losses of a batch, its gradients left in the parameters; taken through the network in `parts` one after another,
    each weighted by its share of the images. Raises TrialFailed for a loss that is not finite."""
    means: dict[str, float] = {}
    for number, (x, y) in enumerate(zip(image.chunk(parts), label.chunk(parts), strict=True)):
        generator = generator_for("loss", *where, *([number] if number else []))
        losses = wrapped.loss(fabric.to_device(x), fabric.to_device(y), stage, generator)
        share = len(x) / len(image)
        if not torch.isfinite(losses["total"]):
            raise TrialFailed(
                f"the loss became {losses['total'].item()} at step {where[-1]} of stage {stage}; "
                "try a lower learning rate",
                False,
            )
        fabric.backward(losses["total"] if share == 1 else losses["total"] * share)
        for metric, value in losses.items():
            means[metric] = means.get(metric, 0.0) + share * value.item()
    return means


def _save_checkpoint(path: Path, progress: Progress, model, optimizer, average: MovingAverage) -> None:
    content = {
        "progress": copy.copy(vars(progress)),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": average.average,
    }
    write_atomic(path, lambda file: torch.save(content, file))


def load_checkpoint(path: Path, trial: str) -> dict | None:
    """The content of a checkpoint, None where there is none. Raises BadInput naming a file that cannot be used."""
    if not path.exists():
        return None
    fix = "Delete the file to train this trial from the beginning."
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        owner = content["progress"]["trial"]
    except Exception as error:  # a damaged file can make the unpickler raise anything
        raise BadInput(
            f"{path}: the checkpoint cannot be read ({' '.join(str(error).split())[:120]}). {fix}"
        ) from error
    if owner != trial:
        raise BadInput(f"{path}: the checkpoint belongs to {owner}, expected {trial}. {fix}")
    return content
