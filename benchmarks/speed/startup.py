"""What commands cost that compute no network: python -m benchmarks.speed.startup STORE [CHECKOUT ...]

Each command runs as a user starts it, in a process of its own and with its files in memory, in every checkout in turn
(this one where none is named). Printed are medians of the rounds: seconds of the processor, user and system together,
and seconds by the clock, which mean something on an otherwise idle machine only. STORE holds the suite of figure 8
with two data sets and twelve noise levels, trained and tested at the profile `tiny`; what it lacks is trained first.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

SUITE = ("suite=noise_robustness", "profile=tiny", "seeds=[0]", "methods=[ldseg,resunet]")
COMMANDS = {
    "plan": ((*SUITE, "action=plan"), 0),
    "report": ((*SUITE, "action=report"), 0),
    "the suite itself": ((*SUITE, "tracking=none"), 0),
    "the suite, with MLflow": (SUITE, 0),
    "list": (("action=list",), 0),
    "error: a wrong method": ((*SUITE, "methods=[ldsge]"), 2),
    "error: a wrong type": ((*SUITE, "training.steps=many"), 2),
    "error: a missing path": ((*SUITE, "datasets=[glas]", "paths.data=/nowhere"), 2),
}
"""By name, the words of a command and the exit status it ends with."""


class Cost(NamedTuple):
    """Seconds of one process and those it started."""

    processor: float
    clock: float


def cost(checkout: Path, words: tuple[str, ...], status: int, store: Path) -> Cost:
    """What one command costs. Raises RuntimeError where it ends with another exit status."""
    where = (f"paths.runs={store}", f"tracking.uri=sqlite:///{store}/mlflow.db")
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "run_bench.py", *words, *(where if "tracking=none" not in words else where[:1])],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    clock, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != status:
        raise RuntimeError(f"exit status {done.returncode}, expected {status}:\n{done.stdout}{done.stderr}")
    return Cost(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, clock)


def main() -> None:
    """Print a table, a row for each command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("checkouts", type=Path, nargs="*", default=[Path(__file__).resolve().parents[2]])
    parser.add_argument("--commands", nargs="+", default=list(COMMANDS), choices=COMMANDS, metavar="COMMAND")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    store, checkouts = asked.store.resolve(), [path.resolve() for path in asked.checkouts]
    print("seconds of the processor, by the clock; of each checkout", *checkouts, sep="\n  ")
    cost(checkouts[0], *COMMANDS["the suite itself"], store)
    for name in asked.commands:
        found: dict[Path, list[Cost]] = {one: [] for one in checkouts}
        for number in range(asked.rounds + 1):
            for one in checkouts if number % 2 else checkouts[::-1]:
                found[one].append(cost(one, *COMMANDS[name], store))
        cells = []
        for costs in found.values():
            kept = costs[1:]  # the first brought the files into memory
            cells.append(f"{median(c.processor for c in kept):>8.2f}{median(c.clock for c in kept):>7.2f}")
        print(f"{name:<24}", *cells, flush=True)


if __name__ == "__main__":
    main()
