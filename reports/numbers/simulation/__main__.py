"""Prints the tables of docs/statistics.md; `--repeats 200` gives rough ones in minutes, `--table 4` one of them alone.

Every number comes from the functions that reports use, on scores whose truth is known.
"""

import argparse
from collections.abc import Callable
from functools import partial

import pandas as pd

from reports.numbers.simulation import choices, failures, intervals, moved, sentences, times, uncertainty
from reports.numbers.simulation.sentences import COMPARISONS, MARGIN

TABLES: dict[str, Callable[[int], pd.DataFrame]] = {
    "Coverage of 95 % intervals (%)": intervals.coverages,
    "Coverage (%) where a share of the patients fails, by the score of the others": intervals.ceilings,
    "Coverage (%) of mean distances, and how many times as wide as Student's the widest hundredth is": (
        intervals.outliers
    ),
    "Coverage of 95 % intervals (%): what the uncertainty report says": uncertainty.table,
    "Coverage of 95 % intervals (%): the best number of steps, and ranks": choices.table,
    "Coverage of 95 % intervals (%): corruption errors, and drops by shift": moved.table,
    "Coverage of 95 % intervals (%): times": times.table,
    "Equal methods told apart (%) where one's trainings differ more": sentences.unequal,
    "Skewed differences: false sentences (%)": sentences.lopsidedness,
    "Rare failures of the first of two methods near a ceiling: false sentences (%)": sentences.unseen_failures,
    "Two methods that are equal: called equivalent, or not worse, within 0.01 DSC (%)": sentences.prices,
    f"A gain of {failures.GAIN:g} DSC with failures now and then, no better on average: what is said (%)": (
        failures.false
    ),
    "A method that is better and fails nowhere: called better outright, and outright or so far (%)": failures.price,
    "Trainings of one method that fall now and then, equal on average (%)": sentences.collapsing,
    f"{COMPARISONS} comparisons with one reference, 40 groups: reports with a false sentence (%)": sentences.by_family,
    "Found at 80 %: what is printed (DSC), and how often that is found (%)": sentences.designs,
    "Two methods that are equal: what is said (%)": partial(sentences.by_seeds, 0.0),
    f"The first is worse by the margin of {MARGIN:g} DSC: what is said (%)": partial(sentences.by_seeds, -MARGIN),
    "The first is better by 0.03 DSC: what is said (%)": partial(sentences.by_seeds, 0.03),
    "Two equal methods that fail in different patients, told apart (%)": failures.both,
}
"""By title, each from a number of experiments; shares in [0, 1]."""


PRINTED = ("lowest", "median", "highest")
"""Columns in DSC."""
KEPT = ("groups", "scores", "others", "differences", "failures", "true difference", "trainings that fall",
         "seeds", "SD of training", "SDs of training", "a margin is", "rounds", "machine",
        "widest", *PRINTED)  # fmt: skip
"""Columns that are no shares."""


def per_cent(frame: pd.DataFrame) -> pd.DataFrame:
    """A table as printed: shares in per cent, with one decimal."""
    shares = [name for name in frame.columns if name not in KEPT]
    return frame.assign(**(100 * frame[shares]).round(1)).round({"widest": 2} | dict.fromkeys(PRINTED, 4))


def main() -> None:
    """Print the tables as markdown."""
    parser = argparse.ArgumentParser(description="Coverage of intervals and rates of false sentences, by simulation.")
    parser.add_argument("--repeats", type=int, default=2000, help="experiments for each number (default: 2000)")
    parser.add_argument("--table", type=int, help=f"only the one of that place, from 1 to {len(TABLES)}")
    given = parser.parse_args()
    if given.repeats < 1:
        parser.error(f"--repeats {given.repeats}: expected a whole number from 1, e.g. 200.")
    if given.table is not None and not 1 <= given.table <= len(TABLES):
        parser.error(f"--table {given.table}: expected a whole number from 1 to {len(TABLES)}.")
    chosen = list(TABLES.items())
    for title, table in chosen if given.table is None else [chosen[given.table - 1]]:
        frame = per_cent(table(given.repeats))
        lines = [
            list(map(str, frame.columns)),
            ["---"] * len(frame.columns),
            *frame.map(str).replace("nan", "–").to_numpy().tolist(),
        ]
        print(f"\n**{title}**\n", *(f"| {' | '.join(line)} |" for line in lines), sep="\n", flush=True)


if __name__ == "__main__":
    main()
