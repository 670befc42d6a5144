"""What a suite asks for: trials to train and conditions to test them under, each named by its content."""

from dataclasses import asdict, dataclass
from functools import cached_property

from benchmarks.plan.identity import digest
from benchmarks.store.config import TrialConfig
from methods.base import Sampling

TRAINING_VERSION = 1
"""Raised when benchmarks/training/ changes what a given configuration is trained to."""
EVALUATION_VERSION = 1
"""Raised when benchmarks/testing/ changes what is recorded for given weights."""


@dataclass(frozen=True)
class Condition:
    """How a trial is tested. `sampling` is None for deterministic methods, which are tested once per sigma."""

    sigma: float
    sampling: Sampling | None
    image_size: tuple[int, ...]
    rescale: str
    noise_seed: int = 0

    @cached_property
    def key(self) -> str:
        """Name of its files in the store."""
        how = f"{self.sampling.sampler}{self.sampling.steps}" if self.sampling else "direct"
        return f"sigma{self.sigma:g}-{how}-{digest([asdict(self), EVALUATION_VERSION])[:8]}"


@dataclass(frozen=True)
class Trial:
    """One method trained once on one data set, and the conditions it is tested under; `declined` says why not."""

    config: TrialConfig
    conditions: tuple[Condition, ...]
    declined: str | None = None

    @property
    def name(self) -> str:
        """In words: method, data set and seed."""
        return self.config.name

    @cached_property
    def key(self) -> str:
        """The folder's name. Everything that decides the weights is in the hash; names of folders on disk and what
        is only said about a method are not."""
        config = self.config
        decisive = [config.method.identity(), config.dataset.identity(), config.training.to_json(), config.seed]
        hashed = digest([*decisive, config.code, TRAINING_VERSION])
        return f"{config.dataset.name}-{config.method.name}-s{config.seed}-{hashed}"
