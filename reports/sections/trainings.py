"""Trainings that do not speak for their method, in words: those that collapsed, and those tested in part only."""

from collections.abc import Sequence

from reports.numbers.collapse import COLLAPSE, Collapse, by_training, partials
from reports.numbers.curves import Curve
from reports.numbers.statistics import Estimate
from reports.numbers.study import Study
from reports.paper import words


def sentences(it: Study, dataset: str) -> list[str]:
    """Of one data set; nothing where every training was tested in full and came out like its fellows."""
    curves = it.curves[dataset]
    found = by_training(curves, it.clean)
    fallen = [(curve, behind) for curve, ended in found if (behind := [one for one in ended if one.unmoved is None])]
    blind = [(curve, still) for curve, ended in found if (still := [one for one in ended if one.unmoved is not None])]
    return [
        *incomplete(it, curves),
        *(_collapsed(it, *one) for one in fallen),
        *(_answering_alike(it, *one) for one in blind),
    ]


def _answering_alike(it: Study, curve: Curve, blind: list[Collapse]) -> str:
    told = []
    for one in blind:
        which = f"seed {one.seed}{f', {one.fold}' * bool(one.fold)} ({words.number(one.score)})"
        told.append(f"{which} lost nothing in any case up to σ = {one.unmoved:g}")
    looks = "does not look" if len(blind) == 1 else "do not look"
    return (
        f"{words.plural(len(blind), 'training')} of **{it.names[curve.variant]}** answered alike whatever noise was "
        f"added and, as far as scores tell, {looks} at the image: {words.listing(told)}. This counts as a "
        "collapse: what is said of the method is of these trainings, and decides nothing about it."
    )


def _collapsed(it: Study, curve: Curve, fallen: list[Collapse]) -> str:
    name = it.names[curve.variant]
    if fallen[0].fold:
        told = words.listing([f"seed {one.seed}, {one.fold} ({words.number(one.score)})" for one in fallen])
        best = words.listing(list(dict.fromkeys(words.number(one.best) for one in fallen)))
        ended = f"{told}, the best being {best}"
        text = f"{words.plural(len(fallen), 'training')} of **{name}** ended more than {COLLAPSE:g} DSC below "
        text += "the best of its method"
    else:
        scored = sorted(curve.seed_means(it.clean))
        ended = words.listing([words.number(value) for value in scored])
        text = f"{words.plural(len(fallen), 'training')} of **{name}** ended more than {COLLAPSE:g} DSC below "
        text += "the best"
    return (
        f"{text} ({ended}): a training that collapses now and then is no chance that intervals and tests know, and so "
        "few do not show how often. What is said of it is of these trainings, and decides nothing about the method."
    )


def incomplete(it: Study, curves: Sequence[Curve], where: str = "") -> list[str]:
    """A sentence for each training that was tested on fewer cases than its fellows. where: under what, beside σ."""
    said = []
    for one in partials(curves):
        name = it.names[one.curve.variant]
        at = f" at σ = {words.listing([f'{sigma:g}' for sigma in one.sigmas])}" if len(one.curve.sigmas) > 1 else ""
        said.append(
            f"Seed {one.seed} of **{name}** was tested on {one.cases} of {one.of} cases{where or at} and has no part "
            "in what is said there: as one training among whole ones it would count for more than it shows."
        )
    return list(dict.fromkeys(said))


def on_fewer(estimate: Estimate | None, curves: Sequence[Curve]) -> str:
    """\" on 20 of 40 cases\" where a comparison rests on fewer cases than were tested of the data set; else nothing."""
    total = max((len(curve.cases) for curve in curves), default=0)
    return f" on {estimate.cases} of {total} cases" if estimate is not None and 0 < estimate.cases < total else ""
