"""The uncertainty report in words: its summary, and how things were measured."""

from reports.numbers import statistics
from reports.numbers.spread import MIN_RANKED, Spread
from reports.numbers.statistics import Estimate
from reports.numbers.study import Study
from reports.numbers.training import convergence
from reports.numbers.verdicts import Tested
from reports.paper import words
from reports.paper.document import Block, Bullets, Heading, Paragraph
from reports.sections import common, trainings
from reports.sections.score_tables import counted, judged
from reports.sections.trials import absences, of_dataset
from reports.sections.verdict_words import cautions, negated, p_words, sentence, subjects
from reports.suites.uncertainty import contests


def summary(it: Study, found: dict[str, list[Spread]]) -> list[Block]:
    """For each data set what a reader would quote."""
    blocks: list[Block] = [Heading("Summary")]
    for dataset in it.datasets:
        blocks += _of_dataset(it, dataset, found[dataset])
    return blocks


def _of_dataset(it: Study, dataset: str, found: list[Spread]) -> list[Block]:
    problems = [f"**{a.title}** has no result here ({words.sentence(a.words)})" for a in absences(it.results, dataset)]
    if not found:
        return [Heading(dataset, 3), Bullets(tuple(problems or ["Nothing was measured."]))]
    lead = f"**{dataset}** ({_what(it, dataset, found)}). {_places(it, found)}"
    items = [
        *_compared(it, found),
        *_alike(it, found),
        *_chance(it, found),
        *_beyond_confidence(it, found),
        _images(it, found),
        _calibration(it, found),
        _gain(it, found),
    ]
    items += [*trainings.sentences(it, dataset), *_undefined(found), *_training(it, dataset), *problems]
    groups = len(set(found[0].curve.groups))
    if groups < statistics.MIN_GROUPS:
        items.append(f"No interval is given: {words.plural(groups, 'independent group')} cannot carry one.")
    return [Heading(dataset, 3), Paragraph(lead), Bullets(tuple(items))]


def _what(it: Study, dataset: str, found: list[Spread]) -> str:
    """12 of 80 test cases at 96x96, 20 runs each."""
    curves = [spread.curve for spread in found]
    tested = max(len(curve.cases) for curve in curves)
    total = of_dataset(it.results, dataset)[0].config.dataset.cases.get("test", tested)
    size = it.results.records.loc[it.results.records["dataset"] == dataset, "image_size"].iloc[0]
    text = f"{counted(it, curves)}{f', evenly spread over the {total} there are,' if tested < total else ''} at {size}"
    runs, wanted = max(spread.runs for spread in found), it.results.suite.get("runs")
    text += f", {words.plural(runs, 'run')} on each"
    text += f" instead of {wanted}, as the profile limits them" if wanted and runs < wanted else ""
    seeds = max(curve.trainings(it.clean) for curve in curves)
    return text + f", {words.plural(seeds, 'training seed')}"


def _places(it: Study, found: list[Spread]) -> str:
    """Whose SD tells best where in the image the error is."""
    scored = [(spread, spread.mean("auroc")) for spread in found if not spread.constant]
    scored = sorted((p for p in scored if p[1].cases), key=lambda pair: -pair[1].value)
    if not scored:
        return "No method's runs spread where its error can be told: there is no AUROC to compare."
    (best, value), *others = scored
    text = (
        "Does the SD tell where in an image its own segmentation is wrong? Highest pixel AUROC: "
        f"{_name(it, best)} with {words.with_interval(value)}"
    )
    if others:
        text += f", followed by {_name(it, others[0][0])} with {words.with_interval(others[0][1])}"
    if len(others) > 1:
        text += f"; lowest: {_name(it, others[-1][0])} with {words.with_interval(others[-1][1])}"
    return text + "."


def _compared(it: Study, found: list[Spread]) -> list[str]:
    """The first method's SD against that of every other, and what these sentences take for granted."""
    met = contests.between(found, it.margin)
    said = []
    for first, second, (estimate, test) in met:
        names = subjects(it.names, first.curve, second.curve, it.clean, estimate)
        said.append(sentence(*names, estimate, test, " at telling its wrong pixels", "AUROC"))
    return [*said, *cautions([result for *_, result in met], it.unit(found[0].curve.dataset), "of AUROC")]


def _alike(it: Study, found: list[Spread]) -> list[str]:
    names = [_name(it, spread) for spread in found if spread.constant]
    if not names:
        return []
    return [
        f"All runs of {words.listing(names)} are alike: the SD is 0 everywhere and predicts nothing. An AUROC of 0.5 "
        "is then chance by definition."
    ]


def _chance(it: Study, found: list[Spread]) -> list[str]:
    scored = [(_name(it, spread), spread.mean("auroc")) for spread in found if not spread.constant]
    names = [f"{name} ({words.with_interval(e)})" for name, e in scored if e.has_interval and e.low <= 0.5]
    return [f"Not shown to be better than chance, AUROC 0.5: {words.listing(names)}."] if names else []


def _beyond_confidence(it: Study, found: list[Spread]) -> list[str]:
    """What the SD knows more than the mean of the runs."""
    parts = [_judged(it, *one) for one in contests.beyond_confidence(found, it.margin)]
    if not parts:
        return []
    return [
        "Does the SD tell more than the mean alone? AUROC of the SD minus that of 1 − confidence of the mean: "
        f"{'; '.join(parts)}."
    ]


def _judged(it: Study, spread: Spread, tested: Tested) -> str:
    """A difference with what its tests say, in brackets."""
    estimate, test = tested
    text = f"{_name(it, spread)} {words.with_interval(estimate, write=words.signed)}"
    return text if test.p_holm is None else f"{text} ({judged(estimate, test)}, {p_words(test)})"


def _images(it: Study, found: list[Spread]) -> str:
    parts = []
    for spread in found:
        rho = spread.spearman
        said = words.with_interval(rho, 2) if rho.value == rho.value else "undefined"
        parts.append(f"{_name(it, spread)} {said}")
    said = "; ".join(parts)
    return f"Does a larger SD tell the worse image? Rank correlation of mean SD and 1 − DSC over images: {said}."


def _calibration(it: Study, found: list[Spread]) -> str:
    ordered = sorted(found, key=lambda spread: spread.ece().value)
    parts = []
    for spread in ordered:
        edge, off = spread.ece("boundary_"), spread.overconfidence("boundary_")
        text = f"{_name(it, spread)} {words.with_interval(spread.ece())}"
        if edge.value == edge.value:
            text += f" and along the boundaries {words.with_interval(edge)}, {_confident(off)}"
        parts.append(text)
    return f"Calibration error (ECE) of the mean probabilities over all pixels, lowest first: {'; '.join(parts)}."


def _confident(off: Estimate) -> str:
    """Confidence minus accuracy in words: which of them is larger, where that is known."""
    if not off.has_interval or off.low <= 0 <= off.high:
        return f"confidence less accuracy there {words.with_interval(off, write=words.signed)}, which may be 0"
    size = negated(off) if off.value < 0 else off
    return f"{'under' if off.value < 0 else 'over'}-confident there by {words.with_interval(size)}"


def _gain(it: Study, found: list[Spread]) -> str:
    parts = [_judged(it, *one) for one in contests.gains(found, it.margin)]
    return f"What the mean of all runs gains in DSC over a single run: {'; '.join(parts)}."


def _undefined(found: list[Spread]) -> list[str]:
    count, total = sum(spread.undefined for spread in found), sum(spread.scores for spread in found)
    if not count:
        return []
    return [f"The AUROC is undefined in {count} of {total} segmentations, in which no pixel or every pixel is wrong."]


def _training(it: Study, dataset: str) -> list[str]:
    """What the reader must know of the weights: whether training had converged."""
    rising = [
        f"{trial.label} ({words.signed(found.rise)})"
        for trial in of_dataset(it.results, dataset)
        if trial.status == "ok" and (found := convergence(trial.history)) and found.reached is False
    ]
    if not rising:
        return []
    return [
        "Had not converged, with what the validation DSC still rose by in the last fifth of training: "
        f"{words.listing(rising)}."
    ]


def _name(it: Study, spread: Spread) -> str:
    return it.names[spread.curve.variant]


def notes(it: Study) -> list[Block]:
    """How it was measured."""
    return common.notes(
        it,
        [
            "A run is one sampling of one image. Run k draws from the generator with which the case is tested under "
            "sampling seed k, so runs do not depend on how many are sampled at once. The mean map is the mean "
            "foreground probability over the runs; the segmentation by the mean takes the class with the largest mean "
            "probability.",
            "The SD map is half the sum over the classes, background included, of the SD over the runs of the class's "
            "probability (divisor: the number of runs). With one foreground class it is the SD of the foreground "
            "probability. Where every run is sure of itself it shows how often they disagree.",
            "A sampler without noise of its own (eta 0) spreads its runs through the first noise alone: a method that "
            "forgets it, in few steps or by design, gives an SD near 0 and is reported as it is. The AUROC looks at "
            "the order of pixels, not at the size of the SD.",
            "The AUROC asks of every image whether its wrong pixels have a higher SD than its right ones. Methods make "
            "different errors, so a higher value says that a method knows its own errors better, not that it makes "
            f"fewer. Methods count as equivalent at it within {contests.MARGIN:g} AUROC, a margin that was declared "
            "before. Next to it stands the AUROC of 1 − confidence of the mean, which takes the mean alone: where it "
            "is higher, the SD adds nothing that the mean probability did not tell.",
            "Risk by coverage: pixels (or images) are kept from the lowest SD (or mean SD) on; equal ones count as in "
            "random order among pixels and enter together among images. The mean SD of an image also grows with the "
            "length of its boundaries.",
            "Calibration: pixels of all images by confidence in 15 equal bins; ECE is the mean distance of accuracy "
            "and confidence, weighted by pixels (Guo et al. 2017). Most pixels are easy background, which keeps it "
            "small: it stands beside the same over foreground (of label or segmentation) and over a band along the "
            "label's boundaries, 2 % of the image's diagonal to each side.",
            "With several trainings, whatever is said of all images together (correlation, calibration error, "
            "risk-coverage) is computed for each training and then averaged; its interval is that of a mean of "
            f"jackknife pseudo-values. A correlation has none below {MIN_RANKED} {it.units()}.",
            "Generalised energy distance: 2 E d(S, Y) − E d(S, S') − E d(Y, Y') with d = 1 − IoU over the foreground "
            "classes, for runs S and raters' labels Y (Kohl et al. 2018), over pairs of different runs, so that their "
            "number plays no part. These data have one label an image, so the last term is 0: the value rewards runs "
            "that come close to it and spread no more than they must, and says nothing on disagreement between raters.",
            "The three most uncertain places of a picture are the highest local maxima of the SD map, smoothed by a "
            "Gaussian of 2 % of the shorter side, at least 15 % of it apart.",
        ],
    )
