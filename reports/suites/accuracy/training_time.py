"""Who is ahead at equal training time: the best validation DSC so far against the seconds of training."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from benchmarks.store.trial import TrialView
from reports.numbers import training
from reports.numbers.curves import Variant
from reports.numbers.study import Study
from reports.paper import style, words
from reports.paper.document import Block, Figure, Heading, Paragraph, Table
from reports.paper.panels import over_time
from reports.paper.style import Look
from reports.sections import trials

Lines = dict[str, list[tuple[np.ndarray, np.ndarray]]]
"""By method: (seconds, best validation DSC so far) of each of its trials."""


def section(it: Study, looks: dict[Variant, Look], folder: Path) -> list[Block]:
    """What was equal for all methods, the figure, and a table at a time that all had; nothing without curves."""
    trained = {dataset: _trained(it, dataset) for dataset in it.datasets}
    panels = {
        dataset: {name: [training.best_by_time(trial.history) for trial in found] for name, found in methods.items()}
        for dataset, methods in trained.items()
    }
    panels = {dataset: lines for dataset, lines in panels.items() if len(lines) > 1}
    if not panels:
        return []
    own = {variant.title: look for variant, look in reversed(looks.items())}
    style.save(draw(panels, own), folder, "validation_by_time")
    caption = (
        "Best validation DSC so far against training time, a line per training. The time includes validations and all "
        "stages, of which the last alone is drawn. Times are comparable where trainings had the machine to themselves."
    )
    alt = f"Best validation DSC so far against training time of all methods on {words.listing(panels)}."
    blocks: list[Block] = [Heading("Training time"), Paragraph(budget(trained))]
    blocks += [Figure("validation_by_time", caption, alt, _numbers(panels)), _table(panels)]
    return blocks


def _trained(it: Study, dataset: str) -> dict[str, list[TrialView]]:
    """By method: its trials on a data set whose validations and their times are known."""
    found: dict[str, list[TrialView]] = {}
    for trial in trials.of_dataset(it.results, dataset):
        if trial.status == "ok" and len(training.best_by_time(trial.history)[0]):
            found.setdefault(trial.label, []).append(trial)
    return found


def budget(trained: dict[str, dict[str, list[TrialView]]]) -> str:
    """Whether methods were compared at equal training time or at equal numbers of steps, and how to have the former."""
    views = [trial for methods in trained.values() for found in methods.values() for trial in found]
    seconds = {trial.config.training.seconds for trial in views}
    if seconds and None not in seconds:
        each = words.listing(words.duration(value) for value in sorted(seconds))
        return (
            f"Equal training time: every method was trained for {each}, validations included, and the scores of this "
            "report compare them so. How many steps that was depends on the machine; the cost table has it."
        )
    ends = [training.best_by_time(trial.history)[0][-1] for trial in views]
    return (
        "Equal numbers of steps: the scores of this report compare methods after as many optimiser steps, which took "
        f"from {words.duration(min(ends))} to {words.duration(max(ends))}. What follows reads off the same trainings "
        "who was ahead at which time; their learning rates had not fallen by then as in a training of that length. "
        f"`training.seconds={math.ceil(float(np.median(ends)))}` trains and tests all of them for that time instead."
    )


def at(lines: list[tuple[np.ndarray, np.ndarray]], seconds: float) -> float | None:
    """Best validation DSC after so many seconds, mean over trainings; None where one had not been validated yet."""
    values = [best[times <= seconds][-1] if (times <= seconds).any() else None for times, best in lines]
    return None if None in values else float(np.mean(values))


def _table(panels: dict[str, Lines]) -> Table:
    """Every method at the time at which the first one ended, and at its own end."""
    rows, data = [], []
    for dataset, lines in panels.items():
        common = min(times[-1] for found in lines.values() for times, _ in found)
        scores = {name: at(found, common) for name, found in lines.items()}
        for name in sorted(lines, key=lambda name: -1.0 if scores[name] is None else scores[name], reverse=True):
            end = float(np.mean([times[-1] for times, _ in lines[name]]))
            last = float(np.mean([best[-1] for _, best in lines[name]]))
            early = scores[name]
            cell = "not validated yet" if early is None else words.number(early)
            rows.append([dataset, name, words.duration(common), cell, words.duration(end), words.number(last)])
            data.append(
                {"dataset": dataset, "method": name, "equal_seconds": common, "val_dsc_at_equal_time": early,
                 "training_seconds": end, "val_dsc": last, "trainings": len(lines[name])}
            )  # fmt: skip
    columns = [
        "data set",
        "method",
        "equal time",
        "validation DSC by then",
        "own training",
        "validation DSC at its end",
    ]
    caption = (
        "Best validation DSC so far at the time at which the first method had ended, and at each one's own end; means "
        "over trainings. Weights are chosen on these cases, so the values are for comparison with each other."
    )
    return Table("validation_by_time", caption, pd.DataFrame(rows, columns=columns), pd.DataFrame(data))


def draw(panels: dict[str, Lines], looks: dict[str, Look]) -> Canvas:
    """One panel per data set, time on a logarithmic axis; looks: by the name of a method."""
    other = Look("#555555", "o", style.SOLID)
    shown = {name: looks.get(name, other) for lines in panels.values() for name in lines}
    handles = {name: Line2D([], [], markersize=5, **look.plot) for name, look in shown.items()}
    figure, axes = over_time(list(panels), ("training time", "best validation DSC so far"), handles, height=3.0)
    for ax, lines in zip(axes, panels.values()):
        for name, found in lines.items():
            look = shown[name]
            for times, best in found:
                ax.step(times, best, where="post", color=look.color, linestyle=look.line, linewidth=1.1)
                ax.plot(times[-1], best[-1], markersize=5, **look.point)
    return figure


def _numbers(panels: dict[str, Lines]) -> pd.DataFrame:
    """What `draw` draws."""
    parts = [
        pd.DataFrame({"dataset": dataset, "method": name, "training": number, "seconds": times, "best_val_dsc": best})
        for dataset, lines in panels.items()
        for name, found in lines.items()
        for number, (times, best) in enumerate(found)
    ]
    return pd.concat(parts, ignore_index=True)
