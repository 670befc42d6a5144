"""What commands take beside importing and drawing: python -m benchmarks.speed.startup_floor STORE

A command of benchmarks/speed/startup.py starts Python, imports libraries and, where it writes a report, has matplotlib
draw figures. The floor is a process that imports the same modules, ours left out, and the
seconds that the command spends in `Figure.savefig`. Printed are medians by the clock, which mean something on an
otherwise idle machine: the floor's two parts, the whole command, and how many times its floor it takes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.speed.startup import COMMANDS, cost

CHECKOUT = Path(__file__).resolve().parents[2]
OURS = tuple(f"{name}." for name in ("benchmarks", "datasets", "methods", "reports", "__main__"))
WATCHED = """
import atexit, json, runpy, sys, time
found, sys.argv = sys.argv[1], sys.argv[2:]
drawing = 0.0

def told():
    with open(found, "w") as file:
        json.dump({"modules": list(sys.modules), "drawing": drawing}, file)

def drawn(save):
    def timed(*words, **options):
        global drawing
        started = time.perf_counter()
        save(*words, **options)
        drawing += time.perf_counter() - started
    return timed

class Watch:
    # Figures are timed from the moment that matplotlib is there.
    def find_spec(self, name, path=None, target=None):
        figure = sys.modules.get("matplotlib.figure")
        if figure and hasattr(figure, "Figure") and figure.Figure.savefig.__name__ != "timed":
            figure.Figure.savefig = drawn(figure.Figure.savefig)

sys.meta_path.insert(0, Watch())
atexit.register(told)
sys.path.insert(0, ".")
runpy.run_path("run_bench.py", run_name="__main__")
"""
"""Runs a command and leaves behind which modules it had loaded and how long it drew."""
IMPORTS = """
import importlib, json, sys
for name in json.load(open(sys.argv[1])):
    try:
        importlib.import_module(name)
    except Exception:  # made by its library while it ran
        pass
"""
"""A process that imports the modules named in a file and does nothing else."""


def watched(words: tuple[str, ...], status: int, store: Path, folder: Path) -> tuple[list[str], float]:
    """The modules that a command loads, in order and without ours, and the seconds that it draws. Raises RuntimeError
    where it ends with another exit status."""
    found = folder / "found.json"
    where = [f"paths.runs={store}", f"tracking.uri=sqlite:///{store}/mlflow.db"]
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, found, "run_bench.py", *words, *where[: 1 if "tracking=none" in words else 2]],
        cwd=CHECKOUT,
        env=os.environ | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    if done.returncode != status:
        raise RuntimeError(f"exit status {done.returncode}, expected {status}:\n{done.stdout}{done.stderr}")
    seen = json.loads(found.read_text())
    return [name for name in seen["modules"] if not f"{name}.".startswith(OURS)], seen["drawing"]


def importing(modules: list[str], folder: Path) -> float:
    """Seconds by the clock of a process that imports these modules."""
    (folder / "modules.json").write_text(json.dumps(modules))
    started = time.perf_counter()
    words, alone = [sys.executable, "-c", IMPORTS, folder / "modules.json"], os.environ | {"PYTHONPATH": ""}
    subprocess.run(words, cwd=folder, env=alone, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Print a table, a row for each command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    store = asked.store.resolve()
    cost(CHECKOUT, *COMMANDS["the suite itself"], store)
    print("| command | importing, s | drawing, s | floor, s | measured, s | times the floor |")
    print("|---|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        for name, (words, status) in COMMANDS.items():
            rounds = []
            for _ in range(asked.rounds + 1):
                modules, drawing = watched(words, status, store, Path(folder))
                measured = cost(CHECKOUT, words, status, store).clock
                rounds.append((importing(modules, Path(folder)), drawing, measured))
            imports, drawing, measured = (median(column) for column in zip(*rounds[1:], strict=True))
            floor = imports + drawing
            cells = f"{imports:.2f} | {drawing:.2f} | {floor:.2f} | {measured:.2f} | {measured / floor:.1f}"
            print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
