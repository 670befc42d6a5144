"""Whether a data set can be trusted, asked before any work is spent on it."""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from datasets.base import SPLITS, Case, DataError, Entry, Source
from datasets.fingerprint import fingerprint

MOST = 10
"""Problems named in one error."""
INSTANCES = np.iinfo(np.uint16).max
"""Largest number of an object."""
AXES = {2: "rows x columns", 3: "X x Y x Z"}

Progress = Callable[[int, int], None]
"""Called with (cases done, cases in all)."""


def check(source: Source, cache: Path | None = None, progress: Progress | None = None) -> list[Entry]:
    """The entries in use, once the data set has passed; files are read in full the first time only.

    cache: folder where a passed check is remembered by the fingerprint. Generated data have no files to read, so only
    their entries are checked here. Raises DataError naming up to 10 problems, each with file, finding and fix.
    """
    entries = check_entries(source)
    if source.content() is not None:
        return entries
    key = fingerprint(source, cache, entries)
    if not passed(cache, key):
        for _ in checked(source, entries, progress):
            pass
        remember(cache, key)
    return entries


def check_entries(source: Source) -> list[Entry]:
    """The entries in use, after the checks that need no image to be read: axes, ids, splits and patients."""
    everything = source.entries()
    if everything:
        source.check_axes()
    problems = []
    if not everything:
        raise DataError(f"data set {source.name!r} has no cases, expected train, val and test. Check its paths.")
    for name, count in Counter(entry.id for entry in everything).items():
        if count > 1:
            problems.append(f"the id {name!r} is used by {count} cases, expected one. Rename files until they differ.")
    for entry in everything:
        if entry.split not in SPLITS:
            problems.append(f"case {entry.id!r} is in the split {entry.split!r}, expected one of {', '.join(SPLITS)}.")
    for split in SPLITS:
        if not any(entry.split == split for entry in everything):
            problems.append(f"the split {split!r} is empty, expected a case or more. Move cases or patients into it.")
    if not source.official_split:
        problems += _shared_groups(everything)
    _refuse(source, problems)
    return sorted(source.selected(), key=lambda entry: entry.id)


def _shared_groups(entries: Sequence[Entry]) -> list[str]:
    """Patients in more than one split: what is learnt about them in training would be tested."""
    members: dict[str, dict[str, Entry]] = {}
    for entry in entries:
        members.setdefault(entry.group, {}).setdefault(entry.split, entry)
    problems = []
    for group, found in members.items():
        if len(found) > 1:
            where = " and ".join(f"{split} ({_name(entry)})" for split, entry in sorted(found.items()))
            problems.append(
                f"patient (group) {group!r} is in {where}, expected in one split only. "
                "Move all cases of this patient to one split."
            )
    return problems


def shared_cases(entries: Sequence[Entry]) -> int:
    """Number of test cases whose patient (group) is in training or validation as well: 0 but for official splits."""
    learnt = {entry.group for entry in entries if entry.split != "test"}
    return sum(entry.split == "test" and entry.group in learnt for entry in entries)


def checked(
    source: Source, entries: Sequence[Entry], progress: Progress | None = None, keep: Callable[[Case], object] = id
) -> Iterator:
    """keep(case) of every entry in order, read by a few threads, for as long as no fault is found.

    Once a case has a fault nothing more is yielded; reading goes on until 10 faults are known. Then DataError.
    """
    problems: list[str] = []
    foreground: set[str] = set()

    def visit(entry: Entry) -> tuple[Entry, list[str], object, bool]:
        case, faults = _read(source, entry)
        return entry, faults, None if faults else keep(case), not faults and bool(case.label.any())

    workers = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        for done, (entry, faults, kept, marked) in enumerate(_ahead(pool, visit, entries, 2 * workers), 1):
            problems += faults
            if marked:
                foreground.add(entry.split)
            if progress is not None:
                progress(done, len(entries))
            if len(problems) >= MOST:
                pool.shutdown(wait=False, cancel_futures=True)
                break
            if not problems:
                yield kept
    if not problems and "train" not in foreground:
        problems.append(
            "no training label holds any foreground, expected the classes "
            f"{', '.join(source.class_names)}. Check the class values in conf/dataset."
        )
    _refuse(source, problems)


def _ahead(pool: ThreadPoolExecutor, visit: Callable, entries: Sequence[Entry], most: int) -> Iterator:
    """visit(entry) of every entry in order, with `most` of them under way or waiting: volumes are large."""
    waiting: deque[Future] = deque()
    for entry in entries:
        waiting.append(pool.submit(visit, entry))
        if len(waiting) == most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _read(source: Source, entry: Entry) -> tuple[Case | None, list[str]]:
    """The case and what is wrong with it."""
    try:
        case = source.read(entry)
    except DataError as error:
        return None, [str(error)]
    name, problems = _name(entry), []
    if case.image.ndim != source.spatial_dims + 1 or case.image.shape[0] != source.channels:
        problems.append(
            f"{name}: the image has shape {case.image.shape}, expected {source.channels} channel(s) and "
            f"{source.spatial_dims} spatial axes. Convert it, or set the number of channels of this data set."
        )
    elif case.image.shape[1:] != case.label.shape:
        problems.append(
            f"{name}: the image has the size {_size(case.image.shape[1:])} and the mask {_size(case.label.shape)}, "
            f"expected the same ({AXES[source.spatial_dims]}). Export the mask again at the size of its image."
        )
    if not np.isfinite(case.image).all():
        count = int(np.count_nonzero(~np.isfinite(case.image)))
        problems.append(f"{name}: the image holds {count} values that are not finite (NaN or infinite). Replace them.")
    elif case.image.size and (case.image.min() < 0 or case.image.max() > 1):
        problems.append(
            f"{name}: the image goes from {case.image.min():.4g} to {case.image.max():.4g}, expected 0 to 1. Scale it."
        )
    if case.image.size == 0:
        problems.append(f"{name}: the image is empty (shape {case.image.shape}). Remove the case.")
    elif case.label.size and (case.label.min() < 0 or case.label.max() > len(source.class_names)):
        values = [int(v) for v in np.unique(case.label) if not 0 <= v <= len(source.class_names)]
        problems.append(
            f"{name}: the label holds the value(s) {values[:8]}, expected 0 (background) to {len(source.class_names)} "
            f"({', '.join(source.class_names)}). Map or correct them."
        )
    elif source.instances:
        problems += _instances(name, case)
    return case, problems


def _instances(name: str, case: Case) -> list[str]:
    """What is wrong with the objects of a case."""
    found = case.instances
    if found is None or found.shape != case.label.shape or not np.array_equal(found > 0, case.label > 0):
        return [f"{name}: the instances are not the label's foreground. Expected from 1 in each object, else 0."]
    if found.max(initial=0) > INSTANCES:
        return [f"{name}: an instance has the number {found.max()}, expected 1 to {INSTANCES}. Number them anew."]
    return []


def _name(entry: Entry) -> str:
    return " with ".join(str(path) for path in entry.files) or f"case {entry.id}"


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _refuse(source: Source, problems: Sequence[str]) -> None:
    if not problems:
        return
    count = f"{len(problems)} problem(s)" if len(problems) < MOST else f"{MOST} problems or more"
    raise DataError("\n".join([f"data set {source.name!r} has {count}:", *(f"  - {text}" for text in problems[:MOST])]))


def passed(cache: Path | None, key: str) -> bool:
    """Whether data with this fingerprint has passed before."""
    return cache is not None and (cache / "checked" / key).exists()


def remember(cache: Path | None, key: str) -> None:
    """Notes that data with this fingerprint has passed."""
    if cache is not None:
        (cache / "checked").mkdir(parents=True, exist_ok=True)
        (cache / "checked" / key).touch()
