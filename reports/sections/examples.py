"""Which predictions a report shows: one typical test case of a data set under a few noise levels."""

from pathlib import Path

import numpy as np

from benchmarks.store.records import tested
from benchmarks.store.results import Results
from benchmarks.store.trial import TrialView
from reports.numbers.curves import Curve, Variant
from reports.paper import overlays, style, words
from reports.paper.document import Figure
from reports.sections.trials import of_dataset

SIGMAS = (0.0, 0.1, 0.2, 0.5)
"""Noise levels shown, as far as they, or levels near them, were tested."""


def figure(results: Results, curves: list[Curve], names: dict[Variant, str], folder: Path) -> Figure | None:
    """Draws the examples of one data set into `folder`; None where the store holds none."""
    tested = sorted({float(sigma) for curve in curves for sigma in curve.sigmas})
    sigmas = sorted({min(tested, key=lambda s, w=wanted: abs(s - w)) for wanted in SIGMAS})
    stored = stored_samples(results, curves, sigmas)
    if not stored:
        return None
    case = typical_case(curves, stored)
    images: list[np.ndarray | None] = [None] * len(sigmas)
    rows: dict[str, list[tuple | None]] = {names[curve.variant]: [None] * len(sigmas) for curve in curves}
    for curve in curves:
        for column, sigma in enumerate(sigmas):
            samples = stored.get((curve.variant, sigma))
            index = np.flatnonzero(samples["ids"].astype(str) == case) if samples else []
            if not len(index):
                continue
            image, label, prediction = (samples[part][index[0]] for part in ("image", "label", "prediction"))
            images[column] = image
            rows[names[curve.variant]][column] = (label, prediction, case_dsc(curve, sigma, case))
    dataset, name = curves[0].dataset, f"samples_{curves[0].dataset}"
    columns = [f"σ = {sigma:g}" for sigma in sigmas]
    style.save(overlays.draw(columns, images, rows, list(curves[0].classes)), folder, name)
    least = f"at σ = {sigmas[0]:g}" if sigmas[0] else "without noise"
    plane = ", the slice with the largest foreground" if _volumes(results, dataset) else ""
    caption = (
        f"{dataset}, test case `{case}`{plane}: what the methods were given and what they made of it. Of the stored "
        f"examples it is the one whose DSC {least} is the middle one for {names[next(iter(stored))[0]]}. "
        "Dark red: missed, light red: added; the number is the DSC of the case, classes pooled."
    )
    return Figure(name, caption, f"Rows of example segmentations on {dataset} at {words.listing(columns)}.")


def gallery(
    results: Results, curves: list[Curve], names: dict[Variant, str], sigma: float, folder: Path
) -> Figure | None:
    """All stored test cases of one data set at one sigma, a column each; None where the store holds none."""
    stored = stored_samples(results, curves, [sigma])
    if not stored:
        return None
    cases = list(dict.fromkeys(name for samples in stored.values() for name in samples["ids"].astype(str)))
    images: list[np.ndarray | None] = [None] * len(cases)
    rows: dict[str, list[tuple | None]] = {names[curve.variant]: [None] * len(cases) for curve in curves}
    for curve in curves:
        samples = stored.get((curve.variant, sigma))
        for column, case in enumerate(cases):
            index = np.flatnonzero(samples["ids"].astype(str) == case) if samples else []
            if not len(index):
                continue
            image, label, prediction = (samples[part][index[0]] for part in ("image", "label", "prediction"))
            images[column] = image
            rows[names[curve.variant]][column] = (label, prediction, case_dsc(curve, sigma, case))
    dataset, name = curves[0].dataset, f"samples_{curves[0].dataset}"
    style.save(overlays.draw(cases, images, rows, list(curves[0].classes)), folder, name)
    caption = (
        f"{dataset}: {words.plural(len(cases), 'test case')}, evenly spread over the test set, and what the methods "
        "made of them. Dark red: missed, light red: added; the number is the DSC of the case, classes pooled."
    )
    if _volumes(results, dataset):
        caption += " Of each volume the slice with the largest foreground is shown."
    return Figure(name, caption, f"Example segmentations of {words.listing(cases)} on {dataset}, a row per method.")


def _volumes(results: Results, dataset: str) -> bool:
    return any(len(trial.config.dataset.image_size) == 3 for trial in of_dataset(results, dataset))


def stored_samples(results: Results, curves: list[Curve], sigmas: list[float]) -> dict[tuple[Variant, float], dict]:
    """Samples of the first seed's trial by variant and sigma, as far as there are any."""
    found = {}
    for curve in curves:
        trial = first_trial(results, curve)
        for sigma in sigmas if trial else ():
            samples = samples_of(results, trial, curve.variant, sigma)
            if samples is not None and len(samples["ids"]):
                found[curve.variant, sigma] = samples
    return found


def samples_of(results: Results, trial: TrialView, variant: Variant, sigma: float) -> dict | None:
    """What `TrialView.samples` gives of a trial as a variant at a sigma; None where nothing is stored."""
    condition = condition_of(results, trial, variant, sigma)
    return None if condition is None else trial.samples(condition)


def condition_of(results: Results, trial: TrialView, variant: Variant, sigma: float) -> str | None:
    """Key of the condition that a trial was tested under as a variant at a sigma; None where it was not."""
    parts = {"trial": trial.key, "steps": variant.steps, "sampler": variant.sampler, "eta": variant.eta or 0.0,
             "ensemble": variant.ensemble, "sigma": sigma}  # fmt: skip
    return results.conditions.get(tested(parts))


def first_trial(results: Results, curve: Curve) -> TrialView | None:
    """The trial of a curve's first seed, and of its first fold; None where the store has none."""
    return next(iter(first_trials(results, curve)), None)


def first_trials(results: Results, curve: Curve) -> list[TrialView]:
    """The trial of a curve's first seed, or those of its folds."""
    mine = (curve.variant.method, curve.seeds[0])
    return [t for t in of_dataset(results, curve.dataset) if (t.config.method.name, t.config.seed) == mine]


def typical_case(curves: list[Curve], stored: dict) -> str:
    """Of the stored cases the one with the middle DSC for the first variant, so that no case is picked by eye."""
    reference, sigma = next(iter(stored))
    curve = next(curve for curve in curves if curve.variant == reference)
    scores = dict(zip(curve.cases.tolist(), curve.by_case("dsc")[0].tolist()))
    ids = stored[reference, sigma]["ids"].astype(str).tolist()
    return sorted(ids, key=lambda case: (scores.get(case, -1.0), case))[len(ids) // 2]


def case_dsc(curve: Curve, sigma: float, case: str) -> str:
    """Pooled DSC of a case at a sigma for the first seed, to be printed into its picture; empty where there is none."""
    found = np.flatnonzero(curve.cases == case)
    return words.number(curve.by_seed("dsc")[0, curve.at(sigma), found[0]], 2) if len(found) else ""
