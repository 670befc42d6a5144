"""suite=all: the same command for every suite in turn, whatever becomes of the others."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from benchmarks import console
from benchmarks.errors import BadInput
from benchmarks.kinds import suites
from benchmarks.plan.configuration import configure
from benchmarks.store.records import RECORD_COLUMNS
from benchmarks.store.results import Results, Store

BAD_INPUT = 2


@dataclass
class Part:
    """One suite of all, and what came of it.

    overrides: its own command; left_out: those of the command that it was not given; code: the exit status it would
    have had alone; reason: why it could not begin or broke off, or None; seconds: what this call took.
    """

    name: str
    overrides: list[str]
    left_out: list[str]
    config: DictConfig
    code: int = 0
    reason: str | None = None
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)


def parts(config: DictConfig, overrides: list[str]) -> list[Part]:
    """Every suite with its overrides, all of them checked. Raises BadInput where one cannot be composed, and for
    suite.KEY=..., which means something else in every suite."""
    own = [word for word in overrides if word.lstrip("+~").startswith("suite.")]
    if own:
        raise BadInput(
            f"{own[0]}: suite=all takes no settings of single suites; run that suite alone, e.g. "
            f"python run_bench.py suite={config.suite.suites[0]} {own[0]}"
        )
    found = []
    for name in config.suite.suites:
        without = config.suite.left_out.get(name) or []
        rest = [word for word in overrides if word.partition("=")[0] != "suite" and not _is(word, "track")]
        left_out = [word for word in rest if any(_is(word, key) for key in without)]
        given = [f"suite={name}", *(word for word in rest if word not in left_out)]
        found.append(Part(name, given, left_out, configure([word for word in given if not _is(word, "action")])))
    return found


def attempt(part: Part, act: Callable[[DictConfig, list[str]], int]) -> None:
    """Do for one suite what the command says; what goes wrong is kept and said, not raised."""
    console.say(f"suite={part.name}")
    for word in part.left_out:
        console.say(f"  {word} is left out: this suite does not take it from suite=all")
    started = time.monotonic()
    try:
        part.code = act(part.config, part.overrides)
    except BadInput as error:
        part.code, part.reason = BAD_INPUT, str(error)
    except Exception as error:  # whatever ends one suite must not end the others
        part.code, part.reason = 1, f"{type(error).__name__}: {error}"
    part.seconds = time.monotonic() - started
    if part.reason:
        console.err.print(f"Error: suite={part.name}: {part.reason}", markup=False)


def status(found: list[Part]) -> int:
    """Exit status of the whole: 0 where every suite ended with 0, 2 where all were bad input, else 1."""
    codes = {part.code for part in found}
    return BAD_INPUT if codes == {BAD_INPUT} else int(codes != {0})


def collect(config: DictConfig, overrides: list[str], found: list[Part]) -> Results:
    """What the index says of every suite: suite["parts"], a dictionary each, from what the store holds now."""
    store = Store(Path(config.paths.runs))
    told = suites.describe(config, overrides) | {
        "parts": [
            {
                "name": part.name, "title": part.config.suite.title, "question": part.config.suite.question,
                "code": part.code, "reason": part.reason, "left_out": part.left_out, "seconds": part.seconds,
                "folder": str(store.report_folder(part.name)), **_counts(part),
            }
            for part in found
        ]
    }  # fmt: skip
    return Results(told, [], pd.DataFrame(columns=RECORD_COLUMNS))


def _counts(part: Part) -> dict[str, int]:
    """Trials by outcome; of a suite that times networks its contestants, of one that shows data its data sets."""
    try:
        results = suites.stored(part.config, part.overrides)
    except BadInput:
        return {"ok": 0, "declined": 0, "failed": 0}
    statuses = [view.status for view in results.trials] + ["ok"] * len(results.overviews)
    if "status" in results.records:
        first = results.records[results.records["call"] == 0]
        statuses += list(first["status"])
    return {name: statuses.count(name) for name in ("ok", "declined", "failed")}


def _is(word: str, key: str) -> bool:
    """Whether an override sets `key` or something below it."""
    name = word.lstrip("+~").partition("=")[0]
    return name == key or name.startswith(f"{key}.")
