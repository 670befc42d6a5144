"""The Bayesian signed-rank test against baycomp 1.0.3, the package of its authors."""

import numpy as np
import pytest

from reports.numbers import bayes

MIXED = np.array([0.021, -0.004, 0.013, 0.009, -0.012, 0.030, 0.002, 0.017, -0.001, 0.006, 0.011, -0.008])
BORDER = np.array([0.02, 0.02, 0, 0, -0.02, 0.02, 0.0])


# SignedRankTest.probs(zeros, differences, rope, nsamples=50000, random_state=1): left, rope, right.
@pytest.mark.parametrize(
    "differences, rope, worse, equivalent, better",
    [
        (MIXED, 0.01, 0.0, 0.85264, 0.14736),
        (MIXED + 0.02, 0.01, 0.0, 0.0, 1.0),
        (MIXED / 5, 0.01, 0.0, 1.0, 0.0),
        (MIXED[:5], 0.005, 0.05322, 0.45456, 0.49222),
        (BORDER, 0.01, 0.00494, 0.76726, 0.2278),  # sums on the border of the region count half
    ],
    ids=["mixed", "better", "equivalent", "five patients", "on the border"],
)
def test_it_agrees_with_baycomp(differences, rope, worse, equivalent, better):
    found = bayes.signed_rank(differences, rope)
    assert found == pytest.approx((better, equivalent, worse), abs=0.012)
    assert sum(found) == pytest.approx(1)


def test_the_other_way_round_is_the_mirror_image():
    found, mirrored = bayes.signed_rank(MIXED, 0.005), bayes.signed_rank(-MIXED, 0.005)
    assert found == pytest.approx(mirrored[::-1])
