"""What a suite can be: the interface that every kind of suite fills in."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import DictConfig, OmegaConf

from benchmarks import runner
from benchmarks.errors import BadInput, unknown
from benchmarks.plan import building, inference
from benchmarks.plan.choices import VALIDATED, chosen, method_config, requests
from benchmarks.plan.configuration import names, plain
from benchmarks.runner import Work
from benchmarks.store.results import Results, Store

Batch = tuple[Work, Sequence[Any]]
"""Jobs of one sort, and how they are done."""
Suite = dict[str, Any]
"""What a report is told of its suite: the keys of conf/suite/NAME.yaml and of `described`."""


@dataclass(frozen=True)
class Left:
    """What is left to do in a suite, for action=plan: a row of words for each job (under `columns`) and a guess of the
    seconds all of it takes, None where nobody can say; `lines` stand where a table would say too little."""

    columns: tuple[str, ...] = ()
    rows: Sequence[tuple[str, ...]] = ()
    seconds: float | None = None
    lines: Sequence[str] = ()


class Kind(ABC):
    """A kind of suite. `name` is what `kind:` in conf/suite/NAME.yaml says, `keys` what such a file has to hold beyond
    what every suite holds, `report` the module under reports/suites/ that shows it where the suite names none,
    `chooses_steps` whether suite.steps=validated means something in it, `cross_validates` whether folds do,
    `synthesizes` whether its methods make images from label maps instead of the other way round."""

    name: ClassVar[str]
    keys: ClassVar[tuple[str, ...]] = ()
    report: ClassVar[str]
    compares_methods: ClassVar[bool] = True
    chooses_steps: ClassVar[bool] = False
    cross_validates: ClassVar[bool] = False
    synthesizes: ClassVar[bool] = False

    def check(self, config: DictConfig) -> None:
        """Raises BadInput for settings of the suite that cannot be used. Called before any work."""
        check_keys(config.suite, self.keys)
        if config.suite.steps == VALIDATED and not self.chooses_steps:
            raise BadInput(
                f"suite.steps={VALIDATED}: suites of kind {self.name} choose nothing on validation cases; expected a "
                "list such as suite.steps=[2,10], or null."
            )
        check_names(config, self.compares_methods)
        check_folds(config, self.cross_validates)
        check_numbers(config)

    def default_report(self, suite: DictConfig) -> str:
        """The report that shows a suite which names none itself."""
        return self.report

    @abstractmethod
    def batches(self, config: DictConfig, store: Store) -> Iterator[Batch]:
        """What is to be done, sort by sort: a later batch is asked for once the earlier one has been done. Raises
        BadInput before any long work."""

    @abstractmethod
    def collect(self, config: DictConfig, store: Store, suite: Suite) -> Results:
        """What the store holds for this command, found without its data; `suite` is what reports are told of it.
        Raises BadInput where that is nothing."""

    def finish(self, config: DictConfig, store: Store, batches: Sequence[Batch], suite: Suite) -> Results:
        """The results once all batches have been done."""
        return self.collect(config, store, suite)

    @abstractmethod
    def left(self, config: DictConfig, store: Store) -> Left:
        """What `run` would do, and how long that is expected to take."""

    # ---- the same for all kinds ------------------------------------------------------------------------------------

    def run(self, config: DictConfig, command: str, early: Callable[[], bool] = lambda: True) -> Results:
        """Compute what the store lacks of the suite and return all of it. early: see `runner.run`. Raises BadInput
        before any long work."""
        store = Store(Path(config.paths.runs))
        store.open()
        done: list[Batch] = []
        unwritten: list[str] = []
        for work, jobs in self.batches(config, store):
            unwritten += runner.run(work, jobs, early)
            done.append((work, jobs))
        results = self.finish(config, store, done, described(config, self, command))
        results.unwritten = unwritten
        return results

    def stored(self, config: DictConfig, command: str) -> Results:
        """What the store holds for this command, found without the data. Raises BadInput where that is nothing."""
        results = self.collect(config, Store(Path(config.paths.runs)), described(config, self, command))
        if held := {view.config.name for view in results.trials}:
            absent = [asked.name for asked in requests(config) if asked.name not in held]
            results.missing = [f"{name}: no finished trial" for name in absent] + results.missing
        return results


def described(config: DictConfig, kind: Kind, command: str) -> Suite:
    """The suite as a report needs it: its settings and the commands that make (`command`) and redraw it."""
    return plain(config.suite) | {
        "report": report_name(config.suite, kind),
        "command": command,
        "redraw_command": f"{command} action=report",
        "profile": config.profile.name,
        "rescale": config.noise.rescale,
        "inference": how.words if (how := inference.asked(config)) else "",
        **{key: chosen(config, key) for key in ("methods", "datasets", "seeds")},
    }


def report_name(suite: DictConfig, kind: Kind) -> str:
    """The report that shows a suite: the one its file names, else that of its kind."""
    return suite.get("report") or kind.default_report(suite)


EVERY_SUITE = ("name", "title", "question", "version", "kind", "methods", "datasets", "seeds", "sigmas", "steps")
"""Keys that every file of conf/suite/ has."""
SAMPLED = ("sampler", "eta", "ensemble")
"""Keys of suites that sample methods."""


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_list(value: object) -> bool:
    return OmegaConf.is_list(value)


OPTIONAL = ("report", "margin", "unseen_failure", "save_predictions")
"""Keys that a suite may have."""

TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "title": (_is_text, "words in quotes"),
    "question": (_is_text, "words in quotes"),
    "report": (lambda value: value is None or _is_text(value), "the name of a module of reports/suites/"),
    "margin": (lambda value: number(value) and 0 < value < 1, "a difference of DSC between 0 and 1, e.g. 0.01"),
    "unseen_failure": (
        lambda value: number(value) and 0 <= value <= 1,
        "a loss of DSC from 0 (failures that were not seen play no part) to 1, e.g. 0.3",
    ),
    "save_predictions": (lambda value: isinstance(value, bool), "true or false"),
    "methods": (_is_list, "a list of names, e.g. [ldseg]"),
    "datasets": (_is_list, "a list of names, e.g. [glas]"),
    "seeds": (_is_list, "a list of whole numbers from 0, e.g. [0]"),
    "sigmas": (_is_list, "a list of numbers from 0, e.g. [0, 0.1]"),
    "steps": (
        lambda value: value in (None, VALIDATED) or _is_list(value) and len(value) > 0,
        f"a list such as [2, 10], null, or {VALIDATED} (chosen on validation cases)",
    ),
    "sampler": (lambda value: value is None or _is_text(value), "the name of a sampler, or null"),
    "eta": (lambda value: value is None or number(value) and 0 <= value <= 1, "a number from 0 to 1, or null"),
    "ensemble": (lambda value: value is None or whole(value, 1), "a whole number from 1, or null"),
    "version": (lambda value: whole(value, 1), "a whole number from 1"),
    "pictures": (lambda value: whole(value, 0), "a whole number from 0"),
}
"""Of keys that several kinds have: whether a value fits, and what does."""


def check_keys(suite: DictConfig, keys: Sequence[str]) -> None:
    """Raises BadInput where conf/suite/NAME.yaml lacks a key, or has one that means nothing in its kind."""
    known = {*EVERY_SUITE, *keys, *OPTIONAL}
    where = f"conf/suite/{suite.get('name')}.yaml"
    if missing := [key for key in (*EVERY_SUITE, *keys) if key not in suite]:
        raise BadInput(f"{where}: lacks {', '.join(missing)}, which a suite of kind {suite.kind} has to say.")
    for key in suite:
        if key not in known:
            raise BadInput(f"{where}: {unknown('suite', str(key), known)}")
    for key, (fits, expected) in TYPES.items():
        if key in suite and not fits(suite[key]):
            raise BadInput(f"suite.{key}={suite[key]!r}: in {where} or on the command line, expected {expected}.")


def check_names(config: DictConfig, compares_methods: bool) -> None:
    """Raises BadInput for methods, data sets and seeds that are none."""
    for key in ("methods", "datasets"):
        found = config[key] if config[key] is not None else config.suite[key]
        if key == "methods" and not compares_methods:
            if found:
                raise BadInput(f"methods={found}: suite={config.suite.name} compares no methods; leave methods out.")
            continue
        if not OmegaConf.is_list(found) or not found:
            raise BadInput(f"{key}={found}: expected a list with at least one name, e.g. {key}=[{names(key[:-1])[0]}].")
        for name in found:
            if name not in config[key[:-1]] or name == "_target_":
                raise unknown(key, name, [n for n in config[key[:-1]] if n != "_target_"])
    seeds = config.seeds if config.seeds is not None else config.suite.seeds
    if not OmegaConf.is_list(seeds) or not seeds or not all(whole(seed, 0) for seed in seeds):
        raise BadInput(f"seeds={seeds}: expected a list of whole numbers from 0, e.g. seeds=[0,1,2].")


def check_methods(config: DictConfig, synthesizes: bool) -> None:
    """Raises BadInput for a method of the other sort: one that makes images from label maps where segmenters are
    compared (`synthesizes` False), or a segmenter where such methods are."""
    for name in chosen(config, "methods"):
        # A command that may yet be refused writes nothing.
        if building.synthesizes(method_config(config, name), Path(config.paths.cache)) == synthesizes:
            continue
        does, wanted = ("segments images", "makes images from label maps")[:: 1 if synthesizes else -1]
        raise BadInput(
            f"methods: {name} {does}, and every method that suite={config.suite.name} compares {wanted}. "
            "`python run_bench.py action=list` tells them apart."
        )


def check_folds(config: DictConfig, cross_validates: bool) -> None:
    """Raises BadInput for a number of folds that cannot be, and in suites whose results are of one split."""
    folds = config.folds
    if folds is None:
        return
    if not whole(folds, 2):
        raise BadInput(
            f"folds={folds}: expected a whole number from 2, the parts that patients are dealt into, e.g. folds=5, or "
            "null for the data set's own split."
        )
    if not cross_validates:
        raise BadInput(
            f"folds={folds}: suite={config.suite.name} is of kind {config.suite.kind}, which tests one split; suites "
            "of kind trials cross-validate, such as suite=accuracy folds=5."
        )


def check_numbers(config: DictConfig) -> None:
    """Raises BadInput for noise levels and numbers of steps that cannot be."""
    if not config.suite.sigmas:
        raise BadInput("suite.sigmas=[]: expected at least one noise level, e.g. [0].")
    for sigma in config.suite.sigmas:
        if not number(sigma) or not 0 <= sigma < float("inf"):
            raise BadInput(
                f"suite.sigmas: {sigma!r} is not a noise standard deviation; expected numbers from 0, e.g. 0.1."
            )
    for steps in [] if config.suite.steps == VALIDATED else config.suite.steps or []:
        if not whole(steps, 2):
            raise BadInput(
                f"suite.steps: {steps!r} cannot be sampled; expected whole numbers from 2 "
                "(the grid holds both ends, T-1 and 0; one point would decode pure noise)."
            )


def number(value: object) -> bool:
    """Whether a value is a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def whole(value: object, least: int) -> bool:
    """Whether a value is a whole number from `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
