"""Files that leave the store, to places of the user's choice: written whole or not at all, without sums beside them."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from benchmarks.errors import BadInput, cannot_write


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a temporary file beside `path` and rename it. Raises CannotWrite for a full disk and a folder
    that cannot be written, BadInput where there is a folder of that name."""
    if path.is_dir():
        raise BadInput(f"{path}: is a folder, expected the name of a file to write. Choose another name.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "w+b") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise BadInput(
            f"{path}: cannot be written ({error.strerror}: {error.filename}). Choose another place."
        ) from error
    except OSError as error:
        raise cannot_write(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8."""
    write_whole(path, lambda file: file.write(text.encode()))
