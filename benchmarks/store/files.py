"""Files that are written whole or not at all, with their SHA-256, and read only where they are what was written.

What was damaged since and can be made again (records, pictures, timings, markers) is moved to damaged/ beside it and
read as if it were not there, so that the next run makes it again; what only a training gives is refused by name.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO

from benchmarks import console
from benchmarks.errors import BadInput, CannotWrite, cannot_write
from benchmarks.store import sums

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

FOLDER = "Put it back from a copy, or delete its folder to train this trial again."
REFUSED = {
    "weights.safetensors": FOLDER,
    "history.parquet": FOLDER,
    "cost.json": FOLDER,
    "checkpoint.pt": "Delete the file to train this trial from the beginning.",
    "journal.log": "Put it back from a copy, or delete its folder to search again.",
}
"""What only a training or a search gives, and what to do where it is damaged."""


class Summed(io.RawIOBase):
    """A file open for writing from its beginning to its end, with the SHA-256 of what was written."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.sum = file, hashlib.sha256()
        self.error: OSError | None = None

    def writable(self) -> bool:
        """True; it cannot be read, nor written out of order."""
        return True

    def write(self, data: Any) -> int:
        """Write bytes, all of them. What goes wrong is kept: PyTorch raises an error of its own instead."""
        self.sum.update(data)
        try:
            self.file.write(data)
        except OSError as error:
            self.error = error
            raise
        return memoryview(data).nbytes

    def flush(self) -> None:
        """Hand over to the system what is still buffered."""
        if not self.file.closed:
            self.file.flush()


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk, note its SHA-256 and rename it: never half a
    file. Raises CannotWrite for a full disk and a folder that cannot be written."""
    try:
        _make(path.parent)
        with sums.lock(path.parent):  # `sweep` does not see it before it is locked
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
            fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            with os.fdopen(handle, "wb") as file:
                summed = Summed(file)
                try:
                    write(summed)  # type: ignore[arg-type]
                    file.flush()
                except Exception as error:
                    raise summed.error or error from error
                os.fsync(handle)
                os.fchmod(handle, 0o644)
                sums.put(Path(name), path, summed.sum.hexdigest())
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def _make(folder: Path) -> None:
    """Create a folder and those above it. Raises CannotWrite where there can be none of that name, OSError for want of
    room or permission."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileNotFoundError, FileExistsError, NotADirectoryError) as error:
        raise CannotWrite(
            f"not writable: {folder} cannot be made ({error.strerror}: {error.filename}). Remove what is in its way, "
            "or choose another folder: paths.runs=DIR, paths.cache=DIR."
        ) from error


def sweep(folder: Path) -> None:
    """Delete the temporary files that killed runs left in a folder and those below it."""
    for temporary in folder.rglob(".*.tmp"):
        try:
            with sums.lock(temporary.parent), open(temporary, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                temporary.unlink()
        except OSError:  # a run is writing it, or has just put it in place
            continue


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object; what JSON does not know becomes its text."""
    write_atomic(path, lambda file: file.write(f"{json.dumps(content, indent=1, default=str)}\n".encode()))


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as CSV, without its index."""
    write_atomic(path, lambda file: file.write(frame.to_csv(index=False).encode()))


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as a compressed npz file."""
    import numpy as np

    # Its stub takes names of arrays for its own options.
    save: Callable[..., None] = np.savez_compressed
    write_atomic(path, lambda file: save(file, **arrays))


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as Parquet, without its index."""
    write_atomic(path, lambda file: frame.to_parquet(file, index=False))


def there(path: Path) -> bool:
    """Whether a file is there and is what was written; one that was damaged is moved aside. Raises BadInput where only
    a training gives it."""
    found = sums.state(path)
    if found == sums.NO_SUM:
        return _ends_well(path) or _gone(path, "it is cut short")
    return found == sums.SOUND or (found == sums.DAMAGED and _gone(path, "its SHA-256 is not that of what was written"))


def read_json(path: Path) -> dict | None:
    """The content of a JSON file, or None where there is none. Raises BadInput naming an unreadable one."""
    content = _content(path)
    if content is None:
        return None
    try:
        return json.loads(content)
    except ValueError as error:
        raise BadInput(f"{path}: cannot be read ({error}). Delete its folder to compute this trial again.") from error


def made_once(path: Path, make: Callable[[], dict], keep: bool = True) -> dict:
    """What `make` returned when it was first called for this path, which lies in a folder of nothing else. Where the
    file or the sums of its folder are damaged, the folder is emptied and it is made again. keep: whether it is written.
    Raises CannotWrite."""
    try:
        kept = read_json(path)
    except BadInput as error:
        console.say(f"{error} It is made again.")
        shutil.rmtree(path.parent, ignore_errors=True)
        kept = None
    if kept is None:
        kept = make()
        if keep:
            write_json(path, kept)
    return kept


def read_frame(path: Path) -> pd.DataFrame | None:
    """A table, or None where there is none."""

    def frame(content: bytes) -> pd.DataFrame:
        import pandas as pd

        _arrow()
        return pd.read_parquet(io.BytesIO(content))

    return _parsed(path, frame)


def read_table(path: Path) -> pa.Table | None:
    """A table as Arrow holds it, which many are joined in quickly, or None where there is none."""

    def table(content: bytes) -> pa.Table:
        pa = _arrow()
        # All of it is in memory: to fetch what comes next ahead of time would only cost time.
        return pa.parquet.ParquetFile(pa.BufferReader(content), pre_buffer=False).read(use_threads=False)

    return _parsed(path, table)


def read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """Named arrays, or None where there are none."""

    def arrays(content: bytes) -> dict[str, np.ndarray]:
        import numpy as np

        with np.load(io.BytesIO(content)) as found:
            return dict(found)

    return _parsed(path, arrays)


@cache
def _arrow() -> ModuleType:
    """The library of tables. It is loaded with the first of them: what only asks what is there reads none."""
    import pyarrow as pa
    import pyarrow.parquet

    # Arrow's own allocators fetch fresh pages from the system for each of many small tables: longer than reading them.
    pa.set_memory_pool(pa.system_memory_pool())
    return pa


def _parsed(path: Path, parse: Callable[[bytes], Any]) -> Any:
    """What `parse` makes of a file; None where there is none, or it was damaged."""
    content = _content(path)
    if content is None:
        return None
    try:
        return parse(content)
    except Exception as error:  # without a sum damage shows here, as whatever the library raises
        _gone(path, f"it cannot be read: {' '.join(str(error).split())[:120]}")
        return None


def _content(path: Path) -> bytes | None:
    """All of a file, verified; None where there is none, or it was damaged. Raises BadInput where it cannot be read or
    may not be made again."""
    try:
        found = sums.read(path.parent)
        with open(path, "rb") as file:
            status, content = os.fstat(file.fileno()), file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise sums.unreadable(path, error) from error
    digest = hashlib.sha256(content).hexdigest()
    sums.known(path, status, digest)
    if sums.compared(path, digest, found) == sums.DAMAGED:
        _gone(path, "its SHA-256 is not that of what was written")
        return None
    return content


def _gone(path: Path, why: str) -> bool:
    """Move a damaged file out of the way: False, it is not there any more. Raises BadInput where only a training gives
    it."""
    if path.name in REFUSED:
        raise BadInput(f"{path}: was damaged since it was written ({why}). {REFUSED[path.name]}")
    target = sums.aside(path)
    kept = f"set aside as {target}" if target else "not used"
    console.say(f"{path}: was damaged since it was written ({why}); {kept}. A run makes it again.")
    return False


def _ends_well(path: Path) -> bool:
    """Whether a file without a sum is as long as its format says, as far as its last bytes tell."""
    endings = {".parquet": b"PAR1", ".npz": b"PK\5\6"}
    if path.suffix not in endings:
        return True
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 22))  # the end of a zip file without a comment
        return endings[path.suffix] in file.read()
