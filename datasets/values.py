"""What the values of a mask mean."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets.base import DataError
from datasets.formats import ending

LARGEST = 2**16 - 1
"""Largest value in a range of them."""


@dataclass(frozen=True)
class Values:
    """Class names with their mask values. classes: empty for one class in masks of {0, 1} or {0, 255}, or of values
    above `threshold`; background: values of it. Both hold whole numbers."""

    dataset: str
    classes: Mapping[str, Sequence[int]]
    background: Sequence[int]
    threshold: float | None = None

    @classmethod
    def of(
        cls,
        dataset: str,
        classes: Mapping[str, int | str | Sequence[int | str]] | None,
        background: Sequence[int | str],
        threshold: float | None,
    ) -> "Values":
        """From the settings of data set `dataset`; a value may be a range such as "128-255". Raises DataError naming
        the setting."""
        key = f"dataset.{dataset}.classes"
        if classes is not None and not isinstance(classes, Mapping):
            raise DataError(f"{key} is {classes!r}, expected names with values, such as {{polyp: 255, tool: [1, 2]}}.")
        found = {str(name): _whole(key, value) for name, value in (classes or {}).items()}
        behind = _whole(f"dataset.{dataset}.background", list(background))
        listed = [value for values in [*found.values(), behind] for value in values]
        if len(set(listed)) < len(listed):
            raise DataError(
                f"{key} is {dict(classes or {})} and dataset.{dataset}.background {list(background)}: a value is used "
                "twice. Expected each pixel value once."
            )
        if "all" in found:
            raise DataError(f"{key} has a class 'all', as the sum of all classes is called. Choose another name.")
        if threshold is not None and found:
            raise DataError(
                f"dataset.{dataset}.threshold is {threshold} beside {key}={dict(classes or {})}, expected one of the "
                "two: ranges of values such as {polyp: 128-255} say the same."
            )
        return cls(dataset, found, behind, threshold)

    @property
    def binary(self) -> bool:
        """Whether there is one class without a value of its own."""
        return not self.classes

    @property
    def names(self) -> tuple[str, ...]:
        """Of the foreground classes."""
        return tuple(self.classes) or ("foreground",)

    def settings(self) -> dict[str, Any]:
        """What decides a label, for the fingerprint."""
        more = {} if self.threshold is None else {"threshold": self.threshold}
        return {"classes": dict(self.classes), "background": list(self.background)} | more

    def label(self, stored: np.ndarray, path: Path) -> np.ndarray:
        """int64: 0 background, k + 1 for names[k]. stored: of any shape, whole numbers unless there is a threshold.

        Raises DataError naming the file and the values that mean nothing.
        """
        if self.threshold is not None:
            return (stored > self.threshold).astype(np.int64)
        if self.binary:
            return self._foreground(stored, path)
        label, known = np.zeros(stored.shape, np.int64), np.isin(stored, self.background)
        for number, values in enumerate(self.classes.values(), 1):
            here = np.isin(stored, values)
            label[here] = number
            known |= here
        if not known.all():
            raise self._unexpected(np.unique(stored[~known]), path, f"background {_short(self.background)} and "
                                   f"{ {name: _short(values) for name, values in self.classes.items()} }")  # fmt: skip
        return label

    def _foreground(self, stored: np.ndarray, path: Path) -> np.ndarray:
        values = set(np.unique(stored).tolist())
        if values - {0, 1} and values - {0, 255}:
            raise self._unexpected(sorted(values - {0, 1}), path, "0 and 1, or 0 and 255")
        return (stored > 0).astype(np.int64)

    def _unexpected(self, values: Sequence[int], path: Path, expected: str) -> DataError:
        key = f"dataset.{self.dataset}"
        advice = " JPEG changes label values: save masks as PNG." if ending(path) in (".jpg", ".jpeg") else ""
        shown = [int(value) for value in values[:8]]
        more = " and more" if len(values) > 8 else ""
        return DataError(
            f"{path} holds the value(s) {shown}{more}, expected {expected}. Correct the mask, or set {key}.classes, "
            f"such as {{polyp: 255, tool: [1, 2], edge: 3-9}}, or {key}.threshold, such as 127, above which all is "
            f"foreground.{advice}"
        )


def _whole(key: str, value: Any) -> list[int]:
    """The numbers of a setting: one, a range in words, or a list of either."""
    listed = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    found: list[int] = []
    for one in listed:
        if isinstance(one, int) and not isinstance(one, bool):
            found.append(one)
            continue
        ends = re.fullmatch(r"\s*(\d+)\s*-\s*(\d+)\s*", one) if isinstance(one, str) else None
        low, high = (int(ends[1]), int(ends[2])) if ends else (1, 0)
        if not low <= high <= LARGEST:
            raise DataError(
                f"{key} has {one!r}, expected whole numbers and ranges of them up to {LARGEST}, such as 255, [1, 2] or "
                "128-255."
            )
        found += range(low, high + 1)
    return found


def _short(values: Sequence[int]) -> list[int] | str:
    """A long list of values by its ends."""
    return list(values) if len(values) <= 8 else f"{min(values)}-{max(values)}"
