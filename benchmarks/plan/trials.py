"""What a suite asks for: trials to train and conditions to test them under, each named by its content."""

from dataclasses import asdict, dataclass
from functools import cached_property

from benchmarks.plan.identity import digest
from methods.base import Sampling

TRAINING_VERSION = 1
"""Raised when train.py changes what a given configuration is trained to."""
EVALUATION_VERSION = 1
"""Raised when evaluate.py or metrics.py change what is recorded for given weights."""


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
        how = f"{self.sampling.sampler}{self.sampling.steps}" if self.sampling else "direct"
        return f"sigma{self.sigma:g}-{how}-{digest([asdict(self), EVALUATION_VERSION])[:8]}"


@dataclass(frozen=True)
class Trial:
    """One method trained once on one data set. `config` is what config.json holds."""

    config: dict
    conditions: tuple[Condition, ...]
    declined: str | None = None

    @property
    def name(self) -> str:
        return f"{self.config['method']['name']} on {self.config['dataset']['name']}, seed {self.config['seed']}"

    @cached_property
    def key(self) -> str:
        """The folder's name. Everything that decides the weights is in the hash; names of folders on disk and what
        is only said about a method are not."""
        config = self.config
        method = {k: v for k, v in config["method"].items() if k not in ("title", "summary")}
        dataset = {k: config["dataset"].get(k) for k in ("name", "image_size", "fingerprint", "augmentation")}
        hashed = digest([method, dataset, config["training"], config["seed"], config["code"], TRAINING_VERSION])
        return f"{dataset['name']}-{method['name']}-s{config['seed']}-{hashed}"
