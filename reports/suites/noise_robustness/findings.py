"""The noise-robustness report in words: its summary, and how things were measured."""

import math

from reports.numbers import statistics
from reports.numbers.curves import Curve
from reports.numbers.study import LOSS, Study
from reports.numbers.training import convergence
from reports.numbers.verdicts import OF_SCORES
from reports.paper import words
from reports.paper.document import Block, Bullets, Heading, Paragraph
from reports.sections import significance, twins
from reports.sections.cost import cost
from reports.sections.score_tables import counted
from reports.sections.trials import absences, of_dataset, which
from reports.sections.verdict_words import negated

LOW = 0.5
"""Below this DSC without noise, a flat curve is not called robust."""


def summary(it: Study) -> list[Block]:
    """For each data set what a reader would quote."""
    blocks: list[Block] = [Heading("Summary")]
    for dataset in it.datasets:
        blocks += _of_dataset(it, dataset)
    return blocks


def _of_dataset(it: Study, dataset: str) -> list[Block]:
    found = it.curves[dataset]
    problems = [f"**{a.title}** has no result here ({words.sentence(a.words)})" for a in absences(it.results, dataset)]
    if not found:
        return [Heading(dataset, 3), Bullets(tuple(problems or ["Nothing was measured."]))]
    groups = len(set(found[0].groups))
    size = next(iter(it.results.records.loc[it.results.records["dataset"] == dataset, "image_size"]))
    about = f"{counted(it, found)} at {size}"
    seeds = max(curve.trainings(it.clean) for curve in found)
    about += f", {words.plural(seeds, 'training seed')}"
    lead = f"**{dataset}** ({about})."
    if it.noisy is not None:
        lead += f" From σ = {it.clean:g} to σ = {it.noisy:g}, {words.listing([_loss(it, c) for c in found])}."
    items = [_scores(it, curve) for curve in found]
    items += [*significance.sentences(it, dataset), *twins.sentences(it, dataset)]
    items.append(f"Cost: {'; '.join(_cost(it, curve) for curve in found)}.")
    items += [*_convergence(it, dataset), *problems]
    if groups < statistics.MIN_GROUPS:
        items.append(f"No interval is given: {words.plural(groups, 'independent group')} cannot carry one.")
    return [Heading(dataset, 3), Paragraph(lead), Bullets(tuple(items))]


def _loss(it: Study, curve: Curve) -> str:
    clean, noisy = curve.at(it.clean), curve.at(it.noisy)
    if clean is None or noisy is None:
        return f"{it.names[curve.variant]} was not measured"
    # One training is tested at both levels: its loss is one number, not the difference of two trainings'.
    scores = curve.by_seed("dsc")
    lost = statistics.mean(scores[:, clean] - scores[:, noisy], curve.groups, bounds=OF_SCORES)
    verb = "gained" if lost.value < 0 else "lost"
    if lost.value < 0:
        lost = negated(lost)
    return f"{it.names[curve.variant]} {verb} {words.with_interval(lost)} DSC"


def _scores(it: Study, curve: Curve) -> str:
    parts = []
    for sigma in it.compared:
        estimate = curve.mean(sigma)
        if estimate is not None:
            parts.append(f"{words.with_interval(estimate)} at σ = {sigma:g}")
    text = f"**{it.names[curve.variant]}**: DSC {words.listing(parts)}"
    if len(curve.sigmas) > 1:
        largest = float(curve.sigmas[-1])
        at_loss = curve.sigma_at_loss(LOSS)
        if math.isinf(at_loss.value):
            text += f"; a loss of {LOSS:g} DSC was not reached up to σ = {largest:g}"
        elif not math.isnan(at_loss.value):
            text += f"; {LOSS:g} DSC was lost at σ = {words.threshold(at_loss, largest)}"
        text += f"; relative area under the curve {words.with_interval(curve.relative_area())}"
        text += f" (σ from {curve.sigmas[0]:g} to {largest:g})"
    clean = curve.mean(it.clean)
    if clean is not None and clean.value < LOW:
        text += f". With a DSC below {LOW:g} from the start there is little to lose: this is no sign of robustness"
    return text + "."


def _cost(it: Study, curve: Curve) -> str:
    what = cost(it.results, curve)
    parts = []
    if what.parameters is not None:
        parts.append(f"{words.quantity(what.parameters)} parameters")
    if what.training_seconds is not None:
        steps = f" ({what.training_steps:,.0f} steps)" if what.training_steps else ""
        parts.append(f"{words.duration(what.training_seconds)} of training{steps}")
    if what.nfe is not None:
        parts.append(words.plural(int(what.nfe), "network evaluation") + " an image")
    if what.seconds is not None:
        parts.append(f"{words.duration(what.seconds)} an image")
    if what.memory is not None:
        parts.append(f"{words.memory(what.memory)} peak memory")
    return f"**{it.names[curve.variant]}** {', '.join(parts) or 'not measured'}"


def _convergence(it: Study, dataset: str) -> list[str]:
    """A sentence for every trial that had not converged, or of which that cannot be told."""
    sentences = []
    trials = of_dataset(it.results, dataset)
    several = len({trial.config.seed for trial in trials}) > 1
    for trial in trials:
        found = convergence(trial.history)
        if trial.status == "ok" and found is not None and not found.reached:
            name = ", ".join(filter(None, [trial.label, which(trial, several)]))
            if found.rise is None:
                sentences.append(f"**{name}**: {found.words}.")
            else:
                sentences.append(
                    f"**{name}** {found.words}: its scores are those of this budget, not of the method's limit."
                )
    return sentences
