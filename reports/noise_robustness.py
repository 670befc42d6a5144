"""The report of suite=noise_robustness: figure 8 of the LDSeg paper with intervals, costs and context."""

from pathlib import Path

import numpy as np

from benchmarks.store import Results, TrialView
from reports import figure_curves, figure_samples, figure_training, noise_tables, noise_words, published, style, trials, words
from reports.cost import cost_table
from reports.curves import Curve
from reports.document import Block, Code, Document, Figure, Heading, Paragraph
from reports.noise_study import Study, study

SAMPLE_SIGMAS = (0.0, 0.1, 0.2, 0.5)


def build(results: Results, folder: Path) -> Document:
    """The document; its figures are drawn into `folder`/figures."""
    style.theme()
    it = study(results)
    looks = style.looks(list(it.names))
    document = Document(results.suite.get("title") or results.suite["name"])
    document.add(*(Paragraph(text) for text in _opening(it)))
    document.add(*noise_words.summary(it))
    document.add(Heading("Accuracy by noise level"))
    document.add(*(noise_tables.by_sigma(it, dataset) for dataset in it.datasets))
    document.add(*_curves(it, looks, folder))
    measured = [dataset for dataset in it.datasets if it.curves[dataset]]
    if measured:
        at = words.listing([f"\u03c3 = {sigma:g}" for sigma in it.compared])
        document.add(Heading(f"Per class at {at}"), *(noise_tables.by_class(it, dataset) for dataset in measured))
        document.add(Heading("Robustness"), noise_tables.robustness(it))
        compared = noise_tables.differences(it)
        document.add(*([compared] if compared else []))
        document.add(*_samples(it, folder))
        document.add(Heading("Cost"), cost_table(results, it.curves, it.names))
    document.add(*_training(it, looks, folder))
    document.add(Heading("Published values"), *_published(it))
    document.add(Heading("Settings"), trials.dataset_table(results, it.datasets), trials.method_table(results))
    document.add(*trials.training_tables(results), trials.trial_table(results, it.datasets))
    document.add(Heading("Environment"), trials.environment_table(results))
    document.add(*_commands(results), *noise_words.notes(it))
    return document


def _opening(it: Study) -> list[str]:
    suite = it.results.suite
    ok = sum(trial.status == "ok" for trial in it.results.trials)
    profiles = sorted({str(trial.config.get("profile")) for trial in it.results.trials if trial.config.get("profile")})
    counted = f"{words.plural(ok, 'trial')} of {len(it.results.trials)} ended well"
    if profiles:
        counted += f"; {words.plural(len(profiles), 'profile').split(' ', 1)[1]} `{'`, `'.join(profiles)}`"
    counted += ". Every record used is in `records.csv`, every table in `tables/`, every figure in `figures/`."
    return [text for text in (suite.get("question"), counted) if text]


def _curves(it: Study, looks, folder: Path) -> list[Block]:
    panels = {dataset: curves for dataset, curves in it.curves.items() if curves}
    if not panels:
        return []
    style.save(figure_curves.draw(panels, it.names, looks), folder, "dsc_by_sigma")
    caption = "Mean DSC by noise standard deviation \u03c3"
    if any(e.has_interval for curves in panels.values() for c in curves for e in c.means()):
        caption += ", band: 95 % interval"
    if max(c.sigmas[-1] for curves in panels.values() for c in curves) > figure_curves.PUBLISHED_LIMIT:
        caption += "; the dashed vertical line marks the end of the published range, \u03c3 = 0.2"
    alt = f"Lines of mean DSC against noise standard deviation on {words.listing(list(panels))}."
    return [Figure("dsc_by_sigma", f"{caption}.", alt)]


def _samples(it: Study, folder: Path) -> list[Block]:
    blocks: list[Block] = []
    for dataset in it.datasets:
        figure = _sample_figure(it, dataset, folder)
        if figure:
            blocks.append(figure)
    return [Heading("Examples"), *blocks] if blocks else []


def _sample_figure(it: Study, dataset: str, folder: Path) -> Figure | None:
    curves = it.curves[dataset]
    tested = sorted({float(s) for curve in curves for s in curve.sigmas})
    sigmas = sorted({min(tested, key=lambda s, w=wanted: abs(s - w)) for wanted in SAMPLE_SIGMAS}) if tested else []
    trial_of = {curve.variant: _first_trial(it, curve) for curve in curves}
    stored = {
        (curve.variant, sigma): trial_of[curve.variant].samples(curve.variant.steps, sigma)
        for curve in curves if trial_of[curve.variant] is not None for sigma in sigmas
    }  # fmt: skip
    stored = {key: samples for key, samples in stored.items() if samples is not None and len(samples["ids"])}
    if not stored:
        return None
    case = _typical_case(curves, stored, sigmas)
    images, rows, where = [None] * len(sigmas), {it.names[curve.variant]: [None] * len(sigmas) for curve in curves}, None
    for curve in curves:
        for column, sigma in enumerate(sigmas):
            found = stored.get((curve.variant, sigma))
            index = np.flatnonzero(found["ids"].astype(str) == case) if found else []
            if not len(index):
                continue
            image, label, prediction = (found[part][index[0]] for part in ("image", "label", "prediction"))
            where = figure_samples.plane(label) if where is None else where
            images[column] = figure_samples.cut(image, where, leading=1)
            cell = (figure_samples.cut(label, where), figure_samples.cut(prediction, where), _dsc_text(curve, sigma, case))
            rows[it.names[curve.variant]][column] = cell
    columns = [f"\u03c3 = {sigma:g}" for sigma in sigmas]
    name = f"samples_{dataset}"
    classes = list(next(curve.classes for curve in curves))
    style.save(figure_samples.draw(columns, images, rows, classes), folder, name)
    plane = f", slice {where[1]} along axis {where[0]}" if where else ""
    caption = (
        f"{dataset}, test case `{case}`{plane}: what the methods were given and what they made of it. Of the stored examples "
        f"it is the one whose DSC without noise is the middle one for {it.names[curves[0].variant]}. Dark red: missed, light "
        "red: added; the number is the DSC of the case, classes pooled."
    )
    alt = f"Rows of example segmentations on {dataset} at noise standard deviations {words.listing([f'{s:g}' for s in sigmas])}."
    return Figure(name, caption, alt)


def _first_trial(it: Study, curve: Curve) -> TrialView | None:
    """The trial of the first seed, whose predictions are shown."""
    for trial in trials.of_dataset(it.results, curve.dataset):
        if trial.config["method"]["name"] == curve.variant.method and trial.config.get("seed", 0) == curve.seeds[0]:
            return trial
    return None


def _typical_case(curves: list[Curve], stored: dict, sigmas: list[float]) -> str:
    """Of the stored cases the one with the middle DSC for the first variant, so that no case is picked by eye."""
    reference = next((c for c in curves if any((c.variant, s) in stored for s in sigmas)), curves[0])
    samples = next(stored[reference.variant, s] for s in sigmas if (reference.variant, s) in stored)
    scores = dict(zip(reference.cases.tolist(), reference.by_case("dsc")[0].tolist()))
    ranked = sorted(samples["ids"].astype(str).tolist(), key=lambda case: (scores.get(case, -1.0), case))
    return ranked[len(ranked) // 2]


def _dsc_text(curve: Curve, sigma: float, case: str) -> str:
    found = np.flatnonzero(curve.cases == case)
    return words.number(curve.by_seed("dsc")[0, curve.at(sigma), found[0]], 2) if len(found) else ""


def _training(it: Study, looks, folder: Path) -> list[Block]:
    blocks: list[Block] = []
    by_method = {variant.method: look for variant, look in reversed(looks.items())}
    for dataset in it.datasets:
        methods = {}
        for trial in trials.of_dataset(it.results, dataset):
            if not trial.history.empty:
                look = by_method.get(trial.config["method"]["name"]) or style.Look("#555555", "o", style.SOLID)
                methods.setdefault(trial.label, (look, []))[1].append(trial)
        if methods:
            name = f"training_{dataset}"
            style.save(figure_training.draw(methods), folder, name)
            caption = f"{dataset}: training loss (each method's own, not comparable between methods) and validation DSC by step."
            alt = f"Training curves of {words.listing(list(methods))} on {dataset}."
            blocks.append(Figure(name, caption, alt))
    return [Heading("Training"), *blocks] if blocks else []


def _published(it: Study) -> list[Block]:
    said = published.statement("noise_robustness")
    blocks: list[Block] = [Paragraph(f"On robustness to noise: {said}; there are no numbers to set beside ours.")]
    without = [dataset for dataset in it.datasets if published.beside(it.results, dataset) is None]
    if without:
        blocks.append(Paragraph(f"Nothing is published on {words.listing(without)}."))
    return blocks + published.accuracy(it.results, it.curves, it.names, it.clean)


def _commands(results: Results) -> list[Block]:
    suite = results.suite
    blocks: list[Block] = [Heading("Commands")]
    for text, key in (("Run again (what is in the store is not repeated):", "command"),
                      ("Redraw from the store, without training or data:", "redraw_command")):  # fmt: skip
        if suite.get(key):
            blocks += [Paragraph(text), Code(str(suite[key]), "sh")]
    return blocks if len(blocks) > 1 else []
