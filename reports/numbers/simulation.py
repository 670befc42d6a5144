"""How often intervals hold the truth and sentences are false, by simulation: `python -m reports.numbers.simulation`.

Prints the tables of docs/statistics.md; `--repeats 200` gives rough ones in a minute, `--table 4` one of them alone.
Every number comes from the functions that reports use, on scores whose truth is known.
"""

import argparse
from collections.abc import Callable
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from reports.numbers import areas, statistics
from reports.numbers.hypotheses import effect_sizes
from reports.numbers.statistics import Estimate
from reports.numbers.verdicts import Significance, Verdict, p_values, verdict

GROUPS = (5, 8, 12, 20, 40, 80)
SEED_SDS = (0.0, 0.005, 0.01, 0.02)
SEEDS = (1, 2, 3, 5)
UNEQUAL_GROUPS = (20, 40, 80)
FAILURES = (0.05, 0.1, 0.2, 0.4)
"""Shares of patients in whom a method fails that is otherwise perfect, or nearly."""
MISSED, DIAGONAL = 0.1, 140.0
"""Share of the structures that are missed, and what that costs as a distance, in pixels; others have about 7."""
MARGIN = 0.01
PATIENT_SD, OWN_SD, RESIDUAL_SD = 0.08, 0.03, 0.02
"""DSC: how hard patients are, what each method makes of a patient whatever the training, and what each training does;
about what the reports in docs/results show on GlaS."""
SIGMAS = np.array([0.0, 0.1, 0.2, 0.3])
"""Noise levels of the simulated curves."""
FALL = np.array([0.0, 0.02, 0.08, 0.2])
"""How much of its DSC the mean curve has lost there."""
LOSS_SD = 0.3
"""Between trainings, of what is lost."""


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
    training, with three trainings, of a relative area and of the sigma at which 0.05 is lost, after one training and
    with three that differ in how much they lose."""
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
        trainings = curves - FALL[:, None] * LOSS_SD * random.normal(size=(3, 1, 1))
        trainings = trainings + RESIDUAL_SD * draw(random, (3, 1, groups))
        first, second = (patients + scores(random, draw, 3, groups, 0.01) for _ in range(2))
        found = {
            "mean": (statistics.mean(patients, names), 0.8),
            "difference": (statistics.paired_difference(other, patients, names), 0.0),
            "mean, 3 seeds": (statistics.mean(first, names), 0.8),
            "difference, 3 seeds": (statistics.paired_difference(first, second, names), 0.0),
            "relative area": (statistics.smooth(lambda y: areas.relative_area(SIGMAS, y), curves, names), area),
            "sigma at loss": (statistics.statistic(lambda y: areas.x_at_loss(SIGMAS, y), curves, names), lost),
            "sigma at loss, 3 seeds": (
                statistics.statistic(lambda y: areas.x_at_loss(SIGMAS, y), trainings, names),
                lost,
            ),
        }
        for name, (estimate, value) in found.items():
            hits.setdefault(name, []).append(holds(estimate, value))
    return {name: float(np.mean(held)) for name, held in hits.items()}


def scores(
    random: np.random.Generator, draw: Draw, seeds: int, groups: int, seed_sd: float, uneven: float = 0.0
) -> np.ndarray:
    """(seeds, groups): what a method adds to how hard its patients are, itself of mean 0. uneven: SD over patients of
    how much of a training's good or bad luck reaches them, 1 on average."""
    own = OWN_SD / np.sqrt(2) * draw(random, (groups,))
    trainings = seed_sd * random.normal(size=(seeds, 1)) * (1 + uneven * random.normal(size=groups))
    return own + trainings + RESIDUAL_SD * draw(random, (seeds, groups))


def holds(estimate: Estimate, value: float) -> bool:
    """Whether there is an interval and it contains a value, but for rounding."""
    if estimate.low is None or estimate.high is None:
        return False
    return estimate.low - statistics.ROUNDING <= value <= estimate.high + statistics.ROUNDING


def ceiling(groups: int, share: float, spread: float, repeats: int, seed: int = 0) -> float:
    """Coverage, in [0, 1], of the interval of a mean score after one training that is between 0 and 1, evenly, in a
    share of the patients; in the others 1, or with a spread normal around 0.95, cut at 1."""
    random = np.random.default_rng([seed, groups, round(100 * share), round(1e3 * spread)])
    others = 1.0
    if spread:
        # The mean of a normal variable cut above at c, z = (c - mu) / sd: c Phi(-z) + mu Phi(z) - sd phi(z).
        z = 0.05 / spread
        others = float(stats.norm.cdf(-z) + 0.95 * stats.norm.cdf(z) - spread * stats.norm.pdf(z))
    truth, names, held = share * 0.5 + (1 - share) * others, np.arange(groups), []
    for _ in range(repeats):
        good = np.minimum(0.95 + spread * random.normal(size=groups), 1) if spread else np.ones(groups)
        values = np.where(random.random(groups) < share, random.random(groups), good)
        held.append(holds(statistics.mean(values, names, bounds=(0, 1)), truth))
    return float(np.mean(held))


def distances(groups: int, repeats: int, seed: int = 0) -> dict[str, float]:
    """Of the interval of a mean distance after one training: coverage in [0, 1] with a long tail and no misses, and
    with MISSED at the DIAGONAL; and how many times as wide as Student's it is in the widest hundredth of the latter."""
    random, names = np.random.default_rng([seed, groups]), np.arange(groups)
    found: dict[str, list[float]] = {"long tail": [], "with misses": [], "widest": []}
    for _ in range(repeats):
        values = 3 + 2 * random.gamma(2, 1, groups)
        found["long tail"].append(holds(statistics.mean(values, names, bounds=(0, np.inf)), 7.0))
        values = np.where(random.random(groups) < MISSED, DIAGONAL, values)
        estimate = statistics.mean(values, names)
        found["with misses"].append(holds(estimate, MISSED * DIAGONAL + (1 - MISSED) * 7.0))
        reach = 2 * stats.t.ppf((1 + statistics.LEVEL) / 2, groups - 1) * values.std(ddof=1) / np.sqrt(groups)
        if estimate.low is not None and estimate.high is not None:
            found["widest"].append((estimate.high - estimate.low) / reach)
    widest = float(np.quantile(found.pop("widest"), 0.99))
    return {name: float(np.mean(held)) for name, held in found.items()} | {"widest": widest}


def sentences(
    seeds: int,
    seed_sds: tuple[float, float],
    repeats: int,
    groups: int = 40,
    truth: float = 0.0,
    uneven: float = 0.0,
    seed: int = 0,
) -> dict[str, float]:
    """Shares in [0, 1] of what reports say of two methods whose true difference is `truth` and whose trainings differ
    by seed_sds: better or worse, said of the methods and of these trainings; and equivalent, or not worse by more than
    MARGIN."""
    random = np.random.default_rng([seed, seeds, groups, *(round(1e4 * sd) for sd in seed_sds)])
    names, said = np.arange(groups), []
    for _ in range(repeats):
        patients = 0.8 + PATIENT_SD * normal(random, (groups,))
        first, second = (patients + scores(random, normal, seeds, groups, sd, uneven) for sd in seed_sds)
        pair = first + truth, second, names
        estimate = statistics.paired_difference(*pair, bounds=(-1, 1))
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


def coverages(repeats: int) -> pd.DataFrame:
    """`coverage` by number of groups and shape."""
    return pd.DataFrame(
        [{"groups": n, "scores": shape} | coverage(n, shape, repeats) for shape in SHAPES for n in GROUPS]
    )


def ceilings(repeats: int) -> pd.DataFrame:
    """`ceiling` by number of groups, a column for each share of failures among scores of 1, and around 0.95."""
    kinds = {"exactly 1": 0.0, "about 0.95": 0.03}
    return pd.DataFrame(
        [
            {"groups": n, "others": name}
            | {f"{share:.0%} fail": ceiling(n, share, spread, repeats) for share in FAILURES}
            for name, spread in kinds.items()
            for n in GROUPS
        ]
    )


def outliers(repeats: int) -> pd.DataFrame:
    """`distances` by number of groups below LARGE."""
    return pd.DataFrame([{"groups": n} | distances(n, repeats) for n in GROUPS if n < statistics.LARGE])


def unequal(repeats: int) -> pd.DataFrame:
    """Equal methods told apart where the trainings of one differ more than the other's, by number of groups and whether
    a training's luck reaches all patients alike."""
    rows = []
    for seeds in (count for count in SEEDS if count >= statistics.MIN_SEEDS):
        for sds in combinations(SEED_SDS, 2):
            row: dict[str, object] = {"seeds": seeds, "SDs of training": f"{sds[0]:g} and {sds[1]:g}"}
            for uneven, name in ((0.0, ""), (1.0, ", uneven")):
                for n in UNEQUAL_GROUPS:
                    row[f"{n} groups{name}"] = sentences(seeds, sds, repeats, n, uneven=uneven)["methods told apart"]
            rows.append(row)
    return pd.DataFrame(rows)


def by_seeds(truth: float, repeats: int) -> pd.DataFrame:
    """`sentences` by number of seeds and SD of training, the same for both methods."""
    runs = [(seeds, sd) for seeds in SEEDS for sd in SEED_SDS]
    return pd.DataFrame(
        [{"seeds": s, "SD of training": sd} | sentences(s, (sd, sd), repeats, truth=truth) for s, sd in runs]
    )


TABLES: dict[str, Callable[[int], pd.DataFrame]] = {
    "Coverage of 95 % intervals (%)": coverages,
    "Coverage (%) where a share of the patients fails, by the score of the others": ceilings,
    "Coverage (%) of mean distances, and how many times as wide as Student's the widest hundredth is": outliers,
    "Equal methods told apart (%) where one's trainings differ more": unequal,
    "Two methods that are equal: what is said (%)": partial(by_seeds, 0.0),
    f"The first is worse by the margin of {MARGIN:g} DSC: what is said (%)": partial(by_seeds, -MARGIN),
    "The first is better by 0.03 DSC: what is said (%)": partial(by_seeds, 0.03),
}
"""By title, each from a number of experiments; shares in [0, 1]."""


def per_cent(frame: pd.DataFrame) -> pd.DataFrame:
    """A table as printed: shares in per cent, with one decimal."""
    kept = ("groups", "scores", "others", "seeds", "SD of training", "SDs of training", "widest")
    shares = [name for name in frame.columns if name not in kept]
    return frame.assign(**(100 * frame[shares]).round(1)).round({"widest": 2})


def main() -> None:
    """Print the tables as markdown."""
    parser = argparse.ArgumentParser(description="Coverage of intervals and rates of false sentences, by simulation.")
    parser.add_argument("--repeats", type=int, default=3000, help="experiments for each number (default: 3000)")
    parser.add_argument("--table", type=int, help=f"only the one of that place, from 1 to {len(TABLES)}")
    given = parser.parse_args()
    if given.repeats < 1:
        parser.error(f"--repeats {given.repeats}: expected a whole number from 1, e.g. 200.")
    if given.table is not None and not 1 <= given.table <= len(TABLES):
        parser.error(f"--table {given.table}: expected a whole number from 1 to {len(TABLES)}.")
    chosen = list(TABLES.items())
    for title, table in chosen if given.table is None else [chosen[given.table - 1]]:
        frame = per_cent(table(given.repeats))
        lines = [list(map(str, frame.columns)), ["---"] * len(frame.columns), *frame.astype(str).to_numpy().tolist()]
        print(f"\n**{title}**\n", *(f"| {' | '.join(line)} |" for line in lines), sep="\n", flush=True)


if __name__ == "__main__":
    main()
