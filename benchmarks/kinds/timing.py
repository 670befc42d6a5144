"""Timing of untrained networks, whose speed does not depend on their weights: what is timed, and where it is stored.

runs/timings/<suite>-<hash>/
    about.json             what was asked for, and the machine it was timed on
    round-000.parquet      first calls: a row per contestant, with the reason where there is no time
    round-001.parquet ...  repeated calls, the contestants in turn, so that a slow spell hits all of them alike
    done.json              written last
"""

from dataclasses import asdict
from pathlib import Path

import pandas as pd
from filelock import FileLock
from omegaconf import DictConfig

from benchmarks import console
from benchmarks.errors import BadInput
from benchmarks.machine import contest
from benchmarks.machine.contest import Contestant
from benchmarks.machine.environment import environment
from benchmarks.plan import building, choices, identity, sources
from benchmarks.runner import fabric_for
from benchmarks.store.files import read_json, write_json
from benchmarks.store.records import RECORD_COLUMNS
from benchmarks.store.results import Store
from datasets.base import DataError

TIMING_VERSION = 1
"""Raised when this module or contest.py change what is timed."""
MACHINE = ("device", "cpu", "threads", "torch")
COLUMNS = [
    *RECORD_COLUMNS, "title", "call", "first", "peak_memory_mib", "parameters", "status", "reason", "device", "cpu",
    "threads", "torch",
]  # fmt: skip
"""call: 0 is the first (also `first`), the others are repeated; status: ok, declined or failed, with the reason."""


def measure(config: DictConfig, store: Store) -> pd.DataFrame:
    """Time what the store lacks and return a row per call (COLUMNS). Raises BadInput before any long work.

    suite.sizes: sides of square images or cubes, null for the data set's own size in this profile; suite.longest_call:
    seconds after which a first call is stopped; suite.least_calls and suite.seconds: each contestant is called again
    until it was called so often and for so long, or profile.timing_repeats times.
    """
    entrants = contestants(config)
    device = fabric_for(config).device
    machine = environment(device)
    asked = [identity.digest([c.config, c.sampling and asdict(c.sampling), c.declined]) for c in entrants]
    where = {key: machine[key] for key in MACHINE}
    folder = _folder(config, store, identity.digest([asked, _limits(config), where, request(config), TIMING_VERSION]))
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if not (folder / "done.json").exists():
            write_json(folder / "about.json", {"request": request(config), "environment": machine})
            with console.task(f"{config.suite.name}: timing") as report:
                contest.hold(entrants, _limits(config), device, folder, report)
            write_json(folder / "done.json", {"status": "ok"})
    return _rows(folder)


def find(config: DictConfig, store: Store) -> pd.DataFrame:
    """The stored rows of the newest contest of this kind, found without data. Raises BadInput where there are none."""
    wanted, found = request(config), []
    for done in _folder(config, store, "*").parent.glob(f"{config.suite.name}-*/done.json"):
        if (read_json(done.with_name("about.json")) or {}).get("request") == wanted:
            found.append(done)
    if not found:
        raise BadInput(
            f"paths.runs={store.runs}: holds no timing of suite={config.suite.name} with these settings; run the same "
            "command without action first."
        )
    return _rows(max(found, key=lambda path: (path.stat().st_mtime, path)).parent)


def request(config: DictConfig) -> str:
    """Hash of what is asked for, in words that need no data."""
    asked = [
        {key: choices.request(config, method, dataset, 0)[key] for key in ("method", "dataset")}
        for dataset in choices.chosen(config, "datasets")
        for method in choices.chosen(config, "methods")
    ]
    suite = {key: config.suite[key] for key in ("name", "version", "sampler", "eta", "ensemble")}
    lists = [None if config.suite[key] is None else sorted(config.suite[key]) for key in ("sizes", "steps")]
    return identity.digest([asked, suite, lists, _limits(config), config.device])


def contestants(config: DictConfig) -> list[Contestant]:
    """Everybody the suite times: by data set, method, growing image size and number of steps. Raises BadInput."""
    found = []
    for dataset in choices.chosen(config, "datasets"):
        known = _known(config, dataset)
        own = choices.image_size(config, dataset)
        sizes = [own] if config.suite.sizes is None else [[side] * len(own) for side in sorted(set(config.suite.sizes))]
        for method in choices.chosen(config, "methods"):
            asked = choices.request(config, method, dataset, 0)["method"]
            kind = building.method_class(method, asked["_target_"])
            declined = kind.supports(len(own), len(known["class_names"]) + 1, **building.arguments(asked))
            sampled = choices.samplings(config, method) if kind.generative else [None]
            for size in sizes:
                full = {"method": asked, "dataset": known | {"image_size": size}, "code": identity.code_version(kind)}
                for sampling in sorted(set(sampled), key=lambda how: how.steps if how else 0):
                    found.append(Contestant(full, sampling, declined))
    return found


def state(config: DictConfig, store: Store) -> str:
    """Whether the contest is there already, in words for action=plan."""
    try:
        find(config, store)
    except BadInput:
        return "to be timed"
    return "there already"


def _known(config: DictConfig, name: str) -> dict:
    """What a network needs to know of a data set; its cases are not read, and most sources need no files for it."""
    source = sources.source(config, name)
    try:
        return {"name": name, "channels": source.channels, "class_names": list(source.class_names)}
    except DataError as error:
        raise BadInput(f"dataset.{name}: {error}") from error


def _limits(config: DictConfig) -> dict:
    suite = config.suite
    return {key: suite[key] for key in ("longest_call", "least_calls", "seconds")} | {
        "repeats": config.profile.timing_repeats
    }


def _folder(config: DictConfig, store: Store, key: str) -> Path:
    return store.runs / "timings" / f"{config.suite.name}-{key}"


def _rows(folder: Path) -> pd.DataFrame:
    machine = read_json(folder / "about.json")["environment"]
    rows = pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("round-*.parquet"))], ignore_index=True)
    return rows.assign(**{key: machine[key] for key in MACHINE}).reindex(columns=COLUMNS)
