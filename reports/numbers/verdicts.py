"""What a comparison of two methods comes to: better or worse, equivalent within a margin, or undecided."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from reports.numbers import hypotheses, statistics
from reports.numbers.hypotheses import ALPHA, Margin
from reports.numbers.limits import Bounds, Limits
from reports.numbers.statistics import Estimate, Pair


class Verdict(str, Enum):
    """Of a first method against a second, what is better first. SO_FAR: in the patients seen, which
    `hypotheses.OUTRIGHT` further failures would undo. BARE: too few patients for an interval or a test."""

    BETTER = "better"
    BETTER_SO_FAR = "better so far"
    WORSE = "worse"
    WORSE_SO_FAR = "worse so far"
    EQUIVALENT = "equivalent"
    NOT_WORSE = "not worse"
    NOT_BETTER = "not better"
    UNDECIDED = "undecided"
    BARE = "bare"

    def __str__(self) -> str:
        return self.value


AHEAD = (Verdict.BETTER, Verdict.BETTER_SO_FAR)
BEHIND = (Verdict.WORSE, Verdict.WORSE_SO_FAR)
SO_FAR = (Verdict.BETTER_SO_FAR, Verdict.WORSE_SO_FAR)
DECLARED = Margin()
"""Unless a suite says otherwise."""


@dataclass(frozen=True)
class Significance:
    """The tests of a difference, first minus second. Each p is None where there are too few patients.

    p, p_holm: that there is none, before and after Holm's correction over the `family` comparisons made together.
    rank_biserial, d_z: `hypotheses.effect_sizes`. not_worse, not_better, equivalent: p after Holm that the first is not
    worse by more than the margin, not better by more than that, and both. attainable: the smallest p_holm that the
    test could have given, 0 where there is no smallest. detectable: the smallest true difference that would have been
    found with a probability of 80 %, None where no test could have succeeded. differing: groups in which the two
    methods differ at all. lasting: p after Holm that the difference would stay on its side with further failures
    (`hypotheses.lasting`), None where that plays no part. collapsed: whether a training of either did, so that nothing
    is decided and all of this is of these trainings alone.
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
    margin: Margin = DECLARED
    differing: int | None = None
    lasting: float | None = None
    collapsed: bool = False


OF_SCORES: Bounds = (-1.0, 1.0)
"""Of a difference of two scores between 0 and 1."""
OF_CHANGES: Bounds = (-2.0, 2.0)
"""Of a difference of how much two scores changed."""
Tested = tuple[Estimate, Significance]
"""A difference and its tests."""


def tested(
    pairs: Sequence[Pair | None],
    margin: Margin = DECLARED,
    bounds: Bounds = OF_SCORES,
    collapsed: Sequence[bool] | None = None,
) -> list[Tested | None]:
    """The difference of every pair with its tests, corrected over all of them; None for None. margin in units of the
    score, bounds of what is compared less one another. The pairs given are one family. collapsed: of each pair, whether
    a training of either method did; it then counts as one training, the mean of those there are."""
    fallen = list(collapsed) if collapsed is not None else [False] * len(pairs)
    pairs = [_as_one(pair) if pair is not None and fell else pair for pair, fell in zip(pairs, fallen, strict=True)]
    measured = [(None, None) if pair is None else statistics.difference(*pair, bounds=bounds) for pair in pairs]
    estimates = [estimate for estimate, _ in measured]
    found = [p_values(pair, estimate, limits, margin) for pair, (estimate, limits) in zip(pairs, measured)]
    family = sum(p is not None for p, *_ in found)
    differing = [None if pair is None else int(hypotheses.mean_differences(*pair).astype(bool).sum()) for pair in pairs]
    least = [_least(estimate, count) for estimate, count in zip(estimates, differing)]
    corrected = zip(*map(hypotheses.holm, [*zip(*found), least])) if found else []
    results: list[Tested | None] = []
    for pair, estimate, count, (p, *_), after_holm, fell in zip(pairs, estimates, differing, found, corrected, fallen):
        if pair is None or estimate is None:
            results.append(None)
            continue
        p_holm, not_worse, not_better, equivalent, lasting, attainable = after_holm
        rank_biserial, d_z = hypotheses.effect_sizes(*pair)
        # Nothing is found where no test could find it.
        smallest = None if attainable is not None and attainable >= ALPHA else hypotheses.detectable(estimate, family)
        test = Significance(p, p_holm, rank_biserial, d_z, not_worse, not_better, equivalent, attainable, smallest,
                            family, margin, count, lasting, fell)  # fmt: skip
        results.append((estimate, test))
    return results


def _as_one(pair: Pair) -> Pair:
    """The difference of the mean trainings, and 0."""
    first, second, groups = pair
    values = statistics.differences(first, second)
    return values, np.zeros_like(values), groups


def _least(estimate: Estimate | None, differing: int | None) -> float | None:
    """The smallest p before Holm's correction that a test could have given, any being possible for Student's. Corrected
    like p itself, these are the smallest p after it: no p of the family can be smaller than its own."""
    if estimate is None or differing is None or not estimate.has_interval:
        return None
    return 0.0 if estimate.seeds > 1 else hypotheses.attainable(differing)


def p_values(
    pair: Pair | None, estimate: Estimate | None, limits: Limits | None, margin: Margin
) -> tuple[float | None, ...]:
    """Before Holm's correction: no difference, not worse, not better, equivalent, lasting."""
    if pair is None or estimate is None:
        return None, None, None, None, None
    low, high = hypotheses.within_margin(limits, estimate.groups, margin)
    both = None if low is None or high is None else max(low, high)
    lasting = hypotheses.lasting(limits, estimate.groups, margin)
    return hypotheses.superiority(*pair, estimate, limits), low, high, both, lasting


def verdict(estimate: Estimate, test: Significance) -> Verdict:
    """Better and worse take an interval without 0 and p after Holm below ALPHA and, of fewer than MIN_SEEDS trainings,
    where the test is of ranks, ranks that point the same way as the mean; where `hypotheses.lasting` is not below
    ALPHA after Holm, they are so far. Else equivalent, or not worse or not better by more than the margin, where the
    tests of `hypotheses.within_margin` say so. Undecided where a training collapsed."""
    if estimate.low is None or estimate.high is None or test.p_holm is None:
        return Verdict.BARE
    if test.collapsed:
        return Verdict.UNDECIDED
    if test.p_holm < ALPHA:
        direction = (estimate.low > 0) - (estimate.high < 0)
        agrees = estimate.seeds > 1 or (test.rank_biserial or 0) * direction > 0
        if direction and agrees:
            outright = test.lasting is None or test.lasting < ALPHA
            return (AHEAD if direction > 0 else BEHIND)[not outright]
    for judged, p in ((Verdict.EQUIVALENT, test.equivalent), (Verdict.NOT_WORSE, test.not_worse),
                      (Verdict.NOT_BETTER, test.not_better)):  # fmt: skip
        if p is not None and p < ALPHA:
            return judged
    return Verdict.UNDECIDED
