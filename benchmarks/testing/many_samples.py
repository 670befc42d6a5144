"""One image sampled many times, and what that says of it: scores of the mean, of single runs, and of their spread."""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool2d

from benchmarks.plan.trials import Condition
from benchmarks.testing import evaluate, spread
from benchmarks.testing.evaluate import Candidate
from benchmarks.testing.metrics import POOLED, class_dsc
from benchmarks.testing.pictures import cut, picture, plane
from benchmarks.testing.scoring import case_scores
from datasets.prepare import Prepared


@dataclass(frozen=True)
class Repeated:
    """How a case is sampled many times: under which condition, how many runs, and how many of them at once (None: as
    many images as are tested at once, and volumes one by one)."""

    condition: Condition
    runs: int
    batch: int | None = None


@torch.inference_mode()
def sampled(it: Candidate, how: Repeated, array: np.ndarray, index: int) -> tuple[spread.Runs, float]:
    """The runs on one image (C, *S), on the grid of its label, and seconds per run. Run k draws from the generator
    with which the case is tested under `Sampling.seed` k, so that the number of runs sampled at once plays no part.

    Volumes of another size than the model are sampled by window.
    """
    sampling = how.condition.sampling or evaluate.ANY
    image = torch.from_numpy(np.array(array))[None].to(it.device)
    shape = it.data.truth(index)[0].shape
    windows = evaluate.needs_windows(it, image)
    batch = 1 if windows else how.batch or (evaluate.BATCH if image.ndim == 4 else 1)
    found, started = spread.Runs(), time.perf_counter()
    embedding = None if windows else it.model.embed(image)
    for start in range(0, how.runs, batch):
        seeded = [
            replace(how.condition, sampling=replace(sampling, seed=seed))
            for seed in range(start, min(start + batch, how.runs))
        ]
        if windows:
            probabilities = evaluate.by_window(it, seeded[0], image, [index])
        else:
            known = {} if embedding is None else {"embedding": embedding.repeat_interleave(len(seeded), 0)}
            generators = [evaluate.sampling_generators(it, one, [index])[0] for one in seeded]
            many = image.repeat_interleave(len(seeded), 0)
            probabilities = it.model.segment(many, sampling, generators, **known)
        for probability in probabilities:
            found.add(evaluate.on_grid(probability, shape).cpu().numpy())
    return found, (time.perf_counter() - started) / how.runs


def scores(found: spread.Runs, data: Prepared, index: int, tolerance: float | None = None) -> list[dict[str, Any]]:
    """A row per foreground class and one pooled: scores of the mean segmentation and of single runs; the pooled row
    also has what is said of the image as a whole. tolerance: of NSD."""
    label, _ = data.truth(index)
    mean, sd, classes = found.mean, found.sd, len(data.class_names)
    prediction = mean.argmax(0)
    error, confidence = prediction != label, mean.max(0)
    single = np.array([class_dsc(run, label, classes) for run in found.labels])
    rows = case_scores(data, index, prediction, tolerance)
    for row, values in zip(rows, single.T, strict=True):
        row |= {"runs": len(found.labels), "run_dsc": values.mean(), "run_dsc_sd": values.std()}
        if row["class"] != POOLED:
            continue
        row |= {
            "mean_sd": sd.mean(),
            "pixels": error.size,
            "errors": np.count_nonzero(error),
            "auroc": spread.auroc(sd, error),
            "auroc_confidence": spread.auroc(1 - confidence, error),
            "brier": spread.brier(mean, label),
            "energy_distance": spread.energy_distance(found.labels, [label], classes),
            "raters": 1,
        }
        regions = {"": None, "foreground_": spread.foreground(mean, label), "boundary_": spread.boundary(label)}
        for where, region in regions.items():
            for name, values in zip(("count", "confidence", "correct"), spread.calibration(mean, label, region)):
                row |= {f"{where}bin{place:02d}_{name}": float(value) for place, value in enumerate(values, 1)}
        risks = spread.risks(sd, error)
        row |= {f"risk{round(100 * c):03d}": float(risk) for c, risk in zip(spread.COVERAGES, risks, strict=True)}
    return rows


def maps(found: spread.Runs, data: Prepared, index: int, array: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays kept for pictures (store.kept.Maps), by name, of a volume one slice; of a 2D case on the grid the method
    works on, where scores are on the case's own."""
    label, mean, sd = data.truth(index)[0], found.mean, found.sd
    if label.ndim == 2:
        label = np.asarray(data.labels[index])
        # Averages of the pixels that fall together.
        mean, sd = (adaptive_avg_pool2d(torch.from_numpy(m)[None], label.shape)[0].numpy() for m in (mean, sd[None]))
        sd = sd[0]
    shown, where = picture(data.ids[index], array, label, mean.argmax(0)), plane(label)
    values = {"mean": 1 - mean[0], "sd": sd}
    return {name: getattr(shown, name) for name in ("image", "label", "prediction")} | {
        name: cut(array, where).astype(np.float32) for name, array in values.items()
    }
