"""Splits that depend on the names in them and on a seed, never on the order in which files were found."""

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from datasets.base import SPLITS, DataError
from datasets.formats import text

BY_PATIENT = "patients"
"""Name of the split in which no two parts share a patient, for data sets that offer it beside their official one."""


def shuffled(names: Iterable[str], seed: int) -> list[str]:
    """The distinct names in an order set by the hash of seed and name; adding one leaves the order of the others."""
    return sorted(set(names), key=lambda name: (hashlib.sha256(f"{seed}:{name}".encode()).digest(), name))


def held_out(names: Iterable[str], fraction: float, seed: int) -> set[str]:
    """`fraction` of the names, rounded, and at least one of each side when there are two or more.

    Raises DataError unless 0 < fraction < 1.
    """
    if not 0 < fraction < 1:
        raise DataError(f"val_fraction is {fraction}, expected a number between 0 and 1, such as 0.15.")
    order = shuffled(names, seed)
    count = min(max(round(fraction * len(order)), 1), max(len(order) - 1, 0))
    return set(order[:count])


def by_fraction(groups: Iterable[str], fractions: Mapping[str, float], seed: int) -> dict[str, str]:
    """Group -> split, with about fractions[split] of the groups in each; every split gets one if there are enough.

    Raises DataError when a split is missing, a fraction is not positive or they do not sum to 1.
    """
    fractions = {split: float(fraction) for split, fraction in fractions.items()}
    if set(fractions) != set(SPLITS) or min(fractions.values()) <= 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise DataError(
            f"fractions is {fractions}, expected positive numbers for train, val and test that sum to 1, "
            "such as {train: 0.7, val: 0.1, test: 0.2}."
        )
    order = shuffled(groups, seed)
    if len(order) < len(SPLITS):
        raise DataError(
            f"{len(order)} group(s) of cases cannot fill train, val and test. Expected 3 or more patients (groups): "
            "add data, or check the regular expression that finds the group in a file name."
        )
    test = max(round(fractions["test"] * len(order)), 1)
    val = max(round(fractions["val"] * len(order)), 1)
    test = min(test, len(order) - 2)
    val = min(val, len(order) - 1 - test)
    return {
        group: "test" if place < test else "val" if place < test + val else "train" for place, group in enumerate(order)
    }


def balanced(groups: Iterable[str], fractions: Mapping[str, float], seed: int) -> dict[str, str]:
    """Group -> split, with about fractions[split] of the cases in each; `groups` has the group of every case.

    For few groups of different size: in an order set by seed, each goes to the split that still lacks most cases, and
    the last ones to splits that have none. Raises DataError as `by_fraction` does.
    """
    counts = Counter(groups)
    by_fraction(counts, fractions, seed)  # the same settings are refused
    lacking = {split: fractions[split] * counts.total() for split in SPLITS}
    found: dict[str, str] = {}
    for left, group in zip(range(len(counts), 0, -1), shuffled(counts, seed)):
        empty = [split for split in SPLITS if split not in found.values()]
        found[group] = max(empty if left <= len(empty) else SPLITS, key=lambda split: lacking[split])
        lacking[found[group]] -= counts[group]
    return found


def read_split(path: Path, key: str) -> dict[str, str]:
    """Id -> split from CSV with columns id and split, or JSON {split: [ids]} or {id: split}. Raises DataError."""
    shape = 'Expected CSV with the columns id and split, or JSON like {"train": ["a"], "val": ["b"], "test": ["c"]}.'
    try:
        written = text(path)
        if path.suffix.lower() == ".json":
            content = json.loads(written)
            nested = all(isinstance(value, list) for value in content.values())
            pairs = [(i, s) for s, ids in content.items() for i in ids] if nested else list(content.items())
        else:
            pairs = [(row["id"], row["split"]) for row in csv.DictReader(written.splitlines())]
    except DataError as error:
        raise DataError(f"{error} {shape} Check {key}.") from error
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError, csv.Error) as error:
        raise DataError(f"{path} is not a split file ({type(error).__name__}: {error}). {shape}") from error
    splits: dict[str, str] = {}
    for name, split in pairs:
        if not isinstance(split, str) or split not in SPLITS:
            raise DataError(f"{path} puts {name!r} in {split!r}, expected one of {', '.join(SPLITS)}. Correct it.")
        if splits.setdefault(str(name), split) != split:
            raise DataError(f"{path} puts {name!r} in both {splits[str(name)]} and {split}. Expected one: correct it.")
    return splits
