"""The accuracy report in words."""

from reports.numbers import statistics
from reports.numbers.curves import Curve
from reports.numbers.study import Study
from reports.numbers.training import convergence
from reports.paper import words
from reports.paper.document import Block, Bullets, Heading, Paragraph
from reports.sections import matrix, score_tables, significance, trainings, twins
from reports.sections.trials import absences, of_dataset, which


def summary(it: Study) -> list[Block]:
    """For each data set what a reader would quote."""
    blocks: list[Block] = [Heading("Summary")]
    for dataset in it.datasets:
        blocks += _of_dataset(it, dataset)
    return blocks


def _of_dataset(it: Study, dataset: str) -> list[Block]:
    found = [curve for curve in it.curves[dataset] if curve.at(it.clean) is not None]
    problems = [f"**{a.title}** has no result here ({words.sentence(a.words)})" for a in absences(it.results, dataset)]
    if not found:
        return [Heading(dataset, 3), Bullets(tuple(problems or ["Nothing was measured."]))]
    size = next(iter(it.results.records.loc[it.results.records["dataset"] == dataset, "image_size"]))
    seeds = words.plural(max(curve.trainings(it.clean) for curve in found), "training seed")
    lead = f"**{dataset}** ({score_tables.counted(it, found)} at {size}, {seeds}). {_leader(it, found)}"
    friedman = significance.friedman_sentence(it, dataset, it.clean)
    items = [*significance.sentences(it, dataset), *([friedman] if friedman else []), *twins.sentences(it, dataset)]
    items += [*_unconverged(it, dataset), *problems]
    groups = len(set(found[0].groups))
    if groups < statistics.MIN_GROUPS:
        items.append(f"No interval is given: {words.plural(groups, 'independent group')} cannot carry one.")
    return [
        Heading(dataset, 3),
        Paragraph(lead),
        *([Bullets(tuple(items))] if items else []),
        *matrix.table(it, dataset),
    ]


def _leader(it: Study, found: list[Curve]) -> str:
    ordered = score_tables.by_score(it, found)

    def named(curve: Curve) -> str:
        mean = curve.mean(it.clean)
        return f"{it.names[curve.variant]} with {words.with_interval(mean)}{trainings.on_fewer(mean, found)}"

    text = f"Highest mean DSC: {named(ordered[0])}"
    if len(ordered) > 1:
        text += f", followed by {named(ordered[1])}"
    if len(ordered) > 2:
        text += f"; lowest: {named(ordered[-1])}"
    reference = found[0]
    if reference not in (ordered[0], ordered[-1]):
        rank = ordered.index(reference) + 1
        text += f". The reference {it.names[reference.variant]} is number {rank} of {len(ordered)} with "
        text += words.with_interval(reference.mean(it.clean))
    return text + "."


def _unconverged(it: Study, dataset: str) -> list[str]:
    """One sentence on the trials whose scores are those of the budget, and one on those of which that is unknown."""
    trials = of_dataset(it.results, dataset)
    several = len({trial.config.seed for trial in trials}) > 1
    rising, unknown = [], []
    for trial in trials:
        found = convergence(trial.history)
        if trial.status != "ok" or found is None or found.reached:
            continue
        name = ", ".join(filter(None, [trial.label, which(trial, several)]))
        if found.rise is None:
            unknown.append(name)
        else:
            rising.append(f"{name} ({words.signed(found.rise)})")
    sentences = []
    if rising:
        sentences.append(
            "Had not converged, with what the validation DSC still rose by in the last fifth of training: "
            f"{words.listing(rising)}. These scores are those of this budget, not of the method's limit."
        )
    if unknown:
        sentences.append(f"Too few validations to tell whether training had converged: {words.listing(unknown)}.")
    return sentences
