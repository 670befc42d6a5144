"""suite=all: the same command for every suite in turn, whatever becomes of the others."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from benchmarks import console
from benchmarks.errors import BadInput, unknown
from benchmarks.kinds.base import Batch, Kind, Left, Suite, check_keys
from benchmarks.plan.configuration import CONF, names
from benchmarks.store.records import RECORD_COLUMNS
from benchmarks.store.results import Results, Store

BAD_INPUT = 2


@dataclass(frozen=True)
class Part:
    """One suite of all: its own command (`overrides`), those of the command that it was not given (`left_out`), and its
    checked configuration and kind."""

    name: str
    overrides: list[str]
    left_out: list[str]
    config: DictConfig
    kind: Kind


@dataclass(frozen=True)
class Outcome:
    """What came of a part. code: the exit status it would have had alone; reason: why it could not begin or broke off,
    or None; seconds: what this call took."""

    code: int
    reason: str | None
    seconds: float


class Everything(Kind):
    """Other suites, one after the other; each is checked and done by its own kind, see `parts` and `attempt`."""

    name = "all"
    keys = ("suites", "left_out")
    report = "all"

    def check(self, config: DictConfig) -> None:
        """Its suites have to be known; what they are given is checked by their own kinds."""
        check_keys(config.suite, self.keys)
        suites, left_out = config.suite.suites, config.suite.left_out
        if not OmegaConf.is_list(suites) or not suites:
            raise BadInput(f"suite.suites={suites}: expected a list of suites, e.g. [accuracy].")
        for name in suites:
            if name not in names("suite") or _kind(name) == self.name:
                raise BadInput(f"suite.suites: {name!r} is no single suite; known: {', '.join(_single())}.")
        if not OmegaConf.is_dict(left_out) or not all(OmegaConf.is_list(keys) for keys in left_out.values()):
            raise BadInput(f"suite.left_out={left_out}: expected for some suites a list of keys each, or {{}}.")
        for name in left_out:
            if name not in names("suite"):
                raise unknown("suite.left_out", str(name), names("suite"))

    def batches(self, config: DictConfig, store: Store) -> Iterator[Batch]:
        """Nothing but what its parts do."""
        return iter(())

    def left(self, config: DictConfig, store: Store) -> Left:
        """Nothing but what its parts have left."""
        return Left(seconds=0.0)

    def collect(self, config: DictConfig, store: Store, suite: Suite) -> Results:
        """The index of suites, without any of them; `index` fills it."""
        import pandas as pd

        return Results(suite | {"parts": []}, [], pd.DataFrame(columns=RECORD_COLUMNS))


def _kind(name: str) -> str | None:
    """What conf/suite/NAME.yaml says its kind is."""
    found = OmegaConf.load(CONF / "suite" / f"{name}.yaml")
    return found.get("kind") if isinstance(found, DictConfig) else None


def _single() -> list[str]:
    return [name for name in names("suite") if _kind(name) != Everything.name]


Checked = Callable[[list[str]], tuple[DictConfig, Kind]]
"""From a command to its checked configuration and its kind."""


def parts(config: DictConfig, overrides: list[str], checked: Checked) -> list[Part]:
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
        # A report's name is of one report: those of the suites have their suite in it.
        own = [f"{word}-{name}" if _is(word, "report") else word for word in rest if word not in left_out]
        given = [f"suite={name}", *own]
        found.append(Part(name, given, left_out, *checked([word for word in given if not _is(word, "action")])))
    return found


def attempt(part: Part, act: Callable[[Part], int]) -> Outcome:
    """Do for one suite what the command says; what goes wrong is kept and said, not raised."""
    console.say(f"suite={part.name}")
    for word in part.left_out:
        console.say(f"  {word} is left out: this suite does not take it from suite=all")
    started = time.monotonic()
    code, reason = 0, None
    try:
        code = act(part)
    except BadInput as error:
        code, reason = BAD_INPUT, str(error)
    except Exception as error:  # whatever ends one suite must not end the others
        code, reason = 1, f"{type(error).__name__}: {error}"
    if reason:
        console.complain(f"Error: suite={part.name}: {reason}")
    return Outcome(code, reason, time.monotonic() - started)


def status(outcomes: Sequence[Outcome]) -> int:
    """Exit status of the whole: 0 where every suite ended with 0, 2 where all were bad input, else 1."""
    codes = {outcome.code for outcome in outcomes}
    return BAD_INPUT if codes == {BAD_INPUT} else int(codes != {0})


def index(config: DictConfig, results: Results, done: Sequence[tuple[Part, Outcome]]) -> Results:
    """What the index says of every suite: suite["parts"], a dictionary each, from what the store holds now."""
    store = Store(Path(config.paths.runs))
    results.suite["parts"] = [
        {
            "name": part.name, "title": part.config.suite.title, "question": part.config.suite.question,
            "left_out": part.left_out, "folder": str(store.report_folder(part.config.report)),
            **asdict(outcome),
            **_counts(part),
        }
        for part, outcome in done
    ]  # fmt: skip
    return results


def _counts(part: Part) -> dict[str, int]:
    """Trials by outcome; of a suite that times networks its contestants, of one that shows data its data sets."""
    try:
        results = part.kind.stored(part.config, "")
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
