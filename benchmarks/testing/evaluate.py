"""Testing of one trial: every test case under every condition, one record per case and class.

Conditions share what they can: the model is loaded once, a noisy image is made once and embedded once for all
numbers of steps.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from monai.inferers import sliding_window_inference
from torch import Tensor
from torch.nn import functional

from benchmarks.plan.trials import Condition, Trial
from benchmarks.seeding import generator_for
from benchmarks.store.files import write_atomic, write_frame
from benchmarks.store.kept import Picture, stacked
from benchmarks.store.records import RECORD_COLUMNS
from benchmarks.store.trial import TrialView
from benchmarks.testing.metrics import score
from benchmarks.testing.noise import add_noise
from benchmarks.testing.pictures import picture
from benchmarks.testing.temporal import Before
from datasets.prepare import Prepared
from methods.base import Sampling, Segmenter

BATCH = 8
SAMPLE_CASES = 4
"""Test cases whose predictions are kept for pictures, evenly spread over the test set."""

ANY = Sampling()
"""What deterministic methods are called with; they ignore it."""


def evaluate(
    trial: Trial,
    model: Segmenter,
    data: Prepared,
    folder: Path,
    device: torch.device,
    report: Callable[[int, int, str], None],
) -> None:
    """Write records and samples of every condition of `trial` that `folder` does not hold yet.

    The records of a condition are written at once, so an interrupted test repeats at most one noise level.
    """
    stored = TrialView(folder, trial.config)
    missing = [condition for condition in trial.conditions if not stored.has(condition.key)]
    levels = list(dict.fromkeys((c.sigma, c.rescale, c.noise_seed) for c in missing))
    model.eval()
    done = len(trial.conditions) - len(missing)
    for level in levels:
        group = [c for c in missing if (c.sigma, c.rescale, c.noise_seed) == level]
        report(done, len(trial.conditions), f"sigma {level[0]:g}")
        for condition, rows, samples in _test(trial, model, data, group, device):
            write_atomic(folder / "samples" / f"{condition.key}.npz", lambda f, s=samples: np.savez_compressed(f, **s))
            write_frame(folder / "records" / f"{condition.key}.parquet", pd.DataFrame(rows)[RECORD_COLUMNS])
        done += len(group)
        report(done, len(trial.conditions), f"sigma {level[0]:g}")


@torch.inference_mode()
def _test(trial, model, data, group: list[Condition], device) -> Iterator[tuple[Condition, list[dict], dict]]:
    """Records and pictures of conditions that share one noise level."""
    cases = data.split["test"]
    kept = set(cases[np.unique(np.linspace(0, len(cases) - 1, min(SAMPLE_CASES, len(cases))).astype(int))].tolist())
    noisy = noisy_images(data, cases, group[0])
    rows: dict[str, list[dict]] = {c.key: [] for c in group}
    pictures: dict[str, list[Picture]] = {c.key: [] for c in group}
    before = {c.key: Before() for c in group}
    for indices in _batches(data, cases):
        arrays = [noisy(index) for index in indices]
        image = torch.from_numpy(np.stack(arrays)).to(device)
        for condition, probabilities, seconds in _segmented(trial, model, data, group, image, indices):
            for array, index, probability in zip(arrays, indices, probabilities, strict=True):
                label, spacing = data.truth(index)
                prediction = on_grid(probability, label.shape).argmax(0).cpu().numpy()
                scores = score(prediction, label, list(data.class_names), spacing)
                temporal = before[condition.key].rows(data, index, prediction, label)
                common = common_columns(trial, condition, data, index, seconds, model)
                rows[condition.key] += [common | row | time for row, time in zip(scores, temporal, strict=True)]
                if int(index) in kept:
                    pictures[condition.key].append(picture(data.ids[index], array, label, prediction))
    for condition in group:
        yield condition, rows[condition.key], stacked(pictures[condition.key])


def _batches(data: Prepared, cases: np.ndarray) -> Iterator[np.ndarray]:
    """Test cases to segment together: several pictures, or one volume; frames of a video in the order of time."""
    if any(data.videos[index] is not None for index in cases):
        cases = np.array(sorted(cases, key=lambda i: (data.videos[i] or "", data.times[i] or 0, data.ids[i])))
    batch = BATCH if len(data.image_size) == 2 else 1
    for start in range(0, len(cases), batch):
        yield cases[start : start + batch]


def _segmented(trial, model, data, group, image: Tensor, indices) -> Iterator[tuple[Condition, Tensor, float]]:
    """Probabilities of a batch under every condition, and seconds per image."""
    device = image.device
    if tuple(image.shape[2:]) != tuple(data.image_size) and not model.any_size:
        for condition in group:
            yield condition, *_timed(device, lambda c=condition: by_window(trial, model, data, c, image, indices))
        return
    embedding, embedding_seconds = _timed(device, lambda: model.embed(image))
    known = {} if embedding is None else {"embedding": embedding}
    for condition in group:
        probabilities, seconds = _timed(
            device,
            lambda c=condition: model.segment(
                image, c.sampling or ANY, sampling_generators(trial, data, c, indices), **known
            ),
        )
        yield condition, probabilities, (seconds + embedding_seconds) / len(indices)


def by_window(trial, model, data, condition: Condition, image: Tensor, indices) -> Tensor:
    """Probabilities (1, K, *S) of a volume (1, C, *S) of another size than the model's: padded where it is smaller,
    windows that overlap by half and are weighted by a Gaussian where it is larger (Isensee et al. 2021)."""
    generators = sampling_generators(trial, data, condition, indices)
    return sliding_window_inference(
        image,
        tuple(data.image_size),
        1,
        lambda window: model.segment(window, condition.sampling or ANY, generators),
        overlap=0.5,
        mode="gaussian",
    )


def on_grid(probability: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Class probabilities (K, *S), interpolated linearly to (K, *shape) where that is another grid."""
    if tuple(probability.shape[1:]) == tuple(shape):
        return probability
    how = "bilinear" if len(shape) == 2 else "trilinear"
    return functional.interpolate(probability[None], tuple(shape), mode=how, align_corners=False)[0]


def sampling_generators(trial, data, condition: Condition, indices) -> list[torch.Generator]:
    """A generator for each case."""
    # A case starts from the same latent whatever the method's step count or sigma, so that sweeps change one thing.
    seed = (condition.sampling or ANY).seed
    return [generator_for("sampling", data.name, data.ids[i], trial.config.seed, seed) for i in indices]


def noisy_images(data: Prepared, cases: np.ndarray, condition: Condition) -> Callable[[int], np.ndarray]:
    """A function from a case's index to its image (C, *S) with the condition's noise."""

    def noisy(index: int, **how) -> np.ndarray:
        image = np.array(data.images[index], dtype=np.float32)
        return add_noise(image, condition.sigma, data.ids[index], condition.noise_seed, **how)

    if condition.rescale != "array":
        return lambda index: noisy(index, rescale=condition.rescale)
    raw = [noisy(index, rescale="none") for index in cases]
    limits = (min(float(image.min()) for image in raw), max(float(image.max()) for image in raw))
    return lambda index: noisy(index, rescale="array", limits=limits)


def _timed(device: torch.device, call: Callable[[], Tensor | None]) -> tuple[Tensor | None, float]:
    """The result of a call and its seconds, the device's queue drained before and after."""
    _synchronise(device)
    started = time.perf_counter()
    result = call()
    _synchronise(device)
    return result, time.perf_counter() - started


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def common_columns(trial, condition, data, index, seconds, model) -> dict:
    """What all records of a case under a condition share."""
    sampling, config = condition.sampling, trial.config
    return {
        "trial": trial.key,
        "method": config.method.name,
        "dataset": data.name,
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
        "image_size": "x".join(map(str, condition.image_size)),
        "seconds": seconds,
        "nfe": model.network_evaluations(sampling or ANY),
    }
