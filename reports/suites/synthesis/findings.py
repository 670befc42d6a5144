"""The synthesis report in words."""

from reports.numbers.curves import Variant
from reports.numbers.study import Study
from reports.paper import words
from reports.paper.document import Block, Bullets, Heading, Paragraph
from reports.sections.common import intervals
from reports.sections.trials import absences, of_dataset
from reports.suites.synthesis import scores, tables

NAMED = 10
"""Cases left out that are named, at most."""
COPYING = 0.5
"""A method more than so many of whose images are copies is said to repeat its training images."""


def summary(it: Study, dataset: str) -> list[Block]:
    """What a reader would quote of a data set."""
    found = scores.measured(it.results, dataset)
    items = [f"**{a.title}** has no result here ({words.sentence(a.words)})" for a in absences(it.results, dataset)]
    if not found:
        return [Heading(dataset, 3), Bullets(tuple(items or ["Nothing was measured."]))]
    records = it.results.records[it.results.records["dataset"] == dataset]
    unit = it.unit(dataset)
    counted = words.plural(records["case"].nunique(), "held-out map")
    counted += "" if unit == "image" else f" of {words.plural(records['group'].nunique(), unit)}"
    seeds = words.plural(records["seed"].nunique(), "training seed")
    lead = f"**{dataset}** ({counted}, {seeds})."
    said = [*_closest(it, dataset, found), *_against_first(it, dataset, found), *_copies(it, dataset, found)]
    return [Heading(dataset, 3), Paragraph(lead), Bullets(tuple([*said, *_left_out(it, dataset), *items]))]


def _closest(it: Study, dataset: str, found: list[Variant]) -> list[str]:
    """By each distance of sets the nearest method, beside other real images."""
    by_variant = {variant: scores.distances(it.results, dataset, variant) for variant in found}
    said = []
    for metric in dict.fromkeys(name for distances in by_variant.values() for name in distances):
        if "mmd" in metric:
            continue
        ranked = sorted(
            (distances[metric].mean, variant)
            for variant, distances in by_variant.items()
            if metric in distances and distances[metric].mean is not None
        ) if all(d[metric].mean is not None for d in by_variant.values() if metric in d) else []  # fmt: skip
        if not ranked:
            said.append(f"{metric}: fewer than 4 images on a side, too few for a distance of sets.")
            continue
        named = [f"{it.names[variant]} {value:.3g}" for value, variant in ranked]
        one = by_variant[ranked[0][1]][metric]
        flag = f", after projection on {words.plural(one.components, 'component')}" if one.components else ""
        said.append(f"{metric} (less is closer{flag}): {', '.join(named)}; {tables.OTHER} {one.reference:.3g}.")
    return said


def _against_first(it: Study, dataset: str, found: list[Variant]) -> list[str]:
    """SSIM of the first method against every other, on the same maps."""
    first, *others = found
    said = []
    for other in others:
        estimate = scores.difference(*(scores.of_variant(it.results, dataset, v) for v in (first, other)), "ssim")
        if estimate is not None:
            said.append(
                f"SSIM with the real image of the map, {it.names[first]} minus {it.names[other]}: "
                f"{words.with_interval(estimate, write=words.signed)}."
            )
    return said


def _copies(it: Study, dataset: str, found: list[Variant]) -> list[str]:
    said = []
    for variant in found:
        share = scores.copies(scores.of_variant(it.results, dataset, variant))
        if share:
            verdict = ": it repeats its training images" if share > COPYING else ""
            said.append(
                f"{words.share(share)} of the images of {it.names[variant]} are copies of training images{verdict}."
            )
    return said


def _left_out(it: Study, dataset: str) -> list[str]:
    keys = {view.key for view in of_dataset(it.results, dataset)}
    left = [one.made.about.get("left_out") or [] for one in it.results.syntheses if one.trial in keys and not one.shown]
    if not any(left):
        return []
    most = max(left, key=len)
    names = f"{', '.join(most[:NAMED])}{' and others' * (len(most) > NAMED)}"
    count = words.plural(len(most), "test case")
    return [f"Left out because no image can be made from an empty map: {count} without any structure, {names}."]


def notes(it: Study) -> tuple[str, ...]:
    """How things were measured."""
    return (
        "An image is made of the map of every test case: its label and, where the method tells it apart, the field of "
        "view, read off the real image. It is seeded by the case and the training's seed, and does not depend on its "
        "batch. Methods saw training images only; their last averaged weights are used.",
        "Real images are scaled each by its own extremes to the range from \u22121 to 1, as methods do: gain and "
        "offset play no part. SSIM takes a range of 2, PSNR a peak of 2, RMSE is on that scale. A method that is right "
        "about the anatomy and draws its own speckle scores low on all three, and the mean image of a class scores "
        "high: they are read beside the distances of sets, never alone.",
        "The Fréchet distance is the squared distance of the mean features plus tr(A + B \u2212 2(AB)^½) of their "
        "covariances A and B, taken with n \u2212 1. It falls with the number of images, so only sets of equal size "
        "stand beside each other. It has no interval; seeds show how much it moves from training to training.",
        "Time per image: methods in turn, batch 1, after warm-up, by the weights of a method's first seed.",
        intervals(it.units()),
    )
