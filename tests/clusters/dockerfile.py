"""The steps of the Dockerfile without a builder, in an empty folder with an environment of its own.

python -m tests.clusters.dockerfile [FOLDER]    some minutes, and the downloads of an installation
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Step(NamedTuple):
    """An instruction of a Dockerfile and what follows it."""

    name: str
    words: str


def steps(text: str) -> list[Step]:
    """The instructions in their order, without comments. Raises ValueError for one that is not known here."""
    lines = [line for line in re.sub(r"\\\n", " ", text).splitlines() if line.strip() and not line.startswith("#")]
    found = [Step(*line.split(maxsplit=1)) for line in lines]
    if unknown := {step.name for step in found} - {"FROM", "WORKDIR", "COPY", "RUN", "ENTRYPOINT", "CMD"}:
        raise ValueError(f"Dockerfile: {sorted(unknown)} cannot be done without a builder.")
    return found


def done(folder: Path) -> str:
    """Do the steps below `folder`, which is empty, and run the image's command there; what that printed. The files are
    those that git keeps; FROM is the Python that runs this. Raises CalledProcessError where a step fails."""
    place, entry = folder, []
    kept = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    hidden = {"PYTHONPATH", "VIRTUAL_ENV", "DIFFSEG_DATA"}
    clean = {name: value for name, value in os.environ.items() if name not in hidden}
    clean["PATH"] = os.pathsep.join([str(Path(sys.base_prefix) / "bin"), "/usr/bin", "/bin"])
    for step in steps((ROOT / "Dockerfile").read_text()):
        if step.name == "WORKDIR":
            place = folder / step.words.lstrip("/")
            place.mkdir(parents=True)
        elif step.name == "COPY":
            *sources, _ = step.words.split()
            for name in kept.strip("\0").split("\0") if sources == ["."] else sources:
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, place / name)
        elif step.name == "RUN":
            command = re.sub(r"\bpython -m venv\b", f"{shlex.quote(sys.executable)} -m venv", step.words)
            subprocess.run(["sh", "-c", command], cwd=place, env=clean, check=True)
        elif step.name in ("ENTRYPOINT", "CMD"):
            entry += json.loads(step.words)
    return subprocess.run(entry, cwd=place, env=clean, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as clean_root:
        print(done(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(clean_root)))
