"""Testing of one trial: every test case under every condition, one record per case and class.

Conditions share what they can: the model is loaded once, a noisy image is made once and embedded once for all
numbers of steps.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.console import Report
from benchmarks.plan.trials import Condition, Trial
from benchmarks.seeding import generator_for
from benchmarks.store.files import write_arrays, write_frame
from benchmarks.store.kept import Picture, stacked
from benchmarks.store.records import RECORD_COLUMNS
from benchmarks.store.trial import TrialView
from benchmarks.testing.corruptions import corrupt
from benchmarks.testing.noise import add_noise
from benchmarks.testing.pictures import picture
from benchmarks.testing.predictions import Affine, Predictions, nowhere
from benchmarks.testing.scoring import case_scores, union_scores
from benchmarks.testing.temporal import Before
from datasets.prepare import Prepared
from methods.base import Sampling, Segmenter

Value = TypeVar("Value")
Keep = Callable[[Condition, int, np.ndarray], None]

BATCH = 8
SAMPLE_CASES = 4
"""Test cases whose predictions are kept for pictures, evenly spread over the test set."""

ANY = Sampling()
"""What deterministic methods are called with; they ignore it."""


@dataclass(frozen=True)
class Candidate:
    """A trained method that is tested, on the device, and the data it is tested on. affine: of a case's file, for the
    predictions that are saved."""

    trial: Trial
    model: Segmenter
    data: Prepared
    device: torch.device
    affine: Affine = field(default=nowhere, kw_only=True)


@dataclass
class Outcome:
    """What is found of one condition, case by case: rows of records, pictures, and the last frame of each video."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    before: Before = field(default_factory=Before)


def evaluate(it: Candidate, folder: Path, report: Report) -> None:
    """Write records and samples of every condition of the trial that `folder` does not hold yet.

    The records of a condition are written at once, so an interrupted test repeats at most one noise level.
    """
    conditions = it.trial.conditions
    stored = TrialView(folder, it.trial.config)
    missing = [condition for condition in conditions if not it.trial.tested(stored, condition)]
    levels = list(dict.fromkeys(c.level for c in missing))
    it.model.eval()
    done = len(conditions) - len(missing)
    for level in levels:
        group = [c for c in missing if c.level == level]
        report(done, len(conditions), level.words)
        for condition, found in _saved(it, group, folder).items():
            write_arrays(folder / "samples" / f"{condition.key}.npz", stacked(found.pictures))
            write_frame(folder / "records" / f"{condition.key}.parquet", pd.DataFrame(found.rows)[RECORD_COLUMNS])
        done += len(group)
        report(done, len(conditions), level.words)


def _saved(it: Candidate, group: Sequence[Condition], folder: Path) -> dict[Condition, Outcome]:
    """What is found, the predictions kept where the suite asks for them."""
    if not it.trial.saved:
        return outcomes(it, group)
    kept = Predictions(folder, group, it.data, it.affine)
    try:
        found = outcomes(it, group, keep=kept.add)
        kept.finish()
        return found
    finally:
        kept.drop()


@torch.inference_mode()
def outcomes(
    it: Candidate, group: Sequence[Condition], split: str = "test", keep: Keep | None = None
) -> dict[Condition, Outcome]:
    """What is found under conditions that share one noise level. keep: called with (condition, index of a case,
    prediction (*S) on the case's own grid)."""
    data, cases = it.data, it.data.split[split]
    kept = set(cases[np.unique(np.linspace(0, len(cases) - 1, min(SAMPLE_CASES, len(cases))).astype(int))].tolist())
    noisy = noisy_images(data, cases, group[0])
    outcomes = {condition: Outcome() for condition in group}
    for indices in _batches(data, cases):
        # 1. The images of a batch, with the noise of this level: (B, C, *S).
        arrays = [noisy(index) for index in indices]
        image = torch.from_numpy(np.stack(arrays)).to(it.device)
        # 2. Their class probabilities (B, K, *S) under each condition.
        for condition, probabilities, seconds in _segmented(it, group, image, indices):
            found = outcomes[condition]
            for array, index, probability in zip(arrays, indices, probabilities, strict=True):
                # 3. Scores on the case's own grid, and against the frame before.
                label, _ = data.truth(index)
                prediction = on_grid(probability, label.shape).max(0).indices.cpu().numpy()
                if keep is not None:
                    keep(condition, int(index), prediction)
                scores = case_scores(data, index, prediction, condition.tolerance)
                temporal = found.before.rows(data, index, prediction, label)
                common = common_columns(it, condition, index, seconds)
                found.rows += [common | row | time for row, time in zip(scores, temporal, strict=True)]
                united = union_scores(data, index, prediction, condition.unions, condition.tolerance)
                found.rows += [common | row for row in united]
                # 4. A picture, of the cases that are kept.
                if int(index) in kept:
                    shown = (label, prediction) if label.ndim == 3 else _as_seen(data, index, probability)
                    found.pictures.append(picture(data.ids[index], array, *shown))
    return outcomes


def _as_seen(data: Prepared, index: int, probability: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Label and prediction of a 2D case on the grid the method works on: its picture is for the eye, and would take
    many times the space on the case's own grid, on which it is scored."""
    return np.asarray(data.labels[index]), probability.argmax(0).cpu().numpy()


def _batches(data: Prepared, cases: np.ndarray) -> Iterator[np.ndarray]:
    """Test cases to segment together: several pictures, or one volume; frames of a video in the order of time."""
    if any(data.videos[index] is not None for index in cases):
        cases = np.array(sorted(cases, key=lambda i: (data.videos[i] or "", data.times[i] or 0, data.ids[i])))
    batch = BATCH if len(data.image_size) == 2 else 1
    for start in range(0, len(cases), batch):
        yield cases[start : start + batch]


def _segmented(
    it: Candidate, group: Sequence[Condition], image: Tensor, indices: np.ndarray
) -> Iterator[tuple[Condition, Tensor, float]]:
    """Probabilities (B, K, *S) of a batch (B, C, *S) under every condition, and seconds per image."""
    if needs_windows(it, image):
        for condition in group:
            yield condition, *timed(it.device, lambda c=condition: by_window(it, c, image, indices))
        return
    embedding, embedding_seconds = timed(it.device, lambda: it.model.embed(image))
    known = {} if embedding is None else {"embedding": embedding}
    for condition in group:
        probabilities, seconds = timed(
            it.device,
            lambda c=condition: it.model.segment(
                image, c.sampling or ANY, sampling_generators(it, c, indices), **known
            ),
        )
        yield condition, probabilities, (seconds + embedding_seconds) / len(indices)


def needs_windows(it: Candidate, image: Tensor) -> bool:
    """Whether images (B, C, *S) have another size than the model takes."""
    return tuple(image.shape[2:]) != tuple(it.data.image_size) and not it.model.any_size


def by_window(it: Candidate, condition: Condition, image: Tensor, indices: Sequence[int] | np.ndarray) -> Tensor:
    """Probabilities (1, K, *S) of a volume (1, C, *S) of another size than the model's: padded where it is smaller,
    windows that overlap by half and are weighted by a Gaussian where it is larger (Isensee et al. 2021)."""
    generators = sampling_generators(it, condition, indices)
    return windowed(it.model, image, tuple(it.data.image_size), condition.sampling or ANY, generators)


def windowed(
    model: Segmenter, image: Tensor, size: tuple[int, ...], sampling: Sampling, generators: Sequence[torch.Generator]
) -> Tensor:
    """The same for any volume, by a model that takes volumes of `size`."""
    from monai.inferers import sliding_window_inference  # takes seconds, and few test volumes in windows

    return sliding_window_inference(
        image, size, 1, lambda window: model.segment(window, sampling, generators), overlap=0.5, mode="gaussian"
    )


def on_grid(probability: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Class probabilities (K, *S), interpolated linearly to (K, *shape) where that is another grid."""
    if tuple(probability.shape[1:]) == tuple(shape):
        return probability
    how = "bilinear" if len(shape) == 2 else "trilinear"
    return functional.interpolate(probability[None], tuple(shape), mode=how, align_corners=False)[0]


def sampling_generators(
    it: Candidate, condition: Condition, indices: Sequence[int] | np.ndarray
) -> list[torch.Generator]:
    """A generator for each case."""
    # A case starts from the same latent whatever the method's step count or sigma, so that sweeps change one thing.
    seed, data = (condition.sampling or ANY).seed, it.data
    return [generator_for("sampling", data.name, data.ids[i], it.trial.config.seed, seed) for i in indices]


def noisy_images(data: Prepared, cases: np.ndarray, condition: Condition) -> Callable[[int], np.ndarray]:
    """A function from a case's index to its image float32 (C, *S) with the condition's corruption and noise. `cases`:
    indices of all images that are rescaled together with condition.rescale "array"."""

    def noisy(index: int, rescale: str, limits: tuple[float, float] | None = None) -> np.ndarray:
        image = np.array(data.images[index], dtype=np.float32)
        if condition.corruption is not None:
            image = corrupt(image, condition.corruption, data.ids[index], condition.noise_seed)
        return add_noise(image, condition.sigma, data.ids[index], condition.noise_seed, rescale, limits)

    if condition.rescale != "array" or condition.sigma == 0:
        return lambda index: noisy(index, condition.rescale)
    raw = [noisy(index, "none") for index in cases]
    limits = (min(float(image.min()) for image in raw), max(float(image.max()) for image in raw))
    return lambda index: noisy(index, "array", limits)


def timed(device: torch.device, call: Callable[[], Value]) -> tuple[Value, float]:
    """The result of a call and its seconds, the device's queue drained before and after."""
    _synchronise(device)
    started = time.perf_counter()
    result = call()
    _synchronise(device)
    return result, time.perf_counter() - started


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def common_columns(it: Candidate, condition: Condition, index: int, seconds: float) -> dict[str, Any]:
    """What all records of a case under a condition share; seconds: of segmenting it."""
    sampling, config, data = condition.sampling, it.trial.config, it.data
    return {
        "trial": it.trial.key,
        "method": config.method.name,
        "dataset": config.dataset.name,
        "seed": config.seed,
        "case": data.ids[index],
        "group": data.groups[index],
        "video": data.videos[index],
        "time": data.times[index],
        "steps": sampling.steps if sampling else 0,
        "sampler": sampling.sampler if sampling else "",
        "eta": sampling.stochasticity if sampling else 0.0,
        "ensemble": sampling.ensemble if sampling else 1,
        "sigma": condition.sigma,
        "corruption": condition.corruption.kind if condition.corruption else "",
        "severity": condition.corruption.severity if condition.corruption else 0,
        "tested_on": condition.tested_on,
        "image_size": "x".join(map(str, condition.image_size)),
        "seconds": seconds,
        "nfe": it.model.network_evaluations(sampling or ANY),
        "tolerance": condition.tolerance,
        "unit": data.unit(index),
        "subset": data.subsets[index],
    }
