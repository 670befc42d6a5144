"""The Bayesian signed-rank test with a region of practical equivalence.

Benavoli, Corani, Demsar and Zaffalon, Time for a Change: a Tutorial for Comparing Multiple Classifiers Through Bayesian
Analysis, JMLR 18(77):1-36, 2017, section 4.2; the test itself: Benavoli, Mangili, Corani, Zaffalon and Ruggeri, A
Bayesian Wilcoxon Signed-Rank Test Based on the Dirichlet Process, ICML 2014.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

PRIOR = 0.5
"""Weight of the prior's pseudo-observation, a difference of 0 inside the region; an observed patient weighs 1."""
SAMPLES = 20_000


class Posterior(NamedTuple):
    """Probabilities, which sum to 1, that the differences lie above the region, inside it and below it."""

    better: float
    equivalent: float
    worse: float


def signed_rank(differences: np.ndarray, rope: float, samples: int = SAMPLES, seed: int = 0) -> Posterior:
    """How probable it is that the sum of two patients' differences, as a rule, lies above, inside or below twice the
    region [-rope, rope]. differences: (patients,).

    A Dirichlet process with one pseudo-observation z_0 = 0 gives weights w ~ Dirichlet(PRIOR, 1, ..., 1), and then
    theta_above = sum_ij w_i w_j [z_i + z_j > 2 rope], likewise below and inside; what is returned is how often each of
    the three is the largest over `samples` draws of w. Sums that end exactly at the region's border count half.
    """
    z = np.concatenate([[0.0], np.asarray(differences, dtype=np.float64)])
    sums = z[:, None] + z[None]
    weights = _weights(len(z), samples, seed)
    above, below = (
        np.einsum("si,si->s", weights @ np.heaviside(side - 2 * rope, 0.5), weights) for side in (sums, -sums)
    )
    likeliest = np.argmax([above, 1 - above - below, below], axis=0)
    return Posterior(*(np.bincount(likeliest, minlength=3) / samples).tolist())


@lru_cache(maxsize=16)
def _weights(count: int, samples: int, seed: int) -> np.ndarray:
    """(samples, count) draws of Dirichlet(PRIOR, 1, ..., 1)."""
    return np.random.default_rng(seed).dirichlet([PRIOR, *[1.0] * (count - 1)], samples)
