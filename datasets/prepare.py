"""Cases brought to one size, kept on disk and mapped into memory."""

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from datasets import sums
from datasets.base import SPLITS, Case, DataError, Entry, Source
from datasets.fingerprint import fingerprint
from datasets.integrity import Progress, check_entries, checked, remember
from datasets.prepared import Prepared, Ragged

FORMAT = {2: 2, 3: 3}
"""By spatial axes: raised when resizing or the layout below changes, so that older prepared folders are left alone."""
DTYPES = {"images": np.float32, "labels": np.uint8, "own_labels": np.uint8, "own_instances": np.uint16}
AT_WORK = ".at_work"
"""In a half-written folder, the file whose lock the process holds that writes it."""
STALE = 24 * 3600.0
"""Seconds after which a half-written folder without that file is taken for the remains of a killed process."""


def prepare(source: Source, image_size: Sequence[int], cache: Path, progress: Progress | None = None) -> Prepared:
    """The data set at `image_size`, from the cache when its content is unchanged, else checked, resized and stored.

    image_size: one number per spatial axis. cache: folder for prepared arrays; two processes may prepare the same data
    at once. progress: called with (cases done, cases in all). Raises DataError naming files, see datasets.integrity.
    """
    size, cache = check_size(source, image_size), Path(cache)
    entries = check_entries(source)
    key = fingerprint(source, cache, entries)
    grid = "own" if source.fit == "pad" else "x".join(map(str, size))
    folder = cache / f"{source.name}-{grid}-v{FORMAT[source.spatial_dims]}-{key[:16]}"
    if folder.is_dir() and (damaged := sums.damaged(folder)):
        warnings.warn(
            f"{folder}: {', '.join(damaged)} damaged since written (by SHA-256); the data set is prepared again.",
            stacklevel=2,
        )
        _discard(folder)
    if not folder.is_dir():
        _write(source, entries, size, folder, progress)
        remember(cache, key)
    return _open(source, entries, size, key, folder)


def check_size(source: Source, image_size: Sequence[int]) -> tuple[int, ...]:
    """The image size as a tuple. Raises DataError unless it has a number above 0 for each spatial axis of the data."""
    size = tuple(int(length) for length in image_size)
    if len(size) != source.spatial_dims or min(size) < 1:
        example = {2: "[64,64]", 3: "[64,64,64]"}[source.spatial_dims]
        raise DataError(
            f"dataset.{source.name}.image_size is {list(size)} and the images have {source.spatial_dims} spatial axes, "
            f"expected {source.spatial_dims} numbers above 0: set dataset.{source.name}.image_size.PROFILE={example}, "
            "with the name of the profile in use, such as quick."
        )
    return size


def _open(source: Source, entries: list[Entry], size: tuple[int, ...], key: str, folder: Path) -> Prepared:
    stored = json.loads((folder / "cases.json").read_text())
    splits = np.array([entry.split for entry in entries])
    ragged = {
        name: Ragged(np.memmap(folder / f"{name}.bin", DTYPES[name], "r"), stored[f"{name}_shapes"])
        for name in DTYPES
        if f"{name}_shapes" in stored
    }
    arrays = {
        name: ragged[name] if name in ragged else np.load(folder / f"{name}.npy", mmap_mode="r")
        for name in ("images", "labels")
    }
    return Prepared(
        name=source.name,
        class_names=list(source.class_names),
        image_size=size,
        fingerprint=key,
        ids=[entry.id for entry in entries],
        groups=[entry.group for entry in entries],
        split={split: np.flatnonzero(splits == split) for split in SPLITS},
        **arrays,
        spacing=_tuples(stored["spacing"]),
        augmentation=source.augmentation,
        fit=source.fit,
        own=(ragged["own_labels"], _tuples(stored["own_spacing"])),
        videos=[entry.video for entry in entries],
        times=[entry.time for entry in entries],
        subsets=[entry.subset for entry in entries],
        instances=ragged.get("own_instances"),
        length_unit=source.length_unit,
    )


def _tuples(spacing: list[list[float] | None]) -> list[tuple[float, ...] | None]:
    return [tuple(lengths) if lengths else None for lengths in spacing]


def _write(
    source: Source, entries: list[Entry], size: tuple[int, ...], folder: Path, progress: Progress | None
) -> None:
    """Writes the folder under another name and renames it when complete, so that a half-written one is never read."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".preparing-"))
    try:
        with open(temporary / AT_WORK, "wb") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX)
            _write_arrays(source, entries, size, temporary, progress)
            sums.write(temporary)
            (temporary / AT_WORK).unlink()
        try:
            os.replace(temporary, folder)
        except OSError:
            if not folder.is_dir():
                raise
            # Another process has finished the same folder in the meantime; the two are equal.
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sweep(cache: Path) -> None:
    """Deletes what killed processes left half-written: nobody holds its lock any more."""
    for remains in cache.glob(".preparing-*"):
        try:
            with open(remains / AT_WORK, "rb") as mark:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(remains, ignore_errors=True)
        except BlockingIOError:
            continue
        except OSError:  # without that file: just begun, just finished, or of a version that had none
            with contextlib.suppress(FileNotFoundError):
                if time.time() - remains.stat().st_mtime > STALE:
                    shutil.rmtree(remains, ignore_errors=True)


def _discard(folder: Path) -> None:
    """Deletes a damaged folder. Raises DataError where that cannot be done."""
    gone = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".preparing-"))
    try:
        with contextlib.suppress(FileNotFoundError):  # another process has done so
            os.replace(folder, gone)
    except OSError as error:
        raise DataError(f"{folder} is damaged and cannot be replaced: {error}. Delete it.") from error
    finally:
        shutil.rmtree(gone, ignore_errors=True)


def _write_arrays(
    source: Source, entries: list[Entry], size: tuple[int, ...], folder: Path, progress: Progress | None
) -> None:
    """Arrays of one size as .npy files with all cases, others flat as .bin; cases.json has shapes and spacings."""
    uniform = {"images": (len(entries), source.channels, *size), "labels": (len(entries), *size)}
    ragged = ["own_labels", *(["own_instances"] if source.instances else [])]
    if source.fit == "pad":
        uniform, ragged = {}, ["images", "labels", *ragged]
    notes: dict[str, list] = {"ids": [entry.id for entry in entries], "spacing": [], "own_spacing": []}
    notes |= {f"{name}_shapes": [] for name in ragged}

    def keep(case: Case) -> dict:
        shown = case if source.fit == "pad" else resized(case, size)
        own = {"own_labels": case.label.astype(np.uint8), "own_spacing": case.spacing}
        if case.instances is not None:
            own["own_instances"] = case.instances.astype(np.uint16)
        return own | {"images": shown.image, "labels": shown.label.astype(np.uint8), "spacing": shown.spacing}

    with ExitStack() as stack:
        # Plain writes instead of a writable memory map: a full disk is then an error and not a killed process.
        names = {name: f"{name}.npy" for name in uniform} | {name: f"{name}.bin" for name in ragged}
        files = {name: stack.enter_context((folder / names[name]).open("wb")) for name in names}
        for name, shape in uniform.items():
            _header(files[name], DTYPES[name], shape)
        for kept in checked(source, entries, progress, keep):
            for name, file in files.items():
                file.write(np.ascontiguousarray(kept[name], DTYPES[name]).data)
            for name in ragged:
                notes[f"{name}_shapes"].append(kept[name].shape)
            for name in ("spacing", "own_spacing"):
                notes[name].append(kept[name])
    (folder / "cases.json").write_text(json.dumps(notes))


def _header(file: BinaryIO, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    """What an .npy file starts with; its values are then written case by case."""
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def resized(case: Case, size: tuple[int, ...]) -> Case:
    """The case on a grid of `size`: image antialiased, label by nearest neighbour, spacing stretched to match.

    2D images are resized bilinearly over the area that a new pixel covers (Pillow); volumes by area means along axes
    that shrink, then linearly along axes that grow.
    """
    old = case.label.shape
    spacing = case.spacing and tuple(mm * have / want for mm, have, want in zip(case.spacing, old, size))
    if old == size:
        image, label = case.image, case.label
    elif len(size) == 2:
        image = np.stack([_plane(channel, size, Image.Resampling.BILINEAR) for channel in case.image])
        label = _plane(case.label.astype(np.uint8), size, Image.Resampling.NEAREST)
    else:
        import torch  # takes seconds, and a plan needs none of it
        from torch.nn import functional

        smaller = tuple(min(have, want) for have, want in zip(old, size))
        image = functional.adaptive_avg_pool3d(torch.from_numpy(case.image), smaller)[None]
        image = functional.interpolate(image, size, mode="trilinear", align_corners=False)[0].numpy()
        label = torch.from_numpy(case.label.astype(np.uint8))[None, None]
        label = functional.interpolate(label, size, mode="nearest-exact")[0, 0].numpy()
    # Interpolation may leave [0, 1] by a rounding error.
    return replace(case, image=np.clip(image, 0, 1), label=label, spacing=spacing)


def _plane(plane: np.ndarray, size: tuple[int, int], method: Image.Resampling) -> np.ndarray:
    """One channel (H, W) at `size` (rows, columns), which Pillow names the other way round."""
    return np.asarray(Image.fromarray(plane).resize((size[1], size[0]), method))
