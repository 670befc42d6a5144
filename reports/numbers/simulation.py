"""How often intervals hold the truth and sentences are false, by simulation: `python -m reports.numbers.simulation`.

Prints the tables of docs/statistics.md; `--repeats 200` gives rough ones in a minute. Every number comes from the
functions that reports use, on scores whose truth is known.
"""

import argparse
from collections.abc import Callable

import numpy as np
import pandas as pd

from reports.numbers import areas, statistics
from reports.numbers.hypotheses import effect_sizes
from reports.numbers.statistics import Estimate
from reports.numbers.verdicts import Significance, Verdict, p_values, verdict

GROUPS = (5, 8, 12, 20, 40, 80)
SEED_SDS = (0.0, 0.005, 0.01, 0.02)
SEEDS = (1, 3, 5)
MARGIN = 0.01
PATIENT_SD, OWN_SD, RESIDUAL_SD = 0.08, 0.03, 0.02
"""DSC: how hard patients are, what each method makes of a patient whatever the training, and what each training does;
about what the reports in docs/results show on GlaS."""
SIGMAS = np.array([0.0, 0.1, 0.2, 0.3])
"""Noise levels of the simulated curves."""
FALL = np.array([0.0, 0.02, 0.08, 0.2])
"""How much of its DSC the mean curve has lost there."""


def normal(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal."""
    return random.normal(size=shape)


def skewed(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Of mean 0 and SD 1 with a long tail below, as DSC has: 1 - an exponential variable (skewness -2)."""
    return 1 - random.exponential(size=shape)


Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
SHAPES: dict[str, Draw] = {"normal": normal, "skewed": skewed}


def coverage(groups: int, shape: str, repeats: int, seed: int = 0) -> dict[str, float]:
    """Share of intervals that hold the truth, in [0, 1], by estimate: of a mean and a paired difference after one
    training, with three trainings, of a relative area and of the sigma at which 0.05 is lost."""
    random, draw = np.random.default_rng([seed, groups]), SHAPES[shape]
    truth = 0.8 - FALL
    area = float(areas.relative_area(SIGMAS, truth))
    lost = float(areas.x_at_loss(SIGMAS, truth))
    hits: dict[str, list[bool]] = {}
    names = np.arange(groups)
    for _ in range(repeats):
        patients = 0.8 + PATIENT_SD * draw(random, (groups,))
        other = patients + OWN_SD * draw(random, (groups,))
        steeper = 1 + 0.4 * draw(random, (groups,))
        curves = patients - FALL[:, None] * steeper
        first, second = (patients + scores(random, draw, 3, groups, 0.01) for _ in range(2))
        found = {
            "mean": (statistics.mean(patients, names), 0.8),
            "difference": (statistics.paired_difference(other, patients, names), 0.0),
            "mean, 3 seeds": (statistics.mean(first, names), 0.8),
            "difference, 3 seeds": (statistics.paired_difference(first, second, names), 0.0),
            "relative area": (statistics.smooth(lambda y: areas.relative_area(SIGMAS, y), curves, names), area),
            "sigma at loss": (statistics.statistic(lambda y: areas.x_at_loss(SIGMAS, y), curves, names), lost),
        }
        for name, (estimate, value) in found.items():
            hits.setdefault(name, []).append(holds(estimate, value))
    return {name: float(np.mean(held)) for name, held in hits.items()}


def scores(random: np.random.Generator, draw: Draw, seeds: int, groups: int, seed_sd: float) -> np.ndarray:
    """(seeds, groups): what a method adds to how hard its patients are, itself of mean 0."""
    own = OWN_SD / np.sqrt(2) * draw(random, (groups,))
    trainings = seed_sd * random.normal(size=(seeds, 1))
    return own + trainings + RESIDUAL_SD * draw(random, (seeds, groups))


def holds(estimate: Estimate, value: float) -> bool:
    """Whether there is an interval and it contains a value, but for rounding."""
    if estimate.low is None or estimate.high is None:
        return False
    return estimate.low - statistics.ROUNDING <= value <= estimate.high + statistics.ROUNDING


def sentences(seeds: int, seed_sd: float, repeats: int, groups: int = 40, truth: float = 0.0, seed: int = 0) -> dict:
    """Shares in [0, 1] of what reports say of two methods whose true difference is `truth`: better or worse, said of
    the methods and of these trainings; and equivalent, or not worse by more than MARGIN."""
    random = np.random.default_rng([seed, seeds, groups, round(1e4 * seed_sd)])
    names, said = np.arange(groups), []
    for _ in range(repeats):
        patients = 0.8 + PATIENT_SD * normal(random, (groups,))
        first, second = (patients + scores(random, normal, seeds, groups, seed_sd) for _ in range(2))
        pair = first + truth, second, names
        estimate = statistics.paired_difference(*pair)
        # A family of one, which Holm's correction leaves as it is.
        p, not_worse, not_better, both = p_values(pair, estimate, MARGIN)
        rank_biserial, d_z = effect_sizes(*pair)
        test = Significance(p, p, rank_biserial, d_z, not_worse, not_better, both)
        said.append((verdict(estimate, test), estimate.seeds > 1))
    told = {Verdict.BETTER, Verdict.WORSE}
    return {
        "methods told apart": float(np.mean([judged in told and methods for judged, methods in said])),
        "trainings told apart": float(np.mean([judged in told and not methods for judged, methods in said])),
        "methods equivalent": float(np.mean([judged is Verdict.EQUIVALENT and methods for judged, methods in said])),
        "not worse": float(np.mean([judged is Verdict.NOT_WORSE and methods for judged, methods in said])),
    }


def tables(repeats: int) -> dict[str, pd.DataFrame]:
    """All tables by title, in per cent."""
    covered = [{"groups": n, "scores": shape} | coverage(n, shape, repeats) for shape in SHAPES for n in GROUPS]
    runs = [(s, sd) for s in SEEDS for sd in SEED_SDS]
    equal = [{"seeds": s, "SD of training": sd} | sentences(s, sd, repeats) for s, sd in runs]
    border = [{"seeds": s, "SD of training": sd} | sentences(s, sd, repeats, truth=-MARGIN) for s, sd in runs]
    large = [{"seeds": s, "SD of training": sd} | sentences(s, sd, repeats, truth=0.03) for s, sd in runs]
    frames = {
        "Coverage of 95 % intervals (%)": pd.DataFrame(covered),
        "Two methods that are equal: what is said (%)": pd.DataFrame(equal),
        f"The first is worse by the margin of {MARGIN:g} DSC: what is said (%)": pd.DataFrame(border),
        "The first is better by 0.03 DSC: what is said (%)": pd.DataFrame(large),
    }
    for frame in frames.values():
        shares = [name for name in frame.columns if name not in ("groups", "scores", "seeds", "SD of training")]
        frame[shares] = (100 * frame[shares]).round(1)
    return frames


def main() -> None:
    """Print the tables as markdown."""
    parser = argparse.ArgumentParser(description="Coverage of intervals and rates of false sentences, by simulation.")
    parser.add_argument("--repeats", type=int, default=4000, help="experiments for each number (default: 4000)")
    repeats = parser.parse_args().repeats
    if repeats < 1:
        parser.error(f"--repeats {repeats}: expected a whole number from 1, e.g. 200.")
    for title, frame in tables(repeats).items():
        lines = [list(map(str, frame.columns)), ["---"] * len(frame.columns), *frame.astype(str).to_numpy().tolist()]
        print(f"\n**{title}**\n", *(f"| {' | '.join(line)} |" for line in lines), sep="\n")


if __name__ == "__main__":
    main()
