"""Trials as one file: a zip archive that names the SHA-256 of each of its members.

    manifest.json           format, version, which trials, whether with weights; size and SHA-256 of every member
    manifest.sha256         that of manifest.json
    LICENCE.md              what may be done with it, as far as this project can tell
    KEY/model_card.md       data, recipe, scores, limits
    KEY/config.json, ...    the trial's files as in the store, but for pictures: those hold images of the data set

What is read is compared with the manifest before it is put anywhere, and a name that could lead out of the folder it is
unpacked to is refused, whatever it would do.
"""

import hashlib
import json
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from benchmarks.errors import BadInput
from benchmarks.store import sums
from benchmarks.store.files import write_atomic
from benchmarks.store.outside import write_whole
from benchmarks.store.trial import TrialView

FORMAT, VERSION = "diffseg-bench trials", 1
MANIFEST, SUM, LICENCE, CARD = "manifest.json", "manifest.sha256", "LICENCE.md", "model_card.md"
WEIGHTS = "weights.safetensors"
FILES = (
    "config.json", "environment.json", "settings.json", "cost.json", "done.json", "history.parquet",
    "validation.parquet",
)  # fmt: skip
FOLDERS = ("records", "validation", "elsewhere")
"""What of a trial's folder is passed on, beside its weights."""
KEY = re.compile(r"\w[\w.+-]{0,200}")
"""Names of trials and of their records: nothing that a file system or SHA256SUMS could take for anything else."""
ENDINGS = (".parquet", ".json")
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
MANIFEST_BYTES = 2**26
BLOCK = 2**20
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of all members, so that equal trials make equal files."""
NOTE = """# What may be done with this file

The code that made it, diffseg-bench, is licensed under the Apache License 2.0. That says nothing of the data: weights
are made from images, and what the owners of a data set allow to be done with it can bind what was trained on it. The
model card of each trial names its data set; look for the licence there before passing this file on, and name both when
you publish results. This file holds no images, but names of test cases and patients as the data set has them. It comes
without any warranty, and is no medical device.
"""


@dataclass(frozen=True)
class Archive:
    """An exported file that is open. trials: their keys; members: of each name its size in bytes and SHA-256."""

    path: Path
    zip: zipfile.ZipFile
    trials: tuple[str, ...]
    members: Mapping[str, tuple[int, str]]

    def unpack(self, trial: str, folder: Path) -> None:
        """Write the files of a trial (its key) to `folder`/KEY, each once all of it was compared with its SHA-256.
        Raises BadInput naming a damaged member."""
        for name in self.members:
            if name.startswith(f"{trial}/"):
                write_atomic(folder / name, partial(self._copy, name))

    def check(self) -> None:
        """Read every member. Raises BadInput naming a damaged one."""
        for name in self.members:
            self._copy(name, None)

    def check_room(self, folder: Path) -> None:
        """Raises BadInput where `folder` has no room for what is in it, twice: unpacked, and taken into the store."""
        needed, free = 2 * sum(size for size, _ in self.members.values()), shutil.disk_usage(folder).free
        if needed > free:
            raise BadInput(
                f"{self.path}: needs {needed / 2**20:,.0f} MiB to be taken in, and {folder} has "
                f"{free / 2**20:,.0f} MiB free. Nothing was taken from it; free space or choose another folder, "
                "paths.runs=DIR."
            )

    def _copy(self, name: str, to: BinaryIO | None) -> None:
        size, expected = self.members[name]
        found, length = hashlib.sha256(), 0
        try:
            with self.zip.open(name) as file:
                # No more than was announced: a small archive can hold terabytes of zeros.
                while length <= size and (block := file.read(BLOCK)):
                    length += len(block)
                    found.update(block)
                    if to is not None:
                        to.write(block)
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error) as error:
            raise _damaged(self.path, f"{name} cannot be read ({error})") from error
        if (length, found.hexdigest()) != (size, expected):
            raise _damaged(self.path, f"{name} is not what was written")


def write(views: Sequence[TrialView], path: Path, weights: bool, card: Callable[[TrialView], str]) -> int:
    """Write trials to one file and return how many members it has. card: the model card of a trial, in markdown.

    Raises BadInput for a trial whose files were damaged since they were written, CannotWrite for want of room.
    """
    files = {f"{view.key}/{file.relative_to(view.path)}": file for view in views for file in _files(view, weights)}
    members: dict[str, dict[str, Any]] = {}
    for name, file in files.items():
        if sums.state(file) == sums.DAMAGED:
            raise BadInput(
                f"{file}: was damaged since it was written. `python run_bench.py action=verify` says what to do."
            )
        members[name] = {"bytes": file.stat().st_size, "sha256": sums.sha256(file)}
    texts = {LICENCE: NOTE} | {f"{view.key}/{CARD}": card(view) for view in views}
    for name, text in texts.items():
        members[name] = {"bytes": len(text.encode()), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    said = {"format": FORMAT, "version": VERSION, "weights": weights, "trials": [view.key for view in views]}
    manifest = json.dumps(said | {"members": members}, indent=1)
    heads = {MANIFEST: manifest, SUM: f"{hashlib.sha256(manifest.encode()).hexdigest()}  {MANIFEST}\n"}

    def fill(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            for name, text in (heads | texts).items():
                archive.writestr(_entry(name, zipfile.ZIP_DEFLATED), text)
            for name, source in files.items():
                # Tensors and Parquet do not become smaller.
                packed = zipfile.ZIP_DEFLATED if source.suffix == ".json" else zipfile.ZIP_STORED
                with source.open("rb") as content, archive.open(_entry(name, packed), "w", force_zip64=True) as to:
                    while block := content.read(BLOCK):
                        to.write(block)

    write_whole(path, fill)
    return len(members)


def _files(view: TrialView, weights: bool) -> Iterator[Path]:
    for name in (*FILES, *([WEIGHTS] if weights else [])):
        if (view.path / name).exists():
            yield view.path / name
    for folder in FOLDERS:
        yield from sorted(p for p in (view.path / folder).glob("*") if p.suffix in ENDINGS)


def _entry(name: str, packed: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type, entry.external_attr = packed, (stat.S_IFREG | 0o644) << 16
    return entry


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """An exported file whose names and manifest have been looked at; contents are compared when they are read. Raises
    BadInput for what is no such file, is damaged, of another version, or holds names or links that lead elsewhere."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise BadInput(
            f"{path}: cannot be read ({error}), expected a file of action=export. Fetch it again."
        ) from error
    with archive:
        _check_names(path, archive.infolist())
        manifest = _manifest(path, archive)
        try:
            members = {name: (int(one["bytes"]), str(one["sha256"])) for name, one in manifest["members"].items()}
            trials = tuple(map(str, manifest["trials"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(path, f"{MANIFEST} lacks what it should say ({type(error).__name__}: {error})") from error
        _check_members(path, {entry.filename for entry in archive.infolist()}, members, trials)
        yield Archive(path, archive, trials, members)


def _check_names(path: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename
        parts = PurePosixPath(name).parts
        if (
            name != PurePosixPath(name).as_posix() or name.startswith("/") or "\\" in name or ":" in name
            or any(part in ("..", ".") or part.startswith(".") for part in parts) or "\0" in entry.orig_filename
        ):  # fmt: skip
            raise BadInput(f"{path}: holds {name!r}, a name that leads elsewhere. Nothing was taken from it.")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise BadInput(
                f"{path}: holds {name!r}, a link or something else that is no file. Nothing was taken from it."
            )
        if entry.compress_type not in PACKED or entry.flag_bits & 1:
            raise BadInput(
                f"{path}: holds {name!r}, packed otherwise than action=export does it, or encrypted. Nothing was taken "
                "from it."
            )
        if name in seen:
            raise BadInput(f"{path}: holds {name!r} twice, expected each name once. Nothing was taken from it.")
        seen.add(name)


def _manifest(path: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    try:
        entry = archive.getinfo(MANIFEST)
        if entry.file_size > MANIFEST_BYTES:
            raise _damaged(path, f"{MANIFEST} has {entry.file_size} bytes")
        content = archive.read(MANIFEST)
        with archive.open(SUM) as file:
            said = file.read(64).decode("ascii", "replace")
    except KeyError:
        raise BadInput(f"{path}: has no {MANIFEST}, expected a file of action=export.") from None
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise _damaged(path, f"{MANIFEST} cannot be read ({error})") from error
    if hashlib.sha256(content).hexdigest() != said:
        raise _damaged(path, f"{MANIFEST} is not what {SUM} says")
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"{MANIFEST} is no JSON ({type(error).__name__})") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BadInput(f"{path}: is no file of action=export ({MANIFEST} does not say {FORMAT!r}).")
    if manifest.get("version") != VERSION:
        raise BadInput(
            f"{path}: is of version {manifest.get('version')}, and this checkout reads version {VERSION}. Use the "
            "version of this project that wrote it, or a newer one."
        )
    return manifest


def _check_members(path: Path, names: set[str], members: Mapping[str, tuple[int, str]], trials: Sequence[str]) -> None:
    """Raises BadInput where members and manifest do not name the same files, or others than a trial has."""
    if odd := sorted(names ^ {*members, MANIFEST, SUM}):
        raise _damaged(path, f"{odd[0]} is in the manifest alone or in the archive alone")
    wrong = [key for key in trials if not KEY.fullmatch(key) or f"{key}/config.json" not in members]
    if wrong:
        raise _damaged(path, f"the trial {wrong[0]!r} has no name of a trial or no config.json")
    for name in sorted(set(members) - {LICENCE}):
        key, _, rest = name.partition("/")
        folder, _, file = rest.rpartition("/")
        stem, ending = file[: file.rfind(".")], file[file.rfind(".") :]
        ours = rest in (*FILES, WEIGHTS, CARD) or (folder in FOLDERS and ending in ENDINGS and KEY.fullmatch(stem))
        if key not in trials or not ours:
            raise BadInput(f"{path}: holds {name!r}, which is no file of a trial. Nothing was taken from it.")


def _damaged(path: Path, what: str) -> BadInput:
    return BadInput(f"{path}: was damaged since it was written ({what}). Nothing was taken from it; fetch it again.")
