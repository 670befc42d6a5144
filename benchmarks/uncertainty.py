"""Many samples per image: how they spread, and whether the spread tells where the error is."""

from omegaconf import DictConfig

from benchmarks.plan import Trial
from benchmarks.store import Results, Store


def measure(config: DictConfig, store: Store, trials: list[Trial]) -> None:
    """Sample every trained generative trial as the suite says and store what came of it."""
    raise NotImplementedError


def add(config: DictConfig, results: Results) -> None:
    """Put what is stored of the results' trials into results.records and results.uncertainty."""
    raise NotImplementedError
