"""Scores of the validation cases during training, by which the weights are selected."""

import numpy as np
import torch

from benchmarks.seeding import generator_for
from benchmarks.store.config import TrainingConfig
from benchmarks.testing.metrics import pooled_dsc
from datasets.prepare import Prepared
from methods.base import Sampling, Segmenter
from methods.synthesis.base import Synthesizer


@torch.no_grad()
def validate(
    model: Segmenter | Synthesizer,
    stage: str,
    data: Prepared,
    settings: TrainingConfig,
    seed: int,
    device: torch.device,
) -> tuple[dict[str, float], dict[str, float]]:
    """Mean validation DSC, pooled over foreground classes, and that of the method's ceiling if it has one; of a method
    that makes images its losses, of which `total` is the one that is minimised. Then the DSC of each case by its id,
    empty where a stage or method segments nothing."""
    cases = data.split["val"]
    cases = cases[np.unique(np.linspace(0, len(cases) - 1, min(settings.val_cases, len(cases))).astype(int))]
    if isinstance(model, Synthesizer):
        return _losses(model, stage, data, cases, settings.batch_size, seed, device), {}
    scores: dict[str, list[float]] = {}
    model.eval()
    for start in range(0, len(cases), settings.batch_size):
        batch = cases[start : start + settings.batch_size]
        image, label = map(torch.from_numpy, data.batch(batch))
        image, label = image.to(device), label.long().to(device)
        ceiling = model.reconstruct(label)
        predictions = {} if ceiling is None else {"dsc_ceiling": ceiling}
        if stage == model.stages[-1]:
            generators = [generator_for("validation", data.name, data.ids[index], seed) for index in batch]
            predictions["dsc"] = model.segment(image, Sampling(settings.validation_steps), generators)
        for metric, probabilities in predictions.items():
            predicted = probabilities.argmax(1).cpu().numpy()
            scores.setdefault(metric, []).extend(
                pooled_dsc(p, y, len(data.class_names)) for p, y in zip(predicted, label.cpu().numpy(), strict=True)
            )
    model.train()
    by_case = dict(zip((data.ids[index] for index in cases), scores.get("dsc", []), strict=False))
    return {metric: float(np.mean(values)) for metric, values in scores.items()}, by_case


def _losses(
    model: Synthesizer,
    stage: str,
    data: Prepared,
    cases: np.ndarray,
    batch_size: int,
    seed: int,
    device: torch.device,
) -> dict[str, float]:
    """Mean losses of these cases, each batch with the same draws at every validation."""
    sums: dict[str, float] = {}
    model.eval()
    for start in range(0, len(cases), batch_size):
        batch = cases[start : start + batch_size]
        image, label = map(torch.from_numpy, data.batch(batch))
        generator = generator_for("validation", data.name, data.ids[batch[0]], seed)
        for name, value in model.loss(image.to(device), label.long().to(device), stage, generator).items():
            sums[name] = sums.get(name, 0.0) + len(batch) * value.item()
    model.train()
    return {name: value / len(cases) for name, value in sums.items()}
