"""The one entry: python run_bench.py suite=noise_robustness [key=value ...]"""

from __future__ import annotations

import contextlib
import gc
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from benchmarks.kinds.base import Kind
    from benchmarks.store.results import Results

# The profiler that measures memory announces itself otherwise; read when torch is imported.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")

USAGE = """python run_bench.py suite=NAME [key=value ...]

  action=run       plan, train what is missing, test, report (the default)
  action=plan      say what would be trained and tested, what is there already and how long it will take
  action=report    redraw the report from the stored records; no training, no data needed
  action=compare   set the stored records beside those of another store, paths.other=DIR (before a change)
  action=track     send the stored results to MLflow again
  action=tune      search each method's recipe on validation, tune.trials trials for every method
  action=verify    compare every file of the store with its SHA-256; verify.add=true writes sums that are missing
  action=list      every suite, method, data set and profile, each with one line

  action=segment   weights=TRIAL|FILE input=IMAGES output=DIR: masks of new images, overlays, maps of uncertainty
  action=export    trial=KEY|all output=FILE: trials as one file; action=import input=FILE takes them into paths.runs
  action=merge     input=[DIR,DIR]: trials, samples and timings of other stores into paths.runs
  action=store     what paths.runs holds: trials by state, size and age
  action=gc        what paths.runs can do without; gc.delete=true deletes it
  action=leaderboard  input=[DIR,DIR] output=DIR: a page of all methods by data set, over any number of stores

  methods=[ldseg,resunet]  datasets=[glas,camus]  seeds=[0,1,2]  folds=5  profile=tiny|quick|paper
  report=NAME      the report's folder below DIR/reports/; without it named after suite, data sets and what else is said
  paths.data=DIR (or the environment variable DIFFSEG_DATA)  paths.runs=DIR  device=auto|cpu|cuda

  suite=all        every suite in turn with the same overrides, and one report that links theirs

Exit status: 0 all trials ended well or were declined, 1 a trial failed (the report names it) or what is to be written
cannot be, 2 bad input, 3 stopped by training.stop_after, 128 + N stopped by signal N (130 Ctrl-C, 143 SIGTERM). After 3
and 128 + N the same command goes on where the run stopped.
Of suite=all: 1 where any suite failed or could not begin, 2 where none could.
"""


def main(overrides: list[str]) -> int:
    """Do what the command says and return its exit status."""
    if any(word in ("-h", "--help", "help") for word in overrides):
        print(USAGE)
        return 0
    # Imported here so that help answers at once.
    from benchmarks.training import stopping

    try:
        with stopping.on_signals():
            return attempt(overrides)
    except KeyboardInterrupt as stop:
        words = str(stop) or "interrupted"
        print(f"{words[0].upper()}{words[1:]}. The same command goes on where this run stopped.", file=sys.stderr)
        return stop.status if isinstance(stop, stopping.Stopped) else 130


def attempt(overrides: list[str]) -> int:
    """The exit status of a command, what goes wrong said in a line. Raises Stopped."""
    from benchmarks import console
    from benchmarks.errors import BadInput, CannotWrite, cannot_write

    try:
        return act(overrides)
    except BadInput as error:
        console.complain(f"Error: {error}")
        return 2
    except (CannotWrite, OSError) as error:
        named = cannot_write(error.filename or "a file", error) if isinstance(error, OSError) else error
        if not isinstance(named, CannotWrite):
            raise
        console.complain(f"Error: {named}")
        return 1


def act(overrides: list[str]) -> int:
    """The exit status of a command. Raises BadInput, CannotWrite, and Stopped where it is interrupted."""
    from benchmarks.plan.configuration import configure

    config = configure(overrides)
    if config.action not in COMPUTING:
        # Little is thrown away while libraries are imported and figures drawn; looking for it as often as usual takes
        # a tenth of a report's time.
        gc.set_threshold(50_000)
    if config.track is not None:
        words = [word for word in overrides if word.partition("=")[0] not in ("suite", "track", "action")]
        return act([*words, f"suite={config.track}", "action=track"])
    if config.action in ALONE:
        return ALONE[config.action](config)
    config, kind = checked(overrides, config)
    action = ACTIONS[config.action]
    if config.suite.kind == "all":
        return act_on_all(config, kind, overrides)
    return action(config, kind, command(overrides))


def checked(overrides: list[str], config: DictConfig | None = None) -> tuple[DictConfig, Kind]:
    """The configuration of a command (`config` where it is known) and the kind of its suite. Raises BadInput for
    settings that cannot be used and for a suite without a report, before any work."""
    import reports
    from benchmarks.errors import BadInput
    from benchmarks.kinds import registry
    from benchmarks.kinds.base import report_name
    from benchmarks.plan.naming import named

    def shown(config: DictConfig, kind: Kind) -> None:
        try:
            reports.check(report_name(config.suite, kind), config.suite.kind)
        except ValueError as error:
            raise BadInput(f"suite={config.suite.name}: {error}") from error

    config, kind = registry.checked(overrides, config, shown)
    config.report = named(config, overrides)
    return config, kind


def command(overrides: list[str]) -> str:
    """The command as a report prints it."""
    words = [shlex.quote(word) for word in overrides if word.partition("=")[0] not in ("action", "track")]
    return " ".join(["python run_bench.py", *words])


def run(config: DictConfig, kind: Kind, said: str) -> int:
    """Train and test what is missing, then measure, report and track. `said` is the command, for the report."""
    from benchmarks import console
    from benchmarks.errors import BadInput
    from benchmarks.training.stopping import OUT_OF_TIME, Stopped

    def early() -> bool:
        try:
            write_report(config, kind.stored(config, said))
        except BadInput:  # the first jobs made what others need: nothing to report yet
            return False
        except Exception as error:  # what cannot be drawn yet must not end what is being computed
            console.say(f"No report of the first part: {error}")
        return True

    try:
        results = kind.run(config, said, early)
    except Stopped as stop:
        if stop.status == OUT_OF_TIME:
            with contextlib.suppress(BadInput):  # nothing to report yet
                redraw(config, kind, said)
        raise
    folder = write_report(config, results)
    note = track(results, folder, config)
    if note:
        console.say(f"MLflow was not written: {note}. `{said} action=track` sends it later.")
    return conclude(results)


def act_on_all(config: DictConfig, kind: Kind, overrides: list[str]) -> int:
    """Do the same for every suite in turn, then write the report that links theirs."""
    from benchmarks.kinds import everything

    action = ACTIONS[config.action]
    found = everything.parts(config, overrides, checked)
    done = [
        (part, everything.attempt(part, lambda p: action(p.config, p.kind, command(p.overrides)))) for part in found
    ]
    status = everything.status([outcome for _, outcome in done])
    if action in (run, redraw) and status != everything.BAD_INPUT:
        write_report(config, everything.index(config, kind.stored(config, command(overrides)), done))
    return status


def show_plan(config: DictConfig, kind: Kind, said: str) -> int:
    """Print what `run` would do, and how long it is expected to take."""
    from rich.table import Table

    from benchmarks import console
    from benchmarks.store.results import Store

    left = kind.left(config, Store(Path(config.paths.runs)))
    for line in left.lines:
        console.say(line)
    if left.columns:
        table = Table(*left.columns, title=config.suite.title)
        for row in left.rows:
            table.add_row(*row)
        console.out().print(table)
    if left.seconds is not None:
        console.say(f"About {console.duration(left.seconds)} in all." if left.seconds else "Nothing is left to do.")
    return 0


def redraw(config: DictConfig, kind: Kind, said: str) -> int:
    """Write the report again from what is stored."""
    from benchmarks import console

    results = kind.stored(config, said)
    for line in results.missing:
        console.say(f"Asked for and not there: {line}")
    write_report(config, results)
    return conclude(results)


def compare(config: DictConfig, kind: Kind, said: str) -> int:
    """Report what differs between the store `paths.other` (before) and the store `paths.runs` (after)."""
    from benchmarks import console
    from benchmarks.kinds import comparison
    from benchmarks.store.results import Store
    from reports import write

    results = comparison.compare(config, said)
    report = write(results, Store(Path(config.paths.runs)).report_folder(f"{config.suite.name}_compare"))
    console.say(f"Report: {report}")
    return 0


def replay(config: DictConfig, kind: Kind, said: str) -> int:
    """Send stored results to MLflow. Exit status 1 where it cannot be reached."""
    from benchmarks import console
    from benchmarks.errors import BadInput
    from benchmarks.store.results import Store

    if not config.tracking.enabled:
        raise BadInput("tracking: is switched off, so there is nothing to send to; leave out tracking=none.")
    results = kind.stored(config, said)
    note = track(results, Store(Path(config.paths.runs)).report_folder(config.report), config)
    console.say(f"MLflow was not written: {note}." if note else "MLflow holds the suite and its trials.")
    return 1 if note else 0


def tune(config: DictConfig, kind: Kind, said: str) -> int:
    """Search the recipe of every method on validation and print what was found."""
    from rich.table import Table

    from benchmarks import console
    from benchmarks.store.results import Store
    from benchmarks.tuning import search

    store = Store(Path(config.paths.runs))
    store.open()
    found = search.tune(config, store)
    table = Table("trial", "best validation DSC", "trials", "stopped", "overrides", title="Recipes found on validation")
    for one in found:
        stopped = int((one.rows["state"] == "pruned").sum())
        best = "-" if one.best is None else f"{one.best:.3f}"
        table.add_row(one.trial.name, best, str(len(one.rows)), str(stopped), "\n".join(one.words))
    console.out().print(table)
    return 0


def verify(config: DictConfig) -> int:
    """Compare every file of the store with its SHA-256 and say what is damaged. Exit status 1 where something is."""
    from benchmarks import console
    from benchmarks.store import sums, verifying

    runs, cache = Path(config.paths.runs), Path(config.paths.cache)
    if config.verify.add:
        console.say(f"Sums written for {verifying.add(runs, cache)} files.")
    files, findings = 0, []
    for number, found in verifying.verify(runs, cache):
        files += number
        findings += found
    for one in findings:
        if one.state != sums.NO_SUM:
            console.say(f"{one.path}: {one.state}. {one.advice}")
    bare, missing = (sum(one.state == state for one in findings) for state in (sums.NO_SUM, sums.MISSING))
    damaged = len(findings) - bare - missing
    console.say(f"{files} files in {runs}: {damaged} damaged, {missing} missing, {bare} without a sum.")
    if bare:
        console.say(verifying.BARE)
    return 1 if damaged else 0


COMPUTING = ("run", "tune", "segment")
"""What evaluates networks, where garbage may hold large tensors."""
SHARING = ("export", "import", "merge", "store", "gc")
ACTIONS = {"run": run, "plan": show_plan, "report": redraw, "compare": compare, "track": replay, "tune": tune}
"""What is done with one suite."""


def show_list(config: DictConfig) -> int:
    """Print every suite, method, data set and profile with one line each."""
    from rich.table import Table

    from benchmarks import console
    from benchmarks.plan.catalogue import catalogue

    for title, rows in catalogue(config).items():
        table = Table(title, "", show_edge=False, title_justify="left")
        for name, line in rows:
            table.add_row(name, line)
        console.out().print(table, "")
    return 0


def segment(config: DictConfig) -> int:
    """Segment new images with a trained method."""
    from benchmarks.prediction import command

    return command.segment(config)


def share(config: DictConfig) -> int:
    """Pass trials on or take them in, list a store or clean it up."""
    from benchmarks.sharing import commands
    from reports import model_card

    if config.action == "export":
        return commands.export(config, model_card.text)
    return commands.ACTIONS[config.action](config)


def lead(config: DictConfig) -> int:
    """Write a page of all methods by data set, over any number of stores."""
    from benchmarks import console
    from benchmarks.sharing import commands, gathering
    from reports import write

    places, target = commands.stores(config), commands.page_folder(config)
    console.say(f"Leaderboard: {write(gathering.gathered(places), target).with_suffix('.html')}")
    return 0


ALONE = {"verify": verify, "list": show_list, "segment": segment, "leaderboard": lead} | dict.fromkeys(SHARING, share)
"""What is done without any suite."""


def write_report(config: DictConfig, results: Results) -> Path:
    """Draw the report of a suite into its folder, say where it is, and return the folder. Raises CannotWrite."""
    from benchmarks import console
    from benchmarks.errors import cannot_write
    from benchmarks.store.results import Store
    from reports import link, write

    store = Store(Path(config.paths.runs))
    folder = store.report_folder(config.report)
    try:
        write(results, folder)
        link(store.report_folder(config.suite.name), folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    console.say(f"Report: {folder / 'report.md'}")
    return folder


def track(results: Results, folder: Path, config: DictConfig) -> str | None:
    """Send results and report to MLflow; one line that says why not, or None."""
    from benchmarks.plan.configuration import plain
    from benchmarks.tracking import sending

    return sending.track(results, folder, plain(config.tracking))


def conclude(results: Results) -> int:
    """Say what went wrong, if anything, and give the exit status."""
    from benchmarks import console

    for line in results.unwritten:
        console.say(f"Failed: {line}")
    failed = [view for view in results.trials if view.status == "failed"]
    for view in failed:
        console.say(f"Failed: {view.label} on {view.config.dataset.name}, seed {view.config.seed}: {view.reason}")
    # Networks that were timed without being trained are no trials.
    broken = results.records[results.records["status"] == "failed"] if "status" in results.records else ()
    for row in broken.itertuples() if len(broken) else ():
        console.say(f"Failed: {row.title} on {row.dataset} at {row.image_size}: {row.reason}")
    return 1 if failed or len(broken) or results.unwritten else 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    if status > 128:
        # Stopped by a signal, everything is written: taking PyTorch down takes seconds that a scheduler may not grant.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
