"""The actions that pass trials on: export, import, merge, store and gc."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from benchmarks import console
from benchmarks.errors import BadInput
from benchmarks.sharing import archive, belongings, garbage, inventory, joining
from benchmarks.store import verifying
from benchmarks.store.outside import write_text
from benchmarks.store.results import Store
from benchmarks.store.trial import TrialView


def export(config: DictConfig, card: Callable[[TrialView], str]) -> int:
    """Write trials to one file. Raises BadInput for one that is not there or not trained, and CannotWrite."""
    store, target = Store(Path(config.paths.runs)), config.output
    if not isinstance(target, str) or not target:
        raise BadInput(f"output={target}: expected the file to write: action=export trial=KEY output=FILE.zip.")
    weights = True if config.weights is None else config.weights
    if not isinstance(weights, bool):
        raise BadInput(f"weights={weights}: expected true or false: whether weights go with the trials.")
    views = _chosen(store, config.trial)
    for view in views:
        if view.status != "ok" or (weights and not view.trained):
            said = f"{view.status}{f': {view.reason}' if view.reason else ''}"
            raise BadInput(f"trial={view.key}: is {said}, expected a trial that has ended well.")
    count = archive.write(views, Path(target), weights, card)
    size = Path(target).stat().st_size / 2**20
    console.say(f"{len(views)} trial(s), {count} members, {size:.1f} MiB: {target}")
    return 0


def _chosen(store: Store, asked: object) -> list[TrialView]:
    """One trial by its key, or all that ended well. Raises BadInput where there is none."""
    if not isinstance(asked, str) or not asked:
        raise BadInput(f"trial={asked}: expected the key of a trial, or all. action=store lists them.")
    if asked == "all":
        folders = sorted(path.parent for path in (store.runs / "trials").glob("[!.]*/config.json"))
        found = [view for folder in folders if (view := TrialView.load(folder)) and view.status == "ok"]
        if not found:
            raise BadInput(f"paths.runs={store.runs}: holds no trial that has ended well.")
        return found
    view = TrialView.load(inventory.named(store, asked, "trial"))
    return [view] if view else []


def take_in(config: DictConfig) -> int:
    """Take the trials of an exported file into the store. Raises BadInput for what is damaged, of another version or
    contradicts what is there; nothing is taken then."""
    store, path = Store(Path(config.paths.runs)), config.input
    if not isinstance(path, str) or not path:
        raise BadInput(f"input={path}: expected a file of action=export: action=import input=FILE.zip.")
    with archive.opened(Path(path)) as found:
        store.open()
        found.check_room(store.runs)
        found.check()
        with tempfile.TemporaryDirectory(dir=store.runs, prefix=".importing-") as scratch:
            for key in found.trials:
                found.unpack(key, Path(scratch))
                _check_content(Path(path), Path(scratch) / key)
            return _taken(store, joining.plan(store, joining.offered(Path(scratch) / key for key in found.trials)))


def _check_content(path: Path, folder: Path) -> None:
    """Raises BadInput where a trial that was unpacked from a file is not what its name says, or cannot be read: sums
    say that nothing changed since it was packed, not that it was in order then."""
    for file in joining.files_of(folder).values():
        if why := verifying.flaw(file):
            raise BadInput(
                f"{path}: holds {folder.name}/{file.relative_to(folder)}, which cannot be read ({why}). Nothing was "
                "taken from it; ask for another export."
            )
    view = TrialView.load(folder)
    config = view.config if view else None
    if config is None or not folder.name.startswith(f"{config.dataset.name}-{config.method.name}-s{config.seed}-"):
        raise BadInput(
            f"{path}: {folder.name} is not the trial that its config.json describes. Nothing was taken from it; ask "
            "for another export."
        )


def merge(config: DictConfig) -> int:
    """Take what reports of other stores show into this one. Raises BadInput as `take_in` does."""
    folders, places = [], stores(config)
    for place in places:
        if place.resolve() == Path(config.paths.runs).resolve():
            raise BadInput(f"input={place}: is the store to merge into (paths.runs), expected others.")
        folders += sorted(path.parent for path in (place / "trials").glob("[!.]*/config.json"))
    store = Store(Path(config.paths.runs))
    found = joining.plan(store, joining.offered(folders))
    for place in places:
        belongings.plan(found, store, place)
    return _taken(store, found)


def stores(config: DictConfig) -> list[Path]:
    """The stores that `input` names. Raises BadInput where one is none."""
    asked = config.input
    given = (
        [asked]
        if isinstance(asked, str) and asked
        else OmegaConf.to_container(asked)
        if OmegaConf.is_list(asked)
        else []
    )
    if not isinstance(given, list) or not given or not all(isinstance(one, str) for one in given):
        raise BadInput(f"input={asked}: expected stores (folders that paths.runs names), as input=[DIR,DIR].")
    places = [Path(str(one)) for one in dict.fromkeys(given)]
    for place in places:
        if not (place / "trials").is_dir():
            raise BadInput(f"input={place}: is no store, expected a folder with trials/ in it, as paths.runs names it.")
    return places


def page_folder(config: DictConfig) -> Path:
    """Where the leaderboard is written. Raises BadInput where something else lies there, which it would replace."""
    if not isinstance(config.output, str) or not config.output:
        raise BadInput(f"output={config.output}: expected a folder: action=leaderboard input=[DIR,DIR] output=DIR.")
    target = Path(config.output)
    if target.exists() and not (target.is_dir() and (not any(target.iterdir()) or (target / "report.html").exists())):
        raise BadInput(
            f"output={target}: holds something else than a leaderboard, which would be lost. Choose another."
        )
    return target


def _taken(store: Store, found: joining.Plan) -> int:
    joining.take(store, found)
    for line in found.left:
        console.say(f"Left out: {line}")
    timed = {f"{joining.TRIALS}/{key}" for key in found.timed}
    completed = ({"/".join(name.split("/")[:2]) for name in found.more} | timed) - set(found.new)
    there = set(found.same) - completed - set(found.new)
    for room in (joining.TRIALS, *belongings.ROOMS):
        new, more, same = (
            sum(name.startswith(f"{room}/") for name in names) for names in (found.new, completed, there)
        )
        if new or more or same or room == joining.TRIALS:
            what = "trial(s)" if room == joining.TRIALS else f"of {room}/"
            console.say(f"{new} {what} taken into {store.runs}, {more} completed, {same} there already.")
    if found.left:
        console.say(f"{len(found.left)} left out.")
    return 0


def show_store(config: DictConfig) -> int:
    """Print what the store holds, and write it to `output` as CSV where that is set. Raises BadInput, CannotWrite."""
    from rich.table import Table

    store = _existing(config)
    found = list(inventory.held(store))
    rows = inventory.table(found)
    if config.output is not None:
        write_text(Path(str(config.output)), rows.to_csv(index=False))
    shown = Table("trial", "method", "data set", "seed", "profile", "state", "MiB", "age", title=str(store.runs))
    for one, row in zip(found, rows.astype(object).fillna("").astype(str).itertuples(index=False), strict=True):
        age = console.duration(one.age * 86400) if one.age < 2 else f"{one.age:.0f} days"
        shown.add_row(*row[:5], one.state, f"{one.size / 2**20:.1f}", age)
    console.out().print(shown)
    states = ", ".join(f"{count} {state}" for state, count in rows["state"].value_counts().items())
    console.say(f"{len(rows)} trial(s){f': {states}' if states else ''}; {rows['mib'].sum():.1f} MiB.")
    return 0


def clean(config: DictConfig) -> int:
    """Say what the store can do without, and delete it with gc.delete=true. Raises BadInput and CannotWrite."""
    found = garbage.waste(_existing(config), Path(config.paths.cache))
    for one in found:
        console.say(f"{one.path} ({one.size / 2**20:.1f} MiB): {one.why}")
    total = f"{len(found)} folder(s), {sum(one.size for one in found) / 2**20:.1f} MiB"
    if not config.gc.delete:
        console.say(
            f"{total} would be deleted; gc.delete=true deletes them." if found else "There is nothing to delete."
        )
        return 0
    busy = garbage.delete(found)
    for line in busy:
        console.say(f"Kept: {line}")
    console.say(f"{total} deleted." if not busy else f"{total}, {len(busy)} of them kept, the others deleted.")
    return 0


def _existing(config: DictConfig) -> Store:
    store = Store(Path(config.paths.runs))
    if not (store.runs / "trials").is_dir():
        raise BadInput(f"paths.runs={store.runs}: is no store, expected a folder with trials/ in it.")
    return store


ACTIONS: dict[str, Callable[[DictConfig], int]] = {
    "import": take_in,
    "merge": merge,
    "store": show_store,
    "gc": clean,
}
"""By name, but for `export`, which is given what writes model cards."""
