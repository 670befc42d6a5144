"""Suites that time untrained networks, whose speed does not depend on their weights.

runs/timings/<suite>-<hash>/
    about.json             what was asked for, and the machine it was timed on
    round-000.parquet      first calls: a row per contestant, with the reason where there is no time
    round-001.parquet ...  repeated calls, the contestants in turn, so that a slow spell hits all of them alike
    done.json              written last
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from benchmarks import console
from benchmarks.errors import BadInput, Failure
from benchmarks.kinds.base import SAMPLED, Batch, Kind, Left, Suite, whole
from benchmarks.machine import entrants
from benchmarks.machine.entrants import Contestant, Limits
from benchmarks.plan import building, choices, identity, inference, sources
from benchmarks.runner import Work
from benchmarks.store.config import DatasetConfig
from benchmarks.store.files import read_frame, read_json, write_json
from benchmarks.store.records import RECORD_COLUMNS
from benchmarks.store.results import Results, Store
from datasets.base import DataError
from methods.sampling import Sampling

TIMING_VERSION = 1
"""Raised when this module or machine/contest.py change what is timed."""
MACHINE = ("device", "cpu", "threads", "torch")
COLUMNS = [
    *RECORD_COLUMNS, "title", "call", "first", "peak_memory_mib", "parameters", "status", "reason", "device", "cpu",
    "threads", "torch",
]  # fmt: skip
"""call: the round, of which 0 is the first (also `first`) and the others are repeated; status: ok, declined or failed,
with the reason."""
LIMITS = ("longest_call", "least_calls", "seconds")


class Contest(NamedTuple):
    """The one job of such a suite: who is timed, and the folder of the rounds."""

    contestants: list[Contestant]
    folder: Path


class Hold(Work[Contest]):
    """Hold a contest: all contestants in turn, round by round; rounds that are there are kept."""

    def name(self, job: Contest) -> str:
        """The suite."""
        return f"{self.config.suite.name}: timing"

    def place(self, job: Contest) -> Path:
        """The folder of the rounds."""
        return job.folder

    def settled(self, job: Contest) -> bool:
        """Whether all rounds are there."""
        return entrants.complete(job.folder)

    def do(self, job: Contest) -> None:
        """Time the rounds that are missing."""
        from benchmarks.machine import contest
        from benchmarks.machine.device import fabric_for
        from benchmarks.machine.environment import environment

        device = fabric_for(self.config).device
        write_json(job.folder / "about.json", {"request": request(self.config), "environment": environment(device)})
        with console.task(self.name(job)) as report:
            how = inference.asked(self.config)
            contest.hold(job.contestants, limits(self.config), (device, how), job.folder, report)
        write_json(job.folder / "done.json", {"status": "ok"})

    def fail(self, job: Contest, failure: Failure) -> bool:
        """What ends one contestant is its row; what ends all of them leaves nothing to report."""
        return False


class Timing(Kind):
    """Time untrained networks. suite.sizes: sides of square images or cubes, null for the data set's own size in this
    profile; the other keys are explained by `entrants.Limits`."""

    name = "timing"
    keys = (*SAMPLED, "sizes", *LIMITS)
    report = "runtime"

    def default_report(self, suite: DictConfig) -> str:
        """By what the suite varies: the image size, or the method and its sampling."""
        return "image_size" if suite.sizes is not None and len(suite.sizes) > 1 else self.report

    def check(self, config: DictConfig) -> None:
        """Besides what all suites are checked for: sizes and limits."""
        super().check(config)
        suite = config.suite
        sizes = suite.sizes
        if sizes is not None and (not OmegaConf.is_list(sizes) or not sizes or not all(whole(s, 1) for s in sizes)):
            raise BadInput(f"suite.sizes={sizes}: expected a list of sides in pixels, e.g. [64,128], or null.")
        for key in ("longest_call", "seconds"):
            if not isinstance(suite[key], (int, float)) or suite[key] <= 0:
                raise BadInput(f"suite.{key}={suite[key]}: expected a number of seconds above 0.")
        if not whole(suite.least_calls, 1):
            raise BadInput(f"suite.least_calls={suite.least_calls}: expected a whole number from 1.")

    def batches(self, config: DictConfig, store: Store) -> Iterator[Batch]:
        """One contest."""
        found = contestants(config)
        yield Hold(config, store), [Contest(found, _place(config, store, found))]

    def finish(self, config: DictConfig, store: Store, batches: Sequence[Batch], suite: Suite) -> Results:
        """The rows of just this contest."""
        (_, jobs), *_ = batches
        return _filled(store.results(suite, []), jobs[0].folder)

    def collect(self, config: DictConfig, store: Store, suite: Suite) -> Results:
        """The rows of the newest contest of this kind."""
        return _filled(store.results(suite, []), find(config, store))

    def left(self, config: DictConfig, store: Store) -> Left:
        """Who is timed, and whether that is there already."""
        try:
            find(config, store)
            state = "there already"
        except BadInput:
            state = "to be timed"
        lines = [f"{config.suite.title}: {state}"]
        for contestant in contestants(config):
            lines.append(f"  {contestant.name}{f': declined, {contestant.declined}' if contestant.declined else ''}")
        return Left(lines=lines)


def _filled(results: Results, folder: Path) -> Results:
    """Results with a row per call (COLUMNS)."""
    import pandas as pd

    machine = (read_json(folder / "about.json") or {})["environment"]
    rows = pd.concat([read_frame(path) for path in sorted(folder.glob("round-*.parquet"))], ignore_index=True)
    results.records = rows.assign(**{key: machine[key] for key in MACHINE}).reindex(columns=COLUMNS)
    return results


def find(config: DictConfig, store: Store) -> Path:
    """The folder of the newest contest of this kind, found without data. Raises BadInput where there is none."""
    wanted = request(config)
    found = [
        done
        for done in _folder(config, store, "*").parent.glob(f"{config.suite.name}-*/done.json")
        if (read_json(done.with_name("about.json")) or {}).get("request") == wanted and entrants.complete(done.parent)
    ]
    if not found:
        raise BadInput(
            f"paths.runs={store.runs}: holds no timing of suite={config.suite.name} with these settings; run the same "
            "command without action first."
        )
    return max(found, key=lambda path: (path.stat().st_mtime, path)).parent


def request(config: DictConfig) -> str:
    """Hash of what is asked for, in words that need no data."""
    asked = []
    for dataset in choices.chosen(config, "datasets"):
        for method in choices.chosen(config, "methods"):
            one = choices.request(config, method, dataset, 0)
            asked.append({"method": one.method.to_json(), "dataset": one.dataset.asked()})
    suite = {key: config.suite[key] for key in ("name", "version", "sampler", "eta", "ensemble")}
    lists = [None if config.suite[key] is None else sorted(config.suite[key]) for key in ("sizes", "steps")]
    how = inference.asked(config)
    engine = [] if how is None else [how.words]
    return identity.digest([asked, suite, lists, asdict(limits(config)), config.device, *engine])


def limits(config: DictConfig) -> Limits:
    """How long and how often the suite times."""
    return Limits(**{key: config.suite[key] for key in LIMITS}, repeats=config.profile.timing_repeats)


def contestants(config: DictConfig) -> list[Contestant]:
    """Everybody the suite times: by data set, method, growing image size and number of steps. Raises BadInput."""
    found = []
    for name in choices.chosen(config, "datasets"):
        known = _known(config, name)
        own = choices.image_size(config, name)
        sizes = [own] if config.suite.sizes is None else [[side] * len(own) for side in sorted(set(config.suite.sizes))]
        for method in (choices.method_config(config, method) for method in choices.chosen(config, "methods")):
            kind = building.method_class(method)
            declined = kind.supports(len(own), known.classes, **method.arguments)
            ways = set(choices.samplings(config, method.name)) if kind.generative else {None}
            for size in sizes:
                dataset = DatasetConfig(name, tuple(size), channels=known.channels, class_names=known.class_names)
                for sampling in sorted(ways, key=_steps):
                    found.append(Contestant(method, dataset, identity.code_version(kind), sampling, declined))
    return found


def _steps(sampling: Sampling | None) -> int:
    return sampling.steps if sampling else 0


def _known(config: DictConfig, name: str) -> DatasetConfig:
    """What a network needs to know of a data set; its cases are not read, and most sources need no files for it."""
    source = sources.source(config, name)
    try:
        return DatasetConfig(name, channels=source.channels, class_names=tuple(source.class_names))
    except DataError as error:
        raise BadInput(f"dataset.{name}: {error}") from error


def _place(config: DictConfig, store: Store, contestants: list[Contestant]) -> Path:
    """The folder of a contest, named by the contestants, the limits and the machine."""
    from benchmarks.machine.device import fabric_for
    from benchmarks.machine.environment import environment

    asked = [identity.digest([_network(c), c.sampling and asdict(c.sampling), c.declined]) for c in contestants]
    here = environment(fabric_for(config).device)
    where = {key: here[key] for key in MACHINE}
    decisive = [asked, asdict(limits(config)), where, request(config), TIMING_VERSION]
    return _folder(config, store, identity.digest(decisive))


def _network(contestant: Contestant) -> dict[str, Any]:
    """What decides how fast a contestant is, besides how it is sampled."""
    dataset = contestant.dataset
    known: dict[str, Any] = {"name": dataset.name, "channels": dataset.channels}
    known |= {"class_names": dataset.class_names, "image_size": dataset.image_size}
    return {"method": contestant.method.to_json(), "dataset": known, "code": contestant.code}


def _folder(config: DictConfig, store: Store, key: str) -> Path:
    return store.runs / "timings" / f"{config.suite.name}-{key}"
