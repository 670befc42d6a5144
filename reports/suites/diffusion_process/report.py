"""The report of suite=diffusion_process: figure 2 of the LDSeg paper, a few cases while they are noised and sampled."""

from pathlib import Path

import pandas as pd

from benchmarks.store.kept import Watched
from benchmarks.store.results import Results
from benchmarks.store.trial import TrialView
from reports.numbers.curves import Variant, dataset_order
from reports.numbers.study import CLEAN, Study
from reports.paper import animation, overlays, style, words
from reports.paper.animation import Frame
from reports.paper.document import Animation, Block, Bullets, Document, Figure, Heading, Paragraph
from reports.sections import common, trials
from reports.suites.diffusion_process import findings, trajectory_figure
from reports.suites.diffusion_process.findings import Process, methods, of_method, traces_of, watched_trials
from reports.suites.diffusion_process.trajectory_figure import FORWARD, Line, time_text

COLOURS = "Dark red: missed, light red: added, violet: wrong class, other colours: correct"


def build(results: Results, folder: Path) -> Document:
    """The document; its figures are drawn into `folder`/figures."""
    style.theme()
    datasets = dataset_order(results)
    it = Study(results, datasets, {dataset: [] for dataset in datasets}, {}, CLEAN, None)
    document = Document(results.suite.get("title") or results.suite["name"])
    document.add(*(Paragraph(text) for text in common.opening(it)), Heading("Summary"))
    document.add(*(block for dataset in datasets for block in findings.summary(results, dataset)))
    looks = style.looks([variant for name, title in methods(results) for variant in _variants(results, name, title)])
    if results.trajectories:
        document.add(Heading("Accuracy by time"), findings.ends(results), _by_time(results, looks, folder))
    for dataset in datasets:
        shown = [block for trial in watched_trials(results, dataset) for block in _watched(results, trial, folder)]
        document.add(*([Heading(dataset), *shown] if shown else []))
    document.add(*common.training(it, looks, folder))
    document.add(Heading("Settings"), trials.dataset_table(results, datasets), trials.method_table(results))
    document.add(*trials.training_tables(results), trials.trial_table(results, datasets))
    document.add(Heading("Environment"), trials.environment_table(results))
    document.add(*common.commands(results))
    document.add(Heading("How it was measured"), Bullets(findings.notes(results)))
    return document


def _variants(results: Results, name: str, title: str) -> list[Variant]:
    """One for each number of steps, the largest first."""
    records = results.records
    steps = records.loc[(records["method"] == name) & (records["steps"] > 0), "steps"].astype(int).unique()
    return [Variant(name, title, count) for count in sorted(steps.tolist(), reverse=True)]


def _by_time(results: Results, looks: dict[Variant, style.Look], folder: Path) -> Figure:
    panels: dict[str, list[Line]] = {}
    data = []
    for dataset in dataset_order(results):
        for name, title in methods(results):
            traces = traces_of(of_method(results, dataset, name))
            most = max((steps for _, steps in traces), default=0)
            longest = max((float(trace["t"].max()) for trace in traces.values()), default=1.0)
            for (direction, steps), trace in traces.items():
                # Forward and longest reverse process look alike: each has a panel of its own.
                look = looks[Variant(name, title, steps or most)]
                label = f"{title}, {steps} steps" if steps not in (0, most) else f"{title}, forward and {most} steps"
                times = trace["t"].to_numpy() / longest
                panels.setdefault(dataset, []).append(Line(label, direction, look, times, trace["dsc"].to_numpy()))
                about = {"dataset": dataset, "method": name, "direction": direction, "steps": steps}
                data += [about | row for row in trace.reset_index().assign(share=times).to_dict("records")]
    style.save(trajectory_figure.dsc_by_time(panels), folder, "dsc_by_time")
    caption = (
        "DSC of what is read off a state against its time, mean over the cases watched. Left: noise is added to the "
        "true label; right: a segmentation is sampled. Time as a share of the longest; both run from left to right."
    )
    alt = f"Lines of DSC against time of the forward and reverse processes on {words.listing(list(panels))}."
    return Figure("dsc_by_time", caption, alt, pd.DataFrame(data))


def _watched(results: Results, trial: TrialView, folder: Path) -> list[Block]:
    """A strip for every case of the method's first seed, and animations of the first of them."""
    dataset, method = trial.config.dataset.name, trial.config.method.name
    seeds = [other.config.seed for other in watched_trials(results, dataset) if other.config.method.name == method]
    if trial.config.seed != seeds[0]:
        return []
    blocks: list[Block] = [Heading(f"{trial.label} on {dataset}", 3)]
    for place, case in enumerate(case for case in results.trajectories if case.trial == trial.key):
        records = results.records
        traces = traces_of(records[(records["trial"] == trial.key) & (records["case"] == case.case)])
        name = f"strip_{dataset}_{method}_{place + 1}"
        classes = list(trial.config.dataset.class_names)
        style.save(trajectory_figure.strips(case, traces, classes), folder, name)
        largest = f"{trajectory_figure.limit(case):g}"
        caption = (
            f"{trial.label} on {dataset}, test case `{case.case}`: {_states(case)} (grey, from \u2212{largest}, black, "
            f"to {largest}, white) and the segmentation read off each. {COLOURS}; the number "
            "is the DSC of the case, classes pooled. Each process runs from left to right."
        )
        rows = words.listing([trajectory_figure.title(process) for process in traces])
        alt = f"Rows of states and segmentations of {trial.label} by time: {rows}."
        blocks.append(Figure(name, caption, alt))
        if place == 0:
            longest = next(process for process in traces if process != FORWARD)
            blocks += [_animation(trial, case, process, traces[process], folder) for process in (FORWARD, longest)]
    return blocks


def _states(case: Watched) -> str:
    return "its latents" if case.latent else "the fields that it diffuses"


def _animation(trial: TrialView, case: Watched, process: Process, trace: pd.DataFrame, folder: Path) -> Animation:
    dataset, method = trial.config.dataset.name, trial.config.method.name
    largest = trajectory_figure.limit(case)
    still = [overlays.rgb(case.image), overlays.overlay(case.image, case.label, case.label)]
    told = f"{process[0]} process" + (f", {process[1]} steps" if process[1] else "")
    frames = [
        Frame(
            f"{trial.label}, {told}: t = {time_text(t)}",
            [*still, trajectory_figure.grey(state, largest), overlays.overlay(case.image, case.label, decoded)],
            ["", "", "", f"DSC {words.number(dsc, 2)}"],
        )
        for t, dsc, state, decoded in zip(
            trace["t"], trace["dsc"], case.states[process], case.decoded[process], strict=True
        )
    ]
    name = f"{process[0]}_{dataset}_{method}"
    panels = ["image", "true label", "latent" if case.latent else "state", "read off it"]
    handles = overlays.handles_of(list(trial.config.dataset.class_names), outline=False)
    animation.write(frames, panels, handles, folder, name)
    caption = (
        f"{trial.label} on {dataset}, test case `{case.case}`, {told}: image, true label, state and the segmentation "
        f"read off it with its DSC. {COLOURS}."
    )
    ends = [f"{words.number(trace['dsc'].iloc[k], 2)} at t = {time_text(trace['t'].iloc[k])}" for k in (0, -1)]
    alt = f"Animation of {trial.label}, {told}: the DSC goes from {ends[0]} to {ends[1]}."
    return Animation(name, caption, alt)
