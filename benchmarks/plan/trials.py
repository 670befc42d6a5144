"""What a suite asks for: trials to train and conditions to test them under, each named by its content."""

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import NamedTuple

from benchmarks.plan.corruptions import Corruption
from benchmarks.plan.identity import digest
from benchmarks.plan.inference import Inference
from benchmarks.store.config import DatasetConfig, TrialConfig
from benchmarks.store.trial import TrialView
from methods.sampling import Sampling

TRAINING_VERSION = 1
"""Raised when benchmarks/training/ changes what a given configuration is trained to."""
EVALUATION_VERSION = 2
"""Raised when benchmarks/testing/ changes what is recorded for given weights."""


Unions = tuple[tuple[str, tuple[str, ...]], ...]


class Level(NamedTuple):
    """What decides the images of a test: conditions that share it are tested together."""

    sigma: float
    rescale: str
    noise_seed: int
    corruption: Corruption | None

    @property
    def words(self) -> str:
        """What is done to the images: sigma 0.1, or blur 3 (of severity 3)."""
        return f"{self.corruption.kind} {self.corruption.severity}" if self.corruption else f"sigma {self.sigma:g}"


@dataclass(frozen=True)
class Condition:
    """How a trial is tested. `sampling` is None for deterministic methods, which are tested once per level.

    corruption: what is done to the images before noise; None: nothing. tested_on, fingerprint: another data set than
    the one trained on, and the hash of its content; empty: the one trained on. tolerance: of NSD, in the unit of the
    data set's distances; None where it is not measured. unions: of classes that are scored as one, name and classes.
    inference: what evaluates the networks; None: PyTorch in float32.
    """

    sigma: float
    sampling: Sampling | None
    image_size: tuple[int, ...]
    rescale: str
    noise_seed: int = 0
    corruption: Corruption | None = None
    tested_on: str = ""
    fingerprint: str = ""
    tolerance: float | None = None
    inference: Inference | None = None
    unions: Unions = ()

    @property
    def level(self) -> Level:
        """What is done to the images."""
        return Level(self.sigma, self.rescale, self.noise_seed, self.corruption)

    @cached_property
    def key(self) -> str:
        """Name of its files in the store."""
        return self._key(EVALUATION_VERSION)

    @property
    def apart(self) -> "Condition":
        """The same without unions of classes."""
        return replace(self, unions=())

    @cached_property
    def former_key(self) -> str:
        """Its name when 2D cases were scored on the grid that methods work on, without NSD. Reports still read such
        records, and those of `apart`; a test never takes either for its own."""
        return replace(self.apart, tolerance=None)._key(1)

    def _key(self, version: int) -> str:
        # What is as it always was is left out: tests from before it could be otherwise keep their names.
        later = ("corruption", "tested_on", "fingerprint", "tolerance", "inference", "unions")
        parts = {name: value for name, value in asdict(self).items() if value or name not in later}
        what = f"{self.corruption.kind}{self.corruption.severity}" if self.corruption else f"sigma{self.sigma:g}"
        where = f"on-{self.tested_on}-" if self.tested_on else ""
        how = f"{self.sampling.sampler}{self.sampling.steps}" if self.sampling else "direct"
        return f"{where}{what}-{how}-{digest([parts, version])[:8]}"


@dataclass(frozen=True)
class Trial:
    """One method trained once on one data set, and the conditions it is tested under; `declined` says why not.
    elsewhere: the other data sets of its conditions, at the size it was trained at; saved: whether the predictions of
    all test cases are to be kept."""

    config: TrialConfig
    conditions: tuple[Condition, ...]
    declined: str | None = None
    elsewhere: tuple[DatasetConfig, ...] = ()
    saved: bool = False

    def tested(self, view: TrialView, condition: Condition) -> bool:
        """Whether the store holds all that its test under a condition leaves."""
        return view.has(condition.key) and (not self.saved or view.has_predictions(condition.key))

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
        part = "-f{}of{}".format(*config.dataset.fold) if config.dataset.fold else ""
        return f"{config.dataset.name}-{config.method.name}-s{config.seed}{part}-{hashed}"
