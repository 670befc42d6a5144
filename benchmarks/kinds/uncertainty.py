"""Many samples per image: how they spread, and whether the spread tells where the error is.

runs/uncertainty/<trial>-<condition>-<hash>/     the hash is taken over the suite's own settings
    about.json            how many chunks of cases there are
    records*.parquet      one file per chunk: a row per test case and class
    maps*.npz             of the chunks that hold a case kept for pictures: mean, SD and prediction
    failed.json           the reason, where the sampling failed
"""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout
from hydra.utils import instantiate
from omegaconf import DictConfig

from benchmarks import console
from benchmarks.errors import BadInput
from benchmarks.machine import measure
from benchmarks.plan import building, choices, identity
from benchmarks.plan.trials import Condition, Trial
from benchmarks.runner import fabric_for, load_weights, prepared
from benchmarks.store.files import read_json, write_atomic, write_frame, write_json
from benchmarks.store.kept import Sampled
from benchmarks.store.records import RECORD_COLUMNS, RECORD_ORDER, tested
from benchmarks.store.results import Results, Store
from benchmarks.testing import evaluate, spread
from benchmarks.testing.metrics import POOLED, class_dsc, score
from benchmarks.testing.pictures import cut, picture, plane
from datasets.prepare import Prepared
from methods.base import Segmenter

VERSION = 1
"""Raised when what is recorded for given weights changes."""
CHUNK = 4
"""Test cases whose records are written together."""


def sample(config: DictConfig, store: Store, trials: list[Trial]) -> None:
    """Sample every trained generative trial as the suite says and store what came of it.

    A job that another run is working on is left to the end, then waited for. A failure is written down with its reason
    and the others go on; the next run tries again.
    """
    waiting = []
    for trial in trials:
        view = store.trial(trial.key)
        if trial.declined is None and view is not None and view.status == "ok":
            method, dataset = trial.config["method"]["name"], trial.config["dataset"]["name"]
            waiting += [(trial, condition) for condition in _conditions(config, method, dataset)]
    executor = instantiate(config.executor)
    for patience in (0, -1):
        for trial, condition in list(waiting):
            folder = _folder(config, trial.key, condition)
            folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                with FileLock(folder.with_name(f".{folder.name}.lock")).acquire(timeout=patience):
                    if not _complete(folder):
                        executor(_try, config, trial, condition, folder)
            except Timeout:
                continue
            waiting.remove((trial, condition))
        if waiting:
            console.say(f"Another run is sampling {', '.join(t.name for t, _ in waiting)}; waiting for it.")


def add(config: DictConfig, results: Results) -> None:
    """Put what is stored of the results' trials into results.records and results.uncertainty. A trial that was trained
    but has no complete sampling is shown as what became of that: declined, failed or unfinished."""
    frames = []
    for view in results.trials:
        if view.status != "ok":
            continue
        method, dataset = view.config["method"], view.config["dataset"]["name"]
        if not building.method_class(method["name"], method["_target_"]).generative:
            view.done = view.done | {"status": "declined", "reason": building.DETERMINISTIC}
            continue
        for condition in _conditions(config, method["name"], dataset):
            folder = _folder(config, view.key, condition)
            if not _complete(folder):
                failed = read_json(folder / "failed.json")
                reason = failed["reason"] if failed else "not all test cases have been sampled yet"
                view.done = view.done | {"status": "failed" if failed else "unfinished", "reason": reason}
                continue
            frame = pd.concat([pd.read_parquet(path) for path in _chunks(folder)], ignore_index=True)
            frames.append(frame)
            results.uncertainty[tested(frame.iloc[0])] = Sampled(folder)
    if frames:
        records = pd.concat(frames, ignore_index=True)
        columns = [*RECORD_COLUMNS, *(name for name in records.columns if name not in RECORD_COLUMNS)]
        results.records = records.reindex(columns=columns).sort_values(RECORD_ORDER, kind="stable", ignore_index=True)


def outlook(config: DictConfig, trial: Trial) -> tuple[str, float]:
    """What is left to sample for a trial, in words, and a guess of its seconds."""
    method, dataset = trial.config["method"]["name"], trial.config["dataset"]
    if trial.declined:
        return "-", 0.0
    conditions = _conditions(config, method, dataset["name"])
    missing = [c for c in conditions if not _complete(_folder(config, trial.key, c))]
    if not missing:
        return "there already", 0.0
    most, runs = config.profile.uncertainty.most_cases, _runs(config)
    cases = dataset["cases"]["test"] if most is None else min(most, dataset["cases"]["test"])
    shape = (1, dataset["channels"], *dataset["image_size"])
    seconds = measure.segmentation(building.build(trial.config), shape, [c.sampling for c in missing])
    return f"{cases} cases x {runs} runs", cases * runs * seconds


def _conditions(config: DictConfig, method: str, dataset: str) -> list[Condition]:
    size, sigma = tuple(choices.image_size(config, dataset)), float(config.suite.sigmas[0])
    return [Condition(sigma, sampling, size, config.noise.rescale) for sampling in choices.samplings(config, method)]


def _folder(config: DictConfig, trial: str, condition: Condition) -> Path:
    """Named by all that decides its content: the trial's key tells its data apart, test cases included."""
    own = identity.digest([_runs(config), config.profile.uncertainty.most_cases, config.suite.pictures, VERSION])[:8]
    return Path(config.paths.runs) / "uncertainty" / f"{trial}-{condition.key}-{own}"


def _runs(config: DictConfig) -> int:
    most = config.profile.uncertainty.most_runs
    return config.suite.runs if most is None else min(config.suite.runs, most)


def _chunks(folder: Path) -> list[Path]:
    return [folder / f"records{number:04d}.parquet" for number in range(read_json(folder / "about.json")["chunks"])]


def _complete(folder: Path) -> bool:
    return (folder / "about.json").exists() and all(path.exists() for path in _chunks(folder))


def _try(config: DictConfig, trial: Trial, condition: Condition, folder: Path) -> None:
    (folder / "failed.json").unlink(missing_ok=True)
    try:
        _sample(config, trial, condition, folder)
    except (KeyboardInterrupt, BadInput):
        raise
    except Exception as error:  # whatever ends one trial must not end the suite
        reason = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}"
        console.say(f"  {trial.name}: sampling failed: {reason}")
        write_json(folder / "failed.json", {"reason": f"sampling failed: {reason}"})


def _sample(config: DictConfig, trial: Trial, condition: Condition, folder: Path) -> None:
    device, data = fabric_for(config).device, prepared(config, trial)
    weights = Path(config.paths.runs) / "trials" / trial.key / "weights.safetensors"
    model = building.build(trial.config)
    model.load_state_dict(load_weights(weights))
    model.to(device).eval()
    runs, noisy = _runs(config), evaluate.noisy_images(data, data.split["test"], condition)
    cases = evenly(data.split["test"], config.profile.uncertainty.most_cases)
    kept = set(evenly(cases, config.suite.pictures).tolist())
    parts = [cases[start : start + CHUNK] for start in range(0, len(cases), CHUNK)]
    write_json(folder / "about.json", {"trial": trial.key, "cases": len(cases), "runs": runs, "chunks": len(parts)})
    with console.task(f"{trial.name}: {runs} samples an image") as report:
        for number, (part, path) in enumerate(zip(parts, _chunks(folder), strict=True)):
            if path.exists():
                continue
            rows, maps = [], {"ids": np.array([data.ids[index] for index in part if int(index) in kept])}
            for done, index in enumerate(part, number * CHUNK):
                report(done, len(cases), "cases")
                array = noisy(index)
                found, seconds = sampled(trial, model, data, condition, array, index, runs, device)
                common = evaluate.common_columns(trial, condition, data, index, seconds, model)
                rows += [common | row for row in scores(found, data, index)]
                if int(index) in kept:
                    count = sum(name.startswith("sd_") for name in maps)
                    shown = _maps(found, data, index, array)
                    maps |= {f"{name}_{count}": values for name, values in shown.items()}
            if len(maps["ids"]):
                file = folder / f"maps{number:04d}.npz"
                write_atomic(file, lambda f, content=maps: np.savez_compressed(f, **content))
            frame = pd.DataFrame(rows)
            more = [name for name in frame.columns if name not in RECORD_COLUMNS]
            write_frame(path, frame.reindex(columns=[*RECORD_COLUMNS, *more]))


def evenly(cases: np.ndarray, most: int | None) -> np.ndarray:
    """At most so many of the cases (all for None), from the first to the last at even distances."""
    if most is None or most >= len(cases):
        return cases
    return cases[np.linspace(0, len(cases) - 1, most).round().astype(int)]


@torch.inference_mode()
def sampled(
    trial: Trial, model: Segmenter, data: Prepared, condition: Condition, array: np.ndarray, index: int, runs: int,
    device: torch.device, batch: int | None = None,
) -> tuple[spread.Runs, float]:  # fmt: skip
    """The runs on one image (C, *S), on the grid of its label, and seconds per run. Run k draws from the generator
    with which the case is tested under `Sampling.seed` k, so that the number of runs sampled at once (`batch`) plays
    no part.

    Volumes are sampled run by run, and by window where they have another size than the model.
    """
    image = torch.from_numpy(np.array(array))[None].to(device)
    shape = data.truth(index)[0].shape
    windows = tuple(image.shape[2:]) != tuple(data.image_size) and not model.any_size
    batch = batch or (evaluate.BATCH if image.ndim == 4 else 1)
    found, started = spread.Runs(), time.perf_counter()
    embedding = None if windows else model.embed(image)
    for start in range(0, runs, 1 if windows else batch):
        seeded = [
            replace(condition, sampling=replace(condition.sampling, seed=seed))
            for seed in range(start, min(start + (1 if windows else batch), runs))
        ]
        if windows:
            probabilities = evaluate.by_window(trial, model, data, seeded[0], image, [index])
        else:
            known = {} if embedding is None else {"embedding": embedding.repeat_interleave(len(seeded), 0)}
            generators = [evaluate.sampling_generators(trial, data, one, [index])[0] for one in seeded]
            many = image.repeat_interleave(len(seeded), 0)
            probabilities = model.segment(many, condition.sampling, generators, **known)
        for probability in probabilities:
            found.add(evaluate.on_grid(probability, shape).cpu().numpy())
    return found, (time.perf_counter() - started) / runs


def scores(found: spread.Runs, data: Prepared, index: int) -> list[dict]:
    """A row per foreground class and one pooled: scores of the mean segmentation and of single runs; the pooled row
    also has what is said of the image as a whole."""
    label, spacing = data.truth(index)
    mean, sd, classes = found.mean, found.sd, len(data.class_names)
    prediction = mean.argmax(0)
    error, confidence = prediction != label, mean.max(0)
    single = np.array([class_dsc(run, label, classes) for run in found.labels])
    rows = score(prediction, label, list(data.class_names), spacing)
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
            "energy_distance": spread.energy_distance(found.labels, [label], classes),
            "raters": 1,
        }
        for name, values in zip(("count", "confidence", "correct"), spread.calibration(mean, label)):
            row |= {f"bin{place:02d}_{name}": float(value) for place, value in enumerate(values, 1)}
        risks = spread.risks(sd, error)
        row |= {f"risk{round(100 * c):03d}": float(risk) for c, risk in zip(spread.COVERAGES, risks, strict=True)}
    return rows


def _maps(found: spread.Runs, data: Prepared, index: int, array: np.ndarray) -> dict[str, np.ndarray]:
    label, mean = data.truth(index)[0], found.mean
    shown, where = picture(data.ids[index], array, label, mean.argmax(0)), plane(label)
    maps = {"mean": 1 - mean[0], "sd": found.sd}
    return {name: getattr(shown, name) for name in ("image", "label", "prediction")} | {
        name: cut(values, where).astype(np.float32) for name, values in maps.items()
    }
