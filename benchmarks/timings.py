"""Timing of untrained networks, whose speed does not depend on their weights."""

import pandas as pd
from omegaconf import DictConfig

from benchmarks.store import Store


def measure(config: DictConfig, store: Store) -> pd.DataFrame:
    """Time what the store lacks and return a row per repeated call."""
    raise NotImplementedError


def find(config: DictConfig, store: Store) -> pd.DataFrame:
    """The stored rows. Raises BadInput where there are none."""
    raise NotImplementedError
