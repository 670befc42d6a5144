"""Who takes part in a contest for the shortest time, and whether it has been held; nothing here is computed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.plan import identity
from benchmarks.store import sums
from benchmarks.store.config import DatasetConfig, MethodConfig
from benchmarks.store.files import there
from methods.sampling import Sampling

MARKS = {"about.json", "done.json"}
"""Files of a contest that are no rounds."""


@dataclass(frozen=True)
class Contestant:
    """A method at one image size of one data set, sampled in one way (None: deterministic). `code` is the
    hash of the method's code; `declined` says why there is nothing to time."""

    method: MethodConfig
    dataset: DatasetConfig
    code: str
    sampling: Sampling | None
    declined: str | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the image: (1, C, *spatial)."""
        return (1, self.dataset.channels, *self.dataset.image_size)

    @property
    def network(self) -> str:
        """What contestants with the same network have in common."""
        return identity.digest([self.method.to_json(), self.dataset.to_json()])

    @property
    def family(self) -> tuple:
        """What contestants that differ in image size alone have in common."""
        return self.method.name, self.dataset.name, self.sampling

    @property
    def name(self) -> str:
        """In words: method, data set, size and steps."""
        steps = f", {self.sampling.steps} steps" if self.sampling else ""
        return f"{self.method.name} on {self.dataset.name} at {self.dataset.size}{steps}"

    def row(self) -> dict[str, Any]:
        """The columns of the records that say who this is."""
        how = self.sampling
        return {
            "method": self.method.name, "title": self.method.label,
            "dataset": self.dataset.name, "steps": how.steps if how else 0,
            "sampler": how.sampler if how else "", "eta": how.stochasticity if how else float("nan"),
            "ensemble": how.ensemble if how else 1, "image_size": self.dataset.size,
        }  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """longest_call: seconds after which a first call is stopped. A contestant is called again while it was called less
    than `least_calls` times or for less than `seconds` altogether, and at most `repeats` times."""

    longest_call: float
    least_calls: int
    seconds: float
    repeats: int


def complete(folder: Path) -> bool:
    """Whether a contest has been held and everything of it is still there: its last file, and every round."""
    rounds = sorted({path.name for path in folder.glob("round-*.parquet")} | set(sums.read(folder).now) - MARKS)
    return all(there(folder / name) for name in ("done.json", "about.json", *rounds))
