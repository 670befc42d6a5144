"""A trial as named series of points: losses by step, test scores by sigma, cost. What a tracking server charts.

    train/total, train/ce, ..., val/dsc                 by training step
    test/dsc_by_sigma, iou_, hd95_penalised_by_sigma,   mean over groups of test cases, all classes pooled; step = 1000
         and the rest of SCORES                         * sigma
    test per class/dsc_LV_by_sigma                      the same for one class
    test/dsc, iou, hd95_penalised and the rest          single values at the smallest sigma, to sort runs by
    test/dsc_by_sampling_steps                          the same by the number of steps, where several were tested
    usage/parameters, training_seconds, seconds_per_image, nfe, peak_memory_mib         what the trial cost
    usage/seconds_per_image_by_sampling_steps

MLflow draws one section per part before the slash, in alphabetical order, so that test scores come first. `test` holds
the suite's first sampling; each further one has a section of its own such as `test ddim10`, in which
deterministic methods, whose scores do not depend on it, appear again: every chart holds every method.
"""

import math
import re
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.store.trial import TrialView

SECTIONS = ("train/", "val/", "test/", "test ", "usage/")
"""What the names of all series begin with."""
SCORES = ("dsc", "iou", "nsd", "hd95_penalised", "assd_penalised", "hd95", "assd")
"""Of these what the records have: distances count a penalty where exactly one of label and prediction is empty, and
once more, as hd95 and assd, only where they are defined."""
COSTS = {"seconds_median": "seconds_per_image", "nfe": "nfe", "peak_memory_mib": "peak_memory_mib"}
POINTS_PER_CURVE = 1000
"""Longer training curves are thinned evenly to this many points; the store keeps them whole."""


class Point(NamedTuple):
    """One value of a series. `time` is in milliseconds since 1970."""

    name: str
    step: int
    value: float
    time: int


class Setting(NamedTuple):
    """How generative methods were sampled; steps is 0 for deterministic methods."""

    sampler: str
    steps: int
    eta: float
    ensemble: int


def sigma_step(sigma: float) -> int:
    """The whole number that stands for sigma on a step axis: 1000 * sigma, so 25 means sigma 0.025."""
    return round(1000 * sigma)


def finished_at(trial: TrialView) -> int:
    """When a trial ended, in milliseconds since 1970; when it was configured where it has not ended."""
    try:
        return round(1000 * datetime.fromisoformat(trial.done["finished"].replace("Z", "+00:00")).timestamp())
    except (KeyError, AttributeError, ValueError):
        return round(1000 * (trial.path / "config.json").stat().st_mtime)


def started_at(trial: TrialView) -> int:
    """When training would have begun had it run undisturbed until the trial ended, in milliseconds since 1970."""
    seconds = (trial.cost or {}).get("training_seconds")
    if seconds is None:
        history = trial.history
        seconds = 0.0 if history.empty else history["seconds"].max()
    return finished_at(trial) - round(1000 * seconds)


def settings(records: pd.DataFrame, preferred: list[int]) -> list[Setting]:
    """The samplings in a suite's records, those with `preferred` numbers of steps first and in that order."""
    generative = records[records["steps"] > 0]
    rows = generative[["sampler", "steps", "eta", "ensemble"]].fillna({"eta": -1.0}).drop_duplicates()
    found = [Setting(str(r.sampler), int(r.steps), float(r.eta), int(r.ensemble)) for r in rows.itertuples(index=False)]
    order = {steps: place for place, steps in enumerate(preferred)}
    return sorted(found, key=lambda setting: (order.get(setting.steps, len(order)), setting))


def setting_name(setting: Setting, among: list[Setting]) -> str:
    """ddim10, with eta and ensemble where sampler and steps alone do not tell it from the others."""
    short = f"{setting.sampler}{setting.steps}"
    if sum(other[:2] == setting[:2] for other in among) == 1:
        return short
    eta = "" if setting.eta < 0 else f" eta{setting.eta:g}"
    return f"{short}{eta} ensemble{setting.ensemble}"


def at_setting(records: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """One trial's records at a sampling; all of them for a deterministic method."""
    if (records["steps"] == 0).all():
        return records
    return records[
        (records["sampler"] == setting.sampler)
        & (records["steps"] == setting.steps)
        & (records["eta"].fillna(-1.0) == setting.eta)
        & (records["ensemble"] == setting.ensemble)
    ]


def loss_points(trial: TrialView) -> list[Point]:
    """Training curves. A stage is named only where two stages have a curve of the same name."""
    history = trial.history
    start = started_at(trial)
    points = []
    for (split, metric), curve in history.groupby(["split", "metric"], sort=True):
        stages = curve["stage"].unique()
        for stage in stages:
            part = curve[curve["stage"] == stage].sort_values("step", kind="stable").reset_index(drop=True)
            kept = np.unique(np.linspace(0, len(part) - 1, min(len(part), POINTS_PER_CURVE)).round().astype(int))
            name = f"{split}/{metric}" if len(stages) == 1 else f"{split}/{metric} {stage}"
            points += [
                Point(metric_name(name), int(row.step), float(row.value), start + round(1000 * row.seconds))
                for row in part.loc[kept].itertuples()
            ]
    return finite(points)


def score_points(trial: TrialView, records: pd.DataFrame, samplings: list[Setting]) -> list[Point]:
    """Test scores of a trial from its `records` in a suite whose samplings are `samplings` (in order of preference).

    A score is the mean over groups (patients) of the means over their test cases, as in the reports; hd95 and assd
    leave out what is undefined (an empty mask), their penalised forms count the diagonal there.
    """
    if records.empty:
        return []
    when = finished_at(trial)
    own = [setting for setting in samplings if not at_setting(records, setting).empty]
    if not own:
        own = [Setting("", 0, -1.0, 1)]
    sizes = sorted(records["image_size"].unique())
    points = []
    for size in sizes:
        at_size = records[records["image_size"] == size]
        suffix = "" if len(sizes) == 1 else f" {size}"
        for setting in own:
            section = "test" if setting == own[0] else f"test {setting_name(setting, samplings)}"
            points += _by_sigma(at_setting(at_size, setting), section + suffix, when)
        points += _by_sampling_steps(at_size, own, "test" + suffix, when)
    return finite(points)


def _by_sigma(records: pd.DataFrame, section: str, when: int) -> list[Point]:
    points = []
    pooled_first = records.sort_values("class", key=lambda names: names != "all", kind="stable")
    for (group, sigma), rows in pooled_first.groupby(["class", "sigma"], sort=False):
        for score in SCORES:
            value = _mean(rows, score)
            name = f"{section}/{score}_by_sigma" if group == "all" else f"{section} per class/{score}_{group}_by_sigma"
            points.append(Point(metric_name(name), sigma_step(sigma), value, when))
            if group == "all" and sigma == records["sigma"].min():
                points.append(Point(metric_name(f"{section}/{score}"), 0, value, when))
    return points


def _by_sampling_steps(records: pd.DataFrame, own: list[Setting], section: str, when: int) -> list[Point]:
    """Along the number of sampling steps, everything else as in the first setting."""
    alike = [s for s in own if (s.sampler, s.eta, s.ensemble) == (own[0].sampler, own[0].eta, own[0].ensemble)]
    if len(alike) < 2 or (records["steps"] == 0).all():
        return []
    clean = records[(records["sigma"] == records["sigma"].min()) & (records["class"] == "all")]
    means = [(setting.steps, _mean(at_setting(clean, setting), score), score) for setting in alike for score in SCORES]
    return [Point(f"{section}/{score}_by_sampling_steps", steps, mean, when) for steps, mean, score in means]


def _mean(records: pd.DataFrame, score: str) -> float:
    """Over groups of the means over their cases; NaN where records of a former version lack the score."""
    return float(records.groupby("group")[score].mean().mean()) if score in records else math.nan


def cost_points(trial: TrialView, samplings: list[Setting]) -> list[Point]:
    """What a trial cost; inference at the suite's first sampling that was timed, and by number of steps if several."""
    cost = trial.cost
    if cost is None:
        return []
    when = finished_at(trial)
    points = [
        Point(f"usage/{name}", 0, float(cost[name]), when)
        for name in ("parameters", "training_seconds", "seconds_per_step")
        if cost.get(name) is not None
    ]
    timed = list(reversed(cost.get("inference") or []))  # the latest comparison first
    order = {(setting.sampler, setting.steps): place for place, setting in reversed(list(enumerate(samplings)))}
    ranked = sorted(timed, key=lambda row: order.get((row.get("sampler"), row.get("steps")), len(order)))
    for key, name in COSTS.items():
        points += [Point(f"usage/{name}", 0, float(row[key]), when) for row in ranked[:1] if row.get(key) is not None]
    sampled = [row for row in ranked if row.get("steps") and row["sampler"] == ranked[0]["sampler"]]
    alike = {row["steps"]: row for row in reversed(sampled)}
    if len(alike) > 1:
        points += [
            Point("usage/seconds_per_image_by_sampling_steps", int(steps), float(row["seconds_median"]), when)
            for steps, row in sorted(alike.items())
        ]
    return finite(points)


def metric_name(text: str) -> str:
    """`text` with what MLflow refuses in names replaced by an underscore."""
    return re.sub(r"[^/\w.\- ]", "_", text)[:250]


def finite(points: list[Point]) -> list[Point]:
    """Without undefined and infinite values, which have no place in a chart."""
    return [point for point in points if math.isfinite(point.value)]
