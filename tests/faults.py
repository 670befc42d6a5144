"""Damage done on purpose to a finished store, and what becomes of it: the figures of docs/reliability.md.

    python -m tests.faults flips 10000        single bits, over every kind of stored file, in this process
    python -m tests.faults truncations        every kind of file, cut at 20 places
    python -m tests.faults kills 20           a training killed (SIGKILL) at random moments until it is through
    python -m tests.faults disks              a disk that is full, a limit on file sizes, a folder that is read-only
    python -m tests.faults opening 2000       no damage: how long it takes to open so many files of 500 records each

Each makes a store in a temporary folder first (a minute), says what it found, and exits with 1 where damage went
unnoticed or a result changed.
"""

import argparse
import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import console
from benchmarks.errors import BadInput
from benchmarks.store import sums, verifying
from benchmarks.store.files import there, write_atomic, write_frame, write_json
from benchmarks.store.records import RECORD_COLUMNS
from benchmarks.store.results import Store
from datasets import sums as cache_sums

ROOT = Path(__file__).resolve().parent.parent
LEARNS = ["suite=noise_robustness", "profile=tiny", "tracking=none", "device=cpu", "methods=[resunet]",
          "datasets=[phantom_glands]", "suite.sigmas=[0,0.2]", "training.steps=150"]  # fmt: skip


def bench(runs: Path, *more: str, **options) -> subprocess.CompletedProcess:
    """The command, to its end."""
    command = [sys.executable, "run_bench.py", f"paths.runs={runs}", *LEARNS, *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **options)


def outcome(runs: Path) -> tuple[dict[str, str], pd.DataFrame]:
    """Hashes of all weights, and the records but for how long things took."""
    weights = {
        path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in runs.glob("trials/*/weights.*")
    }
    return weights, pd.read_csv(runs / "reports/noise_robustness/records.csv").drop(columns="seconds")


def same(runs: Path, whole: Path) -> bool:
    """Whether two stores hold the same weights and records."""
    (weights, records), (others, expected) = outcome(runs), outcome(whole)
    return weights == others and records.equals(expected)


def finished(place: Path) -> Path:
    """A store with one training that learned, and a checkpoint of it, as a stopped run leaves one."""
    runs = place / "whole"
    bench(runs, "training.stop_after=0.1")
    (checkpoint,) = runs.glob("trials/*/checkpoint.pt")
    kept = checkpoint.read_bytes()
    assert bench(runs).returncode == 0
    write_atomic(checkpoint, lambda file: file.write(kept))
    return runs


def targets(runs: Path) -> dict[str, list[Path]]:
    """Every file with a sum, the sums themselves included, by kind."""
    kinds: dict[str, list[Path]] = {}
    for folder in verifying.folders(runs, runs / "cache"):
        for path in sorted(folder.iterdir()):
            if path.is_file() and not path.name.startswith("."):
                room = next((room for room in ("cache", "reports") if runs / room in path.parents), None)
                place = room or folder.name
                by_place = place in ("records", "samples", "cache", "reports") and path.name != sums.NAME
                kinds.setdefault(f"{place}/*{path.suffix}" if by_place else path.name, []).append(path)
    return kinds


def noticed(path: Path, cache: Path) -> bool:
    """Whether what reads this file notices that it is not what was written."""
    if cache in path.parents:
        return bool(cache_sums.damaged(path.parent))
    try:
        if path.name == sums.NAME:
            sums.read(path.parent)
            return False
        return not there(path)
    except BadInput:
        return True


def damage(runs: Path, path: Path, content: bytes, original: bytes) -> bool:
    """Whether a file with other content is noticed; the original is back afterwards."""
    path.write_bytes(content)
    found = noticed(path, runs / "cache")
    shutil.rmtree(path.parent / "damaged", ignore_errors=True)
    path.write_bytes(original)
    return found


def flips(place: Path, count: int) -> int:
    """So many single bits, evenly over the kinds, at random places. Returns how many went unnoticed."""
    runs, choice = finished(place), random.Random(0)
    kinds = targets(runs)
    tally: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    begun = time.process_time()
    for number in range(count):
        kind = sorted(kinds)[number % len(kinds)]
        path = choice.choice(kinds[kind])
        original = path.read_bytes()
        content = bytearray(original)
        bit = choice.randrange(8 * len(content))
        content[bit // 8] ^= 1 << bit % 8
        tally[kind] += 1
        missed[kind] += not damage(runs, path, bytes(content), original)
        if number % 1000 == 999:
            print(f"{number + 1} flips, {missed.total()} unnoticed", flush=True)
    for kind in sorted(kinds):
        print(f"{kind:28} {tally[kind]:6} flips, {missed[kind]} unnoticed")
    print(f"{count} flips, {missed.total()} unnoticed, {time.process_time() - begun:.0f} s of processor time")
    return missed.total()


def truncations(place: Path, _: int) -> int:
    """Every kind of file cut at 20 places, with its sum and, of those cut below their end, without one."""
    runs, missed, total = finished(place), 0, 0
    for kind, paths in sorted(targets(runs).items()):
        original = paths[0].read_bytes()
        places = sorted({len(original) * n // 20 for n in range(20)} | {len(original) - 1})
        unnoticed = sum(not damage(runs, paths[0], original[:at], original) for at in places)
        print(f"{kind:28} cut at {len(places)} places, {unnoticed} unnoticed")
        missed, total = missed + unnoticed, total + len(places)
    print(f"{total} truncations, {missed} unnoticed")
    return missed


def kills(place: Path, count: int) -> int:
    """Kill a run at random moments, then let it end: weights and records are those of an undisturbed one."""
    whole, runs, choice = place / "undisturbed", place / "runs", random.Random(1)
    begun = time.monotonic()
    assert bench(whole).returncode == 0
    seconds, damaged, swept = time.monotonic() - begun, 0, 0
    for number in range(count):
        process = subprocess.Popen(
            [sys.executable, "run_bench.py", f"paths.runs={runs}", *LEARNS], cwd=ROOT,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(choice.uniform(0.3, 1.0) * seconds)
        # One in three is asked instead, so that later ones go on from checkpoints of any step.
        process.send_signal(signal.SIGTERM if number % 3 == 0 else signal.SIGKILL)
        process.wait()
        found = [one for _, many in verifying.verify(runs, runs / "cache") for one in many]
        damaged += sum(one.state not in (sums.MISSING, sums.NO_SUM) for one in found)
        swept += len(list(runs.rglob(".*.tmp")))
    ended = bench(runs)
    equal = ended.returncode == 0 and same(runs, whole)
    print(f"{count} kills: {damaged} files damaged, {swept} temporary files left by them, "
          f"{len(list(runs.rglob('.*.tmp')))} after the last run; weights and records "
          f"{'are' if equal else 'ARE NOT'} those of an undisturbed run")  # fmt: skip
    return damaged + (not equal)


def disks(place: Path, _: int) -> int:
    """A trial that cannot be written fails by name, nothing looks trained, and the run is completed once it can."""
    whole, wrong = place / "undisturbed", 0
    assert bench(whole).returncode == 0
    size = next(whole.glob("trials/*/weights.safetensors")).stat().st_size

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1000, size - 1000))

    for name, words, options, room in (
        ("limit", f"files of at most {size - 1000} bytes, weights of {size}", {"preexec_fn": limited}, None),
        ("disk", "a disk of 2 MiB", {}, "size=2m"),
        ("folder", "a read-only trial", {}, "ro"),
    ):
        runs = place / name
        shutil.copytree(whole / "cache", runs / "cache")
        trials = runs / "trials"
        trials.mkdir()
        if room == "ro":
            bench(runs, "training.stop_after=0.1")
            (target,) = (path for path in trials.iterdir() if path.is_dir())
            mount = ["mount", "--bind", "-o", "ro", str(target), str(target)]
        else:
            target, mount = trials, ["mount", "-t", "tmpfs", "-o", str(room), "tmpfs", str(trials)]
        if room:
            subprocess.run(mount, check=True)
        try:
            failed = bench(runs, **options)
            trained = [path for path in trials.glob("*/weights.safetensors")]
        finally:
            if room:
                subprocess.run(["umount", str(target)], check=True)
        named = any(word in failed.stdout + failed.stderr for word in ("disk full: ", "not writable: "))
        good = failed.returncode == 1 and named and not trained and "Traceback" not in failed.stderr
        ended = bench(runs)
        good &= ended.returncode == 0 and same(runs, whole)
        status = f"exit status {failed.returncode}"
        said = "named" if named else "NOT NAMED"
        print(f"{words}: {status}, {said}; the same command without that: {ended.returncode}, "
              f"{'as' if good else 'NOT as'} an undisturbed run", flush=True)  # fmt: skip
        wrong += not good
    return wrong


def opening(place: Path, count: int) -> int:
    """Open a store of 500 * `count` records. Returns how many were lost."""
    random, tests, rows = np.random.default_rng(0), 100, 500
    cases = [f"case{number // 5:04d}" for number in range(rows)]
    classes = ["a", "b", "c", "d", "all"] * (rows // 5)
    trials = []
    for number in range(-(-count // tests)):
        folder = place / "trials" / f"glas-method{number}-s0"
        about = {"method": {"name": f"method{number}"}, "dataset": {"name": "glas"}, "training": {}, "seed": 0}
        write_json(folder / "config.json", about)
        conditions = [str(test) for test in range(min(tests, count - tests * number))]
        for condition in conditions:
            known = {"method": f"method{number}", "dataset": "glas", "seed": 0, "case": cases, "group": cases,
                     "class": classes, "steps": 10, "sampler": "ddim", "sigma": int(condition) / tests, "eta": 0.0,
                     "image_size": "64x64", "ensemble": 1, "trial": folder.name, "unit": "px", "empty": False,
                     "corruption": "", "severity": 0, "tested_on": ""}  # fmt: skip
            known |= {name: random.random(rows) for name in ("dsc", "iou", "hd95", "assd", "seconds", "nsd")}
            frame = pd.DataFrame(known, index=range(rows)).reindex(columns=RECORD_COLUMNS)
            write_frame(folder / "records" / f"{condition}.parquet", frame)
        trials.append((folder.name, conditions))
    begun, used = time.monotonic(), time.process_time()
    found = len(Store(place).results({"name": "accuracy"}, trials).records)
    print(f"{found} records opened in {time.process_time() - used:.1f} s of processor time, "
          f"{time.monotonic() - begun:.1f} s by the clock")  # fmt: skip
    return rows * count - found


def main() -> int:
    """The exit status: 1 where damage went unnoticed."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=("flips", "truncations", "kills", "disks", "opening"))
    arguments.add_argument("count", type=int, nargs="?", default=20)
    given = arguments.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    console.out().quiet = True  # one line for each damaged file
    with tempfile.TemporaryDirectory() as place:
        return int(globals()[given.what](Path(place), given.count) > 0)


if __name__ == "__main__":
    sys.exit(main())
