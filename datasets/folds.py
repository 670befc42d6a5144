"""Cross-validation: the patients of a data set in folds, each tested once by what was trained on the rest."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from datasets.base import DataError, Entry
from datasets.splits import held_out, shuffled

SEED = 0
"""Of the order in which groups are dealt out: every method and every training seed has the same folds."""


def parts(entries: Sequence[Entry], folds: int) -> dict[str, int]:
    """Group -> its fold, from 0: in an order set by a hash of their names, each goes to the fold with the fewest cases.

    Raises DataError for fewer than two folds, and where the groups are too few for a test, a validation and a training
    group beside each other in every fold.
    """
    sizes = Counter(entry.group for entry in entries)
    if folds < 2:
        raise DataError(f"folds={folds}: expected 2 or more, such as folds=5; null keeps the data set's own split.")
    found: dict[str, int] = {}
    cases, groups = [0] * folds, [0] * folds
    for group in shuffled(sizes, SEED):
        fold = min(range(folds), key=lambda k: (cases[k], groups[k]))
        found[group] = fold
        cases[fold] += sizes[group]
        groups[fold] += 1
    if min(groups) < 1 or len(sizes) - max(groups) < 2:
        raise DataError(
            f"folds={folds}: the data set has {len(sizes)} patient(s) (groups of cases), and each fold needs one to "
            "test, one to validate and one to train with. Expected fewer folds or more patients; profile.limit says "
            "how many cases a profile uses, and where no patients are known every case is a group of its own."
        )
    return found


def fold_of(entries: Sequence[Entry], fold: int, folds: int) -> list[Entry]:
    """The entries with the split of a fold, which counts from 1: its groups are tested, of the others as large a share
    validates as in the data set's own split. What part of an official test set a case was in is dropped.

    Raises DataError as `parts`.
    """
    where = parts(entries, folds)
    own = Counter(entry.split for entry in entries)
    share = own["val"] / max(own["val"] + own["train"], 1)
    rest = [group for group, part in where.items() if part != fold - 1]
    validating = held_out(rest, share or 1 / len(rest), seed=fold)

    def split(group: str) -> str:
        return "test" if where[group] == fold - 1 else "val" if group in validating else "train"

    return [replace(entry, split=split(entry.group), subset=None) for entry in entries]
