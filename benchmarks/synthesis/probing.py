"""What a segmenter that real images taught makes of synthetic ones: the reverse question, asked by Med-LSDM."""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from benchmarks.plan.arms import joined
from benchmarks.plan.trials import Trial
from benchmarks.store.records import RECORD_COLUMNS
from benchmarks.store.syntheses import Made
from benchmarks.testing.evaluate import Candidate, outcomes
from datasets.prepared import Prepared
from methods.base import Segmenter

REAL = "real images"


def probe(trial: Trial, model: Segmenter, data: Prepared, made: Made, device: torch.device, maker: str) -> pd.DataFrame:
    """Records of the synthetic test images by `maker` against the maps they were made from (tested_on: its name) and of
    the real images of the same maps (tested_on: `REAL`), both on the grid that methods work on, in the same way."""
    labels = np.where(made.maps > len(data.class_names), 0, made.maps).astype(np.uint8)
    ids = made.ids.astype(str).tolist()
    whole = replace(joined(data, (made.images + 1) / 2, labels, ids), own=None, instances=None)
    own = {case: index for index, case in enumerate(data.ids)}
    parts = {REAL: [own[case] for case in ids], maker: range(len(data.ids), len(whole.ids))}
    clean = min(trial.conditions, key=lambda condition: condition.sigma)
    frames = []
    for name, indices in parts.items():
        condition = replace(clean, tested_on=name)
        it = Candidate(trial, model, replace(whole, split={**whole.split, "test": np.array(indices)}), device)
        frames.append(pd.DataFrame(outcomes(it, [condition])[condition].rows)[RECORD_COLUMNS])
    return pd.concat(frames, ignore_index=True)
