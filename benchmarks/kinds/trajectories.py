"""The forward and the reverse process of trained methods, recorded step by step for a few test cases.

Stored beside the weights, named by the settings: trajectories/KEY.npz (states and what they decode to, see
`store.Watched`) and, written last, KEY.parquet (a row per case, process, time and class); KEY.json instead where it
failed, with the reason.
"""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from omegaconf import DictConfig
from torch import Tensor

from benchmarks import console, runner
from benchmarks.errors import BadInput, TrialFailed
from benchmarks.plan import building, choices, identity
from benchmarks.plan.trials import Condition, Trial
from benchmarks.seeding import generator_for
from benchmarks.store.files import read_json, write_atomic, write_frame, write_json
from benchmarks.store.kept import Watched
from benchmarks.store.records import RECORD_COLUMNS, RECORD_ORDER
from benchmarks.store.results import Results, Store
from benchmarks.store.trial import TrialView
from benchmarks.testing.diffusion_processes import Process, process_of, reason_against
from benchmarks.testing.evaluate import common_columns
from benchmarks.testing.metrics import POOLED, class_dsc
from benchmarks.testing.pictures import cut, plane
from datasets.prepare import Prepared
from methods.base import Sampling, Segmenter

TRAJECTORY_VERSION = 1
"""Raised when what is recorded for given weights changes."""
NOT_MEASURED = ("hd95", "assd", "temporal_dsc", "temporal_dsc_label")
COLUMNS = [*RECORD_COLUMNS, "direction", "index", "t", "alpha_bar"]
"""direction: forward or reverse; index: place in the process, from 0; t: time in the method's own units."""


def record(config: DictConfig, store: Store, trials: list[Trial]) -> None:
    """Record every trained generative trial as the suite says, where the store does not hold it yet.

    suite.steps: a reverse process for each number of steps; suite.cases: how many test cases, evenly spread.
    """
    for trial in trials:
        view = store.trial(trial.key)
        if view is None or view.status != "ok" or _reason_against(view.config):
            continue
        samplings = _samplings(config, trial.config)
        path = _path(view, samplings, config.suite.cases)
        # Another run may be recording the same; what it leaves is as good as ours.
        with FileLock(store.runs / "trials" / f".{trial.key}.lock"):
            if not path.exists():
                _record(config, trial, view.path, samplings, path)


def _record(config: DictConfig, trial: Trial, folder: Path, samplings: list[Sampling], path: Path) -> None:
    failure = path.with_suffix(".json")
    try:
        device = runner.fabric_for(config).device
        data = runner.prepared(config, trial)
        model = building.build(trial.config)
        model.load_state_dict(runner.load_weights(folder / "weights.safetensors"))
        rows, arrays = watch(trial, model.to(device).eval(), data, samplings, config.suite.cases, device)
    except (KeyboardInterrupt, BadInput):
        raise
    except Exception as error:  # whatever ends one recording must not end the suite
        reason = f"recording its diffusion: {(str(error).strip() or type(error).__name__).splitlines()[0][:300]}"
        console.say(f"  {trial.name} failed: {reason}")
        write_json(failure, {"reason": reason})
        return
    write_atomic(path.with_suffix(".npz"), lambda file: np.savez_compressed(file, **arrays))
    write_frame(path, pd.DataFrame(rows)[COLUMNS])
    failure.unlink(missing_ok=True)


@torch.inference_mode()
def watch(
    trial: Trial, model: Segmenter, data: Prepared, samplings: list[Sampling], cases: int, device: torch.device
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Rows of records (`COLUMNS`) and arrays (`store.Watched`) of a few test cases, on the grid the method works on.

    The forward process is seen at the times of the reverse process with the most steps, with the same noise at all of
    them. The reverse process starts from the same noise as in any other test of the case.
    Raises TrialFailed where a state is not finite.
    """
    process, rows = process_of(model), []
    arrays = {"latent": np.array(process.latent)}
    chosen = evenly_spread(data.split["test"], cases)
    arrays["ids"] = np.array([data.ids[index] for index in chosen])
    with console.task(f"{trial.name}: watching its diffusion") as report:
        for n, index in enumerate(chosen):
            report(n, len(chosen), "cases")
            images, labels = data.batch([index])
            label, where = labels[0], plane(labels[0])
            grey = (np.clip(cut(images[0], where), 0, 1) * 255).round().astype(np.uint8)
            arrays |= {f"image_{n}": grey, f"label_{n}": cut(label, where)}
            seen = _processes(trial, model, process, data, index, images, labels, samplings, device)
            for direction, sampling, states in seen:
                shown, decoded = [], []
                for place, (t, x) in enumerate(states):
                    if not bool(torch.isfinite(x).all()):
                        raise TrialFailed(f"the state at t = {t:g} of the {direction} process is not finite")
                    prediction = process.decode(x.to(device))[0].argmax(0).to("cpu", torch.uint8).numpy()
                    condition = Condition(0.0, sampling, data.image_size, "none")
                    common = common_columns(trial, condition, data, index, float("nan"), model) | {"empty": ""}
                    common |= {"nfe": common["nfe"] if sampling else 0}
                    common |= {"direction": direction, "index": place, "t": t, "alpha_bar": _alpha_bar(process, t)}
                    scores = class_dsc(prediction, label, len(data.class_names))
                    names = [*data.class_names, POOLED]
                    rows += [
                        common | {"class": name, "dsc": dsc, "iou": dsc / (2 - dsc)}
                        for name, dsc in zip(names, scores, strict=True)
                    ]
                    shown.append(_slice(x[0], where, label.shape, len(data.class_names)))
                    decoded.append(cut(prediction, where))
                steps = sampling.steps if sampling else 0
                arrays[f"states_{n}_{direction}_{steps}"] = np.stack(shown)
                arrays[f"decoded_{n}_{direction}_{steps}"] = np.stack(decoded)
        report(len(chosen), len(chosen), "cases")
    return [dict.fromkeys(NOT_MEASURED, float("nan")) | row for row in rows], arrays


def evenly_spread(cases: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the cases: those in the middles of as many equal parts."""
    count = min(count, len(cases))
    return cases[((np.arange(count) + 0.5) * len(cases) / count).astype(int)]


def _processes(
    trial, model, process, data, index, images, labels, samplings, device
) -> Iterator[tuple[str, Sampling | None, list[tuple[float, Tensor]]]]:
    """(direction, sampling, states as (t, x_t) in the order of the process): reverse ones first."""
    image, label = torch.from_numpy(images).to(device), torch.from_numpy(labels).long().to(device)
    case, seed = data.ids[index], trial.config["seed"]
    times: list[float] = []
    for sampling in samplings:
        states: list[tuple[float, Tensor]] = []
        generator = generator_for("sampling", data.name, case, seed, sampling.seed)
        model.segment(
            image, sampling, [generator], callback=lambda _, t, x, to=states: to.append((float(t), x.cpu().clone()))
        )
        times = max(times, [t for t, _ in states], key=len)
        yield "reverse", sampling, states
    x0 = process.encode(label).cpu()
    noise = torch.randn(x0.shape, generator=generator_for("forward", data.name, case, seed), dtype=torch.float64)
    yield "forward", None, [(t, process.noised(x0.double(), t, noise)) for t in sorted(times)]


def _alpha_bar(process: Process, t: float) -> float:
    return float("nan") if process.alpha_bar is None else float(process.alpha_bar(torch.tensor(t, dtype=torch.float64)))


def _slice(x: Tensor, where: tuple[int, int] | None, shape: tuple[int, ...], classes: int) -> np.ndarray:
    """The picture float32 (h, w) of a state (M, *spatial): of several channels that of the first foreground class, of a
    volume the slice that lies where `where` lies in the label."""
    channel = x[max(0, len(x) - classes)].float().numpy()
    if where is None:
        return channel
    axis, position = where
    return cut(channel, (axis, position * channel.shape[axis] // shape[axis]))


def add(config: DictConfig, results: Results) -> None:
    """Put what is stored of the results' trials into results.records and results.trajectories.

    A trained trial without a recording is shown as what it is for this suite: declined or failed, with the reason.
    """
    frames = []
    for view in results.trials:
        if view.status != "ok":
            continue
        reason = _reason_against(view.config)
        if reason:
            view.done = {"status": "declined", "reason": reason}
            continue
        path = _path(view, _samplings(config, view.config), config.suite.cases)
        if path.exists():
            frames.append(pd.read_parquet(path))
            results.trajectories += Watched.load(view.key, path.with_suffix(".npz"))
        else:
            failed = read_json(path.with_suffix(".json")) or {"reason": "not recorded yet; leave out action=report."}
            view.done = {"status": "failed", "reason": failed["reason"]}
    records = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)
    results.records = records.sort_values(RECORD_ORDER, kind="stable", ignore_index=True)


def _reason_against(config: dict) -> str | None:
    return reason_against(building.method_class(config["method"]["name"], config["method"]["_target_"]))


def _samplings(config: DictConfig, trial: dict) -> list[Sampling]:
    """One sample is watched, however many the method averages."""
    found = choices.samplings(config, trial["method"]["name"])
    return [replace(sampling, ensemble=1) for sampling in found]


def _path(view: TrialView, samplings: list[Sampling], cases: int) -> Path:
    key = identity.digest([TRAJECTORY_VERSION, [asdict(sampling) for sampling in samplings], cases])
    return view.path / "trajectories" / f"{key}.parquet"
