"""Runs commands one after the other; suites in this interpreter, which loads PyTorch once instead of once for each.

Argument: a JSON file with a list of {variables, program, words}. Prints a JSON line {code, text, seconds} for each.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from typing import Any


def run(command: dict[str, Any]) -> tuple[int, str]:
    """The exit status of a command and what it printed."""
    variables, program, words = command["variables"], command["program"], command["words"]
    if program == "python run_bench.py" and not variables:
        import run_bench

        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            return run_bench.main(words), said.getvalue()
    script = ["-m", "pytest", "-p", "no:cacheprovider"] if program == "pytest" else [program.partition(" ")[2]]
    done = subprocess.run([sys.executable, *script, *words], env=os.environ | variables, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())  # as where the script itself lies there
    with open(sys.argv[1]) as file:
        commands = json.load(file)
    for command in commands:
        started = time.monotonic()
        code, text = run(command)
        print(json.dumps({"code": code, "text": text, "seconds": time.monotonic() - started}), flush=True)
