"""What was run: trials and their outcome, on which data, with which settings and where."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmarks.store.config import DatasetConfig
from benchmarks.store.results import Results
from benchmarks.store.trial import TrialView
from reports.numbers.curves import method_order
from reports.numbers.training import convergence
from reports.paper import words
from reports.paper.document import Table

NOT_SETTINGS = ("name", "title", "summary", "loss", "training")


@dataclass(frozen=True)
class Absence:
    """A trial without a result, and why."""

    title: str
    status: str
    reason: str

    @property
    def words(self) -> str:
        """Its outcome in words."""
        return f"{self.status}: {self.reason}" if self.reason else self.status


def of_dataset(results: Results, dataset: str) -> list[TrialView]:
    """Trials on a data set in the order of methods and seeds."""
    order = method_order(results)
    found = [trial for trial in results.trials if trial.config.dataset.name == dataset]
    return sorted(found, key=lambda t: (order.index(t.config.method.name), t.config.seed, t.config.dataset.fold))


def which(trial: TrialView, several: bool = True) -> str:
    """What tells a trial from the others of its method and data set: seed 0, fold 2 of 5; the seed where there are
    `several`."""
    return ", ".join(filter(None, [f"seed {trial.config.seed}" if several else "", trial.config.dataset.part]))


def absences(results: Results, dataset: str) -> list[Absence]:
    """Every trial of the suite on a data set that did not end well, missing ones among them."""
    trials = of_dataset(results, dataset)
    titles = {trial.config.method.name: trial.label for trial in results.trials}
    alike: dict[tuple, list[TrialView]] = {}
    for trial in trials:
        if trial.status != "ok":
            alike.setdefault((trial.config.method.name, trial.status, words.one_line(trial.reason)), []).append(trial)
    found = []
    for (method, status, reason), same in alike.items():
        title = same[0].label
        if len(same) < sum(trial.config.method.name == method for trial in trials):
            folded = any(trial.config.dataset.fold for trial in same)
            seeds = words.listing([str(trial.config.seed) for trial in same])
            title += f", {'; '.join(map(which, same)) if folded else f'seed {seeds}'}"
        found.append(Absence(title, status, reason))
    held = {trial.config.method.name for trial in trials}
    for method in method_order(results):
        if method not in held:
            found.append(Absence(titles.get(method, method), "not run", "the store holds no trial of it"))
    return found


def dataset_table(results: Results, datasets: list[str]) -> Table:
    """What every data set holds and what of it was tested."""
    rows = []
    for dataset in datasets:
        trials = of_dataset(results, dataset)
        data = trials[0].config.dataset if trials else DatasetConfig(dataset)
        records = results.records[results.records["dataset"] == dataset]
        rows.append(
            {
                "data set": dataset,
                "content": data.title,
                "classes": ", ".join(data.class_names),
                "image size": data.size,
                "train / val / test cases": " / ".join(_counts(trials, s) for s in ("train", "val", "test")),
                "cases tested": records["case"].nunique(),
                "groups tested": records["group"].nunique(),
                "distances in": data.distance_unit or "",
                "fingerprint": f"`{data.fingerprint[:12]}`" if data.fingerprint else "",
            }
        )
    caption = (
        "Data sets. A group is what must not be split between training and test; the fingerprint is the "
        "beginning of a hash of the content."
    )
    return Table("data_sets", caption, pd.DataFrame(rows))


def _counts(trials: list[TrialView], split: str) -> str:
    """Cases of a split; of folds that differ in it the least and the most."""
    found = sorted({trial.config.dataset.cases.get(split, -1) for trial in trials})
    if not found or found[0] < 0:
        return words.NOTHING
    return str(found[0]) if len(found) == 1 else f"{found[0]}\u2013{found[-1]}"


def method_table(results: Results) -> Table:
    """Every setting of every method; where data sets or seeds differ in one, all values."""
    rows = []
    for method in method_order(results):
        trials = [trial for trial in results.trials if trial.config.method.name == method]
        settings: dict[str, list[str]] = {}
        for trial in trials:
            for key, value in _flat({k: v for k, v in trial.config.method.to_json().items() if k not in NOT_SETTINGS}):
                text = _plain(value) if value is not None else _in_use(trial, key)
                if text not in settings.setdefault(key, []):
                    settings[key].append(text)
        label = trials[0].label if trials else method
        rows += [[label, f"`{key}`", " or ".join(values)] for key, values in settings.items()]
    return Table(
        "method_settings",
        "Settings of the methods; what a configuration leaves to the method, with the value in use.",
        pd.DataFrame(rows, columns=["method", "setting", "value"]),
    )


def _in_use(trial: TrialView, key: str) -> str:
    """What a method uses for an argument that is null."""
    known = trial.in_use
    return "the method's own" if known is None else _plain(known.get(key))


def training_tables(results: Results) -> list[Table]:
    """The training settings all trials share, and those in which they differ."""
    trained = [(trial, dict(_flat(trial.config.training.to_json()))) for trial in results.trials]
    if not trained:
        return []
    keys = list(dict.fromkeys(key for _, settings in trained for key in settings))
    values = {key: [_plain(settings.get(key)) for _, settings in trained] for key in keys}
    shared = [key for key in keys if len(set(values[key])) == 1]
    differing = [key for key in keys if key not in shared]
    common = pd.DataFrame([[f"`{key}`", values[key][0]] for key in shared], columns=["setting", "value"])
    tables = [Table("training_settings", "Training settings that all trials share.", common)]
    if differing:
        rows = {
            (trial.config.dataset.name, trial.label, *(values[key][k] for key in differing)): None
            for k, (trial, _) in enumerate(trained)
        }
        columns = ["data set", "method", *(f"`{key}`" for key in differing)]
        frame = pd.DataFrame(list(rows), columns=columns)
        tables.append(Table("training_differences", "Training settings in which trials differ.", frame))
    return tables


def trial_table(results: Results, datasets: list[str]) -> Table:
    """Every trial with its outcome and how its training went."""
    rows, data = [], []
    folded = any(trial.config.dataset.fold for trial in results.trials)
    for dataset in datasets:
        for trial in of_dataset(results, dataset):
            fold = {"fold": trial.config.dataset.part.removeprefix("fold ")} if folded else {}
            done, found = trial.done, convergence(trial.history)
            data.append(
                {
                    "trial": trial.key,
                    "dataset": dataset,
                    "method": trial.config.method.name,
                    "seed": trial.config.seed,
                    **fold,
                    "profile": trial.config.profile,
                    "status": trial.status,
                    "reason": trial.reason,
                    "finished": done.get("finished"),
                    "best_step": done.get("best_step"),
                    "best_val_dsc": done.get("best_val_dsc"),
                    "ceiling_val_dsc": found.ceiling if found else None,
                    "rise_in_last_fifth": found.rise if found else None,
                    "fingerprint": trial.config.dataset.fingerprint,
                    "code": trial.config.code,
                }  # fmt: skip
            )
            rows.append(
                {
                    "trial": f"`{trial.key}`",
                    "method": trial.label,
                    "seed": trial.config.seed,
                    **fold,
                    "profile": trial.config.profile,
                    "status": " ".join(
                        filter(
                            None, [f"{trial.status}:" if trial.reason else trial.status, words.one_line(trial.reason)]
                        )
                    ),  # fmt: skip
                    "best step": words.NOTHING if done.get("best_step") is None else str(done["best_step"]),
                    "best validation DSC": words.number(done.get("best_val_dsc")),
                    "ceiling": words.number(found.ceiling) if found else words.NOTHING,
                    "rise in the last fifth": words.signed(found.rise) if found else words.NOTHING,
                    "method code": f"`{trial.config.code}`" if trial.config.code else "",
                }
            )
    caption = (
        "Trials: folders of the result store. Best step: the weights used (steps of the last stage). Ceiling: "
        "validation DSC of the true labels encoded and decoded by these weights, for methods that work on latents. "
        "Rise in the last fifth: best validation DSC in the last fifth of training minus the best before; above 0.01 "
        "counts as not converged."
    )
    return Table("trials", caption, pd.DataFrame(rows), pd.DataFrame(data))


def environment_table(results: Results) -> Table:
    """Where the trials ran; all values where they differ."""
    values: dict[str, list[str]] = {}
    for trial in results.trials:
        for key, value in _flat(trial.environment):
            if _plain(value) not in values.setdefault(key, []):
                values[key].append(_plain(value))
    rows = [[key.replace("_", " "), " or ".join(found)] for key, found in values.items()]
    return Table("environment", "Where the trials ran.", pd.DataFrame(rows, columns=["what", "value"]))


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(name, value) of every setting, those of inner groups as GROUP.NAME."""
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _plain(value: object) -> str:
    """A setting as text: short numbers, lists without brackets."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(_plain, value)) if isinstance(value, (list, tuple)) else str(value)
