"""Files that are written whole or not at all, and read with an error that names them."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.errors import BadInput


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk and rename it: never half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object; what JSON does not know becomes its text."""
    write_atomic(path, lambda file: file.write_text(json.dumps(content, indent=1, default=str) + "\n"))


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as a compressed npz file."""
    # Its stub takes names of arrays for its own options.
    save: Callable[..., None] = np.savez_compressed
    write_atomic(path, lambda file: save(file, **arrays))


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as Parquet, without its index."""
    write_atomic(path, lambda file: frame.to_parquet(file, index=False))


def read_json(path: Path) -> dict | None:
    """The content of a JSON file, or None where there is none. Raises BadInput naming an unreadable one."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read ({error}). Delete its folder to compute this trial again.") from error
