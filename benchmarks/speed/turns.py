"""Time two checkouts in turn: python -m benchmarks.speed.turns BEFORE AFTER [--parts ...] [--precision f32 openvino]

Each checkout has a process of its own that waits while the other works, so that both meet the same machine. For each
part, `rounds` rounds of `repetitions` calls each: the ratio (after over before) of the medians is taken round by round,
and its median is printed with the lowest and the highest of the rounds. Meaningful on an otherwise idle machine.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from benchmarks.speed.parts import PARTS, WAYS


class Checkout:
    """A process that times parts of the project in a folder."""

    def __init__(self, folder: Path, precision: str, threads: int) -> None:
        script = Path(__file__).with_name("parts.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script), precision, str(threads)],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": str(threads)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def seconds(self, part: str, repetitions: int) -> list[float]:
        """Seconds of each call. Raises RuntimeError where the part cannot be timed there."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps([part, repetitions]) + "\n")
        self.process.stdin.flush()
        said = json.loads(self.process.stdout.readline() or '{"failed": "the process ended"}')
        if "failed" in said:
            raise RuntimeError(said["failed"])
        return said["seconds"]


def timed(checkouts: list[Checkout], part: str, rounds: int, repetitions: int) -> list[list[float]]:
    """Median seconds of a part by checkout and round, the checkouts in turns, who begins changing with the round."""
    for one in checkouts:
        one.seconds(part, 1)  # builds it, warms it up
    found: list[list[float]] = [[] for _ in checkouts]
    for number in range(rounds):
        order = range(len(checkouts)) if number % 2 == 0 else reversed(range(len(checkouts)))
        for which in order:
            found[which].append(median(checkouts[which].seconds(part, repetitions)))
    return found


def main() -> None:
    """Print a table, a row for each part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS, metavar="PART")
    parser.add_argument("--precision", nargs=2, default=["f32", "f32"], choices=WAYS, metavar="P")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    print(f"{asked.threads} threads, precision {' and '.join(asked.precision)}; milliseconds, ratio [lowest, highest]")
    folders = [asked.before.resolve(), asked.after.resolve()]
    checkouts = [Checkout(folder, how, asked.threads) for folder, how in zip(folders, asked.precision)]
    for part in asked.parts:
        try:
            before, after = timed(checkouts, part, asked.rounds, asked.repetitions)
        except RuntimeError as error:
            print(f"{part:<22} not timed: {error}", flush=True)
            continue
        ratios = sorted(b / a for a, b in zip(before, after))
        print(
            f"{part:<22}{1e3 * median(before):>9.1f}{1e3 * median(after):>9.1f}"
            f"{median(ratios):>7.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]",
            flush=True,
        )
    for one in checkouts:
        one.process.kill()


if __name__ == "__main__":
    main()
