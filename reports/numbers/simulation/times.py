"""Intervals of times: medians, ratios and exponents over rounds, on a steady machine and on one with slow spells."""

from functools import cache

import numpy as np
import pandas as pd

from reports.numbers.rounds import estimate, slope
from reports.numbers.simulation.invented import holds

ROUNDS = (5, 6, 7, 10, 15, 30)
SIDES = np.array([64, 128, 192, 256, 384, 512])
EXPONENT = 1.5
SPREAD = 0.1
"""A call takes so much longer than the fastest possible one, on average; by how much is exponential."""
SPELLS = {"steady": 0.0, "slow spells": 0.2}
"""SD of the logarithm of how slow the machine is, and LASTING, how much of that remains in the next round."""
LASTING = 0.7


def seconds(random: np.random.Generator, rounds: int, slow: float) -> np.ndarray:
    """(rounds, sizes) of one method whose time grows with the side to the power of EXPONENT."""
    state, spell = random.normal(), np.empty(rounds)
    for number in range(rounds):
        spell[number] = state
        state = LASTING * state + np.sqrt(1 - LASTING**2) * random.normal()
    own = 1 + SPREAD * random.exponential(size=(rounds, len(SIDES)))
    return 1e-5 * SIDES**EXPONENT * own * np.exp(slow * spell)[:, None]


@cache
def typical(slow: float) -> float:
    """Median of how many times as long as the fastest possible one a call takes, spell included; of a large sample."""
    random = np.random.default_rng(0)
    return float(np.median((1 + SPREAD * random.exponential(size=10**6)) * np.exp(slow * random.normal(size=10**6))))


def coverage(rounds: int, slow: float, repeats: int, seed: int = 0) -> dict[str, float]:
    """Coverage, in [0, 1], of the median of the largest size, its ratio to the smallest, and the exponents over all
    sizes and over the two largest."""
    random, x, call = np.random.default_rng([seed, rounds, round(100 * slow)]), np.log(SIDES), typical(slow)
    scale = SIDES[-1] / SIDES[0]
    hits: dict[str, list[bool]] = {}
    for _ in range(repeats):
        times = seconds(random, rounds, slow)
        found = {
            "one time": (estimate(lambda m: m[..., 0], times[:, -1:]), 1e-5 * SIDES[-1] ** EXPONENT * call),
            "ratio": (estimate(lambda m: m[..., 0] / m[..., 1], times[:, [-1, 0]]), scale**EXPONENT),
            "exponent": (estimate(lambda m: slope(x, np.log(m)), times), EXPONENT),
            "of the two largest": (estimate(lambda m: slope(x[-2:], np.log(m)), times[:, -2:]), EXPONENT),
        }
        for name, (interval, value) in found.items():
            hits.setdefault(name, []).append(holds(interval, value))
    return {name: float(np.mean(held)) for name, held in hits.items()}


def table(repeats: int) -> pd.DataFrame:
    """`coverage` by number of rounds and machine."""
    return pd.DataFrame(
        [{"rounds": n, "machine": name} | coverage(n, slow, repeats) for name, slow in SPELLS.items() for n in ROUNDS]
    )
