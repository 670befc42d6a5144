"""The suite's life: plan, then train and test each trial, then measure costs, then report and track."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import pandas as pd
import psutil
import torch
from filelock import FileLock, Timeout
from hydra.utils import instantiate
from lightning_fabric import Fabric
from omegaconf import DictConfig, OmegaConf
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from benchmarks import console, measure, plan
from benchmarks.errors import BadInput, TrialFailed
from benchmarks.evaluate import evaluate
from benchmarks.plan import Trial
from benchmarks.seeding import seed_for
from benchmarks.store import Store, TrialView, write_atomic, write_frame, write_json
from benchmarks.train import load_checkpoint, train
from datasets.base import DataError, Source
from datasets.fingerprint import fingerprint
from datasets.integrity import check
from datasets.prepare import Prepared, prepare

RETRY = "retry"
FINAL = "final"


def source(config: DictConfig, name: str) -> Source:
    """The data source of conf/dataset/NAME.yaml. Raises BadInput where its settings do not fit."""
    settings = {k: v for k, v in config.dataset[name].items() if k not in plan.DATASET_NOTES or k == "_target_"}
    try:
        return instantiate(OmegaConf.create(settings), _convert_="all")
    except Exception as error:  # hydra wraps whatever the constructor raised
        raise BadInput(f"dataset.{name}: {error.__cause__ or error}") from error


def make_plan(config: DictConfig) -> list[Trial]:
    """Every trial of the suite, its data checked and its method built once. Raises BadInput before any long work."""
    cache = Path(config.paths.cache)
    trials = []
    for dataset in plan.chosen(config, "datasets"):
        origin = source(config, dataset)
        try:
            entries = check(origin, cache)
            content = fingerprint(origin, cache)
        except DataError as error:
            raise BadInput(f"dataset.{dataset}: {error}") from error
        known = {
            "title": origin.title,
            "spatial_dims": origin.spatial_dims,
            "channels": origin.channels,
            "class_names": list(origin.class_names),
            "fingerprint": content,
            "augmentation": vars(origin.augmentation),
            "cases": {split: sum(entry.split == split for entry in entries) for split in ("train", "val", "test")},
        }
        for method in plan.chosen(config, "methods"):
            for seed in plan.chosen(config, "seeds"):
                trials.append(_trial(config, method, dataset, seed, known))
    return trials


def _trial(config: DictConfig, method: str, dataset: str, seed: int, known: dict) -> Trial:
    asked = plan.request(config, method, dataset, seed)
    kind = plan.method_class(method, asked["method"]["_target_"])
    full = asked | {
        "dataset": known | asked["dataset"],
        "request": plan.request_key(asked),
        "code": plan.code_version(kind),
    }
    declined = kind.supports(known["spatial_dims"], len(known["class_names"]) + 1)
    if declined is None:
        plan.build(full)
    return Trial(full, plan.conditions(config, kind.generative, asked["dataset"]["image_size"]), declined)


@dataclass(frozen=True)
class State:
    """How much of a trial the store holds already."""

    trained: bool
    tested: int
    failed: str | None = None

    def complete(self, trial: Trial) -> bool:
        return trial.declined is not None or (self.trained and self.tested == len(trial.conditions))


def state(store: Store, trial: Trial) -> State:
    view = store.trial(trial.key)
    if view is None:
        return State(False, 0)
    failed = view.reason if view.status == "failed" and view.done.get("attempts") == FINAL else None
    trained = (view.path / "weights.safetensors").exists()
    return State(trained, sum(view.has(condition.key) for condition in trial.conditions), failed)


def find_stored(config: DictConfig, store: Store) -> list[tuple[str, list[str]]]:
    """Keys of the newest trials and their conditions that answer this command, without its data.

    Raises BadInput where the store holds none of them."""
    found = []
    for dataset in plan.chosen(config, "datasets"):
        for method in plan.chosen(config, "methods"):
            for seed in plan.chosen(config, "seeds"):
                asked = plan.request(config, method, dataset, seed)
                view = store.newest(plan.request_key(asked))
                if view:
                    generative = plan.method_class(method, asked["method"]["_target_"]).generative
                    tested = plan.conditions(config, generative, asked["dataset"]["image_size"])
                    found.append((view.key, [condition.key for condition in tested]))
    if not found:
        raise BadInput(
            f"paths.runs={store.runs}: holds no finished trial of suite={config.suite.name} with these settings; "
            "run the same command without action first."
        )
    return found


def outlook(store: Store, trial: Trial) -> tuple[str, str, float]:
    """What is left to do for a trial, in words, and a guess of its seconds."""
    if trial.declined:
        return f"declined: {trial.declined}", "-", 0.0
    now = state(store, trial)
    if now.failed:
        return f"failed: {now.failed}", "-", 0.0
    settings, total = trial.config["training"], len(trial.conditions)
    seconds = 0.0
    training = "there already"
    if not now.trained:
        if settings["seconds"]:
            training, seconds = f"{settings['seconds']} s", float(settings["seconds"])
        else:
            training, seconds = f"{settings['steps']} steps", settings["steps"] * _step_seconds(store, trial)
    if now.tested < total:
        # Testing is bounded by its forward passes: about a third of a training step per image of a batch.
        images = trial.config["dataset"]["cases"]["test"] * (total - now.tested)
        seconds += images * _step_seconds(store, trial) / settings["batch_size"] / 2
    return training, f"{now.tested} of {total} there" if now.tested else f"{total} conditions", seconds


def _step_seconds(store: Store, trial: Trial) -> float:
    """Seconds of a training step: as stored trials of this method, data set and size took, else as measured now."""
    same = ("name", "image_size")
    for path in sorted((store.runs / "trials").glob("*/cost.json")):
        view = TrialView.load(path.parent)
        dataset, training = view.config["dataset"], view.config["training"]
        if (
            view.config["method"] == trial.config["method"]
            and all(dataset[key] == trial.config["dataset"][key] for key in same)
            and training["batch_size"] == trial.config["training"]["batch_size"]
        ):
            return view.cost["seconds_per_step"]
    dataset = trial.config["dataset"]
    shape = (trial.config["training"]["batch_size"], dataset["channels"], *dataset["image_size"])
    return measure.training_step(plan.build(trial.config), shape, len(dataset["class_names"]) + 1)


def check_store(store: Store, trials: list[Trial]) -> None:
    """Raises BadInput for a checkpoint or weights that cannot be read, before any long work."""
    for trial in trials:
        folder = store.folder(trial.key)
        weights = folder / "weights.safetensors"
        if not weights.exists():
            load_checkpoint(folder / "checkpoint.pt", trial.key)
        elif not state(store, trial).complete(trial):
            load_weights(weights)


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise BadInput(f"{path}: the weights cannot be read ({error}). Delete its folder to train this trial again.") from error


def work(config: DictConfig, store: Store, trials: list[Trial]) -> None:
    """Train and test what is missing. Trials another process is working on are left to the end, then waited for."""
    waiting = [trial for trial in trials if not state(store, trial).complete(trial) and not state(store, trial).failed]
    waiting += [trial for trial in trials if trial.declined and store.trial(trial.key) is None]
    executor = instantiate(config.executor)
    told = False
    while waiting:
        busy = []
        for trial in waiting:
            lock = FileLock(store.runs / "trials" / f".{trial.key}.lock")
            try:
                with lock.acquire(timeout=0):
                    executor(run_trial, config, store, trial)
            except Timeout:
                busy.append(trial)
        waiting = busy
        if waiting:
            if not told:
                console.say(f"Another run is working on {', '.join(t.name for t in waiting)}; waiting for it.")
            told = True
            time.sleep(1.0)
            waiting = [trial for trial in waiting if not _settled(store, trial)]


def _settled(store: Store, trial: Trial) -> bool:
    now = state(store, trial)
    return now.complete(trial) or now.failed is not None


def run_trial(config: DictConfig, store: Store, trial: Trial) -> None:
    """Train and test one trial and write its marker; a failure becomes the marker's reason."""
    folder = store.folder(trial.key)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", trial.config)
    if trial.declined:
        _finish(folder, "declined", trial.declined)
        return
    try:
        _train_and_test(config, folder, trial)
    except (KeyboardInterrupt, BadInput):
        raise
    except TrialFailed as error:
        _fail(folder, trial, str(error), RETRY if error.retry else FINAL)
    except (MemoryError, torch.OutOfMemoryError) as error:
        _fail(folder, trial, f"out of memory: {_first_line(error)}; try a smaller training.batch_size or image size", RETRY)
    except Exception as error:  # whatever ends one trial must not end the suite
        reason = "out of memory: " if "DefaultCPUAllocator: can't allocate memory" in str(error) else ""
        _fail(folder, trial, f"{reason}{type(error).__name__}: {_first_line(error)}", RETRY)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:300]


def _fail(folder: Path, trial: Trial, reason: str, attempts: str) -> None:
    console.say(f"  {trial.name} failed: {reason}")
    _finish(folder, "failed", reason, attempts=attempts)


def _finish(folder: Path, status: str, reason: str | None = None, **more) -> None:
    finished = datetime.now(timezone.utc).isoformat(timespec="seconds")
    write_json(folder / "done.json", {"status": status, "reason": reason, "finished": finished, **more})


def flush_denormals() -> None:
    """Let the processor take numbers below 1e-38 for zero. LDSeg starts layers at 1e-10, whose squares Adam keeps:
    without this a training step can take 20 times as long. Worker threads inherit the setting from the thread that
    starts them, so this comes before any computation."""
    torch.set_flush_denormal(True)


def fabric_for(config: DictConfig) -> Fabric:
    try:
        fabric = Fabric(accelerator=config.device, devices=1, precision=config.training.precision)
    except Exception as error:  # a device that is not there raises errors of many kinds
        raise BadInput(f"device={config.device} or training.precision={config.training.precision}: {error}") from error
    torch.use_deterministic_algorithms(bool(config.deterministic), warn_only=True)
    # Deterministic mode also fills every new tensor, a debugging aid that costs time and changes no result here.
    torch.utils.deterministic.fill_uninitialized_memory = False
    return fabric


def _train_and_test(config: DictConfig, folder: Path, trial: Trial) -> None:
    fabric = fabric_for(config)
    data = prepared(config, trial)
    torch.manual_seed(seed_for("weights", trial.config["method"]["name"], trial.config["seed"]))
    model = plan.build(trial.config)
    weights, checkpoint = folder / "weights.safetensors", folder / "checkpoint.pt"
    settings = trial.config["training"]
    done = {} if not weights.exists() else (TrialView.load(folder).done or {})
    if not weights.exists():
        write_json(folder / "environment.json", environment(fabric.device))
        with console.task(f"{trial.name}: training") as report:
            progress = train(model, data, settings, trial.config["seed"], trial.key, checkpoint, fabric, report)
        write_frame(folder / "history.parquet", pd.DataFrame(progress.history))
        steps = len(model.stages) * (settings["steps"] // len(model.stages)) if settings["steps"] else progress.step
        cost = {
            "parameters": measure.parameters(model),
            "training_seconds": progress.seconds,
            "training_steps": steps,
            "seconds_per_step": progress.seconds / steps,
            "best_step": progress.best_step,
            "best_val_dsc": progress.best_dsc,
        }
        write_json(folder / "cost.json", cost)
        write_atomic(weights, lambda file: save_file({k: v.contiguous() for k, v in progress.best.items()}, file))
        checkpoint.unlink(missing_ok=True)
        done = {"best_step": progress.best_step, "best_val_dsc": progress.best_dsc}
    model.load_state_dict(load_weights(weights))
    model.to(fabric.device)
    with console.task(f"{trial.name}: testing") as report:
        evaluate(trial, model, data, folder, fabric.device, report)
    cost = TrialView.load(folder).cost
    _finish(folder, "ok", **(done | {k: cost[k] for k in ("best_step", "best_val_dsc")}))


def prepared(config: DictConfig, trial: Trial) -> Prepared:
    dataset = trial.config["dataset"]
    with console.task(f"{dataset['name']}: preparing images") as report:
        return prepare(
            source(config, dataset["name"]), tuple(dataset["image_size"]), Path(config.paths.cache),
            lambda done, total: report(done, total, "images"),
        )  # fmt: skip


def measure_costs(config: DictConfig, store: Store, trials: list[Trial]) -> None:
    """Time all trials of a data set side by side, unless this very comparison has been timed already."""
    for dataset in dict.fromkeys(trial.config["dataset"]["name"] for trial in trials):
        mine = [t for t in trials if t.config["dataset"]["name"] == dataset and store.folder(t.key).joinpath("cost.json").exists()]
        mine = list({t.config["method"]["name"]: t for t in mine}.values())
        if not mine:
            continue
        samplings = {t.key: list(dict.fromkeys(c.sampling for c in t.conditions)) for t in mine}
        comparison = plan.digest(sorted((key, [str(s) for s in found]) for key, found in samplings.items()))
        if all((store.trial(t.key).cost or {}).get("measured_with") == comparison for t in mine):
            continue
        fabric = fabric_for(config)
        data = prepared(config, mine[0])
        image = torch.from_numpy(data.images[data.split["test"][:1]].copy()).to(fabric.device)
        contestants, owners = [], []
        for trial in mine:
            model = plan.build(trial.config)
            model.load_state_dict(load_weights(store.folder(trial.key) / "weights.safetensors"))
            model.to(fabric.device).eval()
            contestants += [(model, sampling) for sampling in samplings[trial.key]]
            owners += [trial.key] * len(samplings[trial.key])
        console.say(f"  {dataset}: timing {', '.join(t.config['method']['name'] for t in mine)} side by side")
        rows = measure.inference(contestants, image, config.profile.timing_repeats)
        for trial in mine:
            cost = store.trial(trial.key).cost
            cost["inference"] = [row for row, owner in zip(rows, owners, strict=True) if owner == trial.key]
            write_json(store.folder(trial.key) / "cost.json", cost | {"measured_with": comparison})


def environment(device: torch.device) -> dict:
    """Where a trial was trained, as the report prints it."""
    import monai  # heavy, and wanted for its version alone

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "monai": monai.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "device": name,
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
