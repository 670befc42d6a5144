"""Kinds of corruption of test images, their severities, and which of them fit which images.

What they do to an image is in benchmarks/testing/corruptions.py, the numbers with their reasons in corruptions.yaml.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from benchmarks.store.config import DatasetConfig

FILE = Path(__file__).with_name("corruptions.yaml")
SEVERITIES = (1, 2, 3, 4, 5)
VERSION = 1
"""Raised when benchmarks/testing/corruptions.py changes what a kind does at a given amount."""


@dataclass(frozen=True)
class Corruption:
    """What is done to every test image: its kind (a key of corruptions.yaml), severity from 1, and amount in the unit
    that the file gives it."""

    kind: str
    severity: int
    amount: float
    version: int = VERSION


@dataclass(frozen=True)
class CorruptionKind:
    """A kind of corruption as corruptions.yaml describes it. amounts: one for each severity; only: spatial axes (dims)
    and channels of images that it is for, nothing where it is for all; otherwise: why, in words."""

    title: str
    unit: str
    amounts: tuple[float, ...]
    reason: str
    only: Mapping[str, int] = field(default_factory=dict)
    otherwise: str = ""

    def reason_against(self, dataset: DatasetConfig) -> str | None:
        """Why it is for no image of a data set (whose channels are known), in words for the report; None where it
        is."""
        has = {"dims": len(dataset.image_size), "channels": dataset.channels}
        return self.otherwise if any(has[name] != wanted for name, wanted in self.only.items()) else None


@cache
def kinds() -> dict[str, CorruptionKind]:
    """Every kind of corruption by its name."""
    content: Any = OmegaConf.to_container(OmegaConf.load(FILE))
    return {
        name: CorruptionKind(**{**one, "amounts": tuple(map(float, one["amounts"]))}) for name, one in content.items()
    }


def asked(names: Sequence[str], severities: Sequence[int], dataset: DatasetConfig) -> list[Corruption]:
    """Every corruption of a suite that fits the images of a data set, kind by kind."""
    fitting = [name for name in names if kinds()[name].reason_against(dataset) is None]
    return [Corruption(name, level, kinds()[name].amounts[level - 1]) for name in fitting for level in severities]
