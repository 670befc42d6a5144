"""Comparisons of two methods in sentences, for every report: who is better, equivalent or undecided, with what follows
from how many trainings and independent cases there were."""

from collections.abc import Sequence
from dataclasses import replace

from reports.numbers.curves import Curve, Variant
from reports.numbers.hypotheses import ALPHA, OUTRIGHT
from reports.numbers.statistics import Estimate
from reports.numbers.verdicts import AHEAD, BEHIND, SO_FAR, Significance, Tested, Verdict, verdict
from reports.paper import words
from reports.paper.words import Write


def subjects(
    names: dict[Variant, str], first: Curve, second: Curve, sigma: float, estimate: Estimate
) -> tuple[str, str]:
    """What a sentence on scores at sigma speaks of: methods where the estimate holds the variance of training, else
    those trainings that have a score there."""
    return _subject(names, first, sigma, estimate), _subject(names, second, sigma, estimate)


def _subject(names: dict[Variant, str], curve: Curve, sigma: float, estimate: Estimate) -> str:
    name = f"**{names[curve.variant]}**"
    if estimate.seeds > 1:
        return name
    count = curve.trainings(sigma)
    return f"this training of {name}" if count == 1 else f"the mean of {count} trainings of {name}"


def sentence(
    first: str, second: str, estimate: Estimate, test: Significance, where: str = "", score: str = "DSC"
) -> str:
    """One comparison of mean scores, first minus second, which are `subjects`. score: its name, more being better."""
    judged, signed = verdict(estimate, test), amount(estimate, words.signed, score)
    methods, within = estimate.seeds > 1, f"{test.margin.within:g} {score}"
    if judged is Verdict.BARE:
        count = words.plural(estimate.cases, "case")
        return f"{first} minus {second}{where}: {signed} ({count}), too few for an interval or a test."
    if test.collapsed:
        text = f"Nothing is decided between {first} and {second}{where}, as a training collapsed: {signed}"
        return f"{text}, {p_words(test)} for these trainings."
    if judged in (*AHEAD, *BEHIND):
        size = estimate if judged in AHEAD else negated(estimate)
        verb = f"is {judged}" if methods else f"scored {'higher' if judged in AHEAD else 'lower'}"
        verb += " so far" if judged in SO_FAR and not methods else ""
        text = f"{first} {verb} than {second}{where} by {amount(size, score=score)}, {p_words(test)}"
        if judged in SO_FAR:
            text += f"; {OUTRIGHT} further failures of {test.margin.failure:g} {score} would leave that open"
            sure = test.not_worse if judged in AHEAD else test.not_better
            if sure is not None and sure < ALPHA:
                side = "worse" if judged in AHEAD else "better"
                text += f", but not that it is not {side} by more than {within}, {p_of(sure)}"
        if test.equivalent is not None and test.equivalent < ALPHA:
            text += f"; the difference is smaller than the margin of {within}, {p_of(test.equivalent)}"
        return f"{_capital(text)}."
    if judged is Verdict.EQUIVALENT:
        verb = "are equivalent" if methods else "scored alike"
        text = f"{first} and {second} {verb}{where} within {within}: {signed}, {p_of(test.equivalent)} after Holm"
    elif judged in (Verdict.NOT_WORSE, Verdict.NOT_BETTER):
        verb = f"is {judged}" if methods else f"did not score {'lower' if judged is Verdict.NOT_WORSE else 'higher'}"
        p = test.not_worse if judged is Verdict.NOT_WORSE else test.not_better
        text = f"{first} {verb} than {second}{where} by more than {within}: {signed}, {p_of(p)} after Holm"
        text += f"; whether there is a difference is open, {p_words(test)}"
    else:
        text = f"Undecided between {first} and {second}{where}: {signed}, {p_words(test)}"
    if judged is not Verdict.EQUIVALENT:
        text += _doubt(estimate, test) + f"; {power_words(test, score)}"
    return f"{_capital(text)}."


def judgement(estimate: Estimate, test: Significance) -> str:
    """What the tests say, after a sentence that has told the amount."""
    judged, within = verdict(estimate, test), f"{test.margin.within:g} DSC"
    if judged is Verdict.BARE:
        return "Too few independent cases for an interval or a test."
    if test.collapsed:
        return f"A training collapsed, so that this decides nothing, {p_words(test)}."
    more = f"; {OUTRIGHT} further failures of {test.margin.failure:g} would leave that open"
    kind, these = ("methods", "") if estimate.seeds > 1 else ("trainings", " of these trainings")
    said = {
        Verdict.BETTER: f"A gain{these} is shown, {p_words(test)}",
        Verdict.WORSE: f"A loss{these} is shown, {p_words(test)}",
        Verdict.BETTER_SO_FAR: f"A gain{these} is shown so far, {p_words(test)}{more}",
        Verdict.WORSE_SO_FAR: f"A loss{these} is shown so far, {p_words(test)}{more}",
        Verdict.EQUIVALENT: f"The two {kind} are equivalent within {within}, {p_of(test.equivalent)} after Holm",
        Verdict.NOT_WORSE: f"No loss{these} of more than {within}, {p_of(test.not_worse)} after Holm",
        Verdict.NOT_BETTER: f"No gain{these} of more than {within}, {p_of(test.not_better)} after Holm",
    }
    return said.get(judged, f"Neither gain nor loss is shown, {p_words(test)}; {power_words(test)}") + "."


def _doubt(estimate: Estimate, test: Significance) -> str:
    """Where interval and test disagree."""
    if (estimate.low > 0 or estimate.high < 0) and test.p_holm >= ALPHA:
        return " (the interval alone would exclude 0)"
    if test.p_holm < ALPHA:
        return " (test and interval do not point the same way)"
    return ""


def power_words(test: Significance, score: str = "DSC") -> str:
    """What this design could have shown."""
    if test.attainable is not None and test.attainable >= ALPHA:
        return f"where only {test.differing} differ, no test could find a difference"
    if test.detectable is not None and test.detectable > 1:
        return f"this design finds no difference that {score} can have with a probability of 80 %"
    found = words.number(test.detectable)
    return f"with a probability of about 80 % this design finds a difference of {found} {score} or more"


def cautions(tests: Sequence[Tested], unit: str, declared_by: str = "`suite.margin`") -> list[str]:
    """What all sentences on some comparisons take for granted: few trainings, and tests that could not succeed.
    unit: what a group of cases is, as of `Study.unit`; declared_by: where the margin stands."""
    told = [(estimate, test) for estimate, test in tests if verdict(estimate, test) is not Verdict.BARE]
    said = []
    # A collapse leaves one mean of all trainings, of which its own sentence says what that is worth.
    if any(estimate.seeds == 1 and not test.collapsed for estimate, test in told):
        said.append(
            "Where a method was trained once or twice, sentences speak of these trainings and claim nothing about the "
            "method: another seed may turn them round, and two trainings that happen to agree hide how much. "
            "`seeds=[0,1,2]` tests the methods."
        )
    short = [pair for pair in told if verdict(*pair) in SO_FAR]
    if short:
        estimate, test = min(short, key=lambda pair: pair[0].groups)
        declared = test.margin
        said.append(
            f"So far: in {words.plural(estimate.groups, unit)} like these. {OUTRIGHT} more in whom the one that is "
            f"ahead loses {declared.failure:g} (`suite.unseen_failure`) would move the mean by "
            f"{declared.unseen(estimate.groups, OUTRIGHT):.3f}, after which no difference would be shown; so many show "
            "no failure that is that rare."
        )
    open_ = [pair for pair in told if verdict(*pair) is Verdict.UNDECIDED and not pair[1].collapsed]
    small = [(estimate, test) for estimate, test in open_ if test.margin.unseen(estimate.groups) >= test.margin.within]
    if small:
        estimate, test = min(small, key=lambda pair: pair[0].groups)
        declared = test.margin
        said.append(
            f"With {words.plural(estimate.groups, unit)} no margin below {declared.unseen(estimate.groups):.3f} can be "
            f"claimed, and {declared.within:g} was declared ({declared_by}): one more {unit} in whom a method loses "
            f"{declared.failure:g} would move the mean as far (`suite.unseen_failure`), and so many show no failure "
            "that is that rare."
        )
    hopeless = [(estimate, test) for estimate, test in told if test.attainable is not None and test.attainable >= ALPHA]
    if hopeless:
        # That which could have come closest speaks for all.
        estimate, test = min(hopeless, key=lambda pair: pair[1].attainable or 0)
        which = "no test" if len(hopeless) == len(told) else f"{len(hopeless)} of {len(told)} tests"
        reach = "could reach" if which == "no test" else "could not reach"
        groups = words.plural(estimate.groups, unit)
        if test.differing is not None and test.differing < estimate.groups:
            groups = f"{test.differing} of {groups} that differ"
        said.append(
            f"Of these trainings {which} of a difference {reach} {ALPHA:g} here: with {groups}, in a family of "
            f"{words.plural(test.family, 'comparison')}, the smallest p after Holm is {words.p_value(test.attainable)}."
        )
    return said


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def amount(estimate: Estimate, write: Write = words.number, score: str = "DSC") -> str:
    """0.021 DSC [0.008, 0.034]."""
    return f"{write(estimate.value)} {score} {words.bounds(estimate, write=write)}".strip()


def negated(estimate: Estimate) -> Estimate:
    """The difference taken the other way round."""
    if not estimate.has_interval:
        return replace(estimate, value=-estimate.value)
    return replace(estimate, value=-estimate.value, low=-estimate.high, high=-estimate.low)


def p_words(test: Significance) -> str:
    """p = 0.004 after Holm."""
    return f"{p_of(test.p_holm)} after Holm"


def p_of(p: float) -> str:
    """p = 0.004, or p < 0.001."""
    text = words.p_value(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"
