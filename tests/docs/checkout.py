"""A copy of the checkout in which the examples of a document stand and its commands are run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.docs.examples import ROOT, Command

ROOMS = ("benchmarks", "conf", "datasets", "methods", "reports", "tests/contract")
FILES = ("run_bench.py", "pyproject.toml", "tests/conftest.py")
SMALL = ["profile=tiny", "tracking=none", "device=cpu", "training.steps=150"]
"""Given to every suite instead of the profile that the document names."""


class Answer(NamedTuple):
    """What came of a command: exit status, what it printed, and how long it took."""

    code: int
    text: str
    seconds: float


def copy(folder: Path) -> Path:
    """The rooms and the contract tests, without what they leave behind."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    return folder


def small(command: Command, runs: str = "runs") -> Command:
    """The command, a suite at the size of tests and with a store of that name."""
    if command.program != "python run_bench.py":
        return command
    words = [word for word in command.words if not word.startswith("profile=")]
    return command._replace(words=[*words, *SMALL, f"paths.runs={runs}"])


def run(folder: Path, commands: list[Command]) -> list[Answer]:
    """Run the commands in `folder`, one after the other."""
    (folder / "commands.json").write_text(json.dumps([command._asdict() for command in commands]))
    script = [sys.executable, str(ROOT / "tests/docs/driver.py"), "commands.json"]
    threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    # Without the checkout itself on the path, which would hide what stands in the copy alone.
    rest = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "DIFFSEG_DATA")}
    done = subprocess.run(script, cwd=folder, env=rest | threads, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return [Answer(**json.loads(line)) for line in done.stdout.splitlines()]
