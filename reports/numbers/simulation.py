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
from reports.numbers.hypotheses import detectable, effect_sizes
from reports.numbers.limits import LARGE, ROUNDING
from reports.numbers.statistics import Estimate
from reports.numbers.verdicts import OF_SCORES, Significance, Verdict, p_values, tested, verdict

GROUPS = (5, 8, 12, 20, 40, 80)
SEED_SDS = (0.0, 0.005, 0.01, 0.02)
SEEDS = (1, 2, 3, 5)
UNEQUAL_GROUPS = (20, 40, 80)
TESTED_GROUPS = (8, 12, 20, 40, 80)
FAILING_GROUPS = (12, 20, 40, 60, 80)
RARE = (0.025, 0.05, 0.1)
"""Shares of patients in whom the first of two good methods fails."""
COMPARISONS = 5
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
    return estimate.low - ROUNDING <= value <= estimate.high + ROUNDING


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
    said = []
    for _ in range(repeats):
        patients = 0.8 + PATIENT_SD * normal(random, (groups,))
        first, second = (patients + scores(random, normal, seeds, groups, sd, uneven) for sd in seed_sds)
        said.append(judge(first + truth, second))
    methods = seeds >= statistics.MIN_SEEDS
    apart = float(np.mean([judged in TOLD_APART for judged in said]))
    return {
        "methods told apart": apart * methods,
        "trainings told apart": apart * (not methods),
        "equivalent": float(np.mean([judged is Verdict.EQUIVALENT for judged in said])),
        "not worse": float(np.mean([judged is Verdict.NOT_WORSE for judged in said])),
    }


TOLD_APART = (Verdict.BETTER, Verdict.WORSE)
WRONG_IF_WORSE = (Verdict.BETTER, Verdict.EQUIVALENT, Verdict.NOT_WORSE)
"""What is false of a method that is worse by the margin or more."""


def judge(first: np.ndarray, second: np.ndarray) -> Verdict:
    """What a report says of two methods that it compares alone: a family of one, which Holm's correction leaves as it
    is. Scores (seeds, patients)."""
    pair = first, second, np.arange(first.shape[1])
    estimate, limits = statistics.difference(*pair, bounds=OF_SCORES)
    p, not_worse, not_better, both = p_values(pair, estimate, limits, MARGIN)
    rank_biserial, d_z = effect_sizes(*pair)
    return verdict(estimate, Significance(p, p, rank_biserial, d_z, not_worse, not_better, both))


def lopsided(seeds: int, seed_sd: float, groups: int, repeats: int, seed: int = 0) -> dict[str, float]:
    """Shares in [0, 1] of false sentences where the first method does badly in few patients and well in the others, so
    that differences are skewed, with an SD of OWN_SD: equal methods told apart, and a method that is worse by MARGIN
    called not worse, equivalent or better."""
    random = np.random.default_rng([seed, seeds, groups, round(1e4 * seed_sd)])
    apart, missed = [], []
    for _ in range(repeats):
        trainings = [
            seed_sd * random.normal(size=(seeds, 1)) + 0.01 * random.normal(size=(seeds, groups)) for _ in "ab"
        ]
        first, second = trainings[0] + OWN_SD * skewed(random, (groups,)), trainings[1]
        apart.append(judge(first, second) in TOLD_APART)
        missed.append(judge(first - MARGIN, second) in WRONG_IF_WORSE)
    return {"equal, told apart": float(np.mean(apart)), "worse by the margin, missed": float(np.mean(missed))}


def unseen(seeds: int, share: float, groups: int, repeats: int, seed: int = 0) -> float:
    """Share in [0, 1] of reports in which a method is called not worse, equivalent or better that fails in a share of
    the patients, where its score is evenly between 0 and 1. Otherwise both have scores of 0.95 with an SD of 0.015 that
    hardly differ: the first is worse by 0.45 times the share."""
    random = np.random.default_rng([seed, seeds, groups, round(1e3 * share)])
    missed = []
    for _ in range(repeats):
        patients = np.minimum(0.95 + 0.015 * random.normal(size=groups), 1)

        def scored(patients: np.ndarray = patients) -> np.ndarray:
            own = patients + 0.01 * random.normal(size=groups) + 0.005 * random.normal(size=(seeds, groups))
            return np.clip(own + 0.002 * random.normal(size=(seeds, 1)), 0, 1)

        fails = random.random(groups) < share
        missed.append(judge(np.where(fails, random.random(groups), scored()), scored()) in WRONG_IF_WORSE)
    return float(np.mean(missed))


def families(seeds: int, seed_sds: tuple[float, float], groups: int, repeats: int, seed: int = 0) -> dict[str, float]:
    """Shares in [0, 1] of reports with a false sentence among COMPARISONS with one reference, after Holm: of equal
    methods of which some are told apart, and of a reference that is worse than all by MARGIN and is called not worse,
    equivalent or better somewhere. seed_sds: of the reference and of the others."""
    random = np.random.default_rng([seed, seeds, groups, *(round(1e4 * sd) for sd in seed_sds)])
    apart: list[bool] = []
    missed: list[bool] = []
    for _ in range(repeats):
        reference, *others = (
            scores(random, normal, seeds, groups, sd) for sd in (seed_sds[0], *[seed_sds[1]] * COMPARISONS)
        )
        for found, shift, wrong in ((apart, 0.0, TOLD_APART), (missed, -MARGIN, WRONG_IF_WORSE)):
            results = tested([(reference + shift, other, np.arange(groups)) for other in others], MARGIN)
            found.append(any(verdict(*one) in wrong for one in results if one is not None))
    return {"equal, told apart": float(np.mean(apart)), "worse by the margin, missed": float(np.mean(missed))}


def repetitions(seeds: int, seed_sd: float, groups: int, repeats: int, seed: int = 0) -> dict[str, float]:
    """In DSC, the 5th, 50th and 95th percentile of `detectable` over experiments; and in [0, 1], how often a second
    experiment finds what the first printed, and how often one finds the median."""
    random = np.random.default_rng([seed, seeds, groups, round(1e4 * seed_sd)])

    def experiment() -> Estimate:
        first, second = (scores(random, normal, seeds, groups, seed_sd) for _ in range(2))
        return statistics.paired_difference(first, second, np.arange(groups))

    printed = np.array([detectable(experiment()) or np.nan for _ in range(repeats)])
    low, middle, high = np.quantile(printed, [0.05, 0.5, 0.95])

    def found(differences: np.ndarray) -> float:
        lows = [(experiment().low or 0.0) + difference > 0 for difference in differences]
        return float(np.mean(lows))

    return {
        "lowest": low, "median": middle, "highest": high, "found again": found(printed),
        "median found": found(np.full(repeats, middle)),
    }  # fmt: skip


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
    return pd.DataFrame([{"groups": n} | distances(n, repeats) for n in GROUPS if n < LARGE])


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


def lopsidedness(repeats: int) -> pd.DataFrame:
    """`lopsided` by number of groups, seeds and SD of training."""
    runs = [(seeds, sd) for seeds, sd in ((1, 0.0), (3, 0.0), (3, 0.01))]
    return pd.DataFrame(
        [{"groups": n, "seeds": s, "SD of training": sd} | lopsided(s, sd, n, repeats)
         for n in TESTED_GROUPS for s, sd in runs]
    )  # fmt: skip


def unseen_failures(repeats: int) -> pd.DataFrame:
    """`unseen` by number of groups and seeds, a column for each share of failures."""
    return pd.DataFrame(
        [{"groups": n, "seeds": s} | {f"{q:.1%} fail": unseen(s, q, n, repeats) for q in RARE}
         for n in FAILING_GROUPS for s in (1, 3)]
    )  # fmt: skip


def by_family(repeats: int) -> pd.DataFrame:
    """`families` of three seeds by SDs of training, and of five where it is worst."""
    runs = [(3, sds) for sds in ((0.0, 0.0), (0.01, 0.01), (0.02, 0.0), (0.0, 0.02), (0.0, 0.05))] + [(5, (0.0, 0.05))]
    return pd.DataFrame(
        [{"seeds": s, "SDs of training": f"{sds[0]:g} and {sds[1]:g}"} | families(s, sds, 40, repeats)
         for s, sds in runs]
    )  # fmt: skip


def designs(repeats: int) -> pd.DataFrame:
    """`repetitions` by seeds and SD of training."""
    return pd.DataFrame(
        [{"seeds": s, "SD of training": sd} | repetitions(s, sd, 40, repeats)
         for s, sd in ((1, 0.0), (3, 0.005), (3, 0.02), (5, 0.01))]
    )  # fmt: skip


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
    "Skewed differences: false sentences (%)": lopsidedness,
    "Rare failures of the first of two methods near a ceiling: false sentences (%)": unseen_failures,
    f"{COMPARISONS} comparisons with one reference, 40 groups: reports with a false sentence (%)": by_family,
    "Found at 80 %: what is printed (DSC), and how often that is found (%)": designs,
    "Two methods that are equal: what is said (%)": partial(by_seeds, 0.0),
    f"The first is worse by the margin of {MARGIN:g} DSC: what is said (%)": partial(by_seeds, -MARGIN),
    "The first is better by 0.03 DSC: what is said (%)": partial(by_seeds, 0.03),
}
"""By title, each from a number of experiments; shares in [0, 1]."""


PRINTED = ("lowest", "median", "highest")
"""Columns in DSC."""


def per_cent(frame: pd.DataFrame) -> pd.DataFrame:
    """A table as printed: shares in per cent, with one decimal."""
    kept = ("groups", "scores", "others", "seeds", "SD of training", "SDs of training", "widest", *PRINTED)
    shares = [name for name in frame.columns if name not in kept]
    return frame.assign(**(100 * frame[shares]).round(1)).round({"widest": 2} | dict.fromkeys(PRINTED, 4))


def main() -> None:
    """Print the tables as markdown."""
    parser = argparse.ArgumentParser(description="Coverage of intervals and rates of false sentences, by simulation.")
    parser.add_argument("--repeats", type=int, default=2000, help="experiments for each number (default: 2000)")
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
