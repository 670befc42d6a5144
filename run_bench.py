"""The one entry: python run_bench.py suite=noise_robustness [key=value ...]"""

import os
import sys
from pathlib import Path

# The profiler that measures memory announces itself otherwise; read when torch is imported.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")

USAGE = """python run_bench.py suite=NAME [key=value ...]

  action=run       plan, train what is missing, test, report (the default)
  action=plan      say what would be trained and tested, what is there already and how long it will take
  action=report    redraw the report from the stored records; no training, no data needed
  action=compare   set the stored records beside those of another store, paths.other=DIR (before a change)
  action=track     send the stored results to MLflow again
  action=list      every suite, method, data set and profile, each with one line

  methods=[ldseg,resunet]  datasets=[glas,camus]  seeds=[0,1,2]  profile=tiny|quick|paper
  paths.data=DIR (or the environment variable DIFFSEG_DATA)  paths.runs=DIR  device=auto|cpu|cuda

  suite=all        every suite in turn with the same overrides, and one report that links theirs

Exit status: 0 all trials ended well or were declined, 1 a trial failed (the report names it), 2 bad input.
Of suite=all: 1 where any suite failed or could not begin, 2 where none could.
"""


def main(overrides: list[str]) -> int:
    """Do what the command says and return its exit status."""
    if any(word in ("-h", "--help", "help") for word in overrides):
        print(USAGE)
        return 0
    # Imported here so that help answers at once.
    from benchmarks import console
    from benchmarks.errors import BadInput
    from benchmarks.plan.configuration import configure

    actions = {"run": run, "plan": show_plan, "report": redraw, "compare": compare, "track": replay, "list": show_list}
    try:
        config = configure(overrides)
        if config.track is not None:
            config = configure([*(o for o in overrides if not o.startswith("suite=")), f"suite={config.track}"])
            config.action = "track"
        act = actions[config.action]
        together = config.suite.kind == "all" and act is not show_list
        return run_all(config, overrides, act) if together else act(config, overrides)
    except BadInput as error:
        console.err.print(f"Error: {error}", markup=False)
        return 2
    except KeyboardInterrupt:
        console.err.print("Interrupted. The same command goes on where this run stopped.")
        return 130


def run(config, overrides: list[str]) -> int:
    """Train and test what is missing, then measure, report and track."""
    from benchmarks import console
    from benchmarks.kinds import suites

    results = suites.run(config, overrides)
    folder = write_report(config, results)
    note = track(results, folder, config)
    if note:
        console.say(f"MLflow was not written: {note}. `{results.suite['command']} action=track` sends it later.")
    return conclude(results)


def run_all(config, overrides: list[str], act) -> int:
    """Do the same for every suite in turn, then write the report that links theirs."""
    from benchmarks.kinds import everything

    found = everything.parts(config, overrides)
    for part in found:
        everything.attempt(part, act)
    status = everything.status(found)
    if act in (run, redraw) and status != everything.BAD_INPUT:
        write_report(config, everything.collect(config, overrides, found))
    return status


def show_plan(config, overrides: list[str]) -> int:
    """Print what `run` would do, and how long it is expected to take."""
    from rich.table import Table

    from benchmarks import console, runner
    from benchmarks.kinds import timing, uncertainty
    from benchmarks.machine import outlook
    from benchmarks.plan import planning
    from benchmarks.store.results import Store

    store = Store(Path(config.paths.runs))
    if config.suite.kind == "timing":
        console.say(f"{config.suite.title}: {timing.state(config, store)}")
        for contestant in timing.contestants(config):
            console.say(f"  {contestant.name}{f': declined, {contestant.declined}' if contestant.declined else ''}")
        return 0
    trials = outlook.admit(config, store, planning.make_plan(config), runner.fabric_for(config).device)
    table = Table("trial", "training", "tests", "estimated time", title=config.suite.title)
    total = 0.0
    for trial in trials:
        training, tests, seconds = outlook.outlook(store, trial)
        if config.suite.kind == "uncertainty":
            tests, sampling = uncertainty.outlook(config, trial)
            seconds += sampling
        total += seconds
        table.add_row(trial.name, training, tests, console.duration(seconds) if seconds else "-")
    console.out.print(table)
    console.say(f"About {console.duration(total)} in all." if total else "Nothing is left to do.")
    return 0


def redraw(config, overrides: list[str]) -> int:
    """Write the report again from what is stored."""
    from benchmarks.kinds import suites

    results = suites.stored(config, overrides)
    write_report(config, results)
    return conclude(results)


def compare(config, overrides: list[str]) -> int:
    """Report what differs between the store `paths.other` (before) and the store `paths.runs` (after)."""
    from benchmarks import console
    from benchmarks.kinds import comparison
    from benchmarks.store.results import Store
    from reports import write

    results = comparison.compare(config, overrides)
    report = write(results, Store(Path(config.paths.runs)).report_folder(f"{config.suite.name}_compare"))
    console.say(f"Report: {report}")
    return 0


def replay(config, overrides: list[str]) -> int:
    """Send stored results to MLflow. Exit status 1 where it cannot be reached."""
    from benchmarks import console
    from benchmarks.errors import BadInput
    from benchmarks.kinds import suites
    from benchmarks.store.results import Store

    if not config.tracking.enabled:
        raise BadInput("tracking: is switched off, so there is nothing to send to; leave out tracking=none.")
    results = suites.stored(config, overrides)
    note = track(results, Store(Path(config.paths.runs)).report_folder(config.suite.name), config)
    console.say(f"MLflow was not written: {note}." if note else "MLflow holds the suite and its trials.")
    return 1 if note else 0


def show_list(config, overrides: list[str]) -> int:
    """Print every suite, method, data set and profile with one line each."""
    from rich.table import Table

    from benchmarks import console
    from benchmarks.plan.catalogue import catalogue

    for title, rows in catalogue(config).items():
        table = Table(title, "", show_edge=False, title_justify="left")
        for name, line in rows:
            table.add_row(name, line)
        console.out.print(table, "")
    return 0


def write_report(config, results) -> Path:
    from benchmarks import console
    from benchmarks.store.results import Store
    from reports import write

    folder = Store(Path(config.paths.runs)).report_folder(results.suite["name"])
    write(results, folder)
    console.say(f"Report: {folder / 'report.md'}")
    return folder


def track(results, folder: Path, config) -> str | None:
    from omegaconf import OmegaConf

    from benchmarks.tracking import sending

    return sending.track(results, folder, OmegaConf.to_container(config.tracking))


def conclude(results) -> int:
    """Say what went wrong, if anything, and give the exit status."""
    from benchmarks import console

    failed = [view for view in results.trials if view.status == "failed"]
    for view in failed:
        console.say(
            f"Failed: {view.label} on {view.config['dataset']['name']}, seed {view.config['seed']}: {view.reason}"
        )
    # Networks that were timed without being trained are no trials.
    broken = results.records[results.records["status"] == "failed"] if "status" in results.records else ()
    for row in broken.itertuples() if len(broken) else ():
        console.say(f"Failed: {row.title} on {row.dataset} at {row.image_size}: {row.reason}")
    return 1 if failed or len(broken) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
