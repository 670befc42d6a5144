"""The work of a suite: train and test each trial that is missing, whatever happens to the others."""

import time
from datetime import datetime, timezone
from pathlib import Path

import pandas as pd
import torch
from filelock import FileLock, Timeout
from hydra.utils import instantiate
from lightning_fabric import Fabric
from omegaconf import DictConfig
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from benchmarks import console
from benchmarks.errors import BadInput, TrialFailed
from benchmarks.machine import measure
from benchmarks.machine.environment import environment
from benchmarks.plan import building, identity
from benchmarks.plan.sources import source
from benchmarks.plan.standing import state
from benchmarks.plan.trials import Trial
from benchmarks.seeding import seed_for
from benchmarks.store.files import write_atomic, write_frame, write_json
from benchmarks.store.results import Store
from benchmarks.store.trial import TrialView
from benchmarks.testing.evaluate import evaluate
from benchmarks.training.loop import load_checkpoint, train
from datasets.prepare import Prepared, prepare


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
        raise BadInput(
            f"{path}: the weights cannot be read ({error}). Delete its folder to train this trial again."
        ) from error


def work(config: DictConfig, store: Store, trials: list[Trial]) -> None:
    """Train and test what is missing. Trials another process is working on are left to the end, then waited for."""
    for trial in trials:
        view = store.trial(trial.key)
        # What is said about a trial (its title, say) can have changed, not what it is: that is in the key.
        if view and identity.digest(view.config) != identity.digest(trial.config):
            write_json(view.path / "config.json", trial.config)
    waiting = [trial for trial in trials if not _settled(store, trial)]
    executor = instantiate(config.executor)
    told = False
    while waiting:
        busy = []
        for trial in waiting:
            lock = FileLock(store.runs / "trials" / f".{trial.key}.lock")
            try:
                with lock.acquire(timeout=0):
                    if not _settled(store, trial):  # another run may have finished it in the meantime
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
    if trial.declined:
        return store.trial(trial.key) is not None
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
        _fail(folder, trial, str(error), error.retry)
    except (MemoryError, torch.OutOfMemoryError) as error:
        _fail(folder, trial, _out_of_memory(error))
    except Exception as error:  # whatever ends one trial must not end the suite
        refused = "DefaultCPUAllocator: can't allocate memory" in str(error)
        _fail(folder, trial, _out_of_memory(error) if refused else f"{type(error).__name__}: {_first_line(error)}")


def _out_of_memory(error: BaseException) -> str:
    return (
        f"out of memory: {_first_line(error) or type(error).__name__}; try training.accumulate=2 or more, "
        "training.checkpointing=true, or a smaller image size"
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:300]


def _fail(folder: Path, trial: Trial, reason: str, retry: bool = True) -> None:
    console.say(f"  {trial.name} failed: {reason}")
    _finish(folder, "failed", reason, retry=retry)


def _finish(folder: Path, status: str, reason: str | None = None, **more) -> None:
    finished = datetime.now(timezone.utc).isoformat(timespec="seconds")
    write_json(folder / "done.json", {"status": status, "reason": reason, "finished": finished, **more})


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
    model = building.build(trial.config)
    weights, checkpoint = folder / "weights.safetensors", folder / "checkpoint.pt"
    settings = trial.config["training"]
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
    model.load_state_dict(load_weights(weights))
    model.to(fabric.device)
    with console.task(f"{trial.name}: testing") as report:
        evaluate(trial, model, data, folder, fabric.device, report)
    cost = TrialView.load(folder).cost
    _finish(folder, "ok", best_step=cost["best_step"], best_val_dsc=cost["best_val_dsc"])


def prepared(config: DictConfig, trial: Trial) -> Prepared:
    dataset = trial.config["dataset"]
    with console.task(f"{dataset['name']}: preparing images") as report:
        return prepare(
            source(config, dataset["name"]), tuple(dataset["image_size"]), Path(config.paths.cache),
            lambda done, total: report(done, total, "images"),
        )  # fmt: skip
