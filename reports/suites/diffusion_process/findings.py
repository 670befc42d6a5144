"""What the records of suite=diffusion_process say, in traces, words and a table."""

import numpy as np
import pandas as pd

from benchmarks.store.results import Results
from benchmarks.store.trial import TrialView
from reports.numbers.curves import POOLED, dataset_order
from reports.paper import words
from reports.paper.document import Block, Bullets, Heading, Table
from reports.sections import trials
from reports.suites.diffusion_process.trajectory_figure import FORWARD, time_text

NEAR = 0.01
"""DSC: how near to its end a process counts as having arrived."""
Process = tuple[str, int]
"""Direction and, of a reverse one, the number of steps."""


def methods(results: Results) -> list[tuple[str, str]]:
    """Key and title of every method that was watched, in the order of the suite."""
    shown = [trial for dataset in dataset_order(results) for trial in watched_trials(results, dataset)]
    return list(dict.fromkeys((trial.config.method.name, trial.label) for trial in shown))


def watched_trials(results: Results, dataset: str) -> list[TrialView]:
    """Trials on a data set of which the store holds trajectories."""
    watched = {case.trial for case in results.trajectories}
    return [trial for trial in trials.of_dataset(results, dataset) if trial.key in watched]


def traces_of(records: pd.DataFrame) -> dict[Process, pd.DataFrame]:
    """Mean pooled DSC over cases and seeds at each time of each process (columns t, alpha_bar, dsc, nfe, cases): the
    forward one first, then the reverse ones from most to fewest steps."""
    pooled = records[records["class"] == POOLED]
    found = {
        (str(direction), int(steps)): part.groupby("index").agg(
            t=("t", "first"),
            alpha_bar=("alpha_bar", "first"),
            dsc=("dsc", "mean"),
            nfe=("nfe", "first"),
            cases=("case", "nunique"),
        )  # fmt: skip
        for (direction, steps), part in pooled.groupby(["direction", "steps"])
    }
    return dict(sorted(found.items(), key=lambda item: (item[0] != FORWARD, -item[0][1])))


def of_method(results: Results, dataset: str, method: str) -> pd.DataFrame:
    """The records of a method on a data set."""
    records = results.records
    return records[(records["dataset"] == dataset) & (records["method"] == method)]


def _arrival(trace: pd.DataFrame) -> int:
    """Index of the first time from which on the DSC stays within NEAR of its end."""
    far = np.flatnonzero(np.abs(trace["dsc"].to_numpy() - trace["dsc"].iloc[-1]) > NEAR)
    return int(far[-1]) + 1 if len(far) else 0


def summary(results: Results, dataset: str) -> list[Block]:
    """For one data set what a reader would quote."""
    items = []
    for name, title in methods(results):
        part = of_method(results, dataset, name)
        if len(part):
            items.append(f"**{title}** ({words.plural(part['case'].nunique(), 'case')}): {_told(traces_of(part))}.")
    items += [
        f"**{absence.title}** is not shown here ({words.sentence(absence.words)})"
        for absence in trials.absences(results, dataset)
    ]
    return [Heading(dataset, 3), Bullets(tuple(items or ["Nothing was recorded."]))]


def _told(traces: dict[Process, pd.DataFrame]) -> str:
    parts = []
    forward = traces.get(FORWARD)
    if forward is not None:
        first, last = forward.iloc[0], forward.iloc[-1]
        parts.append(
            f"the true label has a DSC of {words.number(first.dsc)} when read off its noise-free state, and of "
            f"{words.number(last.dsc)} at t = {time_text(last.t)}"
        )
    for (_, steps), trace in ((process, trace) for process, trace in traces.items() if process != FORWARD):
        begin, second, end, arrived = trace.iloc[0], trace.iloc[1], trace.iloc[-1], _arrival(trace)
        text = f"sampled in {steps} steps, it goes from {words.number(begin.dsc)} to {words.number(end.dsc)}"
        if len(trace) > 2:
            text += f", {words.number(second.dsc)} after the first step"
        if 0 < arrived < len(trace) - 1:
            text += f", within {NEAR:g} of its end from t = {time_text(trace['t'].iloc[arrived])} on"
        parts.append(text)
    return "; ".join(parts)


def ends(results: Results) -> Table:
    """Where every process begins and ends."""
    rows, data = [], []
    for dataset in dataset_order(results):
        for name, title in methods(results):
            for (direction, steps), trace in traces_of(of_method(results, dataset, name)).items():
                arrived = trace["t"].iloc[_arrival(trace)]
                numbers = {
                    "dataset": dataset, "method": name, "direction": direction, "steps": steps,
                    "nfe": int(trace["nfe"].iloc[0]), "cases": int(trace["cases"].iloc[0]),
                    "dsc_first": trace["dsc"].iloc[0], "dsc_second": trace["dsc"].iloc[1],
                    "dsc_last": trace["dsc"].iloc[-1], "t_arrived": arrived,
                }  # fmt: skip
                data.append(numbers)
                rows.append(
                    {
                        "data set": dataset,
                        "method": title,
                        "process": direction if direction == "forward" else f"reverse, {steps} steps",
                        "network evaluations": str(numbers["nfe"]) if steps else words.NOTHING,
                        "cases": str(numbers["cases"]),
                        "DSC at its start": words.number(numbers["dsc_first"]),
                        "after one step": words.number(numbers["dsc_second"]),
                        "at its end": words.number(numbers["dsc_last"]),
                        f"within {NEAR:g} of its end from t": time_text(arrived) if steps else words.NOTHING,
                    }
                )
    caption = (
        "DSC, classes pooled, of what is read off the states of each process: mean over the cases watched, which are "
        "too few for intervals. The forward process starts at the true label, the reverse one at noise."
    )
    return Table("ends", caption, pd.DataFrame(rows), pd.DataFrame(data))


def notes(results: Results) -> tuple[str, ...]:
    """How it was measured."""
    notes = [
        "The cases are spread evenly over the test set; nobody chose them. They are too few to compare methods by: "
        "suite=accuracy and suite=sampling_steps do that.",
        "Forward: the true label is brought into the space in which the method diffuses (encoded, by a latent method) "
        "and noised to each time, with one and the same noise. Reverse: the method samples as it does in every "
        "other test, from the same starting noise of the case, and its state is kept at each time.",
        "A segmentation is read off a state as the method reads its last one: by its decoder and what it does "
        "afterwards, or by the threshold between its classes. Before the last time this is not what the method is made "
        "for, in particular the decoder of LDSeg, which in training sees noisy latents with the estimated noise taken "
        "off; it shows what a state says of the segmentation.",
        "t is the method's own time: 0 to 999 in latent diffusion with the cosine schedule, \u22121 (noise-free) to "
        "999 in pixel space with the linear one, 0 to 1 where noise is added without scaling the signal down. The "
        "share of signal variance left is `alpha_bar` in records.csv.",
        "The DSC is that of the grid on which the method works; volumes are scored on their own grid elsewhere.",
    ]
    if any(len(trial.config.dataset.image_size) == 3 for trial in results.trials):
        notes.append(
            "Of volumes the slice with most of the label is shown, and of latents the slice at the same place; the DSC "
            "is that of the volume. A volume larger than what the method sees at once is cut to its middle."
        )
    notes.append("Of states with several channels that of the first foreground class is shown.")
    return tuple(notes)
