"""Fabricated results: a store on disk, filled by simple rules instead of by training."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.store.kept import stacked
from benchmarks.store.records import RECORD_COLUMNS, RECORD_ORDER, completed, tested
from benchmarks.store.results import Results
from benchmarks.store.trial import TrialView
from benchmarks.testing import pictures

TITLES = {"ldseg": "LDSeg", "resunet": "Res-UNet", "lsegdiff": "LSegDiff", "unet": "U-Net"}
GENERATIVE = ("ldseg", "lsegdiff", "ldseg_ld", "ldseg_id", "ldseg_ld_id")
CLASSES = {"phantom_glands": ["gland"], "glas": ["gland"], "phantom_echo": ["LV", "LA"], "camus": ["LV", "wall", "LA"]}
SIGMAS = (0, 0.025, 0.05, 0.075, 0.1, 0.125, 0.15, 0.175, 0.2, 0.3, 0.4, 0.5)
LEVEL = {"ldseg": 0.88, "resunet": 0.91, "lsegdiff": 0.86, "unet": 0.89}
FALL = {"ldseg": 0.6, "resunet": 2.4, "lsegdiff": 0.9, "unet": 2.0}


def measured(dataset, name, case, dsc):
    """Of a case the scores that records of former versions lack; on glas those of objects too, in two parts."""
    found = {
        "hd95_penalised": 30 * (1 - dsc),
        "assd_penalised": 8 * (1 - dsc),
        "nsd": dsc**2,
        "tolerance": 2.0,
        "unit": "px",
    }
    if dataset == "glas":
        found["subset"] = "test A" if case % 3 else "test B"
        if name == "all":
            found |= {"object_f1": 0.9 * dsc, "object_dice": 0.95 * dsc, "object_hausdorff": 200 * (1 - dsc)}
    return found


class Fabricator:
    """Builds `Results` in a folder. Every choice is an argument with a realistic default."""

    def __init__(self, runs: Path):
        self.runs = runs
        self.trials: list[TrialView] = []
        self.frames: list[pd.DataFrame] = []
        self.conditions: dict[tuple, str] = {}

    def trial(
        self, method="ldseg", dataset="phantom_glands", seed=0, sigmas=SIGMAS, steps=(2, 10), cases=24, patients=None,
        size=(64, 64), status="ok", reason=None, rise=0.002, samples=True, score=None, stages=("train",),
        records=True, classes=None, frames=None, twin_of=None, shift=0.0, known=None,
    ):  # fmt: skip
        """score: function (sigma, case index, class) -> DSC in place of the built-in fall with sigma; frames: so many
        consecutive cases are the frames of one video, which is a patient; shift: added to every DSC; known: whether
        the data set says that its groups are patients."""
        classes = classes or CLASSES.get(dataset, ["object"])
        key = f"{dataset}-{method}-s{seed}-0123456789ab"
        path = self.runs / "trials" / key
        path.mkdir(parents=True)
        config = {
            "method": {"name": method, "title": TITLES.get(method, method), "_target_": f"methods.{method}.M",
                       "size": "small", **({"twin_of": twin_of} if twin_of else {}),
                       **({"latent_norm": "spread"} if method == "ldseg" else {})},
            "dataset": {"name": dataset, "title": f"{dataset}, fabricated", "class_names": classes,
                        "image_size": list(size), "fingerprint": "fedcba987654", "distance_unit": "px",
                        "cases": {"train": 80, "val": 16, "test": cases},
                        **({} if known is None else {"patients": known})},
            "training": {"steps": 800, "batch_size": 8, "learning_rate": 1e-3 if method == "resunet" else 1e-4},
            "seed": seed, "profile": "quick", "code": "c0dec0dec0de",
        }  # fmt: skip
        self._json(path / "config.json", config)
        done = {
            "status": status,
            "reason": reason,
            "finished": "2025-01-01T00:00:00",
            "best_step": 760,
            "best_val_dsc": 0.88,
        }
        self._json(path / "done.json", done)
        view = TrialView.load(path)
        self.trials.append(view)
        if status == "declined":
            return view
        environment = {
            "python": "3.12.3",
            "torch": "2.14.0",
            "device": "cpu",
            "threads": 2,
            "cpu": "a processor",
            "memory_gib": 7.8,
        }
        self._json(path / "environment.json", environment)
        history(stages, rise, method == "ldseg").to_parquet(path / "history.parquet", index=False)
        samplings = [(k, "ddim") for k in steps] if method in GENERATIVE else [(0, "")]
        cost = {
            "parameters": 1_620_000, "training_seconds": 312.4, "training_steps": 800, "seconds_per_step": 0.39,
            "inference": [
                {"steps": k or None, "sampler": s or None, "nfe": max(1, k - 1),
                 "seconds_median": 0.012 * max(1, k - 1), "seconds_iqr": 0.0007,
                 "repeats": 15, "peak_memory_mib": 41.27} for k, s in samplings
            ],
        }  # fmt: skip
        self._json(path / "cost.json", cost)
        if not records:
            return view
        random = np.random.default_rng([seed, sum(map(ord, key))])
        hardness = np.random.default_rng(sum(map(ord, dataset))).normal(0, 0.04, cases)
        for k, sampler in samplings:
            for sigma in sigmas:
                rows = []
                for case in range(cases):
                    scores = []
                    for place, name in enumerate(classes):
                        if score:
                            dsc = score(sigma, case, name)
                        else:
                            fall = FALL.get(method, 1.5) * sigma**1.5
                            dsc = (
                                LEVEL.get(method, 0.85)
                                - 0.03 * place
                                - fall
                                - hardness[case]
                                + random.normal(shift, 0.015)
                            )
                        scores.append((name, float(np.clip(dsc, 0, 1))))
                    scores.append(("all", float(np.mean([dsc for _, dsc in scores]))))
                    group = f"case{case:03d}" if patients is None else f"patient{case % patients:03d}"
                    temporal = {"video": None, "time": None, "temporal_dsc": np.nan, "temporal_dsc_label": np.nan}
                    if frames:
                        group = f"patient{case // frames:03d}"
                        temporal |= {"video": group, "time": float(case % frames)}
                        if case % frames:
                            temporal |= {"temporal_dsc": 0.8 + 0.001 * case, "temporal_dsc_label": 0.9}
                    rows += [
                        {"trial": key, "method": method, "dataset": dataset, "seed": seed, "case": f"case{case:03d}",
                         "group": group, "class": name, "steps": k, "sampler": sampler, "eta": 0.0, "ensemble": 1,
                         "sigma": float(sigma), "image_size": "x".join(map(str, size)), "dsc": dsc,
                         "iou": dsc / (2 - dsc), "hd95": 30 * (1 - dsc), "assd": 8 * (1 - dsc), "empty": "",
                         "seconds": 0.01, "nfe": max(1, k - 1), **temporal, **measured(dataset, name, case, dsc)}
                        for name, dsc in scores
                    ]  # fmt: skip
                self.frames.append(completed(pd.DataFrame(rows)))
                if samples:
                    condition = f"sigma{sigma:g}-{k}"
                    self.conditions[tested(self.frames[-1].iloc[0])] = condition
                    self._samples(path, dataset, method, condition, sigma, size, len(classes), min(4, cases))
        return view

    def results(self, **suite) -> Results:
        if self.frames:
            records = pd.concat(self.frames, ignore_index=True).sort_values(
                RECORD_ORDER, kind="stable", ignore_index=True
            )
        else:
            records = pd.DataFrame(columns=RECORD_COLUMNS)
        command = "python run_bench.py suite=noise_robustness"
        suite = {
            "name": "noise_robustness", "title": "Robustness to image noise",
            "question": "How much accuracy is lost to noise?",
            "methods": list(dict.fromkeys(t.config.method.name for t in self.trials)),
            "datasets": list(dict.fromkeys(t.config.dataset.name for t in self.trials)),
            "seeds": [0], "profile": "quick", "command": command, "redraw_command": f"{command} action=report",
            "rescale": "image",
        } | suite  # fmt: skip
        return Results(suite, self.trials, records, conditions=self.conditions)

    @staticmethod
    def _json(path: Path, content: dict) -> None:
        path.write_text(json.dumps(content))

    @staticmethod
    def _samples(path, dataset, method, condition, sigma, size, classes, count):
        (path / "samples").mkdir(exist_ok=True)
        kept = []
        for case in range(count):
            image, label, prediction = picture(dataset, case, sigma, size, classes, method)
            kept.append(pictures.picture(f"case{case:03d}", image, label, prediction))
        np.savez(path / "samples" / f"{condition}.npz", **stacked(kept))


def picture(dataset, case, sigma, size, classes, method):
    """Blobs for organs: (image with noise, label, prediction whose errors grow with sigma)."""
    random = np.random.default_rng([case, sum(map(ord, dataset))])
    grid = np.meshgrid(*(np.linspace(-1, 1, side) for side in size), indexing="ij")
    label = np.zeros(size, np.uint8)
    blobs = [(k % classes + 1, random.uniform(-0.55, 0.55, len(size)), random.uniform(0.2, 0.4)) for k in range(3)]
    for name, center, radius in blobs:
        label[sum((axis - c) ** 2 for axis, c in zip(grid, center)) < radius**2] = name
    color = dataset in ("phantom_glands", "glas")
    tone = 0.75 - 0.35 * (label > 0) + 0.05 * random.normal(size=size)
    image = np.stack([tone, tone * 0.7, tone * 0.85]) if color else tone[None]
    noise = np.random.default_rng([case, int(sigma * 1000)]).normal(0, sigma, image.shape)
    shift = int(round(2 + FALL.get(method, 1.5) * sigma * 10))
    prediction = np.roll(label, shift, axis=-1)
    prediction[np.random.default_rng(case).random(size) < sigma * 0.15 * FALL.get(method, 1.5)] = 1
    return np.clip(image + noise, 0, 1), label, prediction


def history(stages, rise, ceiling) -> pd.DataFrame:
    rows = []
    random = np.random.default_rng(0)
    for number, stage in enumerate(stages):
        for step in range(8, 801, 8):
            common = {"stage": stage, "step": step, "epoch": step // 10, "seconds": 0.39 * step}
            loss = 0.05 + 1.2 * np.exp(-step / 180) * (1 + 0.08 * random.normal())
            rows.append(common | {"split": "train", "metric": "total", "value": loss})
            rows.append(common | {"split": "train", "metric": "learning_rate", "value": 1e-3 * 0.1 ** (step / 800)})
            if step % 40 == 0:
                if number == len(stages) - 1:
                    dsc = 0.88 * (1 - np.exp(-step / 120)) if step <= 640 else 0.87574 + rise * (step - 640) / 160
                    rows.append(common | {"split": "val", "metric": "dsc", "value": dsc})
                if ceiling:
                    rows.append(
                        common | {"split": "val", "metric": "dsc_ceiling", "value": 0.97 * (1 - np.exp(-step / 60))}
                    )
    return pd.DataFrame(rows)


@pytest.fixture(autouse=True)
def coarse_figures(monkeypatch):
    """Pictures are drawn in full, but with few pixels."""
    monkeypatch.setattr("reports.paper.style.DPI", 40)


@pytest.fixture
def fabricate(tmp_path) -> Fabricator:
    return Fabricator(tmp_path / "runs")
