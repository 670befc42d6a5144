"""Jobs that say in files what became of them, and end in ways of their own; importable by any worker."""

import os
import signal
import time
from pathlib import Path

from omegaconf import OmegaConf

from benchmarks.store.results import Store
from benchmarks.training import stopping
from tests.benchmarks.files import OneFile

PATIENCE = 120.0


def wait_for(path: Path) -> None:
    """Until it is there and its one line is written; an error if it never is."""
    until = time.monotonic() + PATIENCE
    while not path.exists() or not path.stat().st_size:
        if time.monotonic() > until:
            raise TimeoutError(path)
        time.sleep(0.02)


class Marks(OneFile):
    """`meet_a` and `meet_b` wait for each other; `die_once` and `die` kill the process they run in; `train` goes on
    until it is stopped; `who` says where it ran."""

    def do(self, job):
        begun = self.store.runs / f"{job}.begun"
        first = not begun.exists()
        with open(begun, "a") as file:
            file.write(f"{os.getpid()}\n")
        if job.startswith("meet"):
            wait_for(self.store.runs / f"meet_{'b' if job == 'meet_a' else 'a'}.begun")
        if job == "die" or (job == "die_once" and first):
            os.kill(os.getpid(), signal.SIGKILL)
        if job.startswith("train"):
            self.train(job)
        words = [os.environ.get(name, "-") for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")]
        self.place(job).write_text(" ".join(words))

    def train(self, job):
        """Steps until somebody says stop; then a checkpoint, of which the next attempt goes on."""
        checkpoint = self.store.runs / f"{job}.checkpoint"
        if checkpoint.exists():
            return
        until = time.monotonic() + PATIENCE
        with stopping.at_steps():
            while time.monotonic() < until:
                time.sleep(0.02)
                try:
                    stopping.check(None)
                except stopping.Stopped as stop:
                    checkpoint.write_text(str(stop))
                    raise


def marks(runs: Path, target: str, **settings) -> Marks:
    """The work in a folder, by the executor of that class."""
    return Marks(OmegaConf.create({"executor": {"_target_": target, **settings}}), Store(runs))
