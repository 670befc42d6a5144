"""Methods whose masks can be told in advance, and trials of them as a store holds them."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from benchmarks.plan import building
from benchmarks.plan.trials import Trial
from benchmarks.store.config import DatasetConfig, MethodConfig, TrainingConfig, TrialConfig
from benchmarks.store.files import write_frame, write_json
from benchmarks.store.records import RECORD_COLUMNS
from benchmarks.store.trial import TrialView, mark
from benchmarks.training.weights import save_weights
from methods.base import Segmenter

HERE = __name__


class Bright(Segmenter):
    """The probability of class 1 is how bright a pixel is, plus a learned shift; of others there is none."""

    def __init__(self, spatial_dims, in_channels, classes, image_size, **_):
        super().__init__()
        self.classes, self.shift = classes, nn.Parameter(torch.zeros(1))

    def segment(self, image, sampling, generators, callback=None, embedding=None):
        first = (image.mean(1) + self.shift).clamp(0, 1)
        rest = [torch.zeros_like(first)] * (self.classes - 2)
        return torch.stack([1 - first, first, *rest], 1)


class Noisy(Bright):
    """The same, with a shade drawn for each sample."""

    generative = True

    def segment(self, image, sampling, generators, callback=None, embedding=None):
        noise = torch.stack([torch.randn(image.shape[2:], generator=one) for one in generators])
        return super().segment(image + 0.2 * noise[:, None] / sampling.steps, sampling, generators)


def trial(
    runs: Path, target="Bright", seed=0, shift=0.0, dsc=0.5, steps=(0,), name="blobs", size=(16, 16), classes=("blob",),
    patients=6, **dataset,
) -> TrialView:  # fmt: skip
    """A trained and tested trial in a store; its weights are `shift`, its mean DSC is about `dsc`."""
    method = MethodConfig(target.lower(), f"{HERE}.{target}", target)
    known = {"channels": 1, "spatial_dims": len(size), "fingerprint": f"{name} content", "fit": "resize",
             "title": name, "cases": {"train": 4, "val": 2, "test": patients}, "patients": True,
             "distance_unit": "px"}  # fmt: skip
    data = DatasetConfig(name, size, class_names=classes, **known | dataset)
    config = TrialConfig(method, data, TrainingConfig(steps=5), seed, "tiny", f"asked-{target}-{name}-{seed}")
    code = building.traits(method, runs / "cache").code
    config = TrialConfig(
        *[getattr(config, part) for part in ("method", "dataset", "training", "seed", "profile", "request")], code
    )
    key = Trial(config, ()).key
    folder = runs / "trials" / key
    write_json(folder / "config.json", config.to_json())
    model = building.build(method, data)
    with torch.no_grad():
        model.shift.fill_(shift)
    save_weights(model.state_dict(), folder / "weights.safetensors")
    write_json(folder / "environment.json", {"device": "by hand", "torch": torch.__version__, "python": "3"})
    columns = ["stage", "step", "epoch", "seconds", "split", "metric", "value"]
    write_frame(folder / "history.parquet", pd.DataFrame([["train", 1, 0, 1.0, "train", "loss", 0.5]], columns=columns))
    write_json(folder / "cost.json", {"parameters": 1, "training_seconds": 2.5, "training_steps": 5,
                                      "seconds_per_step": 0.5,
                                      "best_step": 5, "best_val_dsc": 0.4})  # fmt: skip
    for number in steps:
        write_frame(folder / "records" / f"sigma0-{number}.parquet", records(key, config, number, dsc, patients))
    mark(folder, "ok", best_step=5, best_val_dsc=0.4)
    found = TrialView.load(folder)
    assert found is not None
    return found


def records(key, config, steps, dsc, patients) -> pd.DataFrame:
    """Rows as a test leaves them, of the foreground and of each class."""
    random = np.random.default_rng(config.seed)
    rows = []
    for patient in range(patients):
        score = float(np.clip(dsc + 0.05 * random.standard_normal(), 0, 1))
        for name in ("all", *config.dataset.class_names):
            rows.append(
                dict.fromkeys(RECORD_COLUMNS)
                | {"trial": key, "method": config.method.name, "dataset": config.dataset.name, "seed": config.seed,
                   "case": f"case{patient}", "group": f"patient{patient}", "class": name, "steps": steps,
                   "sampler": "ddim" if steps else "", "eta": 0.0, "ensemble": 1, "sigma": 0.0, "corruption": "",
                   "severity": 0, "tested_on": "", "image_size": config.dataset.size, "seconds": 0.01, "nfe": 1,
                   "unit": "px",
                   "dsc": score, "iou": score / (2 - score), "hd95": 3.0, "assd": 1.0, "hd95_penalised": 3.0,
                   "assd_penalised": 1.0, "empty": ""}
            )  # fmt: skip
    return pd.DataFrame(rows)[RECORD_COLUMNS]
