"""The forward and the reverse process of trained methods, recorded step by step for a few test cases."""

from omegaconf import DictConfig

from benchmarks.plan import Trial
from benchmarks.store import Results, Store


def record(config: DictConfig, store: Store, trials: list[Trial]) -> None:
    """Record every trained generative trial as the suite says."""
    raise NotImplementedError


def add(config: DictConfig, results: Results) -> None:
    """Put what is stored of the results' trials into results.trajectories."""
    raise NotImplementedError
