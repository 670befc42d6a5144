"""Cases brought to one size, kept on disk and mapped into memory."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from datasets.base import SPLITS, Augmentation, Case, DataError, Entry, Source
from datasets.fingerprint import fingerprint
from datasets.integrity import Progress, check_entries, checked, remember

FORMAT = 1
"""Raised when resizing or the layout below changes, so that older prepared folders are left alone."""
STALE = 24 * 3600.0
"""Seconds after which a half-written folder is taken for the remains of a process that was killed."""


@dataclass(frozen=True)
class Prepared:
    """All cases of a data set at one size.

    images: float32 (N, C, *image_size) in [0, 1] and labels: uint8 (N, *image_size), both read-only maps of files;
    ids, groups, spacing: N each, spacing in mm on this grid or None; split: {train, val, test} -> indices into N.
    """

    name: str
    class_names: list[str]
    image_size: tuple[int, ...]
    fingerprint: str
    ids: list[str]
    groups: list[str]
    split: dict[str, np.ndarray]
    images: np.ndarray
    labels: np.ndarray
    spacing: list[tuple[float, ...] | None]
    augmentation: Augmentation


def prepare(source: Source, image_size: Sequence[int], cache: Path, progress: Progress | None = None) -> Prepared:
    """The data set at `image_size`, from the cache when its content is unchanged, else checked, resized and stored.

    image_size: one number per spatial axis. cache: folder for prepared arrays; two processes may prepare the same data
    at once. progress: called with (cases done, cases in all). Raises DataError naming files, see datasets.integrity.
    """
    size, cache = tuple(int(length) for length in image_size), Path(cache)
    if len(size) != source.spatial_dims or min(size) < 1:
        raise DataError(
            f"image_size is {list(size)}, expected {source.spatial_dims} numbers above 0 for data set {source.name!r}."
        )
    entries = check_entries(source)
    key = fingerprint(source, cache, entries)
    folder = cache / f"{source.name}-{'x'.join(map(str, size))}-v{FORMAT}-{key[:16]}"
    if not folder.is_dir():
        _write(source, entries, size, folder, progress)
        remember(cache, key)
    return _open(source, entries, size, key, folder)


def _open(source: Source, entries: list[Entry], size: tuple[int, ...], key: str, folder: Path) -> Prepared:
    spacing = json.loads((folder / "cases.json").read_text())["spacing"]
    splits = np.array([entry.split for entry in entries])
    return Prepared(
        name=source.name,
        class_names=list(source.class_names),
        image_size=size,
        fingerprint=key,
        ids=[entry.id for entry in entries],
        groups=[entry.group for entry in entries],
        split={split: np.flatnonzero(splits == split) for split in SPLITS},
        images=np.load(folder / "images.npy", mmap_mode="r"),
        labels=np.load(folder / "labels.npy", mmap_mode="r"),
        spacing=[tuple(lengths) if lengths else None for lengths in spacing],
        augmentation=source.augmentation,
    )


def _write(
    source: Source, entries: list[Entry], size: tuple[int, ...], folder: Path, progress: Progress | None
) -> None:
    """Writes the folder under another name and renames it when complete, so that a half-written one is never read."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for remains in folder.parent.glob(".preparing-*"):
        if time.time() - remains.stat().st_mtime > STALE:
            shutil.rmtree(remains, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".preparing-"))
    try:
        spacing = []
        # Plain writes instead of a writable memory map: a full disk is then an error and not a killed process.
        with (temporary / "images.npy").open("wb") as images, (temporary / "labels.npy").open("wb") as labels:
            _header(images, np.float32, (len(entries), source.channels, *size))
            _header(labels, np.uint8, (len(entries), *size))
            for case in checked(source, entries, progress, keep=lambda case: resized(case, size)):
                images.write(np.ascontiguousarray(case.image, np.float32).data)
                labels.write(np.ascontiguousarray(case.label, np.uint8).data)
                spacing.append(case.spacing)
        (temporary / "cases.json").write_text(json.dumps({"ids": [entry.id for entry in entries], "spacing": spacing}))
        try:
            os.replace(temporary, folder)
        except OSError:
            if not folder.is_dir():
                raise
            # Another process has finished the same folder in the meantime; the two are equal.
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _header(file, dtype, shape: tuple[int, ...]) -> None:
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
        smaller = tuple(min(have, want) for have, want in zip(old, size))
        image = functional.adaptive_avg_pool3d(torch.from_numpy(case.image), smaller)[None]
        image = functional.interpolate(image, size, mode="trilinear", align_corners=False)[0].numpy()
        label = torch.from_numpy(case.label.astype(np.uint8))[None, None]
        label = functional.interpolate(label, size, mode="nearest-exact")[0, 0].numpy()
    # Interpolation may leave [0, 1] by a rounding error.
    return Case(case.id, case.group, np.clip(image, 0, 1), label, spacing)


def _plane(plane: np.ndarray, size: tuple[int, int], method: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.fromarray(plane).resize((size[1], size[0]), method))
