"""The model card of a trial: what it was trained on and how, what it scores, and what that does not say (Mitchell et
al., Model Cards for Model Reporting, FAT* 2019)."""

from pathlib import Path

import pandas as pd

from benchmarks.store.config import TrialConfig
from benchmarks.store.results import Results, Store
from benchmarks.store.trial import TrialView
from reports.numbers import statistics
from reports.numbers.curves import CLASS_MEAN, POOLED, Curve
from reports.numbers.statistics import Estimate
from reports.numbers.study import Study, study
from reports.paper import words

COLUMNS = ("tested with", "σ", "class", "DSC", "IoU", "cases", "groups")


def text(view: TrialView) -> str:
    """In markdown. Raises BadInput for a file of the trial that cannot be read."""
    results = stored(view)
    it, config = study(results), view.config
    parts = [
        f"# {view.label} on {config.dataset.title or config.dataset.name}, seed {config.seed}",
        f"Trial `{view.key}` of diffseg-bench, finished {view.done.get('finished', 'at an unknown time')}. "
        "For research; it is no medical device.",
        "## Data",
        _listed(_data(config)),
        "## Training",
        _listed(_training(view)),
        "## Scores",
        _scores(it, view),
        "## Limits",
        _listed(_limits(it, config)),
        "## Versions",
        _listed([f"{name}: {value}" for name, value in view.environment.items()] or ["not known"]),
    ]
    return "\n\n".join(parts) + "\n"


def stored(view: TrialView) -> Results:
    """All records of a trial."""
    conditions = sorted(path.stem for path in (view.path / "records").glob("*.parquet"))
    store = Store(Path(view.path).parent.parent)
    return store.results({"name": view.key}, [(view.key, conditions)])


def _listed(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _data(config: TrialConfig) -> list[str]:
    data = config.dataset
    cases = ", ".join(f"{count} {split}" for split, count in data.cases.items()) or "numbers not known"
    lines = [
        f"{data.title or data.name} (`{data.name}`), {cases}",
        f"image size {data.size}, {words.plural(data.channels or 1, 'channel')}, {data.fit or 'resize'}; classes: "
        + ", ".join(f"{n} {name}" for n, name in enumerate(("background", *data.class_names))),
        f"fingerprint of the content `{data.fingerprint}`",
        "its licence is that of its owners: see LICENCE.md beside this file",
    ]
    if data.shared:
        lines.append(f"**{data.shared} test cases are of patients who are in training or validation, too**")
    return lines


def _training(view: TrialView) -> list[str]:
    config, cost = view.config, view.cost or {}
    given = {name: value for name, value in config.method.arguments.items() if value is not None}
    lines = [
        f"method `{config.method.target}`: {config.method.summary or config.method.label}",
        f"code of the method `{config.code or 'not known'}`; arguments {given or 'as in its class'}",
        "settings: " + ", ".join(f"{name} {value}" for name, value in config.training.to_json().items()),
        f"augmentation: {dict(config.dataset.augmentation or {}) or 'none'}",
        f"profile {config.profile or 'not known'}, seed {config.seed}",
    ]
    if cost:
        lines.append(
            f"{words.quantity(cost['parameters'])} parameters, {cost['training_steps']} steps in "
            f"{words.duration(cost['training_seconds'])}; best on validation at step {cost['best_step']}"
        )
    return lines


def _scores(it: Study, view: TrialView) -> str:
    lines = _validation(it, view)
    found = [curve for curves in it.curves.values() for curve in curves]
    if not found:
        return "\n\n".join([*lines, "No test on images of its data set is stored."])
    rows = [row for curve in found for row in _rows(it, curve)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    head = ["| " + " | ".join(line) + " |" for line in [COLUMNS, ["---"] * len(COLUMNS)]]
    table = [*head, *("| " + " | ".join(map(str, row)) + " |" for row in frame.itertuples(index=False))]
    unit = it.units(view.config.dataset.name)
    lines.append(
        f"Test, means over {unit} with 95 % intervals over {unit} (none below five). They speak of this one training; "
        "another seed scores otherwise."
    )
    return "\n\n".join([*lines, "\n".join(table)])


def _validation(it: Study, view: TrialView) -> list[str]:
    """What the weights were chosen by, with its interval over the groups where the scores of single cases are stored;
    of methods whose number of sampling steps was chosen on validation cases, those scores, too."""
    best, config = view.done.get("best_val_dsc"), view.config
    unit, history = it.units(config.dataset.name), view.history
    count = min(config.training.val_cases, config.dataset.cases.get("val", config.training.val_cases))
    losses = history[(history["split"] == "val") & (history["metric"] == "total")]
    frame = view.selected_by
    if best is None:
        lines = ["Validation: no score is stored."]
    elif len(losses) and not ((history["split"] == "val") & (history["metric"] == "dsc")).any():
        lines = [
            f"Validation: loss {losses['value'].iloc[-1]:.3f} over {words.plural(count, 'case')} at the end. It says "
            "little of the images, so nothing was chosen by it: these are the last weights."
        ]
    elif frame is None or frame.empty:
        lines = [
            f"Validation: mean DSC {best:.3f} over {words.plural(count, 'case')}, by which the weights were chosen, so "
            "that it flatters. The scores of single cases are not stored, so there is no interval."
        ]
    else:
        lines = [
            f"Validation: mean DSC {words.with_interval(_estimate(frame))} over {words.plural(len(frame), 'case')} "
            f"(mean and 95 % interval over {unit}, none below five), by which the weights were chosen, so that it "
            "flatters."
        ]
    measured = {}
    for path in sorted((view.path / "validation").glob("*.parquet")):
        records = view.validation(path.stem)
        pooled = records[(records["class"] == POOLED) & records["dsc"].notna()]
        if len(pooled):
            measured[int(pooled["steps"].iloc[0])] = _estimate(pooled)
    if measured:
        said = "; ".join(f"{steps} steps {words.with_interval(found)}" for steps, found in sorted(measured.items()))
        cases = words.plural(next(iter(measured.values())).cases, "case")
        lines.append(
            f"On all validation cases ({cases}, means over {unit} with 95 % intervals over {unit}, none below five), "
            f"by which the number of sampling steps was chosen: {said}."
        )
    return lines


def _estimate(frame: pd.DataFrame) -> Estimate:
    """Mean DSC over groups with its interval."""
    return statistics.mean(frame["dsc"].to_numpy()[None], frame["group"].astype(str).to_numpy(), bounds=(0, 1))


def _rows(it: Study, curve: Curve) -> list[list[str]]:
    parts = [*curve.classes, POOLED, CLASS_MEAN] if len(curve.classes) > 1 else [POOLED]
    rows = []
    for sigma in curve.sigmas:
        for name in parts:
            dsc, iou = (curve.mean(sigma, metric, name) for metric in ("dsc", "iou"))
            if dsc is not None and iou is not None:
                scores = [words.with_interval(dsc), words.with_interval(iou)]
                rows.append([it.names[curve.variant], f"{sigma:g}", name, *scores, str(dsc.cases), str(dsc.groups)])
    return rows


def _limits(it: Study, config: TrialConfig) -> list[str]:
    lines = [
        f"tested on held-out cases of {config.dataset.name} alone, unless a table above names more: images of another "
        "scanner, stain or population may be segmented worse, without a sign of it",
        "maps of uncertainty tell how far samples or classes differ, not whether the mask is right",
        "one training of one seed says nothing of the method in general",
    ]
    if config.profile in ("tiny", "quick"):
        lines.append(f"profile {config.profile} trains short and on small images: it is for comparing, not for use")
    if not any(curves for curves in it.curves.values()):
        lines.append("no test is stored, so nothing is known of its accuracy")
    return lines
