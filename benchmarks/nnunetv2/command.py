"""The nnU-Net package as a method of the comparison: data exported to it, its segmentations imported as records.

    python -m benchmarks.nnunetv2 dataset=glas profile=quick paths.data=DIR [nnunetv2.bin=DIR]

Takes the overrides of run_bench.py, with suite=accuracy where none is given, and in addition dataset=NAME, seed=N,
epochs=N (N times the package's 250 steps) and nnunetv2.bin=DIR, the folder of the package's commands. docs/nnunetv2.md
"""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig

from benchmarks import console
from benchmarks.errors import BadInput, Failure
from benchmarks.kinds.registry import checked
from benchmarks.kinds.trials import mark
from benchmarks.machine.environment import environment
from benchmarks.nnunetv2.package import Package, Predictor, dataset_name, export
from benchmarks.plan import planning
from benchmarks.plan.sources import prepared
from benchmarks.plan.trials import Trial
from benchmarks.runner import Work, run
from benchmarks.store.files import write_json
from benchmarks.store.results import Store
from benchmarks.testing.evaluate import Candidate, evaluate
from datasets.prepare import Prepared

METHOD = "nnunetv2"
TESTED_VERSION = "2.8.1"
COMMANDS = ("nnUNetv2_plan_and_preprocess", "nnUNetv2_train", "nnUNetv2_predict")
MOST_EPOCHS, FEWEST_ITERATIONS = 1000, 25
EPOCH = 250
"""Steps that the package calls an epoch."""
SHORT = {"dataset": "datasets=[{}]", "seed": "seeds=[{}]"}


def main(overrides: list[str]) -> int:
    """Train and test the package on every data set and seed asked for. Exit status as run_bench.py's."""
    if any(word in ("-h", "--help", "help") for word in overrides):
        print(__doc__)
        return 0
    try:
        overrides, folder = own_overrides(overrides)
        config, _ = checked(overrides)
        commands = find_commands(folder)
        store = Store(Path(config.paths.runs))
        store.open()
        trials = planning.make_plan(config)
        device_of(config)
        for trial in trials:
            budget(trial)
        work = TrainOutside(config, store, commands)
        for trial in trials:
            if work.settled(trial):
                console.say(f"{trial.name}: there already.")
        run(work, trials)
        return int(not all(work.settled(trial) for trial in trials))
    except BadInput as error:
        console.complain(f"Error: {error}")
        return 2
    except KeyboardInterrupt:
        console.complain("Interrupted. The same command goes on where this run stopped.")
        return 130


def own_overrides(overrides: list[str]) -> tuple[list[str], str | None]:
    """The command's words in run_bench.py's, and the folder of the package's commands if one is given."""
    folder, translated = None, []
    for override in overrides:
        key, _, value = override.partition("=")
        if key == f"{METHOD}.bin":
            folder = value
        elif key == "epochs":
            if not value.isdigit() or int(value) < 1:
                raise BadInput(f"epochs={value}: expected a whole number above 0.")
            translated.append(f"method.{METHOD}.training.steps={EPOCH * int(value)}")
        elif key == "methods":
            raise BadInput(f"{override}: this command runs {METHOD} alone; leave methods out.")
        else:
            translated.append(SHORT[key].format(value) if key in SHORT else override)
    if not any(override.startswith("suite=") for override in translated):
        translated.insert(0, "suite=accuracy")
    return [*translated, f"methods=[{METHOD}]"], folder


def find_commands(folder: str | None) -> dict[str, str]:
    """Where each of the package's commands lies: in `folder`, else beside this Python or on PATH. Raises BadInput."""
    places = [folder] if folder else [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    found = {name: shutil.which(name, path=os.pathsep.join(places)) for name in COMMANDS}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        where = f"nnunetv2.bin={folder}" if folder else f"{places[0]} or on PATH"
        raise BadInput(
            f"{', '.join(missing)}: not found in {where}. Install the package in an environment of its own, "
            f"`python -m venv nnunet && nnunet/bin/pip install nnunetv2=={TESTED_VERSION}`, and name it: "
            "nnunetv2.bin=nnunet/bin."
        )
    return {name: str(Path(path).absolute()) for name, path in found.items()}


@dataclass(frozen=True)
class TrainOutside(Work[Trial]):
    """Train a trial by the package's commands and test it with what the package predicts."""

    commands: Mapping[str, str]

    def name(self, job: Trial) -> str:
        """Method, data set and seed."""
        return job.name

    def place(self, job: Trial) -> Path:
        """The trial's folder."""
        return self.store.folder(job.key)

    def settled(self, job: Trial) -> bool:
        """Whether it is trained and tested. What failed is tried again."""
        view = self.store.trial(job.key)
        return bool(view and view.status == "ok" and all(view.has(condition.key) for condition in job.conditions))

    def fail(self, job: Trial, failure: Failure) -> bool:
        """Mark the trial as failed."""
        mark(self.place(job), "failed", failure.reason, retry=True)
        return True

    def do(self, job: Trial) -> None:
        """Export the data, train, import the predictions, mark the trial."""
        folder, device, (epochs, iterations) = self.place(job), device_of(self.config), budget(job)
        write_json(folder / "config.json", job.config.to_json())
        data = prepared(self.config, job.config.dataset)
        work = Path(self.config.paths.cache).absolute() / METHOD / job.key
        package = Package(self.commands, work, dataset_name(data), len(data.image_size), device, epochs, iterations)
        console.say(f"{job.name}: {epochs} epochs of {iterations} steps on {device}; log of the package: {package.log}")
        _train_and_test(package, job, data, folder)
        mark(folder, "ok", best_step=epochs * iterations, best_val_dsc=None)
        console.say(f"{job.name}: done. Its row is in the report of run_bench.py suite=... methods=[...,{METHOD}].")


def _train_and_test(package: Package, trial: Trial, data: Prepared, folder: Path) -> None:
    export(data, package.raw)
    package.plan()
    package.train()
    summary = package.summary()
    here = environment(torch.device("cpu")) | {key: summary[key] for key in ("python", "torch", "threads", METHOD)}
    write_json(folder / "environment.json", here | ({} if package.device == "cpu" else {"device": summary["device"]}))
    write_json(folder / f"{METHOD}.json", summary)
    predictor = Predictor(package, data)
    with console.task(f"{trial.name}: testing") as report:
        evaluate(Candidate(trial, predictor, data, torch.device("cpu")), folder, report)
    # Times are left out: those of the package's processes, starts included, stand beside no other method's.
    call = {"steps": None, "sampler": None, "nfe": predictor.evaluations}
    steps = summary["epochs"] * summary["iterations"]
    cost = {"parameters": summary["parameters"], "training_steps": steps, "inference": [call]}
    write_json(folder / "cost.json", cost)


def device_of(config: DictConfig) -> str:
    """What the package's `-device` is given. Raises BadInput for a device it does not know."""
    if config.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if config.device not in ("cpu", "cuda", "mps"):
        raise BadInput(f"device={config.device}: the package knows cpu, cuda and mps; give one of them or auto.")
    return config.device


def budget(trial: Trial) -> tuple[int, int]:
    """Epochs and steps in each. The package lowers its learning rate once an epoch: 1000 epochs at most, as it has, and
    as many as leave 25 steps to each. Raises BadInput for a budget in seconds, which the package cannot keep."""
    steps = trial.config.training.steps
    if steps is None:
        raise BadInput("training.seconds: the package cannot stop after a time; leave it out or give training.steps.")
    epochs = min(MOST_EPOCHS, max(1, steps // FEWEST_ITERATIONS))
    return epochs, round(steps / epochs)
