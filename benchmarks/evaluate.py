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
from torch import Tensor

from benchmarks.metrics import score
from benchmarks.noise import add_noise
from benchmarks.plan import Condition, Trial
from benchmarks.seeding import generator_for
from benchmarks.store import RECORD_COLUMNS, TrialView, write_atomic, write_frame
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
    noisy = _noisy_images(data, cases, group[0])
    rows: dict[str, list[dict]] = {c.key: [] for c in group}
    pictures: dict[str, list[tuple]] = {c.key: [] for c in group}
    for start in range(0, len(cases), BATCH):
        indices = cases[start : start + BATCH]
        arrays = [noisy(index) for index in indices]
        image = torch.from_numpy(np.stack(arrays)).to(device)
        embedding, embedding_seconds = _timed(device, lambda image=image: model.embed(image))
        for condition in group:
            probabilities, seconds = _timed(
                device, lambda c=condition, i=image, e=embedding, n=indices: _segment(trial, model, data, c, i, e, n)
            )
            seconds = (seconds + embedding_seconds) / len(indices)
            for array, index, prediction in zip(arrays, indices, probabilities.argmax(1).cpu().numpy(), strict=True):
                label = np.asarray(data.labels[index])
                rows[condition.key] += _rows(trial, condition, data, index, prediction, label, seconds, model)
                if int(index) in kept:
                    picture = (np.clip(array, 0, 1) * 255).round().astype(np.uint8)
                    pictures[condition.key].append(
                        (data.ids[index], picture, label.astype(np.uint8), prediction.astype(np.uint8))
                    )
    for condition in group:
        ids, images, labels, predictions = zip(*pictures[condition.key], strict=True)
        steps = condition.sampling.steps if condition.sampling else 0
        samples = {
            "ids": np.array(ids), "image": np.stack(images), "label": np.stack(labels),
            "prediction": np.stack(predictions), "steps": steps, "sigma": condition.sigma,
        }  # fmt: skip
        yield condition, rows[condition.key], samples


def _segment(trial, model, data, condition: Condition, image: Tensor, embedding: Tensor | None, indices) -> Tensor:
    sampling = condition.sampling or ANY
    # A case starts from the same latent whatever the method's step count or sigma, so that sweeps change one thing.
    generators = [
        generator_for("sampling", data.name, data.ids[i], trial.config["seed"], sampling.seed) for i in indices
    ]
    known = {} if embedding is None else {"embedding": embedding}
    return model.segment(image, sampling, generators, **known)


def _noisy_images(data: Prepared, cases: np.ndarray, condition: Condition) -> Callable[[int], np.ndarray]:
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


def _rows(trial, condition, data, index, prediction, label, seconds, model) -> list[dict]:
    sampling, config = condition.sampling, trial.config
    common = {
        "trial": trial.key,
        "method": config["method"]["name"],
        "dataset": data.name,
        "seed": config["seed"],
        "case": data.ids[index],
        "group": data.groups[index],
        "steps": sampling.steps if sampling else 0,
        "sampler": sampling.sampler if sampling else "",
        "eta": sampling.stochasticity if sampling else 0.0,
        "ensemble": sampling.ensemble if sampling else 1,
        "sigma": condition.sigma,
        "image_size": "x".join(map(str, condition.image_size)),
        "seconds": seconds,
        "nfe": model.network_evaluations(sampling or ANY),
    }
    scores = score(prediction, label, list(data.class_names), data.spacing[index])
    return [common | scored for scored in scores]
