"""What a comparison of two methods comes to: better or worse, equivalent within a margin, or undecided."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from reports.numbers import hypotheses, statistics
from reports.numbers.hypotheses import ALPHA, MARGIN
from reports.numbers.statistics import Estimate, Pair


class Verdict(StrEnum):
    """Of a first method against a second. BARE: too few patients for an interval or a test."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    NOT_WORSE = "not worse"
    NOT_BETTER = "not better"
    UNDECIDED = "undecided"
    BARE = "bare"


@dataclass(frozen=True)
class Significance:
    """The tests of a difference, first minus second. Each p is None where there are too few patients.

    p, p_holm: that there is none, before and after Holm's correction over the `family` comparisons made together.
    rank_biserial, d_z: `hypotheses.effect_sizes`. not_worse, not_better, equivalent: p after Holm that the first is not
    worse by more than `margin` DSC, not better by more than that, and both. attainable: the smallest p_holm that the
    test could have given, 0 where there is no smallest. detectable: the smallest true difference that would have been
    found with a probability of 80 %.
    """

    p: float | None
    p_holm: float | None
    rank_biserial: float | None
    d_z: float | None
    not_worse: float | None = None
    not_better: float | None = None
    equivalent: float | None = None
    attainable: float | None = None
    detectable: float | None = None
    family: int = 1
    margin: float = MARGIN


Tested = tuple[Estimate, Significance]
"""A difference and its tests."""


def tested(pairs: Sequence[Pair | None], margin: float = MARGIN) -> list[Tested | None]:
    """The difference of every pair with its tests, corrected over all of them; None for None. margin in units of the
    score. The pairs given are one family."""
    estimates = [None if pair is None else statistics.paired_difference(*pair) for pair in pairs]
    p_values = [None if e is None else hypotheses.superiority(*pair, e) for pair, e in zip(pairs, estimates)]
    sides = [(None, None) if e is None else hypotheses.one_sided(e, margin) for e in estimates]
    not_worse, not_better = ([side[k] for side in sides] for k in (0, 1))
    both = [None if low is None else max(low, high) for low, high in sides]
    corrected = list(zip(*(hypotheses.holm(family) for family in (p_values, not_worse, not_better, both))))
    family = sum(p is not None for p in p_values)
    found: list[Tested | None] = []
    for pair, estimate, p, (p_holm, *bounds) in zip(pairs, estimates, p_values, corrected):
        if pair is None or estimate is None:
            found.append(None)
            continue
        least = 0.0 if estimate.seeds > 1 else hypotheses.attainable(estimate.groups, family)
        sizes = hypotheses.effect_sizes(*pair)
        smallest = hypotheses.detectable(estimate, family)
        found.append((estimate, Significance(p, p_holm, *sizes, *bounds, least, smallest, family, margin)))
    return found


def verdict(estimate: Estimate, test: Significance) -> Verdict:
    """Better and worse take an interval without 0 and p after Holm below ALPHA and, of one training each, where the
    test is of ranks, ranks that point the same way as the mean. Else equivalent, or not worse or not better by more
    than the margin, where the one-sided tests say so."""
    if not estimate.has_interval or test.p_holm is None:
        return Verdict.BARE
    if test.p_holm < ALPHA:
        direction = (estimate.low > 0) - (estimate.high < 0)
        agrees = estimate.seeds > 1 or (test.rank_biserial or 0) * direction > 0
        if direction and agrees:
            return Verdict.BETTER if direction > 0 else Verdict.WORSE
    for judged, p in ((Verdict.EQUIVALENT, test.equivalent), (Verdict.NOT_WORSE, test.not_worse),
                      (Verdict.NOT_BETTER, test.not_better)):  # fmt: skip
        if p is not None and p < ALPHA:
            return judged
    return Verdict.UNDECIDED
