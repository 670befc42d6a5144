"""Comparisons of the committed reports once more: differences with their intervals, tests, families and verdicts."""

from typing import NamedTuple

import numpy as np
import pytest
from scipy import optimize, stats

from tests.reports import resampling
from tests.reports.committed import DIGITS, alike, collapsed, scores
from tests.reports.resampling import averaged, holm, patients

OF_SCORES, OF_CHANGES = (-1, 1), (-2, 2)
MARGIN, FAILURE = 0.01, 0.3
"""What the committed reports declare."""


class Pair(NamedTuple):
    """Two tables (seeds, cases) on the same cases and the patient of each case; the first training of either that
    collapsed makes one training of all of them."""

    first: np.ndarray
    second: np.ndarray
    groups: np.ndarray
    bounds: tuple = OF_SCORES
    collapsed: bool = False

    def judged(self):
        """The same, what is left of it after a collapse: the mean of these trainings, and 0."""
        if not self.collapsed:
            return self
        values = averaged(self.first) - averaged(self.second)
        return self._replace(first=values[None], second=0 * values[None])


def pair(records, first, second, sigma, since=None):
    """DSC of two methods at a noise level or, with `since`, what changed from there. first, second: conditions."""
    tables = []
    for where in (first, second):
        values, groups = scores(records, sigma=sigma, **where)
        tables.append(values - (0 if since is None else scores(records, sigma=since, **where)[0]))
    if first["method"] == second["method"]:
        # What a training adds to both cancels, seed by seed.
        tables = tables[0] - tables[1], 0 * tables[1]
    fell = any(collapsed(records, **where) for where in (first, second))
    return Pair(*tables, groups, OF_SCORES if since is None else OF_CHANGES, fell).judged()


def check(rows, pairs, families=None, low=None, high=None):
    """Everything that a table says of its comparisons. rows: of the table; pairs: of each row; families: columns by
    which Holm's families are told apart, none where all rows are one; low, high: names of the ends of the interval,
    those of the difference with _low and _high unless given."""
    tested = [_tested(row, pair, low, high) for row, pair in zip(rows.to_dict("records"), pairs, strict=True)]
    labels = rows[families].astype(str).agg("|".join, axis=1) if families else rows["dataset"]
    for family in labels.unique():
        chosen = np.flatnonzero(labels == family)
        own, part = np.array([tested[k] for k in chosen]), rows.iloc[chosen]
        assert (part["family"] == len(part)).all()
        p, not_worse, not_better, lasting = own.T[:4]
        for name, values in (("p_holm", p), ("p_not_worse", not_worse), ("p_not_better", not_better),
                             ("p_lasting", lasting), ("p_equivalent", np.maximum(not_worse, not_better))):  # fmt: skip
            # Scores of five digits move a p that is the level of a discrete draw.
            assert part[name].tolist() == pytest.approx(holm(values).tolist(), rel=0.1, abs=2e-3), (family, name)
        # Rounding can make two scores equal, but not two equal ones differ.
        fewest, most = holm(own[:, 4]), holm(own[:, 5])
        assert (part["attainable"] >= fewest * 0.999).all() and (part["attainable"] <= most * 1.001).all()


def _tested(row, pair, low, high):
    """p, not worse, not better and lasting before Holm's correction, and the limits of the smallest p there could be;
    the rest of the row is checked."""
    one, two, groups, bounds, fell = pair
    means = patients(averaged(one) - averaged(two), groups)
    p, not_worse, not_better, error, t, lasting = resampling.tests(one, two, groups, MARGIN, bounds)
    several = min(len(one), len(two)) > 2
    if not several:
        p = min(resampling.p_signed_rank(means), key=lambda value: abs(np.log(value / row["p"])))
    counts = {"cases": one.shape[1], "groups": len(means)}
    assert all(row[name] == value for name, value in counts.items() if name in row)
    changed = means[np.abs(means) > 1e-12]
    if np.median(np.abs(means)) < 10 * DIGITS:
        # Of scores that hardly differ, all but the mean is of digits that are not there.
        p = row["p"]
        assert row["difference"] == pytest.approx(means.mean(), abs=DIGITS)
    else:
        alike(row, "difference", resampling.mean(one, two, groups=groups, bounds=bounds), low, high)
        assert row["p"] == pytest.approx(p, rel=0.05)
        _effect(row, means, changed, error, t)
    assert (row["margin"], row["unseen_failure"], row["collapsed"]) == (MARGIN, FAILURE, fell)
    assert row["about"] == ("methods" if several else "trainings")
    assert row["verdict"] == verdict(row, low, high)
    least = [0.0, 0.0] if several else [2.0 ** (1 - len(means)), 2.0 ** (1 - len(changed))]
    return p, not_worse, not_better, lasting, *np.minimum(least, 1)


def _effect(row, means, changed, error, t):
    """Standard error, effect sizes and what a repetition finds. means: of patients; changed: those that are not 0;
    t: what Student's t makes the reach of the error."""
    if "error" in row:
        assert (row["error"], stats.t.isf(0.025, row["df"])) == pytest.approx((error, t), rel=1e-3)
    if np.isnan(row["detectable"]):
        assert row["attainable"] >= 0.05
    else:
        df = optimize.brentq(lambda df: stats.t.isf(0.025, df) - t, 1.5, 10_000)
        assert resampling.power(row["detectable"], error, df, int(row["family"])) == pytest.approx(0.8, abs=0.01)
    ranks = stats.rankdata(np.abs(changed))
    # Of a patient in whom both hardly differ, rounding decides the sign.
    near = 2 * np.mean(np.abs(means) < 2 * DIGITS)
    assert row["rank_biserial"] == pytest.approx(np.sum(ranks * np.sign(changed)) / ranks.sum(), abs=2e-3 + near)
    assert row["d_z"] == pytest.approx(means.mean() / means.std(ddof=1), rel=2e-3, abs=2e-3)


def verdict(row, low=None, high=None):
    """Better and worse: the interval excludes 0 and p is below 0.05 after Holm; of trainings, the ranks have to point
    the same way; and two failures more may not undo it."""
    if row["collapsed"]:
        return "undecided"
    side = (row[low or "difference_low"] > 0) - (row[high or "difference_high"] < 0)
    agrees = row["about"] == "methods" or side * row["rank_biserial"] > 0
    if row["p_holm"] < 0.05 and side and agrees:
        return ("better" if side > 0 else "worse") + " so far" * (row["p_lasting"] >= 0.05)
    names = {"p_equivalent": "equivalent", "p_not_worse": "not worse", "p_not_better": "not better"}
    return next((name for column, name in names.items() if row[column] < 0.05), "undecided")
